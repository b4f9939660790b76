"""The rules of money in plain Python, from the design: what the house must agree with to the cent.

Moments are hours since the house was opened.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.play import Play
from tests.tote import Division, Slip, divide

LEAST_STAKE, LEAST_CASH_OUT = 20_00, 10_00

Account = tuple[str, int | None, int | None]  # kind, customer, market


def wallet(customer: int) -> Account:
    """What is the customer's to play with."""
    return ("WALLET", customer, None)


def pool(market: int) -> Account:
    """What is staked on a market."""
    return ("POOL", None, market)


def receivable(customer: int) -> Account:
    """What the customer owes the house."""
    return ("RECEIVABLE", customer, None)


def house(kind: str) -> Account:
    """An account of which there is one."""
    return (kind, None, None)


BANK, UTILITY, PENDING = house("BANK"), house("MPESA_UTILITY"), house("PAYOUTS_PENDING")
ADJUSTMENTS = house("ADJUSTMENTS")
FEES, EXCISE, WITHHOLDING = house("FEES"), house("EXCISE_PAYABLE"), house("WITHHOLDING_PAYABLE")


@dataclass(frozen=True)
class Bet:
    """A stake that stands; `at` compares with the times of other bets."""

    id: int
    customer: int
    outcome: int
    stake: int
    at: Any


@dataclass
class Market:
    """A question; `status` in the house's words."""

    id: int
    outcomes: int
    fee_bp: int
    closes: float
    status: str = "OPEN"
    bets: dict[int, Bet] = field(default_factory=dict)
    withdrawn: set[int] = field(default_factory=set)  # outcomes


@dataclass
class Run:
    """A settlement: who is to get what, who has got it, and whose it has taken back again."""

    market: Market
    division: Division
    winners: tuple[int, ...] = ()  # without any it is void
    closed: Any = None  # bets after that are late
    withdraws: int | None = None  # an outcome
    corrects: "Run | None" = None
    instead: "Run | None" = None  # of a result that it overtook before a bet was paid
    undone: bool = False
    paused: bool = False
    paid: set[int] = field(default_factory=set)  # bets
    back: set[int] = field(default_factory=set)  # bets, by a correction
    told: set[int] = field(default_factory=set)  # customers
    collected: Counter[int] = field(default_factory=Counter)  # of what they owed, by customer


@dataclass
class Payout:
    """Money on its way to M-PESA: what is to arrive, and the tax on it."""

    customer: int
    amount: int
    tax: int
    run: Run | None = None
    sent: bool = False


@dataclass
class Receipt:
    """A deposit in the wallet, less the excise; `unmade` while two people say that it never was."""

    customer: int
    amount: int
    tax: int
    at: int
    unmade: bool = False
    restored: bool = False
    owing: int = 0  # of what was taken back, what the wallet had not
    ruled: int = 0  # when


