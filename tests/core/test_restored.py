"""Payments that two people ruled never made, and M-PESA proves: each is credited again, once."""

import itertools
from datetime import timedelta

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from core import c2b, explain, ledger, levies, receipts, restored, statement
from core.errors import Refusal
from core.ledger import AccountKind
from core.receipts import ClaimState, Source
from core.statement_lines import Bucket, StatementLine
from demo.settings import PAYBILL
from tests import cashier, finance, games, mpesa, paybill, teller
from tests.paybill import RECEIPT
from tests.portal import Move
from tests.portal import statement as statement_file


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def unmade(rt, amina, daraja):
    """KES 100 of Amina's that two people took back; M-PESA has been asked, and has not answered."""
    paybill.pay(rt, "0712000001")
    mpesa.sweep(rt)
    assert paybill.decide(rt, "never") == "reversed"
    assert mpesa.balance(rt, amina) == 1_000_00


def test_a_status_answer_proves_it(rt, amina, daraja, unmade):
    said = [paybill.answer(rt, daraja) for _ in range(2)]

    assert said == ["credited", "again"]
    assert mpesa.balance(rt, amina) == 1_100_00
    kept = paybill.registered(rt)
    assert (kept.confirmed_by, kept.reversed_at) == (Source.STATUS, None)
    assert mpesa.texts(rt, amina)[-1] == "money.deposit_restored"
    assert {claim.state for claim in paybill.claims(rt)} == {ClaimState.CONFIRMED}
    assert pulled(rt) == "again"
    assert cashier.withdraw(rt, amina, 1_100)
    assert teller.clean(rt)


def test_a_pull_row_has_m_pesa_asked_and_every_line_is_told(rt, amina, daraja, unmade):
    with capture_logs() as logged:
        said = [pulled(rt), pulled(rt), paybill.answer(rt, daraja), pulled(rt)]

    assert said == ["asked", "asked", "credited", "again"]
    assert "payment that staff took back is told of" in [line["event"] for line in logged]

    assert mpesa.balance(rt, amina) == 1_100_00
    with rt.transaction() as tx:
        told = explain.Explanation(tx, amina.id)
        _, *lines = [(one.kind, one.origin.get("receipt"), one.problems) for one in told.lines()]
        page = statement.page(tx, amina.id, kind=statement.Kind.DEPOSIT)
    assert lines == [(kind, RECEIPT, ()) for kind in ("deposit", "reversed", "restored")]
    assert [(one.word, one.amount, one.receipt) for one in page.lines] == [
        ("restored", 100_00, RECEIPT), ("reversed", -100_00, RECEIPT), ("deposit", 100_00, RECEIPT)
    ]  # fmt: skip
    assert teller.clean(rt)


@pytest.mark.parametrize(
    "told",
    [
        lambda rt, daraja: paybill.answer(rt, daraja, status="Reversed"),
        lambda rt, daraja: paybill.reversed_by_mpesa(rt),
    ],
)
def test_what_m_pesa_took_back_itself_is_not_credited_again(rt, amina, daraja, unmade, told):
    assert told(rt, daraja) == "again"

    assert paybill.registered(rt).unmade_at is None
    assert pulled(rt) == "again"
    with pytest.raises(Refusal):
        paybill.decide(rt, "real")
    mpesa.sweep(rt)
    assert mpesa.balance(rt, amina) == 1_000_00
    assert teller.clean(rt)


@pytest.mark.parametrize("order", [*itertools.permutations(({}, {"kind": "reversal"}))])
def test_a_list_that_tells_of_it_and_of_its_end_moves_nothing(rt, amina, daraja, unmade, order):
    for kind in order:
        assert pulled(rt, **kind) == "asked"
    mpesa.sweep(rt)

    assert paybill.answer(rt, daraja, status="Reversed") == "again"

    assert mpesa.balance(rt, amina) == 1_000_00
    assert pulled(rt) == "again"
    assert teller.clean(rt)


def test_it_repays_what_was_owed_for_it_and_no_other_debt(rt, amina, daraja, wanjiku):
    for receipt in (RECEIPT, "SKB7654321"):
        paybill.pay(rt, "0712000001", receipt=receipt)
    mpesa.sweep(rt)
    paybill.decide(rt, "never")
    games.placed(rt, amina, games.derby(rt, wanjiku), 1, 1_100)
    assert paybill.reversed_by_mpesa(rt, receipt="SKB7654321") == "reversed"
    assert (mpesa.balance(rt, amina), owed(rt, amina)) == (0, 100_00)

    assert paybill.decide(rt, "real") == "credited"

    assert (mpesa.balance(rt, amina), owed(rt, amina)) == (100_00, 100_00)
    assert teller.clean(rt)


def test_what_was_owed_for_it_is_repaid_by_it(rt, amina, daraja, wanjiku):
    paybill.pay(rt, "0712000001")
    mpesa.sweep(rt)
    games.placed(rt, amina, games.derby(rt, wanjiku), 1, 1_050)
    paybill.decide(rt, "never")
    assert (mpesa.balance(rt, amina), owed(rt, amina)) == (0, 50_00)
    teller.exclude(rt, amina)  # what was played with does not go back whole

    assert paybill.answer(rt, daraja) == "credited"

    assert (mpesa.balance(rt, amina), owed(rt, amina)) == (50_00, 0)
    assert mpesa.texts(rt, amina)[-1] == "money.deposit_restored_owed"
    assert teller.clean(rt)


