"""A refund that M-PESA never explained: two people end it, with its receipt or with proof."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core import refund_ends
from core.errors import Refusal
from core.refund_rows import RefundState
from demo.settings import PAYBILL
from tests import mpesa, paybill, teller
from tests.finance import bring_in
from tests.paybill import RECEIPT, REVERSAL
from tests.portal import Move, statement

REVERSED = "Pay Bill Reversal"


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def reversing(rt, daraja):
    """KES 100 that two people had reversed, and M-PESA took the request."""
    assert paybill.confirmed(rt, daraja, "rent") == "suspense"
    paybill.decide(rt, "refund", method="reversal")
    mpesa.work(rt)


def test_two_people_end_a_doubt_with_its_receipt(rt, daraja, reversing):
    needs_a_person(rt)
    with pytest.raises(Refusal, match="refund_receipt"):
        proposed(rt, paid=RECEIPT)
    with pytest.raises(Refusal, match="refund_not_covered"):
        proposed(rt, paid=None)
    seen = proposed(rt, paid=REVERSAL.lower())
    with pytest.raises(Refusal, match="own_proposal"):
        ended(rt, seen, "akinyi")

    assert ended(rt, seen, "otieno") == "paid"

    assert paybill.held(rt) == 0
    assert teller.clean(rt)


def test_only_what_needs_a_person_is_ended_by_people(rt, daraja, reversing):
    with pytest.raises(Refusal, match="refund_not_yours"):
        proposed(rt, paid=REVERSAL)
    with pytest.raises(Refusal, match="refund_unknown"):
        proposed(rt, paid=REVERSAL, number=99)


@pytest.mark.parametrize("linked", ["SKC0000009", "", RECEIPT])
def test_that_it_was_never_sent_back_is_proved_by_a_statement(rt, daraja, reversing, wait, linked):
    """One that covers the day after its sending, and has no line that undoes the payment.

    One that does not say what it undid may be it: else it would be paid back once more by B2C.
    """
    needs_a_person(rt)
    sent = paybill.refund(rt).sending_at
    moves = [
        Move("SKC0000001", 10_00, sent - timedelta(hours=1)),
        Move("SKC0000002", -100_00, sent + timedelta(hours=1), REVERSED, linked=linked),
        Move("SKC0000003", 10_00, sent + timedelta(hours=25)),
    ]
    wait(hours=30)
    finance = [paybill.finance(rt, name) for name in ("akinyi", "otieno")]
    bring_in(rt, finance, statement(moves, opening=500_00, shortcode=PAYBILL))
    if linked != "SKC0000009":
        with pytest.raises(Refusal, match="refund_not_covered"):
            proposed(rt, paid=None)
        return

    assert ended(rt, proposed(rt, paid=None), "otieno") == "failed"

    assert paybill.refund_state(rt) == RefundState.FAILED
    assert paybill.held(rt) == 100_00
    assert paybill.decide(rt, "refund", method="reversal") == "refunding"
    assert teller.clean(rt)


def test_a_no_leaves_it_as_it_is(rt, daraja, reversing):
    needs_a_person(rt)
    seen = proposed(rt, paid=REVERSAL)
    with rt.transaction() as tx:
        number = paybill.refund(rt).id
        refund_ends.refuse(tx, number, by=paybill.finance(rt, "otieno"), now=rt.now())
    with pytest.raises(Refusal, match="refund_none_proposed"):
        ended(rt, seen, "otieno")
    assert paybill.refund_state(rt) == RefundState.NEEDS_HUMAN


def needs_a_person(rt):
    with rt.transaction() as tx:
        tx.execute(text("UPDATE refund SET state = 5, ask_at = NULL"))


def proposed(rt, *, paid, number=None):
    with rt.transaction() as tx:
        return refund_ends.propose(
            tx, number or paybill.refund(rt).id, paid=paid, note="portal",
            by=paybill.finance(rt, "akinyi"), now=rt.now(), config=rt.config,
        ).content_hash  # fmt: skip


def ended(rt, seen_hash, name):
    with rt.transaction() as tx:
        return refund_ends.approve(
            tx, paybill.refund(rt).id, seen_hash=seen_hash, by=paybill.finance(rt, name),
            now=rt.now(),
        )  # fmt: skip