class House:
    """Everybody's money, in accounts that grow by credit."""

    def __init__(self, people: Iterable[int], opened: datetime) -> None:
        self.people = {number: Play(opened) for number in people}
        self.books: Counter[Account] = Counter()
        self.payouts: dict[int, Payout] = {}
        self.receipts: dict[str, Receipt] = {}
        self.rates: list[tuple[int, int, int]] = []  # from when, excise, withholding in 1/10,000
        self.now = 0

    def accounts(self) -> dict[Account, int]:
        """What every account holds, but the empty ones."""
        return {account: cents for account, cents in self.books.items() if cents}

    def holds(self, customer: int) -> int:
        """What is in the wallet."""
        return self.books[wallet(customer)]

    def owes(self, customer: int) -> int:
        """What the customer has had too much of."""
        return -self.books[receivable(customer)]

    def excise_bp(self) -> int:
        """The tax on deposits."""
        return next((excise for since, excise, _ in self.rates[::-1] if since <= self.now), 0)

    def withholding_bp(self) -> int:
        """The tax on what goes to M-PESA."""
        return next((held for since, _, held in self.rates[::-1] if since <= self.now), 0)

    def gross(self, net: int) -> int:
        """What must leave the wallet for so much to arrive: n / (1 - r), up to the cent."""
        return -(-net * 10_000 // (10_000 - self.withholding_bp()))

    def fund(self, customer: int, amount: int) -> None:
        """Put there from the bank."""
        self._move(BANK, wallet(customer), amount)

    def adjust(self, customer: int, amount: int) -> None:
        """The house gives it, and what is owed is taken from it."""
        self._move(ADJUSTMENTS, wallet(customer), amount)
        self._collect(customer, amount)

    def write_off(self, customer: int, amount: int) -> None:
        """What is owed is not asked back."""
        assert amount <= self.owes(customer)
        self._move(ADJUSTMENTS, receivable(customer), amount)

    def deposit(self, customer: int, amount: int, receipt: str) -> None:
        """It came from M-PESA: to play with, less the excise; or owed back, in full."""
        self.people[customer].deposited(self.now, amount)
        if self.people[customer].excluded(self.now):
            self._move(UTILITY, ("REFUND_DUE", customer, None), amount)
            return
        tax = amount * self.excise_bp() // 10_000
        self.receipts[receipt] = Receipt(customer, amount, tax, self.now)
        self._move(UTILITY, wallet(customer), amount)
        self._move(wallet(customer), EXCISE, tax)

    def unmake(self, receipt: str) -> None:
        """It never was: from payouts that have not left and the wallet; what is missing is owed."""
        told = self.receipts[receipt]
        told.unmade, wanted = True, told.amount - told.tax
        for number in sorted(self.payouts):
            payout = self.payouts[number]
            if self.holds(told.customer) >= wanted:
                break
            if payout.customer == told.customer and not payout.sent:
                self.returned(number)
        there = min(self.holds(told.customer), wanted)
        told.owing, told.ruled = wanted - there, self.now
        self._move(wallet(told.customer), UTILITY, there)
        self._move(receivable(told.customer), UTILITY, wanted - there)
        self._move(EXCISE, UTILITY, told.tax)
        self.people[told.customer].deposited(told.at, -told.amount)

    def restore(self, receipt: str) -> None:
        """It was, after all: it repays what is owed for it; or goes back to who may not play."""
        told = self.receipts[receipt]
        told.unmade, told.restored = False, True
        owed = min(self.owes(told.customer), told.owing)
        if self.people[told.customer].excluded(self.now) and not owed:
            self._move(UTILITY, ("REFUND_DUE", told.customer, None), told.amount)
            del self.receipts[receipt]
            return
        self.people[told.customer].deposited(told.at, told.amount)
        self._move(UTILITY, wallet(told.customer), told.amount)
        self._move(wallet(told.customer), EXCISE, told.tax)
        self._collect(told.customer, min(told.owing, told.amount - told.tax))

    def in_doubt(self, customer: int, lately: int) -> bool:
        """Whether a payment of theirs was ruled never made since then, and may yet be proved."""
        theirs = [told for told in self.receipts.values() if told.customer == customer]
        return any(told.unmade and told.ruled > lately for told in theirs)

    def misses(self, customer: int) -> bool:
        """Whether something of theirs is said never to have been, and they owe."""
        return bool(self.owes(customer)) and any(
            told.unmade for told in self.receipts.values() if told.customer == customer
        )

    def why_not(
        self, market: Market, customer: int, outcome: int, stake: int, *, no_pin_limit: int | None
    ) -> set[str]:
        """Every reason against a bet; without any it stands."""
        over = market.status not in ("OPEN", "SUSPENDED") or market.closes <= self.now
        reasons = {
            "betting.market_closed": over,
            "betting.market_suspended": market.status == "SUSPENDED",
            "betting.no_such_outcome": outcome > market.outcomes,
            "betting.outcome_withdrawn": outcome in market.withdrawn,
            "betting.stake_low": stake < LEAST_STAKE,
            "betting.short_of_funds": stake > self.holds(customer),
        }
        against = {reason for reason, applies in reasons.items() if applies}
        return against | self.people[customer].why_not_bet(self.now, stake, no_pin_limit)

    def bet(self, market: Market, bet: Bet, *, with_pin: bool) -> None:
        """The bet stands."""
        self._move(wallet(bet.customer), pool(market.id), bet.stake)
        market.bets[bet.id] = bet
        self.people[bet.customer].staked(self.now, bet.stake, with_pin=with_pin)

    def decide(
        self, market: Market, winners: Collection[int], *, closed: Any = None, **more: Any
    ) -> Run:
        """Two people have agreed who has won, and that nobody may have bet after `closed`."""
        slips = [
            Slip(bet.id, bet.outcome, bet.stake, out=closed is not None and bet.at > closed)
            for bet in market.bets.values()
            if bet.outcome not in market.withdrawn
        ]
        division = divide(slips, winners, market.fee_bp)
        return Run(market, division, winners=tuple(winners), closed=closed, **more)

    def withdraw_outcome(self, market: Market, outcome: int) -> Run:
        """It is out of the question: its stakes go back, and the pool goes on."""
        market.withdrawn.add(outcome)
        mine = [bet for bet in market.bets.values() if bet.outcome == outcome]
        back = divide([Slip(bet.id, bet.outcome, bet.stake) for bet in mine], (), 0)
        return Run(market, back, withdraws=outcome)

    def pay(self, run: Run, bets: Collection[int]) -> None:
        """Some bets get their share; of it comes first what their owners owe."""
        assert not run.paid & set(bets), "paid before"
        for number in sorted(bets):
            customer, cents = run.market.bets[number].customer, run.division.given[number]
            self._move(pool(run.market.id), wallet(customer), cents)
            run.collected[customer] += self._collect(customer, cents)
            self.people[customer].returned(self.now, cents)
        run.paid |= set(bets)

    def tell(self, run: Run, customer: int) -> int:
        """When all bets are paid, each customer once: what of their wins goes to M-PESA.

        As far as it is still there, and of those who owe nothing.
        """
        assert run.paid == set(run.division.given), "somebody is not paid"
        assert customer not in run.told, "told before"
        run.told.add(customer)
        bets = run.market.bets
        won = sum(
            cents for bet, cents in run.division.won.items() if bets[bet].customer == customer
        )
        left = min(won - run.collected[customer], self.holds(customer))
        net = max(left, 0) * (10_000 - self.withholding_bp()) // 10_000 // 100 * 100
        wanted = self.people[customer].cash_out and not self.owes(customer)
        return net if wanted and net >= LEAST_CASH_OUT else 0

    def finish(self, run: Run) -> None:
        """Everybody has what is theirs: the fee is the house's."""
        assert run.told == {run.market.bets[bet].customer for bet in run.division.given}
        self._move(pool(run.market.id), FEES, run.division.fee)
        if run.withdraws is None:
            assert not self.books[pool(run.market.id)]
            run.market.status = "SETTLED" if run.winners else "VOID"

    def take_back(self, run: Run, bet: int) -> None:
        """It was wrong: from the wallet as far as that goes, and the rest is owed."""
        assert bet not in run.back, "taken back before"
        run.back.add(bet)
        customer, cents = run.market.bets[bet].customer, run.division.given[bet]
        there = min(cents, self.holds(customer))
        self._move(wallet(customer), pool(run.market.id), there)
        self._move(receivable(customer), pool(run.market.id), cents - there)
        self.people[customer].returned(self.now, -cents)

    def undo(self, run: Run) -> None:
        """All of it is taken back, the fee at last."""
        assert run.back == set(run.division.given)
        self._move(FEES, pool(run.market.id), run.division.fee)

    def reserve(self, payout: int, customer: int, amount: int, run: Run | None = None) -> None:
        """Set aside what is to arrive on M-PESA, and the tax on it."""
        tax = self.gross(amount) - amount
        self._move(wallet(customer), PENDING, amount + tax)
        self.payouts[payout] = Payout(customer, amount, tax, run)

    def arrived(self, payout: int) -> None:
        """M-PESA has paid it."""
        gone = self.payouts.pop(payout)
        self._move(PENDING, UTILITY, gone.amount)
        self._move(PENDING, WITHHOLDING, gone.tax)

    def returned(self, payout: int) -> None:
        """M-PESA has not, and never will; what is owed is taken from it."""
        gone = self.payouts.pop(payout)
        self._move(PENDING, wallet(gone.customer), gone.amount + gone.tax)
        self._collect(gone.customer, gone.amount + gone.tax)

    def _collect(self, customer: int, most: int) -> int:
        taken = min(self.owes(customer), most)
        self._move(wallet(customer), receivable(customer), taken)
        return taken

    def _move(self, debit: Account, credit: Account, cents: int) -> None:
        assert cents >= 0
        self.books[debit] -= cents
        self.books[credit] += cents
        assert self.books[debit] >= 0 or debit[0] != "WALLET", "a wallet falls below zero"
