"""What two people decide of payouts: an end by proof alone, and the release of a large one."""

from datetime import timedelta

import pytest

from core import payout_ends
from core.errors import Refusal, Unknown
from core.payments import HeldFor, PayoutState
from core.staff import Role
from core.statement_lines import UTILITY, LineState, StatementFile, StatementLine, sort, why
from demo.settings import B2C_SHORTCODE
from tests import cashier, mpesa, people, teller

RECEIPT = "SKP1PAYOUT"


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def finance(rt):
    return [people.member(rt, name, Role.FINANCE) for name in ("ann", "ben")]


@pytest.fixture
def number(rt, amina, daraja, wait):
    """A payout of KES 300 that nobody explained, and that waits for a person."""
    payout_id = cashier.withdraw(rt, amina, 300)
    daraja.says["b2c"] = Unknown("read timed out", code="no_answer")
    mpesa.work(rt)
    daraja.says.clear()
    for hours in (1, 1, 2, 5, 8, 8, 2):
        wait(hours=hours)
        mpesa.sweep(rt)
    assert cashier.state(rt, payout_id) == PayoutState.NEEDS_HUMAN
    wait(hours=4)
    return payout_id


def test_its_receipt_ends_it_as_paid_once_two_people_have_seen_it(rt, amina, finance, number):
    told = propose(rt, finance[0], number, "paid", receipt=f" {RECEIPT.lower()} ")
    refused(rt, finance[0], number, told.content_hash, "staff.own_proposal")
    refused(rt, finance[1], number, "0" * 64, "staff.content_changed")
    assert cashier.state(rt, number) == PayoutState.NEEDS_HUMAN

    approve(rt, finance[1], number, told.content_hash)

    assert cashier.state(rt, number) == PayoutState.PAID
    assert mpesa.payout(rt, number).receipt == RECEIPT
    assert (mpesa.balance(rt, amina), cashier.pending(rt)) == (700_00, 0)
    assert mpesa.texts(rt, amina)[-1] == "money.payout_sent"
    assert teller.clean(rt)
    refused(rt, finance[1], number, told.content_hash, "staff.payout_none_proposed")


@pytest.mark.parametrize(
    ("receipt", "reason"),
    [
        ("", "staff.receipt_form"),
        ("12 34", "staff.receipt_form"),
        ("SKTAKEN01", "staff.receipt_taken"),
    ],
)
def test_a_receipt_that_is_none_or_another_payments_proves_nothing(
    rt, amina, daraja, finance, number, receipt, reason
):
    cashier.sent(rt, amina, 100)
    request = daraja.requests("b2c")[-1]
    mpesa.post(rt, "b2c_result", mpesa.payout_result(request, receipt="SKTAKEN01"))

    with pytest.raises(Refusal, match=reason):
        propose(rt, finance[0], number, "paid", receipt=receipt)


def test_a_statement_that_contradicts_the_receipt_is_believed(rt, finance, number):
    covered(rt, finance[0], number)
    with pytest.raises(Refusal, match=r"staff.receipt_not_in_statement"):
        propose(rt, finance[0], number, "paid", receipt=RECEIPT)

    line(rt, RECEIPT, -299_00)
    with pytest.raises(Refusal, match=r"staff.receipt_amount"):
        propose(rt, finance[0], number, "paid", receipt=RECEIPT)

    line(rt, "SKP2PAYOUT", -300_00)
    told = propose(rt, finance[0], number, "paid", receipt="SKP2PAYOUT")
    approve(rt, finance[1], number, told.content_hash)
    assert cashier.state(rt, number) == PayoutState.PAID


def test_that_it_is_dead_only_a_statement_proves(rt, amina, finance, number):
    for end in ("dead", "resend"):
        with pytest.raises(Refusal, match=r"staff.statement_missing"):
            propose(rt, finance[0], number, end)
    covered(rt, finance[0], number, until=timedelta(hours=23, minutes=59))
    with pytest.raises(Refusal, match=r"staff.statement_missing"):
        propose(rt, finance[0], number, "dead")
    covered(rt, finance[0], number)
    told = propose(rt, finance[0], number, "dead")

    approve(rt, finance[1], number, told.content_hash)

    assert cashier.state(rt, number) == PayoutState.FAILED
    assert mpesa.payout(rt, number).code == "proved_dead"
    assert (mpesa.balance(rt, amina), cashier.pending(rt)) == (1_000_00, 0)
    assert mpesa.texts(rt, amina)[-1] == "money.payout_returned"
    assert teller.clean(rt)


