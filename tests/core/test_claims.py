""" "I paid, not credited": a code is a word, and only M-PESA's answer about it brings money."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from core import claims, landings, orders
from core.claims import Claimed
from core.code_claims import CodeClaim, CodeState, read_code
from core.effects import Channel, Refused
from core.errors import Refusal
from core.money import Cents
from core.payments import Deposit, DepositState
from core.receipts import Source
from core.say import NAIROBI
from core.wishes import Wish
from tests import games, mpesa, paybill, people, teller

CODE = "QWE12RTY34"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@pytest.fixture(autouse=True)
def daraja(rt):
    return mpesa.Daraja(rt)


def claim(rt, customer, code=CODE, *, key=None):
    with rt.transaction() as tx:
        return claims.claim(
            tx,
            key=key or uuid.uuid4(),
            customer=tx.merge(customer, load=False),
            code=code,
            channel=Channel.USSD,
            session="test",
            now=rt.now(),
            config=rt.config,
        )


def answer(rt, daraja, status="Completed", *, at=None, **told):
    """M-PESA answers the newest question."""
    mpesa.work(rt)
    kinds = [kind for kind, _ in daraja.asked]
    number = len(kinds) - kinds[::-1].index("status_query")
    result = mpesa.status_result(f"AG_{number}", status, receipt=CODE, **told)
    for item in result["Result"].get("ResultParameters", {}).get("ResultParameter", []):
        if at and item["Key"] == "FinalisedTime":
            item["Value"] = f"{at.astimezone(NAIROBI):%Y%m%d%H%M%S}"
    return mpesa.post(rt, "status_result", result)


def every(rt):
    with rt.transaction() as tx:
        return [
            CodeState(row.state) for row in tx.scalars(select(CodeClaim).order_by(CodeClaim.id))
        ]


def said(came):
    assert isinstance(came, Claimed), came
    return came.sentence


@pytest.mark.parametrize("typed", [CODE, "qwe12rty34", " QWE12 RTY34 "])
def test_a_code_is_read_as_people_type_it(typed):
    assert read_code(typed) == CODE


@pytest.mark.parametrize(
    "typed", ["", "4826", "0712345678", "4WE12RTY34", "QWE12RTY3", "QWE12RTY345", "QWE12-TY34"]
)
def test_what_is_no_code_is_refused(typed):
    with pytest.raises(Refusal, match=r"money\.claim_unreadable"):
        read_code(typed)


@given(st.text(LETTERS, min_size=10, max_size=10))
def test_ten_letters_and_digits_are_a_code_if_a_letter_is_first(typed):
    if typed[0].isdigit():
        with pytest.raises(Refusal):
            read_code(typed)
    else:
        assert read_code(typed.lower()) == typed


def test_a_payment_that_nobody_told_of_is_credited(rt, amina, daraja):
    assert said(claim(rt, amina)) == "money.claim_asking"
    assert mpesa.balance(rt, amina) == 1_000_00
    assert answer(rt, daraja, amount=250) == "credited"
    assert daraja.requests("status_query") == [
        {"receipt": CODE, "shortcode": rt.config.mpesa_shortcode}
    ]
    assert mpesa.balance(rt, amina) == 1_250_00
    assert every(rt) == [CodeState.CREDITED]
    assert mpesa.texts(rt, amina) == ["money.deposit_received"]
    assert teller.unconfirmed(rt, amina) == 0
    assert teller.clean(rt)


def test_it_is_booked_to_the_push_that_it_answers(rt, amina, daraja, wait, wanjiku):
    """A callback came without its receipt; a bet was waiting for the money."""
    derby = games.derby(rt, wanjiku)
    wish = Wish(derby.id, 1, Cents(1_100_00), True, Channel.USSD, "test")
    with rt.transaction() as tx:
        orders.ask(
            tx, key=uuid.uuid4(), customer=tx.merge(amina, load=False), wish=wish, now=rt.now(),
            config=rt.config,
        )  # fmt: skip
    teller.push(rt, wait)
    told = mpesa.push_result("ws_CO_1")
    told["Body"]["stkCallback"]["CallbackMetadata"]["Item"] = []
    assert mpesa.post(rt, "stk", told) == "no receipt"
    claim(rt, amina)
    assert answer(rt, daraja, at=rt.now()) == "credited"
    with rt.transaction() as tx:
        (deposit,) = tx.scalars(select(Deposit))
        assert deposit.state == DepositState.CREDITED
    assert mpesa.balance(rt, amina) == 0
    assert mpesa.texts(rt, amina)[-1] == "betting.order_placed"


@pytest.mark.parametrize(
    ("status", "told", "ends", "sentence"),
    [
        ("Completed", {"payer": "254712000002 - BRIAN"}, CodeState.NOT_THEIRS, "not_theirs"),
        ("Completed", {"payer": "2547 ***** 002"}, CodeState.NOT_THEIRS, "not_theirs"),
        ("Completed", {"payee": "888880 - KPLC"}, CodeState.NOT_THEIRS, "not_theirs"),
        ("Completed", {"payer": ""}, CodeState.NOT_THEIRS, "not_theirs"),
        ("Completed", {"amount": "10.50"}, CodeState.NEEDS_HUMAN, "with_us"),
        ("Cancelled", {}, CodeState.NOT_PAID, "not_paid"),
        ("Declined", {}, CodeState.NOT_PAID, "not_paid"),
    ],
)
def test_what_was_not_paid_to_us_from_this_phone_is_not_credited(
    rt, amina, daraja, status, told, ends, sentence
):
    claim(rt, amina)
    answer(rt, daraja, status, **told)
    assert every(rt) == [ends]
    assert mpesa.balance(rt, amina) == 1_000_00
    assert mpesa.texts(rt, amina) == [f"money.claim_{sentence}"]


def test_a_masked_number_that_fits_is_the_claimants(rt, amina, daraja):
    claim(rt, amina)
    assert answer(rt, daraja, payer="2547 ***** 001") == "credited"


def test_an_answer_about_another_receipt_credits_nothing(rt, amina, daraja):
    claim(rt, amina)
    mpesa.work(rt)
    other = mpesa.status_result("AG_1", receipt="QWE12RTY99")
    assert mpesa.post(rt, "status_result", other) == "not theirs"
    assert mpesa.balance(rt, amina) == 1_000_00


def test_m_pesa_is_asked_for_an_hour_and_then_the_customer_is_told(rt, amina, daraja, wait):
    claim(rt, amina)
    assert answer(rt, daraja, code=25) == "open"
    for minutes in (2, 15):
        wait(minutes=minutes)
        mpesa.sweep(rt)
        assert answer(rt, daraja, "Authorized") == "open"
    assert len(daraja.requests("status_query")) == 3
    assert every(rt) == [CodeState.ASKING]
    wait(hours=1)
    mpesa.sweep(rt)
    assert every(rt) == [CodeState.NOT_FOUND]
    assert mpesa.texts(rt, amina) == ["money.claim_not_found"]
    assert answer(rt, daraja) == "again"  # a late answer to a question that is closed
    assert said(claim(rt, amina)) == "money.claim_asking"


def test_an_answer_at_a_later_time_of_asking_credits(rt, amina, daraja, wait):
    claim(rt, amina)
    answer(rt, daraja, code=25)
    wait(minutes=2)
    mpesa.sweep(rt)
    assert answer(rt, daraja) == "credited"


def test_the_same_code_again_is_one_question_and_one_credit(rt, amina, daraja):
    key = uuid.uuid4()
    for _ in range(3):
        assert said(claim(rt, amina, key=key)) == "money.claim_asking"
    claim(rt, amina)
    mpesa.work(rt)
    assert len(daraja.requests("status_query")) == 1
    assert answer(rt, daraja) == "credited"
    assert answer(rt, daraja) == "again"
    came = claim(rt, amina)
    assert (came.sentence, came.facts["amount"]) == ("money.claim_booked", 100_00)
    assert mpesa.balance(rt, amina) == 1_100_00


@pytest.mark.parametrize(("account", "held"), [("0712000001", 1_100_00), ("rent", 1_000_00)])
def test_the_code_of_a_payment_that_staff_say_never_was_is_asked_about(
    rt, amina, daraja, account, held
):
    """And M-PESA's answer restores it: "it is in your wallet" would be untrue."""
    paybill.pay(rt, account, receipt=CODE)
    assert paybill.decide(rt, "never", receipt=CODE) == "reversed"

    assert said(claim(rt, amina)) == "money.claim_asking"
    answer(rt, daraja)

    assert mpesa.balance(rt, amina) == held
    assert paybill.held(rt) == 1_100_00 - held
    booked = {"money.claim_booked", "money.deposit_restored"} & set(mpesa.texts(rt, amina))
    assert len(booked) == (2 if account != "rent" else 0)
    assert teller.clean(rt)


