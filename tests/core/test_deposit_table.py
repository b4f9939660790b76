"""The table of a deposit, row for row: every event in every state, and what becomes of it."""

import pytest

from core import c2b, landings, notices
from core.payments import Deposit, DepositState
from tests import mpesa, paybill, teller
from tests.paybill import RECEIPT

CREATED, SENDING, PROMPTED, SEND_UNKNOWN, REFUSED, NOT_PAID, AWAITING, CONFIRMING, CREDITED = (
    DepositState
)
EVERY = tuple(DepositState)
OPEN = EVERY[:-1]  # whatever went before, a success is booked
UNSURE = (SENDING, PROMPTED, SEND_UNKNOWN)
UNPAID = (*UNSURE, REFUSED, NOT_PAID)


def callback(code=0, **more):
    def event(rt, tx, deposit):
        notice = notices.push(mpesa.push_result("ws_CO_1", code, receipt=RECEIPT, **more))
        return landings.take_push(tx, deposit, notice, now=rt.now(), config=rt.config)

    return event


def no_receipt(rt, tx, deposit):
    told = mpesa.push_result("ws_CO_1", receipt="")
    return landings.take_push(tx, deposit, notices.push(told), now=rt.now(), config=rt.config)


def query(code):
    def event(rt, tx, deposit):
        landings.take_query(tx, deposit, code, now=rt.now(), config=rt.config)

    return event


def confirmation(rt, tx, deposit):
    return c2b.take(tx, paybill.confirmation(deposit.ref), rt.now())


def row(rt, tx, deposit):
    return c2b.take_pull_row(tx, paybill.row(deposit.ref), rt.now())


# What an event makes of the states named; every other state stays as it is.
TABLE = {
    "paid": (callback(), dict.fromkeys(OPEN, CREDITED)),
    "confirmed by hand": (confirmation, dict.fromkeys(OPEN, CREDITED)),
    "pulled": (row, dict.fromkeys(OPEN, CREDITED)),
    "another amount": (callback(amount=900), dict.fromkeys(OPEN, CONFIRMING)),
    "another phone": (callback(phone=254712000002), dict.fromkeys(OPEN, CONFIRMING)),
    "failed": (callback(1032), dict.fromkeys(UNSURE, NOT_PAID)),
    "unknown code": (callback(7777), {}),
    "paid without a receipt": (no_receipt, dict.fromkeys(UNPAID, AWAITING)),
    "query says paid": (query("0"), dict.fromkeys(UNPAID, AWAITING)),
    "query says failed": (query("1032"), dict.fromkeys(UNSURE, NOT_PAID)),
    "query says something else": (query("7777"), {}),
    "query says not yet": (query(None), {}),
}


@pytest.mark.parametrize("name", TABLE)
def test_every_event_in_every_state(rt, amina, wait, name):
    mpesa.Daraja(rt)
    event, becomes = TABLE[name]
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    before = mpesa.balance(rt, amina)
    for state in EVERY:
        with rt.sessions() as tx:  # each state anew: nothing of it is kept
            deposit = tx.get_one(Deposit, asked.deposit_id, with_for_update=True)
            deposit.state = state
            tx.flush()

            event(rt, tx, deposit)
            tx.flush()
            tx.refresh(deposit)

            assert DepositState(deposit.state) == becomes.get(state, state), (name, state)
            tx.rollback()
    assert mpesa.balance(rt, amina) == before


@pytest.mark.parametrize("name", ["paid", "confirmed by hand", "pulled"])
def test_the_same_receipt_again_is_no_second_credit(rt, amina, wait, name):
    mpesa.Daraja(rt)
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    for first in ("paid", name, name):
        with rt.transaction() as tx:
            deposit = tx.get_one(Deposit, asked.deposit_id, with_for_update=True)
            TABLE[first][0](rt, tx, deposit)

    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.clean(rt)


def test_another_receipt_for_a_deposit_that_is_credited_is_a_second_credit(rt, amina, wait):
    mpesa.Daraja(rt)
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1"))

    assert paybill.pay(rt, asked.ref) == "credited"

    assert mpesa.balance(rt, amina) == 1_200_00
    assert teller.clean(rt)


def test_a_payment_by_hand_before_the_push_left_saves_the_prompt(rt, amina, wait):
    daraja = mpesa.Daraja(rt)
    asked = teller.ask(rt, amina, 100)

    assert paybill.pay(rt, asked.ref) == "credited"
    teller.push(rt, wait)

    assert daraja.requests("stk") == []