def test_a_line_that_may_be_it_keeps_it_alive_though_two_people_say_dead(rt, finance, number):
    covered(rt, finance[0], number)
    told = propose(rt, finance[0], number, "dead")
    line(rt, "SKP9FOUND1", -300_00, party="2547******01")

    refused(rt, finance[1], number, told.content_hash, "staff.payout_in_statement")

    assert cashier.state(rt, number) == PayoutState.NEEDS_HUMAN


def test_a_payment_that_is_called_a_charge_keeps_it_alive_too(rt, finance, number):
    covered(rt, finance[0], number)
    reason = "Business Payment with Withdrawal Charge"
    line(rt, "SKP9FOUND1", -300_00, reason=reason)

    with pytest.raises(Refusal, match=r"staff.payout_in_statement"):
        propose(rt, finance[0], number, "dead")


def test_it_is_sent_anew_under_a_new_id_once_the_old_is_proved_dead(
    rt, amina, daraja, finance, number
):
    covered(rt, finance[0], number)
    told = propose(rt, finance[0], number, "resend")
    approve(rt, finance[1], number, told.content_hash)
    mpesa.work(rt)

    first, second = daraja.requests("b2c")
    assert first["ocid"] != second["ocid"]
    assert mpesa.post(rt, "b2c_result", mpesa.payout_result(second)) == "paid"
    assert mpesa.balance(rt, amina) == 700_00
    assert teller.clean(rt)


def test_word_of_m_pesas_between_the_two_yeses_goes_before_them(rt, amina, daraja, finance, number):
    covered(rt, finance[0], number)
    told = propose(rt, finance[0], number, "dead")
    request = daraja.requests("b2c")[0]
    assert mpesa.post(rt, "b2c_result", mpesa.payout_result(request)) == "paid"

    refused(rt, finance[1], number, told.content_hash, "staff.payout_no_human")

    assert mpesa.balance(rt, amina) == 700_00


def test_only_finance_and_only_what_needs_a_person(rt, amina, finance, number, kamau):
    with pytest.raises(Refusal, match=r"staff.not_your_role"):
        propose(rt, kamau, number, "paid", receipt=RECEIPT)
    with pytest.raises(Refusal, match=r"staff.reason_missing"):
        propose(rt, finance[0], number, "paid", receipt=RECEIPT, note=" ")
    with pytest.raises(Refusal, match=r"staff.no_such_payout"):
        propose(rt, finance[0], 999, "paid", receipt=RECEIPT)
    with pytest.raises(Refusal, match=r"staff.payout_end"):
        propose(rt, finance[0], number, "forget it")
    other = cashier.withdraw(rt, amina, 100)
    with pytest.raises(Refusal, match=r"staff.payout_no_human"):
        propose(rt, finance[0], other, "paid", receipt=RECEIPT)

    propose(rt, finance[0], number, "paid", receipt=RECEIPT)
    with pytest.raises(Refusal, match=r"staff.already_proposed"):
        propose(rt, finance[1], number, "paid", receipt=RECEIPT)
    with rt.transaction() as tx:
        payout_ends.refuse_end(tx, number, by=finance[1], now=rt.now())
    propose(rt, finance[1], number, "paid", receipt=RECEIPT)


@pytest.mark.race
def test_two_approvals_at_once_end_it_once(rt, amina, finance, number):
    told = propose(rt, finance[0], number, "paid", receipt=RECEIPT)
    ended = []

    def yes(_):
        try:
            approve(rt, finance[1], number, told.content_hash)
            ended.append(True)
        except Refusal:
            pass

    teller.at_once(6, yes)
    assert ended == [True]
    assert cashier.pending(rt) == 0
    assert teller.clean(rt)


