"""Auto cash-out: a win goes to M-PESA by itself, but never further than a withdrawal would."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from core import payouts
from core.customers import Customer
from core.payments import HeldFor, Payout, PayoutState
from tests import cashier, games, mpesa, teller


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def derby(rt, amina, brian, wanjiku):
    """KES 400 of Amina's in four bets on Yes against 200 of Brian's on No: 570 for Amina."""
    market = games.derby(rt, wanjiku)
    for _ in range(4):
        games.placed(rt, amina, market, 1, 100)
    games.placed(rt, brian, market, 2, 200)
    return market


def ruled(rt, **rules):
    rt.config = rt.config.model_copy(update=rules)


def parts(rt):
    with rt.transaction() as tx:
        return list(tx.scalars(select(Payout.amount).order_by(Payout.id)))


def test_a_win_over_the_limit_goes_in_parts(rt, amina, derby, wanjiku, kamau):
    ruled(rt, payout_max_amount=150_00)

    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    assert parts(rt) == [142_00, 143_00, 142_00, 143_00]
    assert mpesa.balance(rt, amina) == 600_00
    assert teller.clean(rt)


@pytest.mark.parametrize(("hours", "sent"), [(71, []), (73, [570_00])])
def test_a_reset_pin_keeps_wins_in_the_wallet_as_long_as_withdrawals(
    rt, amina, derby, wanjiku, kamau, hours, sent
):
    ruled(rt, pin_reset_hold=timedelta(hours=72))
    with rt.transaction() as tx:
        tx.get_one(Customer, amina.id).pin_reset_at = rt.now() - timedelta(hours=hours)

    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    assert parts(rt) == sent
    assert mpesa.balance(rt, amina) == 1_170_00 - sum(sent)


def test_one_winner_in_many_chunks_is_paid_once_for_the_market(rt, amina, derby, wanjiku, kamau):
    ruled(rt, settle_chunk=1)

    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    assert parts(rt) == [570_00]  # four bets of 142.50 each
    assert mpesa.balance(rt, amina) == 600_00
    with rt.transaction() as tx:
        told = text("SELECT count(*) FROM promise WHERE kind = 'result'")
        assert tx.scalar(told) == 1
    assert teller.clean(rt)


def test_wins_settled_in_a_pause_wait_and_are_sent_once(rt, amina, derby, daraja, wanjiku, kamau):
    with rt.transaction() as tx:
        payouts.pause(tx, "ledger_broken", "for a test", now=rt.now())
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)
    for _ in range(2):
        mpesa.sweep(rt)
    with rt.transaction() as tx:
        (held,) = tx.scalars(select(Payout))
        assert (held.state, held.held_for) == (PayoutState.HELD, HeldFor.PAUSE)
    assert daraja.requests("b2c") == []

    cashier.resume(rt)
    for _ in range(3):
        mpesa.sweep(rt)

    (request,) = daraja.requests("b2c")
    assert mpesa.post(rt, "b2c_result", mpesa.payout_result(request)) == "paid"
    assert cashier.pending(rt) == 0
    assert teller.clean(rt)
