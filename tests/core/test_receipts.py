"""The registry and the second word: a credit is played at once, and withdrawn once confirmed."""

import pytest
from sqlalchemy import select, text

from core import receipts, settling
from core.effects import Refused
from core.errors import NotSent, Rejected
from core.payments import DepositState
from core.receipts import ClaimState, MpesaReceipt, ReceiptClaim, Source
from core.status_queries import QueryState, StatusQuery
from demo.settings import PAYBILL
from tests import cashier, games, mpesa, teller


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def credited(rt, amina, daraja, wait):
    """KES 100 of Amina's that M-PESA has said once."""
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1")) == "credited"
    return asked


def test_every_credit_is_asked_about_and_confirmed(rt, amina, daraja, credited):
    assert teller.unconfirmed(rt, amina) == 100_00

    mpesa.sweep(rt)
    assert daraja.requests("status_query") == [{"receipt": "SKL7RT61SV", "shortcode": PAYBILL}]
    assert answer(rt) == "confirmed"

    assert teller.unconfirmed(rt, amina) == 0
    assert claim(rt).state == ClaimState.CONFIRMED
    with rt.transaction() as tx:
        kept = tx.get_one(MpesaReceipt, "SKL7RT61SV")
        query = tx.scalars(select(StatusQuery)).one()
    assert (kept.source, kept.confirmed_by) == (Source.STK, Source.STATUS)
    assert (query.state, query.status) == (QueryState.ANSWERED, "Completed")
    assert answer(rt) == "again"


def test_a_credit_is_asked_about_again_within_a_minute_and_ever_more_rarely(
    rt, amina, daraja, credited, wait
):
    asked_at, second = [], 0
    for look in (0, 30, 60, 110, 120, 280, 300, 900, 3_600, 10_800, 43_200, 80_000):
        wait(seconds=look - second)
        second, before = look, len(daraja.requests("status_query"))
        mpesa.sweep(rt)
        if len(daraja.requests("status_query")) > before:
            asked_at.append(look)

    assert asked_at == [0, 60, 120, 300, 900, 3_600, 10_800, 43_200]


def test_a_claim_that_m_pesa_never_answers_is_a_persons(rt, amina, daraja, credited, wait):
    for _ in range(12):
        wait(hours=13)
        mpesa.sweep(rt)

    assert claim(rt).state == ClaimState.NEEDS_HUMAN
    assert teller.unconfirmed(rt, amina) == 100_00


def test_unconfirmed_money_is_played_and_not_withdrawn(rt, amina, daraja, credited, wanjiku):
    assert cashier.withdrawing(rt, amina, 1_050_00) == Refused(
        "money.withdraw_unconfirmed", {"free": 1_000_00, "waiting": 100_00}
    )
    games.placed(rt, amina, games.derby(rt, wanjiku), 1, 1_060)

    mpesa.sweep(rt)
    answer(rt)
    assert cashier.withdraw(rt, amina, 40)


def test_a_market_waits_for_the_second_word(rt, amina, brian, daraja, credited, wanjiku, kamau):
    derby, other = games.derby(rt, wanjiku), games.derby(rt, wanjiku)
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    games.placed(rt, brian, other, 1, 100)
    assert [unconfirmed(rt, market) for market in (derby, other)] == [True, False]
    games.close(rt, derby, wanjiku)
    run = games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau)
    assert not settling.work(rt, run.id)

    mpesa.sweep(rt)
    answer(rt)

    assert not unconfirmed(rt, derby)
    assert settling.work(rt, run.id)


def test_stakes_from_before_the_credit_are_not_in_question(rt, amina, daraja, wait, wanjiku):
    derby = games.derby(rt, wanjiku)
    games.placed(rt, amina, derby, 1, 100)
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1"))

    assert not unconfirmed(rt, derby)


@pytest.mark.parametrize(
    "odd",
    [
        {"amount": 99},
        {"payer": "254712000002 - BRIAN"},
        {"payer": "somebody"},
        {"payee": "600111 - ANOTHER SHOP"},
        {"receipt": "SKOTHER001"},
        {"amount": "?"},
    ],
)
def test_a_second_word_that_differs_confirms_nothing(rt, amina, daraja, credited, odd):
    mpesa.sweep(rt)

    assert answer(rt, **odd) == "mismatch"

    assert claim(rt).state == ClaimState.MISMATCH
    assert teller.unconfirmed(rt, amina) == 100_00
    assert mpesa.balance(rt, amina) == 1_100_00


