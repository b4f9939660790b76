"""Money in and out from a feature phone, with the house's own screens."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.exc import DBAPIError

from core import ledger
from core.customers import Customer, Standing
from core.outbox import Promise
from core.payments import Deposit, DepositState, Payout
from core.pins import PinAttempt
from core.runtime import Runtime
from tests.people import PIN, WRONG_PIN
from tests.ussd.handset import Handset
from ussd.engine import Switchboard
from ussd.screens.entry import entry


def count(rt: Runtime, table: type) -> int:
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(table)) or 0


def balance(rt: Runtime, customer: Customer) -> int:
    with rt.transaction() as tx:
        return ledger.balance(tx, customer.id)


@pytest.fixture
def last_is(rt: Runtime, amina: Customer) -> Callable[..., None]:
    """`last_is(DepositState.NOT_PAID, reason)`: how Amina's last deposit stands."""

    def stands(state: DepositState, reason: str | None = None) -> None:
        with rt.transaction() as tx:
            deposit = tx.scalars(select(Deposit).order_by(Deposit.id.desc()).limit(1)).one()
            deposit.state, deposit.reason = state, reason

    return stands


def test_a_deposit_ends_the_call_and_is_asked_for_afterwards(
    phone: Handset, rt: Runtime, amina: Customer
) -> None:
    phone.dial().press("3").sees("How much do you want to deposit? KES 1 to 250,000.")
    phone.press("250").sees("Deposit KES 250 from the M-PESA of 0712000001?", "1 Yes, deposit")
    assert count(rt, Deposit) == 0
    phone.press("1").sees("Enter your M-PESA PIN when asked", "KES 250", "Ref D").ended()
    with rt.transaction() as tx:
        (deposit,) = tx.scalars(select(Deposit))
        (promise,) = tx.scalars(select(Promise).where(Promise.kind == "stk"))
    assert (deposit.customer_id, deposit.amount) == (amina.id, 250_00)
    assert promise.due_at - promise.created_at >= timedelta(seconds=3)


def test_the_same_hop_twice_asks_mpesa_once(phone: Handset, rt: Runtime) -> None:
    phone.dial("3*250").press("1").sees("Enter your M-PESA PIN")
    asked = phone.screen
    assert phone.repeat().screen == asked
    rt.redis.flushdb()
    assert phone.repeat().screen == asked
    assert count(rt, Deposit) == 1


def test_an_amount_that_will_not_do_is_asked_again(phone: Handset, rt: Runtime) -> None:
    phone.dial("3")
    for amount in ("ten", "-5", "1" + "0" * 18, "10.50", "1*0", "\N{GRINNING FACE}", ""):
        phone.press(amount).sees("write the amount as a number", "0 Back")
    phone.press("250001").sees("largest deposit is KES 250,000")
    phone.press("0").sees("Hi Amina")
    assert count(rt, Deposit) == 0


def test_a_second_deposit_while_one_waits_is_told(phone: Handset, rt: Runtime) -> None:
    phone.dial("3*250").press("1").ended()
    phone.dial().press("3").sees("01 Last: KES 250, waiting").press("300", "1")
    phone.sees("still waiting for M-PESA", "0 Back 00 Home")
    assert count(rt, Deposit) == 1


def test_the_last_payment_says_how_it_stands_and_can_be_tried_again(
    phone: Handset, rt: Runtime, last_is, wait
) -> None:
    phone.dial("3*250").press("1").ended()
    phone.dial("3*01").sees("KES 250", "waiting for your M-PESA PIN", "Ref D")
    last_is(DepositState.CONFIRMING)
    phone.dial("3").sees("01 Last: KES 250, checking").press("01").sees("not pay it again yet")
    last_is(DepositState.CREDITED)
    phone.dial("3").sees("01 Last: KES 250, paid").press("01").sees("reached your wallet")
    last_is(DepositState.NOT_PAID, "money.why_cancelled")
    wait(minutes=3)
    phone.dial("3").sees("01 Last: KES 250, not paid").press("01")
    phone.sees("not paid", "You cancelled it. You were not charged.", "1 Try again")
    phone.press("1").sees("Deposit KES 250").press("1").sees("Enter your M-PESA PIN")
    assert count(rt, Deposit) == 2


