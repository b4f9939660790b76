"""Refunds that M-PESA paid too late: somebody has the money by then, and two people end it."""

import pytest

from core import ledger
from core.errors import Refusal
from core.ledger import AccountKind
from core.payout_incidents import IncidentKind, IncidentState
from core.refund_rows import RefundState
from tests import cashier, mpesa, paybill, teller
from tests.core.test_payout_incidents import (
    approve,
    disputed,
    owed,
    propose,
    the_incident,
    unexplained,
    utility,
)

LATE = "SKLATE0001"


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def failed(rt, paying):
    """The B2C that M-PESA said it had not paid."""
    assert tell(rt, paying, 2040) == "failed"
    return paying


@pytest.fixture
def late(rt, amina, failed):
    """It was given to Amina, and M-PESA had paid it after all."""
    assert paybill.decide(rt, "attach", to="0712000001") == "credited"
    cashier.withdraw(rt, amina, 1_030)
    assert tell(rt, failed) == "incident"
    return the_incident(rt)


def test_who_got_it_pays_and_what_is_not_there_is_owed(rt, amina, failed, late):
    assert late.kind == IncidentKind.SENT_BACK
    assert (late.frozen, late.owed) == (70_00, 30_00)
    assert (mpesa.balance(rt, amina), owed(rt, amina), disputed(rt)) == (0, 30_00, 100_00)
    assert mpesa.texts(rt, amina)[-1] == "money.refund_came_late"
    assert [tell(rt, failed), tell(rt, failed, 2040)] == ["known", "late"]
    assert teller.clean(rt)
    assert unexplained(rt, amina) == 0


def test_payouts_stand_still_until_it_has_ended(rt, late):
    assert cashier.is_paused(rt)
    with pytest.raises(Refusal, match="resume_incident"):
        cashier.resume(rt)
    end(rt, "correct")
    cashier.resume(rt)
    assert not cashier.is_paused(rt)


def test_two_people_say_that_it_was_paid_and_it_is_booked(rt, amina, failed, late):
    end(rt, "correct")

    assert the_incident(rt).state == IncidentState.CORRECTED
    assert (disputed(rt), utility(rt)) == (0, -100_00)
    assert paybill.registered(rt, LATE).direction == 2
    assert (mpesa.balance(rt, amina), owed(rt, amina)) == (0, 30_00)
    assert tell(rt, failed) == "known"
    assert teller.clean(rt)
    assert unexplained(rt, amina) == 0


def test_two_people_say_that_it_was_not_and_it_comes_back(rt, amina, late):
    end(rt, "dismiss")

    assert (mpesa.balance(rt, amina), owed(rt, amina), disputed(rt)) == (70_00, 0, 0)
    assert mpesa.texts(rt, amina)[-1] == "money.payout_thawed"
    assert teller.clean(rt)
    assert unexplained(rt, amina) == 0


def test_what_was_sent_back_twice_and_is_nobodys_the_house_bears(rt, daraja, failed):
    sent_back_again(rt, daraja)
    assert paybill.refund_state(rt) == RefundState.PAID

    assert tell(rt, failed) == "incident"
    assert (disputed(rt), adjusted(rt)) == (100_00, -100_00)
    end(rt, "correct")

    assert (disputed(rt), adjusted(rt), utility(rt)) == (0, -100_00, -100_00)
    assert teller.clean(rt)


def test_one_that_was_not_sent_twice_costs_nothing(rt, daraja, failed):
    sent_back_again(rt, daraja)
    tell(rt, failed)
    end(rt, "dismiss")
    assert (disputed(rt), adjusted(rt), utility(rt)) == (0, 0, 0)
    assert teller.clean(rt)


def test_one_that_waits_behind_it_gives_way(rt, daraja, failed):
    paybill.decide(rt, "refund", method="reversal")

    assert tell(rt, failed) == "paid"

    mpesa.work(rt)
    assert daraja.requests("reversal") == []
    assert paybill.held(rt) == 0
    assert teller.clean(rt)


def test_while_another_is_under_way_nothing_is_ended(rt, daraja, failed):
    """And if that one fails, the late one was the refund: nobody bears anything."""
    paybill.decide(rt, "refund", method="reversal")
    mpesa.work(rt)
    assert tell(rt, failed) == "incident"
    seen = proposed(rt, "correct")
    with pytest.raises(Refusal, match="receipt_refunding"):
        approved(rt, seen)
    asked = f"AG_{len(daraja.asked)}"
    mpesa.post(rt, "reversal_result", paybill.reversal_result(asked, "R000002"))
    with pytest.raises(Refusal, match="receipt_refunding"):
        paybill.propose(rt, "attach", to="0712000001")

    approved(rt, seen)

    assert (paybill.held(rt), disputed(rt), adjusted(rt), utility(rt)) == (0, 0, 0, -100_00)
    assert teller.clean(rt)


@pytest.mark.race
def test_the_late_success_told_by_many_at_once_is_one_incident(rt, amina, failed):
    paybill.decide(rt, "attach", to="0712000001")
    said = teller.at_once(8, lambda _: tell(rt, failed))
    assert sorted(said) == ["incident", *["known"] * 7]
    assert disputed(rt) == 100_00
    assert teller.clean(rt)


def tell(rt, request, code=0):
    return mpesa.post(rt, "b2c_result", mpesa.payout_result(request, code, receipt=LATE))


def sent_back_again(rt, daraja):
    paybill.decide(rt, "refund", method="reversal")
    mpesa.work(rt)
    told = paybill.reversal_result(f"AG_{len(daraja.asked)}")
    assert mpesa.post(rt, "reversal_result", told) == "paid"


def adjusted(rt):
    with rt.transaction() as tx:
        return ledger.account_balance(tx, AccountKind.ADJUSTMENTS)


def end(rt, how):
    approved(rt, proposed(rt, how))


def proposed(rt, how):
    return propose(rt, paybill.finance(rt, "akinyi"), the_incident(rt).id, how).content_hash


def approved(rt, seen):
    approve(rt, paybill.finance(rt, "otieno"), the_incident(rt).id, seen)
