"""The rules of money in plain Python: what the machine's database must agree with, to the cent."""

from dataclasses import dataclass, field


@dataclass
class Market:
    """Bets as (customer, outcome, cents), in the order they were placed."""

    outcomes: int
    fee_bp: int
    bets: list[tuple[int, int, int]] = field(default_factory=list)
    open: bool = True
    settled: bool = False


@dataclass
class House:
    """Wallets by customer, what is on its way to M-PESA, and what the house has earned."""

    wallets: dict[int, int] = field(default_factory=dict)
    cash_out: dict[int, bool] = field(default_factory=dict)
    pending: dict[int, tuple[int, int]] = field(default_factory=dict)  # payout: (customer, cents)
    fees: int = 0
    paid_in: int = 0
    paid_out: int = 0

    def fund(self, customer: int, amount: int) -> None:
        self.wallets[customer] += amount
        self.paid_in += amount

    def bet(self, market: Market, customer: int, outcome: int, stake: int) -> str | None:
        """Why not, or None if the bet stands."""
        if not market.open:
            return "betting.market_closed"
        if outcome > market.outcomes:
            return "betting.no_such_outcome"
        if stake < 20_00:
            return "betting.stake_low"
        if stake > self.wallets[customer]:
            return "betting.short_of_funds"
        self.wallets[customer] -= stake
        market.bets.append((customer, outcome, stake))
        return None

    def settle(self, market: Market, winner: int | None) -> dict[int, int]:
        """Share the pool out; what each customer got."""
        pool = sum(stake for _, _, stake in market.bets)
        sides = {outcome for _, outcome, _ in market.bets} if winner is None else {winner}
        won = sum(stake for _, outcome, stake in market.bets if outcome in sides)
        if won == 0:
            sides, won = {outcome for _, outcome, _ in market.bets}, pool
        refund = won == pool and (winner is None or sides != {winner})
        net = pool if refund else max(won, pool - pool * market.fee_bp // 10_000)
        got: dict[int, int] = {}
        upto = 0
        for customer, outcome, stake in market.bets:
            if outcome not in sides:
                continue
            share = stake if refund else (upto + stake) * net // won - upto * net // won
            upto += stake
            got[customer] = got.get(customer, 0) + share
        for customer, amount in got.items():
            self.wallets[customer] += amount
        self.fees += pool - net
        market.settled = True
        return {} if refund else got

    def reserve(self, payout: int, customer: int, amount: int) -> None:
        self.wallets[customer] -= amount
        self.pending[payout] = (customer, amount)

    def pay(self, payout: int) -> None:
        self.paid_out += self.pending.pop(payout)[1]

    def release(self, payout: int) -> None:
        customer, amount = self.pending.pop(payout)
        self.wallets[customer] += amount
