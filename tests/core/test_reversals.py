"""Payments M-PESA takes back under us: out of the wallet as far as it goes, the rest is owed."""

import pytest
from sqlalchemy import select

from core import c2b, explain, ledger, levies, statement
from core.ledger import AccountKind
from core.payments import PayoutState
from core.receipts import MpesaReceipt, Source
from core.refund_rows import RefundState
from tests import cashier, finance, games, mpesa, paybill, teller
from tests.paybill import RECEIPT, REVERSAL


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def paid(rt, amina, daraja):
    """KES 100 of Amina's, confirmed."""
    assert paybill.confirmed(rt, daraja, "0712000001") == "credited"


def test_it_leaves_the_wallet(rt, amina, daraja, paid):
    said = [paybill.reversed_by_mpesa(rt) for _ in range(3)]

    assert said == ["reversed", "again", "again"]
    assert mpesa.balance(rt, amina) == 1_000_00
    kept = paybill.registered(rt)
    assert (kept.reversal, kept.reversed_by) == (REVERSAL, Source.STATEMENT)
    assert mpesa.texts(rt, amina)[-1] == "money.deposit_reversed"
    assert teller.clean(rt)


def test_what_the_wallet_has_not_is_owed_and_nothing_is_withdrawn(rt, amina, daraja, paid):
    cashier.sent(rt, amina, 1_070)

    assert paybill.reversed_by_mpesa(rt) == "reversed"

    assert mpesa.balance(rt, amina) == 0
    with rt.transaction() as tx:
        assert ledger.owed(tx, amina.id) == 70_00
    assert paybill.moves(rt, 19) == [30_00, 70_00]
    assert mpesa.texts(rt, amina)[-1] == "money.deposit_reversed_owed"
    paybill.pay(rt, "0712000001", receipt="SKC2B00002")  # a deposit repays nothing
    assert mpesa.balance(rt, amina) == 100_00
    refused = cashier.withdrawing(rt, amina, 50_00)
    assert (refused.reason, refused.facts) == ("money.withdraw_reversed", {"owed": 70_00})
    assert teller.clean(rt)


def test_a_payout_that_has_not_left_is_stopped_for_it(rt, amina, daraja, paid):
    payout = cashier.withdraw(rt, amina, 1_100)

    paybill.reversed_by_mpesa(rt)

    assert cashier.state(rt, payout) == PayoutState.CANCELLED
    assert mpesa.balance(rt, amina) == 1_000_00
    mpesa.work(rt)
    assert daraja.requests("b2c") == []
    assert teller.clean(rt)


def test_the_excise_on_it_is_no_excise(rt, amina, daraja, wait):
    finance.excise(rt, wait, 500)
    told = paybill.confirmation("0712000001") | {"TransTime": ""}
    assert mpesa.post(rt, "c2b_confirm", told) == "credited"
    assert mpesa.balance(rt, amina) == 1_095_00

    paybill.reversed_by_mpesa(rt)

    assert mpesa.balance(rt, amina) == 1_000_00
    with rt.transaction() as tx:
        assert ledger.account_balance(tx, AccountKind.EXCISE_PAYABLE) == 0
        today = rt.now().date()
        lines = levies.filing(tx, since=today - 2 * games.HOUR, until=today + 24 * games.HOUR)
    assert (sum(line.base for line in lines), sum(line.tax for line in lines)) == (0, 0)
    assert teller.clean(rt)


def test_from_suspense_and_from_what_is_due_back(rt, amina, daraja):
    paybill.pay(rt, "rent")
    teller.exclude(rt, amina)
    paybill.pay(rt, "0712000001", receipt="SKC2B00002")

    assert paybill.reversed_by_mpesa(rt) == "reversed"
    assert paybill.reversed_by_mpesa(rt, receipt="SKC2B00002", reversal=None) == "reversed"

    assert (paybill.held(rt), paybill.held(rt, AccountKind.REFUND_DUE, amina)) == (0, 0)
    assert mpesa.texts(rt, amina) == ["money.deposit_refund_due"]
    assert teller.clean(rt)


def test_a_status_answer_that_says_so(rt, amina, daraja):
    paybill.pay(rt, "0712000001")
    mpesa.sweep(rt)

    assert paybill.answer(rt, daraja, status="Reversed") == "reversed"

    assert mpesa.balance(rt, amina) == 1_000_00
    assert teller.unconfirmed(rt, amina) == 0


TAKEN = "pay-bill-reversal"


@pytest.mark.parametrize("other", [{"receipt": "SKOTHER001"}, {"amount": "99.00"}])
def test_an_answer_about_another_payment_takes_nothing(rt, amina, daraja, other):
    paybill.pay(rt, "0712000001")
    mpesa.sweep(rt)

    assert paybill.answer(rt, daraja, status="Reversed", **other) == "mismatch"

    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.clean(rt)


def test_a_pull_row_that_tells_of_it_has_m_pesa_asked(rt, amina, daraja, paid):
    assert [pulled(rt, kind=TAKEN) for _ in range(2)] == ["asked", "asked"]
    assert mpesa.balance(rt, amina) == 1_100_00  # a row alone is no proof of what it undid
    mpesa.sweep(rt)

    said = [paybill.answer(rt, daraja, status="Reversed") for _ in range(2)]

    assert len(daraja.requests("status_query")) == 2  # one when it came, one now
    assert said == ["reversed", "again"]
    assert [pulled(rt, kind=TAKEN), paybill.reversed_by_mpesa(rt)] == ["again", "again"]
    assert mpesa.balance(rt, amina) == 1_000_00
    assert paybill.registered(rt).reversed_by == Source.STATUS
    assert teller.clean(rt)


