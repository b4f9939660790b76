"""Callbacks of deposits: each receipt is credited once, and a failure is never the last word."""

import pytest
from sqlalchemy import select

from core import deposits, ledger, pushes
from core.ledger import AccountKind
from core.payments import DepositState
from core.reasons import PUSH
from core.receipts import MpesaReceipt
from demo.settings import PAYBILL
from tests import mpesa, people, teller


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


def test_a_prompt_is_paid_and_credited(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)

    verdict = mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1"))

    assert verdict == "credited"
    wanted = {"phone": people.AMINA, "amount": 100_00, "ref": asked.ref, "shortcode": PAYBILL}
    assert daraja.requests("stk") == [wanted]
    assert teller.state(rt, asked) == DepositState.CREDITED
    assert mpesa.balance(rt, amina) == 1_100_00
    assert mpesa.texts(rt, amina) == ["money.deposit_received"]
    assert teller.clean(rt)


def test_the_same_callback_three_times_is_one_credit(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)

    verdicts = [mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1")) for _ in range(3)]

    assert verdicts == ["credited", "duplicate", "duplicate"]
    assert mpesa.balance(rt, amina) == 1_100_00
    assert mpesa.texts(rt, amina) == ["money.deposit_received"]


def test_each_result_code_has_its_sentence(rt, amina, daraja, wait):
    codes = [code for code in PUSH if code.isdigit() or "_IC" in code]
    for number, code in enumerate(codes, start=1):
        asked = teller.ask(rt, amina, 100)
        teller.push(rt, wait)
        told = mpesa.push_result(f"ws_CO_{number}", int(code) if code.isdigit() else code)
        assert mpesa.post(rt, "stk", told) == "failed", code

        with rt.transaction() as tx:
            line = deposits.by_ref(tx, amina.id, asked.ref.lower())
        assert line is not None
        assert (line.state, line.reason) == ("failed", PUSH[code].sentence)
    assert len(codes) == 17
    assert mpesa.balance(rt, amina) == 1_000_00


def test_an_unknown_code_is_asked_about(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)

    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", 7777)) == "unknown code"
    mpesa.sweep(rt)

    assert len(daraja.requests("stk_query")) == 1
    assert mpesa.texts(rt, amina)[0] == "money.deposit_checking"
    assert teller.state(rt, asked) == DepositState.NOT_PAID  # the query said: cancelled


def test_a_late_success_is_booked(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", 1037))
    assert teller.state(rt, asked) == DepositState.NOT_PAID

    wait(hours=5)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1"))

    assert teller.state(rt, asked) == DepositState.CREDITED
    assert mpesa.balance(rt, amina) == 1_100_00
    assert mpesa.texts(rt, amina) == ["money.deposit_failed", "money.deposit_late"]


def test_a_failure_after_the_success_changes_nothing(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1"))

    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", 1032)) == "late"
    assert teller.state(rt, asked) == DepositState.CREDITED


def test_two_prompts_paid_are_two_credits(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    for receipt in ("SKL7RT61SV", "SKL7RT61SW"):
        mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", receipt=receipt))

    assert mpesa.balance(rt, amina) == 1_200_00
    assert teller.clean(rt)


def test_one_receipt_for_two_deposits_is_credited_once(rt, amina, brian, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.ask(rt, brian, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1"))

    verdict = mpesa.post(rt, "stk", mpesa.push_result("ws_CO_2", phone=254712000002))

    assert verdict == "conflict"
    assert (mpesa.balance(rt, amina), mpesa.balance(rt, brian)) == (1_100_00, 500_00)


def test_money_of_the_excluded_is_owed_back(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    teller.exclude(rt, amina)

    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1")) == "refund_due"

    assert mpesa.balance(rt, amina) == 1_000_00
    with rt.transaction() as tx:
        due = ledger.account_balance(tx, AccountKind.REFUND_DUE, customer_id=amina.id)
    assert due == 100_00
    assert mpesa.texts(rt, amina) == ["money.deposit_refund_due"]


@pytest.mark.parametrize(
    "odd",
    [
        {"amount": 99},
        {"amount": "100.01"},
        {"amount": None},
        {"amount": "1e999999999"},
        {"phone": 254712000002},
    ],
)
def test_what_does_not_fit_posts_nothing(rt, amina, daraja, wait, odd):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)

    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", **odd)) == "mismatch"

    assert teller.state(rt, asked) == DepositState.CONFIRMING
    assert mpesa.balance(rt, amina) == 1_000_00
    assert registered(rt) == []


def test_a_mismatch_is_credited_with_what_m_pesa_says_came(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", amount=900))
    mpesa.sweep(rt)

    assert mpesa.post(rt, "status_result", mpesa.status_result("AG_2", amount=99)) == "credited"

    assert mpesa.balance(rt, amina) == 1_099_00
    assert teller.unconfirmed(rt, amina) == 0


def test_a_masked_phone_fits(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)

    masked = mpesa.push_result("ws_CO_1", phone="2547 ***** 001")
    assert mpesa.post(rt, "stk", masked) == "credited"


def test_a_success_without_a_receipt_credits_nothing(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)

    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", receipt="")) == "no receipt"
    assert teller.state(rt, asked) == DepositState.AWAITING_RECEIPT
    assert mpesa.balance(rt, amina) == 1_000_00


def test_much_money_waits_for_m_pesas_second_word(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 10_001)
    teller.push(rt, wait)

    verdict = mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", amount=10_001))

    assert verdict == "confirming"
    assert teller.state(rt, asked) == DepositState.CONFIRMING
    assert mpesa.balance(rt, amina) == 1_000_00
    assert mpesa.texts(rt, amina) == ["money.deposit_confirming"]

    mpesa.sweep(rt)
    mpesa.post(rt, "status_result", mpesa.status_result("AG_2", amount=10_001))
    assert mpesa.balance(rt, amina) == 11_001_00
    assert teller.unconfirmed(rt, amina) == 0


def test_the_limit_of_belief_counts_the_day(rt, amina, daraja, wait):
    for number, verdict in ((1, "credited"), (2, "confirming")):
        teller.ask(rt, amina, 6_000 + number)
        teller.push(rt, wait)
        told = mpesa.push_result(
            f"ws_CO_{number}", amount=6_000 + number, receipt=f"SKL00000{number}"
        )
        assert mpesa.post(rt, "stk", told) == verdict


def test_garbage_is_read_and_forgotten(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    bare = {"CheckoutRequestID": "ws_CO_1", "ResultCode": True}
    insides: list[object] = [1, {"stkCallback": []}, {"stkCallback": {}}, {"stkCallback": bare}]
    for inside in insides:
        assert mpesa.post(rt, "stk", {"Body": inside}) == "unreadable"
    assert mpesa.post(rt, "stk", {}) == "unreadable"
    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_\ud800\x00")) == "orphan"

    assert teller.state(rt, asked) == DepositState.PROMPTED


@pytest.mark.race
def test_threads_that_bring_one_receipt_credit_it_once(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)

    verdicts = teller.at_once(
        20,
        lambda _: rt.attempt(
            lambda tx: pushes.take_callback(tx, mpesa.push_result("ws_CO_1"), rt.now())
        ),
    )

    assert sorted(verdicts) == ["credited"] + ["duplicate"] * 19
    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.clean(rt)


def registered(rt):
    with rt.transaction() as tx:
        return list(tx.scalars(select(MpesaReceipt.receipt)))
