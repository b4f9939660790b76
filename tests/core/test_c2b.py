"""Money that is paid by hand: to a phone, to a reference, to nobody; told once or many times."""

import pytest

from core import c2b, deposits
from core.ledger import AccountKind
from core.payments import DepositState
from core.receipts import ClaimState, Source
from demo.settings import PAYBILL, TILL
from tests import cashier, mpesa, paybill, teller
from tests.paybill import RECEIPT


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


def test_a_phone_in_any_form_is_its_owners(rt, amina, daraja):
    forms = ("0712000001", "712000001", "+254712000001", "254712000001", "0712 000 001")
    for number, account in enumerate(forms, 1):
        assert paybill.pay(rt, account, receipt=f"SKC2B0000{number}") == "credited"
        assert mpesa.balance(rt, amina) == 1_000_00 + 100_00 * number

    kept = paybill.registered(rt)
    assert (kept.source, kept.payer, kept.bill_ref) == (Source.C2B, "2547*****001", forms[0])
    assert kept.confirmed_at is None
    assert mpesa.texts(rt, amina) == ["money.deposit_received"] * 5
    assert teller.clean(rt)


def test_a_reference_is_the_deposit_it_was_given_for(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", 1037))

    assert paybill.pay(rt, f" {asked.ref.lower()} ", amount="150.00") == "credited"

    assert teller.state(rt, asked) == DepositState.CREDITED
    assert mpesa.balance(rt, amina) == 1_150_00  # as received, not as asked
    assert mpesa.texts(rt, amina) == ["money.deposit_failed", "money.deposit_late"]


def test_what_names_nobody_waits_in_suspense(rt, amina, daraja):
    for number, account in enumerate(("", "rent", "0799999999", "D000000", "0733", "ABC 12 é"), 1):
        assert paybill.pay(rt, account, receipt=f"SKC2B0000{number}") == "suspense"
        assert paybill.held(rt) == 100_00 * number

    assert mpesa.balance(rt, amina) == 1_000_00
    assert teller.clean(rt)


def test_the_same_confirmation_again_changes_nothing(rt, amina, daraja):
    said = [paybill.pay(rt, "0712000001") for _ in range(3)]
    said += [paybill.pay(rt, "rent", receipt="SKC2B00002") for _ in range(3)]

    assert said == ["credited", "again", "again", "suspense", "again", "again"]
    assert (mpesa.balance(rt, amina), paybill.held(rt)) == (1_100_00, 100_00)


def test_another_shortcode_posts_nothing(rt, amina, daraja):
    assert paybill.pay(rt, "0712000001", shortcode="600111") == "mismatch"

    assert paybill.registered(rt) is None
    assert paybill.claims(rt) == []


def test_what_cannot_be_read_posts_nothing(rt, amina, daraja):
    for odd in ({"TransID": "?"}, {"TransAmount": "many"}, {"TransAmount": "-5"}, {"TransID": 1}):
        told = paybill.confirmation("0712000001") | odd
        assert mpesa.post(rt, "c2b_confirm", told) == "unreadable"
    assert mpesa.post(rt, "c2b_confirm", {}) == "unreadable"


def test_the_confirmation_of_a_prompt_is_the_second_word(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", receipt=RECEIPT))
    assert teller.unconfirmed(rt, amina) == 100_00

    assert paybill.pay(rt, asked.ref) == "confirmed"

    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.unconfirmed(rt, amina) == 0
    kept = paybill.registered(rt)
    assert (kept.source, kept.confirmed_by, kept.payer) == (Source.STK, Source.C2B, "2547*****001")


def test_the_callback_after_the_confirmation_is_the_second_word(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    assert paybill.pay(rt, asked.ref) == "credited"

    told = mpesa.push_result("ws_CO_1", receipt=RECEIPT)
    assert mpesa.post(rt, "stk", told) == "duplicate"

    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.unconfirmed(rt, amina) == 0


def test_a_prompt_to_a_till_finds_its_money_in_suspense(rt, amina, daraja, wait):
    rt.config = rt.config.model_copy(update={"mpesa_till_number": TILL})
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    assert paybill.pay(rt, "", shortcode=TILL) == "suspense"

    told = mpesa.push_result("ws_CO_1", receipt=RECEIPT)
    assert mpesa.post(rt, "stk", told) == "credited"

    assert (mpesa.balance(rt, amina), paybill.held(rt)) == (1_100_00, 0)
    assert teller.state(rt, asked) == DepositState.CREDITED
    assert teller.unconfirmed(rt, amina) == 0
    assert teller.clean(rt)


def test_a_callback_does_not_take_anothers_money_out_of_suspense(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    paybill.pay(rt, "rent", payer="2547 ***** 777")

    told = mpesa.push_result("ws_CO_1", receipt=RECEIPT)
    assert mpesa.post(rt, "stk", told) == "conflict"

    assert (mpesa.balance(rt, amina), paybill.held(rt)) == (1_000_00, 100_00)


def test_a_receipt_that_is_told_otherwise_confirms_nothing(rt, amina, brian, daraja):
    paybill.pay(rt, "0712000001")

    assert paybill.pay(rt, "0712000001", amount="900.00") == "mismatch"
    assert paybill.pay(rt, "0712000002") == "conflict"

    assert teller.unconfirmed(rt, amina) == 100_00
    assert (mpesa.balance(rt, amina), mpesa.balance(rt, brian)) == (1_100_00, 500_00)


def test_every_payment_is_asked_about_and_confirmed(rt, amina, daraja):
    paybill.pay(rt, "0712000001")
    mpesa.sweep(rt)

    assert daraja.requests("status_query") == [{"receipt": RECEIPT, "shortcode": PAYBILL}]
    assert paybill.answer(rt, daraja) == "confirmed"
    assert teller.unconfirmed(rt, amina) == 0
    assert paybill.registered(rt).payer == "254712000001"


def test_anybody_may_pay_for_anybody(rt, amina, daraja):
    """It is the number in the confirmation that has to be the payer's, not the customer's."""
    paybill.pay(rt, "0712000001", payer="2547 ***** 777")
    mpesa.sweep(rt)

    assert paybill.answer(rt, daraja, payer="254712000777 - WANJIRU") == "confirmed"


def test_an_answer_about_another_payer_confirms_nothing(rt, amina, daraja):
    paybill.pay(rt, "0712000001")
    mpesa.sweep(rt)

    assert paybill.answer(rt, daraja, payer="254712000777 - WANJIRU") == "mismatch"
    assert teller.unconfirmed(rt, amina) == 100_00


def test_much_money_waits_for_m_pesas_second_word(rt, amina, daraja):
    assert paybill.pay(rt, "0712000001", amount="10001.00") == "confirming"
    assert mpesa.balance(rt, amina) == 1_000_00
    assert paybill.registered(rt) is None
    assert mpesa.texts(rt, amina) == ["money.deposit_confirming"]

    mpesa.sweep(rt)
    assert paybill.answer(rt, daraja, amount=10_001) == "credited"

    assert mpesa.balance(rt, amina) == 11_001_00
    assert teller.unconfirmed(rt, amina) == 0
    assert teller.clean(rt)


def test_much_money_of_nobody_is_not_even_in_suspense(rt, daraja):
    assert paybill.pay(rt, "rent", amount="10001.00") == "confirming"
    assert paybill.held(rt) == 0

    mpesa.sweep(rt)
    assert paybill.answer(rt, daraja, amount=10_001) == "suspense"

    assert paybill.held(rt) == 10_001_00
    assert [claim.state for claim in paybill.claims(rt)] == [ClaimState.CONFIRMED]


def test_the_customers_measure_is_the_day_over_all_channels(rt, amina, daraja, wait):
    teller.ask(rt, amina, 6_000)
    teller.push(rt, wait)
    told = mpesa.push_result("ws_CO_1", amount=6_000)
    assert mpesa.post(rt, "stk", told) == "credited"

    assert paybill.pay(rt, "0712000001", amount="4001.00") == "confirming"
    assert paybill.pay(rt, "0712000001", amount="4000.00", receipt="SKC2B00002") == "credited"
    wait(hours=24)
    assert paybill.pay(rt, "0712000001", amount="10000.00", receipt="SKC2B00003") == "credited"


def test_the_whole_house_has_a_measure_too(rt, amina, brian, daraja):
    rt.config = rt.config.model_copy(update={"daraja_confirm_cap": 300_00})

    said = [
        paybill.pay(rt, account, receipt=f"SKC2B0000{number}")
        for number, account in enumerate(("0712000001", "rent", "0712000002", "0712000001"), 1)
    ]

    assert said == ["credited", "suspense", "credited", "confirming"]
    mpesa.sweep(rt)
    assert paybill.answer(rt, daraja, receipt="SKC2B00004") in ("credited", "mismatch")


def test_money_of_who_may_not_play_is_due_back(rt, amina, daraja):
    teller.exclude(rt, amina)

    assert paybill.pay(rt, "0712000001") == "refund_due"

    assert mpesa.balance(rt, amina) == 1_000_00
    assert paybill.held(rt, AccountKind.REFUND_DUE, amina) == 100_00
    assert mpesa.texts(rt, amina) == ["money.deposit_refund_due"]


def test_what_is_over_the_customers_own_limit_is_due_back(rt, amina, daraja):
    paybill.limit_deposits(rt, amina, 250_00)
    said = [
        paybill.pay(rt, "0712000001", amount=amount, receipt=f"SKC2B0000{number}")
        for number, amount in enumerate(("200.00", "51.00"), 1)
    ]

    assert said == ["credited", "refund_due"]
    assert paybill.held(rt, AccountKind.REFUND_DUE, amina) == 51_00


def test_a_pull_row_is_believed_however_much_it_is(rt, amina, daraja):
    with rt.transaction() as tx:
        said = [
            c2b.take_pull_row(tx, row, rt.now())
            for row in (
                paybill.row("0712000001", amount=20_000_00),
                paybill.row("0712000001", amount=20_000_00),
                paybill.row("rent", receipt="SKC2B00002"),
                paybill.row("rent", receipt="SKC2B00003", kind="pay-bill-reversal"),
                paybill.row("rent", receipt="?"),
            )
        ]

    assert said == ["credited", "again", "suspense", "asked", "unreadable"]
    assert (mpesa.balance(rt, amina), paybill.held(rt)) == (21_000_00, 100_00)
    assert teller.unconfirmed(rt, amina) == 0
    (asked,) = paybill.claims(rt)  # the row of a reversal does not say for sure what it undid
    assert asked.receipt == "SKC2B00002"


def test_a_pull_row_confirms_and_books_what_waited(rt, amina, daraja):
    paybill.pay(rt, "0712000001")
    paybill.pay(rt, "0712000001", amount="20000.00", receipt="SKC2B00002")
    with rt.transaction() as tx:
        rows = (paybill.row("0712000001"),
                paybill.row("0712000001", amount=20_000_00, receipt="SKC2B00002"))  # fmt: skip
        said = [c2b.take_pull_row(tx, row, rt.now()) for row in rows]

    assert said == ["confirmed", "credited"]
    assert {claim.state for claim in paybill.claims(rt)} == {ClaimState.CONFIRMED}
    mpesa.sweep(rt)
    assert daraja.requests("status_query") == []


def test_what_m_pesa_denied_is_not_confirmed_by_who_spoke_unasked(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", receipt=RECEIPT))
    mpesa.sweep(rt)
    assert paybill.answer(rt, daraja, status="Declined") == "denied"

    assert paybill.pay(rt, asked.ref) == "denied"
    assert teller.unconfirmed(rt, amina) == 100_00

    with rt.transaction() as tx:
        assert c2b.take_pull_row(tx, paybill.row(asked.ref), rt.now()) == "confirmed"
    assert teller.unconfirmed(rt, amina) == 0


def test_a_statement_line_credits_nothing_and_has_m_pesa_asked(rt, amina, daraja):
    line = {
        "receipt": RECEIPT, "amount": 100_00, "account": "0712000001", "payer": "2547****0001",
        "shortcode": PAYBILL,
    }  # fmt: skip
    with rt.transaction() as tx:
        now = rt.now()
        said = [c2b.take_line(tx, **line, at=now, now=now) for _ in range(2)]
    assert said == ["claimed", "again"]
    assert paybill.registered(rt) is None

    mpesa.sweep(rt)
    assert paybill.answer(rt, daraja) == "credited"

    assert mpesa.balance(rt, amina) == 1_100_00
    with rt.transaction() as tx:
        assert c2b.take_line(tx, **line, at=rt.now(), now=rt.now()) == "duplicate"


def test_what_m_pesa_asks_first_is_answered_by_policy(rt):
    cases: list[tuple[dict[str, str], str]] = [
        ({}, "0"),
        ({"BillRefNumber": "rent"}, "0"),
        ({"TransAmount": "0"}, "C2B00013"),
        ({"TransAmount": "250001"}, "C2B00013"),
        ({"BusinessShortCode": "600111"}, "C2B00015"),
    ]
    for odd, code in cases:
        told = paybill.confirmation("0712000001") | odd
        assert c2b.validate(told, rt.config) == code


def test_a_stricter_house_wants_an_account_it_can_read(rt):
    strict = rt.config.model_copy(update={"c2b_accounts": "known"})
    said = [
        c2b.validate(paybill.confirmation(account), strict)
        for account in ("0712000001", "D5M6XQK", "rent", "")
    ]
    assert said == ["0", "0", "C2B00012", "C2B00012"]
    assert c2b.validate({}, strict) == "C2B00013"


def test_a_payment_by_hand_reads_like_any_deposit(rt, amina, daraja):
    paybill.pay(rt, "0712000001")
    with rt.transaction() as tx:
        line = deposits.last(tx, amina.id)
    assert (line.state, line.amount, line.receipt) == ("paid", 100_00, RECEIPT)
    assert cashier.withdrawing(rt, amina, 1_050_00).reason == "money.withdraw_unconfirmed"


@pytest.mark.race
def test_threads_that_bring_one_payment_credit_it_once(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    told = paybill.confirmation(asked.ref)
    callback = mpesa.push_result("ws_CO_1", receipt=RECEIPT)

    def bring(number):
        if number % 2:
            return mpesa.post(rt, "stk", callback)
        return rt.attempt(lambda tx: c2b.take(tx, told, rt.now()))

    verdicts = teller.at_once(12, bring)

    assert verdicts.count("credited") == 1
    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.clean(rt)