def test_a_pull_row_under_the_reversals_own_name_asks_about_what_it_may_have_undone(
    rt, amina, daraja, paid
):
    paybill.confirmed(rt, daraja, "0712000001", receipt="SKC2B00002", amount="250.00")
    asked = len(daraja.requests("status_query"))

    assert pulled(rt, receipt=REVERSAL, kind=TAKEN) == "asked"
    mpesa.sweep(rt)

    about = [one["receipt"] for one in daraja.requests("status_query")[asked:]]
    assert about == [RECEIPT]
    assert paybill.answer(rt, daraja, status="Completed") == "again"  # it was another one
    assert mpesa.balance(rt, amina) == 1_350_00
    assert pulled(rt, receipt="SKR0000002", amount=999_00, kind=TAKEN) == "reversal"


def test_a_pull_row_of_our_own_refund_is_no_news(rt, daraja, reversing):
    told = paybill.reversal_result(reversing)
    assert mpesa.post(rt, "reversal_result", told) == "paid"
    said = [pulled(rt, receipt=receipt, kind=TAKEN) for receipt in (RECEIPT, REVERSAL)]
    assert said == ["again", "again"]
    assert paybill.reversed_by_mpesa(rt) == "again"
    assert teller.clean(rt)


def test_one_that_was_never_booked_never_is(rt, amina, daraja):
    paybill.pay(rt, "0712000001", amount="20000.00")
    mpesa.sweep(rt)

    assert paybill.answer(rt, daraja, amount=20_000, status="Reversed") == "denied"

    assert mpesa.texts(rt, amina) == ["money.deposit_confirming", "money.deposit_failed"]
    assert mpesa.balance(rt, amina) == 1_000_00
    assert paybill.reversed_by_mpesa(rt, receipt="SKNOBODY01") == "unknown"


def test_what_we_paid_is_not_what_was_paid_to_us(rt, amina, daraja):
    cashier.sent(rt, amina, 100)
    mpesa.post(rt, "b2c_result", mpesa.payout_result(daraja.requests("b2c")[0]))
    assert paybill.reversed_by_mpesa(rt, receipt="SKP1PAYOUT") == "outgoing"


@pytest.mark.parametrize("sent", [False, True])
def test_our_own_refund_may_be_what_took_it(rt, daraja, sent):
    paybill.confirmed(rt, daraja, "rent")
    paybill.decide(rt, "refund", method="reversal")
    if sent:
        mpesa.work(rt)

    said = [paybill.reversed_by_mpesa(rt) for _ in range(2)]

    assert said == (["paid", "again"] if sent else ["reversed", "again"])
    assert paybill.refund_state(rt) == (RefundState.PAID if sent else RefundState.FAILED)
    assert paybill.moves(rt, 17, 19) == [100_00]
    assert teller.clean(rt)
    mpesa.work(rt)
    assert len(daraja.requests("reversal")) == sent


def test_one_that_is_paid_back_by_b2c_meanwhile_is_a_persons(rt, daraja):
    paybill.confirmed(rt, daraja, "rent")
    paybill.decide(rt, "refund", method="b2c", to="0712000001")
    mpesa.work(rt)

    assert paybill.reversed_by_mpesa(rt) == "refund"
    assert paybill.held(rt) == 100_00


def test_the_second_word_on_what_was_taken_back_changes_nothing(rt, amina, daraja):
    paybill.pay(rt, "0712000001")
    paybill.decide(rt, "never")
    assert paybill.pay(rt, "0712000001") == "again"
    mpesa.sweep(rt)
    assert mpesa.balance(rt, amina) == 1_000_00


def test_two_people_have_it_from_the_portal(rt, amina, daraja, paid):
    assert paybill.decide(rt, "reversed", reversal=REVERSAL.lower()) == "reversed"
    assert paybill.registered(rt).reversed_by == Source.STAFF


def test_every_line_of_it_is_explained_and_stated(rt, amina, daraja):
    paybill.confirmed(rt, daraja, "rent")
    paybill.decide(rt, "attach", to="0712000001")
    paybill.confirmed(rt, daraja, "0712000001", receipt="SKC2B00002")
    cashier.sent(rt, amina, 1_150)
    paybill.reversed_by_mpesa(rt, receipt="SKC2B00002")
    with rt.transaction() as tx:
        told = explain.Explanation(tx, amina.id)
        _, *lines = [
            (line.kind, line.origin.get("receipt"), line.problems) for line in told.lines()
        ]
        assert (told.faults, told.owed) == ([], 50_00)
        page = statement.page(tx, amina.id, kind=statement.Kind.DEPOSIT)

    assert lines == [
        ("attached", RECEIPT, ()), ("deposit", "SKC2B00002", ()), ("reserve", None, ()),
        ("reversed", "SKC2B00002", ()),
    ]  # fmt: skip
    assert [(line.word, line.amount, line.receipt) for line in page.lines] == [
        ("reversed", -50_00, "SKC2B00002"),
        ("deposit", 100_00, "SKC2B00002"),
        ("deposit", 100_00, RECEIPT),
    ]


def pulled(rt, **more):
    with rt.transaction() as tx:
        return c2b.take_pull_row(tx, paybill.row("0712000001", **more), rt.now())


@pytest.mark.race
def test_threads_that_hear_of_one_reversal_book_it_once(rt, amina, daraja, paid):
    said = teller.at_once(10, lambda _: paybill.reversed_by_mpesa(rt))

    assert sorted(said) == ["again"] * 9 + ["reversed"]
    assert mpesa.balance(rt, amina) == 1_000_00
    with rt.transaction() as tx:
        assert len(list(tx.scalars(select(MpesaReceipt)))) == 1
    assert teller.clean(rt)