@pytest.mark.parametrize("odd", [{"code": 25}, {"status": "Initiated"}, {"status": ""}])
def test_no_answer_is_not_a_no(rt, amina, daraja, credited, odd):
    mpesa.sweep(rt)

    assert answer(rt, **odd) == "open"

    assert claim(rt).state == ClaimState.WAITING
    mpesa.sweep(rt)


@pytest.mark.parametrize("status", ["Cancelled", "Declined", "Expired"])
def test_a_credit_that_m_pesa_denies_can_never_be_withdrawn(rt, amina, daraja, credited, status):
    mpesa.sweep(rt)

    assert answer(rt, status=status) == "denied"

    assert claim(rt).state == ClaimState.DENIED
    assert teller.unconfirmed(rt, amina) == 100_00


def test_much_money_that_m_pesa_denies_is_never_credited(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 20_000)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", amount=20_000))
    mpesa.sweep(rt)

    assert answer(rt, status="Declined") == "denied"

    assert teller.state(rt, asked) == DepositState.NOT_PAID
    assert mpesa.balance(rt, amina) == 1_000_00
    assert mpesa.texts(rt, amina) == ["money.deposit_confirming", "money.deposit_failed"]


def test_a_forged_notice_of_anothers_receipt_is_found_out(rt, amina, brian, daraja, wait):
    """Brian's payment, claimed for Amina's push before Brian's own callback comes."""
    teller.ask(rt, amina, 100)
    teller.ask(rt, brian, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1"))  # forged
    mpesa.sweep(rt)

    assert answer(rt, "AG_3", payer="254712000002 - BRIAN") == "mismatch"

    assert teller.unconfirmed(rt, amina) == 100_00
    refused = cashier.withdrawing(rt, amina, 1_100_00)
    assert refused.reason == "money.withdraw_unconfirmed"


@pytest.mark.parametrize("error", [NotSent("down"), Rejected("no", code="field")])
def test_a_question_that_could_not_be_asked_is_asked_again(
    rt, amina, daraja, credited, wait, error
):
    daraja.says["status_query"] = error
    mpesa.sweep(rt)
    daraja.says.clear()

    wait(seconds=61)
    mpesa.sweep(rt)

    assert len(daraja.requests("status_query")) >= 2
    last = f"AG_{len(daraja.asked)}"
    assert answer(rt, last) == "confirmed"


def test_the_registry_has_the_final_word_on_a_receipt(rt, amina, daraja, credited):
    """Straight at the database functions, as a later channel will come."""
    with rt.transaction() as tx:
        said = [
            receipts.confirm(tx, receipt=receipt, shortcode=PAYBILL, amount=amount,
                             source=Source.C2B)
            for receipt, amount in (("SKNOBODY01", 1_00), ("SKL7RT61SV", 99_00),
                                    ("SKL7RT61SV", 100_00), ("SKL7RT61SV", 100_00))
        ]  # fmt: skip
    assert said == ["unknown", "mismatch", "confirmed", "again"]


def test_crediting_by_another_channel_is_no_second_credit(rt, amina, daraja, credited):
    with rt.transaction() as tx:
        booked = tx.execute(
            text(
                "SELECT verdict FROM credit_receipt('SKL7RT61SV', :paybill, 10000, 2::smallint,"
                " :deposit, now(), true)"
            ),
            {"paybill": PAYBILL, "deposit": credited.deposit_id},
        ).scalar_one()

    assert booked == "duplicate"
    assert mpesa.balance(rt, amina) == 1_100_00


def answer(rt, conversation="AG_2", status="Completed", **more):
    return mpesa.post(rt, "status_result", mpesa.status_result(conversation, status, **more))


def claim(rt):
    with rt.transaction() as tx:
        return tx.scalars(select(ReceiptClaim)).one()


def unconfirmed(rt, market):
    with rt.transaction() as tx:
        return receipts.market_unconfirmed(tx, market.id)
