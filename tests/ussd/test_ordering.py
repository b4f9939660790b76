"""Deposit and bet in one, from a feature phone: short of money, confirm, and the bet follows."""

import pytest
from sqlalchemy import func, select

from core.betting import Bet
from core.customers import Customer
from core.markets import Market
from core.orders import DepositOrder, OrderState
from core.payments import Deposit
from core.runtime import Runtime
from core.staff import Staff
from tests import games, mpesa, people, teller
from tests.people import PIN, WRONG_PIN
from tests.ussd.handset import Handset


@pytest.fixture(autouse=True)
def daraja(rt: Runtime) -> mpesa.Daraja:
    return mpesa.Daraja(rt)


def count(rt: Runtime, table: type) -> int:
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(table)) or 0


def short(phone: Handset, derby: Market, stake: str = "1500") -> Handset:
    """As far as the screen that says what is missing."""
    return phone.dial().press("1", "3", str(derby.code), "1", stake)


def paid(rt: Runtime, wait, amount: int) -> None:
    teller.push(rt, wait)
    with rt.transaction() as tx:
        newest = select(Deposit).order_by(Deposit.id.desc()).limit(1)
        checkout = tx.scalars(newest).one().checkout_request_id
    assert checkout
    mpesa.post(rt, "stk", mpesa.push_result(checkout, amount=amount))


def test_what_is_missing_is_asked_for_and_the_bet_follows(
    phone: Handset, rt: Runtime, amina: Customer, derby: Market, wait
) -> None:
    short(phone, derby, "1040").sees("You need KES 40 more", "1 Deposit KES 40 and bet")
    phone.press("1").sees("Type your PIN to bet KES 1,040")
    phone.press(PIN).sees("Deposit KES 40 and bet KES 1,040 on Gor Mahia", "1 Yes")
    assert count(rt, Deposit) == 0
    phone.press("1").sees(
        "Enter your M-PESA PIN when asked", "KES 40", "Your bet is placed"
    ).ended()
    asked = phone.screen
    assert phone.repeat().screen == asked
    rt.redis.flushdb()
    assert phone.repeat().screen == asked
    assert (count(rt, Deposit), count(rt, DepositOrder)) == (1, 1)
    paid(rt, wait, 40)
    assert (count(rt, Bet), mpesa.balance(rt, amina)) == (1, 0)


def test_a_bet_under_the_limit_needs_no_pin(
    house, rt: Runtime, brian: Customer, derby: Market, wait
) -> None:
    phone = Handset(house, phone=brian.phone)
    short(phone, derby, "600").press("1").sees("Deposit KES 100 and bet KES 600")
    phone.press("1").ended()
    assert count(rt, DepositOrder) == 1


def test_without_the_right_pin_nothing_is_asked(phone: Handset, rt: Runtime, derby: Market) -> None:
    short(phone, derby).press("1", WRONG_PIN).sees("Wrong PIN")
    phone.press("0").sees("You need KES 500 more")
    assert count(rt, DepositOrder) == 0


def test_only_the_deposit_can_be_chosen(phone: Handset, rt: Runtime, derby: Market) -> None:
    short(phone, derby).press("2").sees("Deposit KES 500 from the M-PESA").press("1").ended()
    assert (count(rt, Deposit), count(rt, DepositOrder)) == (1, 0)


def test_the_money_may_come_while_the_caller_thinks(
    phone: Handset, rt: Runtime, amina: Customer, derby: Market
) -> None:
    short(phone, derby).press("1")
    people.fund(rt, amina, 500_00)
    phone.press(PIN).sees("You have the money now. Bet KES 1,500").press("1").sees("placed")
    assert (count(rt, Bet), count(rt, Deposit)) == (1, 0)
    rt.redis.flushdb()
    phone.repeat().sees("placed")


def test_a_game_that_closes_meanwhile_is_not_paid_for(
    phone: Handset, rt: Runtime, derby: Market, wanjiku: Staff
) -> None:
    short(phone, derby).press("1", PIN).sees("Deposit KES 500 and bet")
    games.close(rt, derby, wanjiku)
    phone.press("1").sees("Betting on this game has closed")
    assert count(rt, Deposit) == 0


def test_trying_again_brings_the_bet_with_it(
    phone: Handset, rt: Runtime, amina: Customer, derby: Market, wait
) -> None:
    short(phone, derby).press("1", PIN, "1").ended()
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", 1032))
    wait(minutes=2)
    phone.dial("3*01").sees("not paid", "You cancelled it").press("1").sees("Type your PIN to bet")
    phone.press(PIN).sees("Deposit KES 500 and bet KES 1,500").press("1").ended()
    with rt.transaction() as tx:
        (order,) = tx.scalars(select(DepositOrder))
        assert order.state == OrderState.WAITING
    paid(rt, wait, 500)
    assert (count(rt, Bet), mpesa.balance(rt, amina)) == (1, 0)


def test_an_order_that_has_ended_is_tried_again_as_a_deposit(
    phone: Handset, rt: Runtime, derby: Market, wait
) -> None:
    short(phone, derby).press("1", PIN, "1").ended()
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", 1032))
    wait(minutes=10)
    phone.dial("3*01").press("1").sees("Deposit KES 500 from the M-PESA")
