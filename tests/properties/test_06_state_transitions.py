"""6. Deposits and payouts take the steps of their tables and no others."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import payout_states
from core.payments import Deposit, DepositState
from core.payout_states import QUEUED
from core.staff import Role
from tests import cashier, mpesa, people, teller
from tests.core import test_deposit_table, test_payout_table
from tests.core.test_payout_table import CANCELLED, FAILED, PAID, Stage, attempted

NOISY = list(HealthCheck)
DEPOSIT_EVENTS = st.lists(st.sampled_from(sorted(test_deposit_table.TABLE)), max_size=8)
PAYOUT_EVENTS = st.lists(st.sampled_from(sorted(test_payout_table.TABLE)), max_size=10)


def test_a_deposit_walks_its_table(rt, amina, wait, counts):
    mpesa.Daraja(rt)
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)

    @settings(max_examples=counts.cases, deadline=None, suppress_health_check=NOISY)
    @given(DEPOSIT_EVENTS)
    def walk(events):
        with rt.sessions() as tx:  # each walk anew: nothing of it is kept
            deposit = tx.get_one(Deposit, asked.deposit_id, with_for_update=True)
            for name in events:
                event, becomes = test_deposit_table.TABLE[name]
                before = DepositState(deposit.state)
                event(rt, tx, deposit)
                tx.flush()
                tx.refresh(deposit)
                after = DepositState(deposit.state)
                assert after in (before, becomes.get(before, before)), name
                assert before != DepositState.CREDITED or after == before
            tx.rollback()

    walk()


def test_a_payout_walks_its_table(rt, amina, counts):
    stage = Stage(rt, amina, [people.member(rt, name, Role.FINANCE) for name in ("ann", "ben")])
    stage.number = cashier.withdraw(rt, amina, 20)
    usual = rt.config

    @settings(max_examples=counts.cases, deadline=None, suppress_health_check=NOISY)
    @given(PAYOUT_EVENTS)
    def walk(events):
        with rt.sessions() as tx:
            assert payout_states.place(stage.payout(tx)) == QUEUED
            for name in events:
                before = payout_states.place(stage.payout(tx))
                row = row_of(name, stage.payout(tx))
                attempted(tx, stage, name)
                after = payout_states.place(stage.payout(tx))
                allowed = row.get(before, before)
                assert after in (before, allowed), name
                assert before not in (PAID, FAILED, CANCELLED) or after == before
            tx.rollback()
        rt.config = usual

    walk()
    assert teller.clean(rt)


def row_of(name, payout):
    """What the event may do; one that two people let go is not large any more."""
    large = "a worker takes it and it is large"
    return test_payout_table.TABLE[
        "a worker takes it" if name == large and payout.approved_at else name
    ]