def test_who_may_not_play_now_is_owed_it_back(rt, amina, daraja, unmade):
    teller.exclude(rt, amina)

    assert paybill.answer(rt, daraja) == "refund_due"

    assert mpesa.balance(rt, amina) == 1_000_00
    assert paybill.held(rt, AccountKind.REFUND_DUE, amina) == 100_00
    assert mpesa.texts(rt, amina)[-1] == "money.deposit_refund_due"
    mpesa.sweep(rt)
    assert len(daraja.requests("reversal")) == 1
    assert teller.clean(rt)


def test_what_was_nobodys_is_nobodys_again(rt, amina, daraja):
    paybill.pay(rt, "rent")
    mpesa.sweep(rt)
    paybill.decide(rt, "never")
    assert paybill.held(rt) == 0

    assert paybill.answer(rt, daraja) == "suspense"

    assert paybill.held(rt) == 100_00
    assert paybill.decide(rt, "attach", to="0712000001") == "credited"
    assert mpesa.balance(rt, amina) == 1_100_00
    assert paybill.reversed_by_mpesa(rt) == "reversed"
    assert mpesa.balance(rt, amina) == 1_000_00
    assert teller.clean(rt)


def test_two_people_who_erred_say_that_it_is_real(rt, amina, daraja, unmade):
    assert paybill.decide(rt, "real") == "credited"

    assert mpesa.balance(rt, amina) == 1_100_00
    assert paybill.registered(rt).confirmed_by == Source.STAFF
    with pytest.raises(Refusal, match="receipt_certain"):
        paybill.propose(rt, "never")
    assert teller.clean(rt)


def test_m_pesa_may_take_it_back_in_earnest_afterwards(rt, amina, daraja, wait):
    finance.excise(rt, wait, 500)
    told = paybill.confirmation("0712000001") | {"TransTime": ""}
    assert mpesa.post(rt, "c2b_confirm", told) == "credited"
    paybill.decide(rt, "never")
    assert paybill.decide(rt, "real") == "credited"
    assert mpesa.balance(rt, amina) == 1_095_00
    assert filed(rt) == (100_00, 5_00)

    assert [paybill.reversed_by_mpesa(rt), pulled(rt)] == ["reversed", "again"]

    assert mpesa.balance(rt, amina) == 1_000_00
    assert filed(rt) == (0, 0)
    assert teller.clean(rt)


def test_what_m_pesa_reversed_is_not_credited_by_its_row(rt, amina, daraja):
    """Two people found its reversal: that it was once paid is no news."""
    paybill.pay(rt, "0712000001")
    paybill.decide(rt, "reversed")
    assert pulled(rt) == "again"
    assert mpesa.balance(rt, amina) == 1_000_00


@pytest.mark.parametrize("first", ["stk", "c2b"])
def test_a_second_unasked_word_has_m_pesa_asked_again(rt, amina, daraja, wait, first):
    """It may be forged as the first one may; the answer is not."""
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    words = [
        lambda: mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", receipt=RECEIPT)),
        lambda: paybill.pay(rt, asked.ref),
    ]
    one, other = words if first == "stk" else words[::-1]
    assert one() == "credited"
    paybill.decide(rt, "never")
    other()
    assert mpesa.balance(rt, amina) == 1_000_00
    mpesa.sweep(rt)
    assert paybill.answer(rt, daraja) == "credited"
    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.clean(rt)


def test_another_amount_proves_nothing(rt, amina, daraja, unmade):
    assert pulled(rt, amount=200_00) == "mismatch"
    assert paybill.answer(rt, daraja, amount=200) == "mismatch"
    assert mpesa.balance(rt, amina) == 1_000_00


def test_a_statement_line_of_it_has_m_pesa_asked_again(rt, amina, daraja, unmade, wait):
    paid_at = paybill.registered(rt).event_at
    moves = [Move(RECEIPT, 100_00, paid_at, "Pay Bill")]
    staff = [paybill.finance(rt, name) for name in ("akinyi", "otieno")]
    finance.bring_in(rt, staff, statement_file(moves, opening=0, shortcode=PAYBILL))
    finance.sweep_lines(rt)
    mpesa.sweep(rt)

    assert len(daraja.requests("status_query")) == 2
    assert paybill.answer(rt, daraja) == "credited"
    finance.sweep_lines(rt)
    with rt.transaction() as tx:
        assert tx.scalars(select(StatementLine.bucket)).one() == Bucket.MATCHED
    assert teller.clean(rt)


@pytest.mark.race
def test_proofs_at_once_credit_it_once(rt, amina, daraja, unmade):
    def proved(tx):
        known = receipts.find(tx, RECEIPT)
        return restored.book(tx, known, 100_00, source=Source.STATUS, now=rt.now())

    said = teller.at_once(8, lambda _: rt.attempt(proved))

    assert sorted(said) == ["again"] * 7 + ["credited"]
    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.clean(rt)


def pulled(rt, **more):
    with rt.transaction() as tx:
        return c2b.take_pull_row(tx, paybill.row("0712000001", **more), rt.now())


def owed(rt, customer):
    with rt.transaction() as tx:
        return ledger.owed(tx, customer.id)


def filed(rt):
    with rt.transaction() as tx:
        today = rt.now().date()
        day = timedelta(days=1)
        lines = levies.filing(tx, since=today - day, until=today + day)
    return sum(line.base for line in lines), sum(line.tax for line in lines)
