"""A house at random against the plain model: wallets, pools, fees and payouts agree to the cent."""

import uuid

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text

from core import ledger, payouts, settling
from core.betting import Placed
from core.effects import Channel, Refused
from core.ledger import AccountKind
from core.payments import Payout
from core.verify import verify
from tests import games, model, people

STEPS = 50  # of one house; then another begins
PEOPLE = 4


@pytest.mark.timeout(600)
def test_the_database_agrees_with_the_model(new_house, counts):
    class Machine(MoneyMachine):
        house_of = staticmethod(new_house)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=counts.steps // STEPS,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=False,
        ),
    )


class MoneyMachine(RuleBasedStateMachine):
    """Every step is done in the database and in the model; after each they are compared."""

    house_of = None  # opens a house on a database of its own; set by the test
    markets = Bundle("markets")

    @initialize()
    def move_in(self):
        self.closing, self.rt = self.house_of()
        rt = self.rt
        self.house = model.House()
        names = [f"+25471200001{number}" for number in range(PEOPLE)]
        self.people = [people.customer(rt, phone, "Some One") for phone in names]
        for number in range(PEOPLE):
            self.house.wallets[number] = 0
            self.house.cash_out[number] = number == 0
        with rt.transaction() as tx:
            tx.execute(text("UPDATE customer SET auto_cashout = (id = 1)"))
        self.staff = [people.member(rt, name) for name in ("wanjiku", "kamau")]
        self.done = []  # decisions with their keys and answers, to be repeated

    def teardown(self):
        if hasattr(self, "rt"):
            broken = [finding for finding in verify(self.rt) if not finding.holds]
            self.closing.close()
            assert not broken, broken

    @rule(who=st.integers(0, PEOPLE - 1), amount=st.integers(1, 1_000_00))
    def fund(self, who, amount):
        people.fund(self.rt, self.people[who], amount)
        self.house.fund(who, amount)

    @rule(target=markets, outcomes=st.integers(2, 4))
    def open_market(self, outcomes):
        names = [f"Side {number}" for number in range(1, outcomes + 1)]
        market = games.derby(self.rt, self.staff[0], *names)
        return market, model.Market(outcomes, market.fee_bp)

    @rule(
        market=markets,
        who=st.integers(0, PEOPLE - 1),
        outcome=st.integers(1, 5),
        stake=st.integers(15_00, 300_00),
    )
    def bet(self, market, who, outcome, stake):
        real, plain = market
        if plain.settled:
            return
        key = uuid.uuid4()
        verdict = games.bet(self.rt, self.people[who], real, outcome, stake / 100, key=key)
        refused = self.house.bet(plain, who, outcome, stake)
        assert (verdict.reason if isinstance(verdict, Refused) else None) == refused
        self.done.append((key, who, real, outcome, stake, verdict))

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def say_it_again(self, data):
        key, who, real, outcome, stake, before = data.draw(st.sampled_from(self.done))
        again = games.bet(self.rt, self.people[who], real, outcome, stake / 100, key=key)
        if isinstance(before, Placed):
            assert (again.bet_id, again.balance, again.again) == (
                before.bet_id,
                before.balance,
                True,
            )
        else:
            assert again == before

    @rule(market=markets)
    def close(self, market):
        real, plain = market
        if plain.open:
            games.close(self.rt, real, self.staff[0])
            plain.open = False

    @rule(market=markets, winner=st.integers(0, 4), chunk=st.integers(1, 5))
    def settle(self, market, winner, chunk):
        real, plain = market
        if plain.settled or winner > plain.outcomes:
            return
        self.close(market)
        self.rt.config = self.rt.config.model_copy(update={"settle_chunk": chunk})
        run = games.decide(
            self.rt, real, winner or None, proposer=self.staff[0], approver=self.staff[1]
        )
        assert settling.work(self.rt, run.id)
        got = self.house.settle(plain, winner or None)
        for payout in self._payouts(Payout.settlement_id == run.id):
            who = payout.customer_id - 1
            assert self.house.cash_out[who]
            assert payout.amount <= got[who]
            self.house.reserve(payout.id, who, payout.amount)

    @rule(who=st.integers(0, PEOPLE - 1), shillings=st.integers(5, 500))
    def withdraw(self, who, shillings):
        with self.rt.transaction() as tx:
            verdict = payouts.withdraw(
                tx,
                key=uuid.uuid4(),
                customer=self.people[who],
                amount=shillings * 100,
                channel=Channel.USSD,
                session="test",
                now=self.rt.now(),
                config=self.rt.config,
            )
        if shillings < 10 or shillings * 100 > self.house.wallets[who]:
            assert isinstance(verdict, Refused)
        else:
            self.house.reserve(verdict.payout_ids[0], who, shillings * 100)

    @precondition(lambda self: self.house.pending)
    @rule(data=st.data(), arrives=st.booleans(), times=st.integers(1, 3))
    def end_payout(self, data, arrives, times):
        payout = data.draw(st.sampled_from(sorted(self.house.pending)))
        _, amount = self.house.pending[payout]
        paid = "SELECT payout_paid(:id, :receipt, '600986', :amount, 2::smallint, app_now())"
        back = "SELECT payout_release(:id, 9::smallint, '2040', 'not registered')"
        facts = {"id": payout, "receipt": f"RCT{payout:07}", "amount": amount}
        for _ in range(times):
            with self.rt.transaction() as tx:
                tx.execute(text(paid if arrives else back), facts)
        (self.house.pay if arrives else self.house.release)(payout)

    @invariant()
    def every_account_agrees(self):
        if not hasattr(self, "rt"):
            return
        with self.rt.transaction() as tx:
            held = {n: ledger.balance(tx, one.id) for n, one in enumerate(self.people)}
            assert held == self.house.wallets
            assert ledger.total(tx, AccountKind.FEES) == self.house.fees
            pending = sum(amount for _, amount in self.house.pending.values())
            assert ledger.total(tx, AccountKind.PAYOUTS_PENDING) == pending
            assert ledger.total(tx, AccountKind.BANK) == self.house.paid_in
            assert ledger.total(tx, AccountKind.MPESA_UTILITY) == -self.house.paid_out

    def _payouts(self, which):
        with self.rt.transaction() as tx:
            return tx.scalars(select(Payout).where(which).order_by(Payout.id)).all()