def test_a_large_payout_is_held_until_two_people_let_all_its_parts_go(rt, amina, daraja, finance):
    people.fund(rt, amina, 600_000_00)
    first = cashier.withdraw(rt, amina, 500_001)
    mpesa.work(rt)
    parts = [first, first + 1, first + 2]
    assert daraja.requests("b2c") == []
    assert [mpesa.payout(rt, part).held_for for part in parts] == [HeldFor.APPROVAL] * 3
    assert mpesa.texts(rt, amina) == ["money.payout_held"]

    with rt.transaction() as tx:
        told = payout_ends.propose_release(
            tx, first + 1, note="called her", by=finance[0], now=rt.now(), config=rt.config
        )
        seen = told.content_hash
        assert told.content["amount"] == 500_001_00
    with pytest.raises(Refusal, match=r"staff.own_proposal"), rt.transaction() as tx:
        payout_ends.approve_release(tx, first, seen_hash=seen, by=finance[0], now=rt.now())
    mpesa.sweep(rt)
    assert daraja.requests("b2c") == []
    with rt.transaction() as tx:
        payout_ends.approve_release(tx, first, seen_hash=seen, by=finance[1], now=rt.now())
    mpesa.work(rt)

    assert [cashier.state(rt, part) for part in parts] == [PayoutState.ACCEPTED] * 3
    assert len(daraja.requests("b2c")) == 3
    with pytest.raises(Refusal, match=r"staff.payout_not_held"), rt.transaction() as tx:
        payout_ends.approve_release(tx, first, seen_hash=seen, by=finance[1], now=rt.now())


def test_the_limit_itself_goes_and_a_shilling_more_is_held(rt, amina, daraja):
    people.fund(rt, amina, 50_000_00)
    cashier.sent(rt, amina, 20_000)

    number = cashier.withdraw(rt, amina, 20_001)
    mpesa.work(rt)

    assert mpesa.payout(rt, number).held_for == HeldFor.APPROVAL


def propose(rt, by, number, end, *, note="seen in the portal", **more):
    with rt.transaction() as tx:
        return payout_ends.propose_end(
            tx, number, end, note=note, by=by, now=rt.now(), config=rt.config, **more
        )


def approve(rt, by, number, seen):
    with rt.transaction() as tx:
        return payout_ends.approve_end(tx, number, seen_hash=seen, by=by, now=rt.now())


def refused(rt, by, number, seen, reason):
    with pytest.raises(Refusal, match=reason):
        approve(rt, by, number, seen)


def covered(rt, by, number, *, until=timedelta(hours=24, minutes=1)):
    """A statement that shows whatever happened from before the payout was sent."""
    sent = mpesa.payout(rt, number).sending_at
    assert sent is not None
    with rt.transaction() as tx:
        tx.add(
            StatementFile(
                sha256=bytes(str(until), "ascii"), shortcode=B2C_SHORTCODE, account=UTILITY,
                first_at=sent - timedelta(minutes=1), last_at=sent + until, opening=0, paid_in=0,
                withdrawn=0, closing=0, lines=2, fresh=2, failed=0, imported_by=by.id,
                imported_at=rt.now(),
            )
        )  # fmt: skip


def line(
    rt, receipt, amount, *, party="2547******01", reason="Business Payment to Customer via API"
):
    """A line of that statement which our books do not know."""
    bucket = sort(reason, UTILITY)
    with rt.transaction() as tx:
        file_id = tx.query(StatementFile.id).order_by(StatementFile.id.desc()).limit(1).scalar()
        sent = tx.get_one(StatementFile, file_id).first_at + timedelta(minutes=2)
        tx.add(
            StatementLine(
                file_id=file_id, shortcode=B2C_SHORTCODE, account=UTILITY, receipt=receipt,
                reason=reason, amount=amount, balance=0, completed_at=sent, party=party,
                bucket=bucket, state=LineState.OPEN if why(bucket) else LineState.SETTLED,
                settled_at=None if why(bucket) else rt.now(),
            )
        )  # fmt: skip
