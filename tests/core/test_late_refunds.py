"""Refunds that come true after all: what was decided meanwhile gives way; nothing is paid twice."""

import pytest

from core.errors import Refusal
from core.refund_rows import RefundState
from tests import cashier, mpesa, paybill, teller
from tests.paybill import REVERSAL


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


def test_a_reversal_that_came_true_after_all_is_taken_from_who_was_given_it(
    rt, amina, daraja, reversing
):
    """It had failed, so the money was given to its owner: nobody is paid and refunded."""
    failed = paybill.reversal_result(reversing, "R000002")
    assert mpesa.post(rt, "reversal_result", failed) == "failed"
    assert paybill.decide(rt, "attach", to="0712000001") == "credited"

    told = [mpesa.post(rt, "reversal_result", paybill.reversal_result(reversing)) for _ in range(2)]

    assert told == ["reversed", "again"]
    assert mpesa.balance(rt, amina) == 1_000_00
    assert paybill.registered(rt).reversal == REVERSAL
    assert cashier.is_paused(rt)
    assert teller.clean(rt)


def test_success_after_it_failed_is_booked(rt, daraja, reversing):
    mpesa.post(rt, "reversal_result", paybill.reversal_result(reversing, "R000002"))
    told = paybill.reversal_result(reversing)

    assert mpesa.post(rt, "reversal_result", told) == "paid"

    assert paybill.held(rt) == 0
    with pytest.raises(Refusal, match="refunding"):
        paybill.propose(rt, "refund", method="reversal")
    assert teller.clean(rt)


def test_a_reversal_that_came_true_after_all_stops_the_refund_that_was_to_follow_it(
    rt, daraja, reversing, wait
):
    mpesa.post(rt, "reversal_result", paybill.reversal_result(reversing, "R000002"))
    paybill.decide(rt, "refund", method="b2c", to="0712000001")

    assert mpesa.post(rt, "reversal_result", paybill.reversal_result(reversing)) == "reversed"

    assert cashier.is_paused(rt)
    cashier.resume(rt)
    wait(minutes=2)
    mpesa.sweep(rt)
    assert daraja.requests("b2c_refund") == []
    assert paybill.refund_state(rt) == RefundState.FAILED
    assert teller.clean(rt)


def test_success_while_another_refund_is_under_way_is_an_incident(rt, daraja, reversing):
    mpesa.post(rt, "reversal_result", paybill.reversal_result(reversing, "R000002"))
    paybill.decide(rt, "refund", method="b2c", to="0712000001")
    mpesa.work(rt)
    told = paybill.reversal_result(reversing)

    assert mpesa.post(rt, "reversal_result", told) == "incident"

    assert paybill.held(rt) == 100_00
    assert cashier.is_paused(rt)
    assert paybill.refund_state(rt) == RefundState.ACCEPTED  # M-PESA has it: two people look
