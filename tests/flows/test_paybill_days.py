"""Paybill money over HTTP: brought by hand, kept, attached, sent back, and taken back by M-PESA."""

import pytest

from core import ledger
from core.ledger import AccountKind
from core.refund_rows import RefundState
from demo.settings import PAYBILL
from tests import mpesa, paybill, people, teller


def test_a_payment_by_hand_is_credited_and_confirmed(rt, phone, work, amina):
    phone(people.AMINA).pay_paybill(100, account="0712 000 001")
    work()

    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.unconfirmed(rt, amina) == 0


def test_a_prompt_that_is_confirmed_by_hand_too_is_credited_once(rt, network, phone, work, amina):
    network.fault("c2bAlsoForStk", "stk", phone=people.AMINA)
    asked = teller.ask(rt, amina, 100)
    work()
    phone(people.AMINA).await_stk()
    phone(people.AMINA).enter_mpesa_pin("1234")
    work()

    assert mpesa.balance(rt, amina) == 1_100_00
    assert mpesa.deposit(rt, asked.deposit_id).code == "0"
    kinds = {sent["kind"] for sent in network.callbacks()}
    assert {"stk", "c2b"} <= kinds


@pytest.mark.parametrize("method", ["reversal", "b2c"])
def test_what_is_nobodys_goes_back_to_who_paid_it(rt, network, phone, work, amina, method):
    payer = phone(people.STRANGER)
    before = payer.balance()
    network.set_float(10_000, shortcode=rt.config.mpesa_b2c_shortcode)
    receipt = payer.pay_paybill(100, account="rent")
    work()
    assert paybill.held(rt) == 100_00

    to = people.STRANGER if method == "b2c" else None
    paybill.decide(rt, "refund", receipt=receipt, method=method, to=to)
    work()

    assert paybill.refund_state(rt) == RefundState.PAID
    assert payer.balance() == before
    assert paybill.held(rt) == 0


@pytest.mark.parametrize("scenario", ["losesSync", "losesCallback", "callbackBeforeAck"])
def test_a_reversal_goes_back_once_whatever_is_lost(rt, network, phone, work, wait, scenario):
    payer = phone(people.STRANGER)
    before = payer.balance()
    receipt = payer.pay_paybill(100, account="rent")
    work()
    network.fault(scenario, "reversal")

    paybill.decide(rt, "refund", receipt=receipt, method="reversal")
    work()
    for minutes in (3, 3, 15):
        wait(minutes=minutes)
        work()

    assert payer.balance() == before
    lost = scenario == "losesCallback"
    assert paybill.refund_state(rt) == (RefundState.IN_DOUBT if lost else RefundState.PAID)
    if lost:  # found in the portal, by two people
        linked = next(line["receipt"] for line in network.books()["transactions"] if line["linked"])
        assert paybill.reversed_by_mpesa(rt, receipt=receipt, reversal=linked) == "paid"
    assert paybill.held(rt) == 0


def test_money_of_the_excluded_goes_back_by_itself(rt, network, phone, work, amina):
    teller.exclude(rt, amina)
    before = phone(people.AMINA).balance()
    phone(people.AMINA).pay_paybill(100, account="0712000001")
    work()

    assert phone(people.AMINA).balance() == before
    assert paybill.held(rt, AccountKind.REFUND_DUE, amina) == 0
    assert mpesa.texts(rt, amina) == ["money.deposit_refund_due", "money.refund_sent"]


def test_a_payment_that_m_pesa_takes_back_leaves_the_wallet(rt, network, phone, work, amina):
    receipt = phone(people.AMINA).pay_paybill(100, account="0712000001")
    work()
    reversal = network.reverse(receipt)

    paybill.decide(rt, "reversed", receipt=receipt, reversal=reversal)

    assert mpesa.balance(rt, amina) == 1_000_00
    with rt.transaction() as tx:
        held = ledger.account_balance(tx, AccountKind.MPESA_UTILITY, shortcode=PAYBILL)
    assert held == 0