def test_anothers_code_brings_nothing(rt, amina, brian, daraja):
    claim(rt, amina)
    claim(rt, brian)
    mpesa.work(rt)
    for number in (1, 2):
        mpesa.post(rt, "status_result", mpesa.status_result(f"AG_{number}", receipt=CODE))
    assert every(rt) == [CodeState.CREDITED, CodeState.NOT_THEIRS]
    assert said(claim(rt, brian)) == "money.claim_not_theirs"
    assert [mpesa.balance(rt, one) for one in (amina, brian)] == [1_100_00, 500_00]


def test_a_receipt_that_comes_by_callback_meanwhile_is_credited_once(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    claim(rt, amina)
    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", receipt=CODE)) == "credited"
    assert answer(rt, daraja) == "known"
    assert mpesa.texts(rt, amina) == ["money.deposit_received", "money.claim_booked"]
    assert mpesa.balance(rt, amina) == 1_100_00


def test_callback_and_answer_at_the_same_instant_credit_once(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    claim(rt, amina)
    mpesa.work(rt)
    told = [
        ("stk", mpesa.push_result("ws_CO_1", receipt=CODE)),
        ("status_result", mpesa.status_result("AG_2", receipt=CODE)),
    ]
    teller.at_once(2, lambda number: mpesa.post(rt, *told[number]))
    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.clean(rt)


def test_a_credit_between_the_look_and_the_booking_leaves_no_deposit_behind(
    rt, amina, daraja, wait
):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    claim(rt, amina)
    with ThreadPoolExecutor(1) as other:
        with rt.transaction() as tx:  # nobody sees the credit before it is committed
            deposit = tx.scalars(select(Deposit)).one()
            credited = landings.credit(
                tx, deposit, CODE, 100_00, source=Source.STK, confirmed=True, at=rt.now(),
                now=rt.now(),
            )  # fmt: skip
            assert credited == "credited"
            answering = other.submit(answer, rt, daraja)
            teller.until_somebody_waits(rt)
        assert answering.result() == "known"

    with rt.transaction() as tx:
        assert [one.state for one in tx.scalars(select(Deposit))] == [DepositState.CREDITED]
    assert every(rt) == [CodeState.KNOWN]
    assert mpesa.balance(rt, amina) == 1_100_00


def test_a_few_codes_a_day(rt, amina, wait):
    for number in range(rt.config.claims_per_day):
        claim(rt, amina, f"QWE12RTY{number:02}")
    assert claim(rt, amina) == Refused("money.claim_too_many", {"most": rt.config.claims_per_day})
    wait(hours=24)
    assert said(claim(rt, amina)) == "money.claim_asking"


def test_who_is_excluded_gets_it_back(rt, amina, daraja):
    claim(rt, amina)
    teller.exclude(rt, amina)
    assert answer(rt, daraja) == "refund_due"
    assert every(rt) == [CodeState.CREDITED]
    assert mpesa.balance(rt, amina) == 1_000_00


def test_a_strangers_phone_of_the_same_length_is_not_taken(rt, daraja):
    other = people.customer(rt, "+254112000001", "Amina Wanjiru")
    claim(rt, other)
    assert answer(rt, daraja) == "not theirs"
