"""A deposit limit holds whatever way the money comes, and only for money that stays."""

import uuid

import pytest

from core import c2b, claims
from core.deposits import Asked
from core.effects import Channel
from core.ledger import AccountKind
from core.payments import DepositState
from tests import mpesa, paybill, teller

CODE = "QWE12RTY34"
CANCELLED = 1032


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def asked(rt, amina, daraja, wait):
    """A prompt for KES 50 on Amina's phone, and her limit is KES 100 a day."""
    paybill.limit_deposits(rt, amina, 100_00)
    asked = teller.ask(rt, amina, 50)
    teller.push(rt, wait)
    return asked


def test_more_than_was_asked_for_is_held_against_the_limit(rt, amina, asked):
    assert paybill.pay(rt, asked.ref, amount="5000.00") == "refund_due"

    assert mpesa.balance(rt, amina) == 1_000_00
    assert paybill.held(rt, AccountKind.REFUND_DUE, amina) == 5_000_00
    assert teller.clean(rt)


def test_references_of_prompts_that_failed_are_no_way_round_it(rt, amina, asked, wait):
    first = asked
    told(rt, first, CANCELLED)
    wait(minutes=10)
    second = teller.ask(rt, amina, 90)
    teller.push(rt, wait)
    told(rt, second, CANCELLED)

    said = [
        paybill.pay(rt, one.ref, amount=amount, receipt=f"SKC2B0001{number}")
        for number, (one, amount) in enumerate(((second, "90.00"), (first, "50.00")))
    ]

    assert said == ["credited", "refund_due"]
    assert mpesa.balance(rt, amina) == 1_090_00
    assert teller.clean(rt)


def test_an_old_reference_that_is_paid_again_counts_on_the_day_of_the_payment(
    rt, amina, asked, wait
):
    assert paybill.pay(rt, asked.ref, amount="50.00", receipt="SKC2B00010") == "credited"
    wait(days=2)

    said = [
        paybill.pay(rt, asked.ref, amount="60.00", receipt=f"SKC2B0002{number}")
        for number in range(2)
    ]

    assert said == ["credited", "refund_due"]
    assert teller.asking(rt, amina, 50_00).facts["left"] == 40_00
    assert teller.clean(rt)


def test_a_claimed_code_is_held_against_it(rt, amina, daraja):
    paybill.limit_deposits(rt, amina, 100_00)
    with rt.transaction() as tx:
        claims.claim(
            tx, key=uuid.uuid4(), customer=tx.merge(amina, load=False), code=CODE,
            channel=Channel.USSD, session="test", now=rt.now(), config=rt.config,
        )  # fmt: skip
    mpesa.work(rt)

    assert paybill.answer(rt, daraja, receipt=CODE, amount=5_000) == "refund_due"

    assert mpesa.balance(rt, amina) == 1_000_00
    assert teller.clean(rt)


def test_waiting_long_for_m_pesas_word_is_no_way_round_it(rt, amina, daraja, wait):
    paybill.limit_deposits(rt, amina, 100_00)
    assert paybill.pay(rt, "0712000001", amount="50000.00") == "confirming"
    for _ in range(5):
        wait(hours=13)
        mpesa.sweep(rt)

    assert paybill.answer(rt, daraja, amount="50000.00") == "refund_due"

    assert mpesa.balance(rt, amina) == 1_000_00


def test_what_is_due_back_uses_nothing_up(rt, amina, daraja):
    paybill.limit_deposits(rt, amina, 250_00)
    assert paybill.pay(rt, "0712000001", amount="5000.00") == "refund_due"

    assert isinstance(teller.asking(rt, amina, 250_00), Asked)


def test_a_prompt_that_was_within_it_lands_though_it_is_cut_meanwhile(rt, amina, asked):
    paybill.limit_deposits(rt, amina, 10_00)

    assert told(rt, asked, 0, amount=50.0) == "credited"

    assert teller.state(rt, asked) == DepositState.CREDITED
    assert mpesa.balance(rt, amina) == 1_050_00


@pytest.mark.race
def test_an_asking_and_a_payment_at_once_do_not_pass_it_together(rt, amina, daraja):
    paybill.limit_deposits(rt, amina, 100_00)

    def act(number):
        if number:
            return teller.asking(rt, amina, 100_00)
        with rt.transaction() as tx:
            return c2b.take_pull_row(tx, paybill.row("0712000001"), rt.now())

    said = teller.at_once(2, act)

    assert sum(isinstance(one, Asked) or one == "credited" for one in said) == 1


def told(rt, asked, code, **more):
    checkout = mpesa.deposit(rt, asked.deposit_id).checkout_request_id
    return mpesa.post(rt, "stk", mpesa.push_result(checkout, code, **more))