def test_01_without_a_last_payment_is_no_amount(phone: Handset) -> None:
    phone.dial("3").sees_not("01 ").press("001").sees("Deposit KES 1 from")


def test_a_withdrawal_with_the_pin(phone: Handset, rt: Runtime, amina: Customer) -> None:
    phone.dial().press("4").sees("How much do you want to withdraw?", "Balance KES 1,000.")
    phone.press("300").sees("Type your PIN to withdraw KES 300")
    phone.press(PIN).sees("Send KES 300 to the M-PESA of 0712000001?")
    assert balance(rt, amina) == 1_000_00
    phone.press("1").sees("KES 300 is on its way", "Balance KES 700.").ended()
    sent = phone.screen
    assert phone.repeat().screen == sent
    rt.redis.flushdb()
    assert phone.repeat().screen == sent
    assert count(rt, Payout) == 1
    assert balance(rt, amina) == 700_00


def test_nothing_goes_out_without_the_pin(phone: Handset, rt: Runtime, amina: Customer) -> None:
    phone.dial(f"4*300*{PIN}*1").sees("Type your PIN")
    phone.press(WRONG_PIN).sees("Wrong PIN", "Type your PIN to withdraw KES 300")
    rt.redis.flushdb()
    phone.press("1").sees("Type your PIN")
    rt.redis.flushdb()
    phone.press(PIN).sees("Type your PIN")
    assert count(rt, PinAttempt) == 1
    assert balance(rt, amina) == 1_000_00


def test_a_withdrawal_dropped_behind_the_pin_asks_for_it_again(phone: Handset, rt: Runtime) -> None:
    phone.dial("4*300").press(PIN).sees("Send KES 300")
    phone.dial().sees("cut off").press("1").sees("Type your PIN to withdraw KES 300")
    phone.press(PIN, "1").sees("on its way").ended()
    phone.dial().sees("Hi Amina")
    assert count(rt, Payout) == 1


def test_more_than_there_is_or_less_than_is_sent(
    phone: Handset, rt: Runtime, amina: Customer
) -> None:
    phone.dial("4").press("1001").sees("You asked for KES 1,001, but your balance is KES 1,000")
    phone.press("9").sees("smallest withdrawal is KES 10").press("x").sees("as a number")
    assert count(rt, Payout) == 0


def test_who_is_closed_or_takes_a_break_can_still_withdraw(
    phone: Handset, rt: Runtime, amina: Customer
) -> None:
    with rt.transaction() as tx:
        tx.merge(amina).excluded_until = rt.now() + timedelta(days=7)
    phone.dial("3").sees("take a break until", "4 Withdraw")
    phone.dial("4*100").press(PIN, "1").sees("on its way")
    with rt.transaction() as tx:
        tx.get_one(Customer, amina.id).standing = Standing.CLOSED
    phone.dial().sees("This account is closed", "4 Withdraw").sees_not("1 Bet")
    phone.press("4", "100", PIN, "1").sees("on its way")
    assert balance(rt, amina) == 800_00


def test_a_failure_inside_leaves_nothing_behind(
    phone: Handset, rt: Runtime, amina: Customer
) -> None:
    """The wallet is held by somebody for longer than a hop may wait."""
    phone.dial("4*300").press(PIN).sees("Send KES 300")
    waits = {"options": "-c lock_timeout=100"}
    hurried = create_engine(rt.config.database_url, connect_args=waits)
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as holder:
        holder.execute(text("SELECT 1 FROM wallet FOR UPDATE"))
        other = Handset(Switchboard(dataclasses.replace(rt, engine=hurried), entry), amina.phone)
        other.session = phone.session
        with pytest.raises(DBAPIError, match="lock timeout"):
            other.send(f"{phone.text}*1")
    hurried.dispose()
    owner.dispose()
    assert balance(rt, amina) == 1_000_00
    phone.press("1").sees("on its way")
