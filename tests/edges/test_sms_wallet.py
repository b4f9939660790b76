"""Money and settings by SMS, over the door."""

from typing import Any

import pytest
from sqlalchemy import select

from core import customers
from core.customers import Customer
from core.payments import Deposit, DepositState, Payout, PayoutState
from core.runtime import Runtime
from tests.people import AMINA, PIN, STRANGER, WRONG_PIN
from tests.sms.phone import Phone


@pytest.fixture
def phone(rt: Runtime, amina: Customer) -> Phone:
    return Phone(rt, AMINA)


def rows(rt: Runtime, table: Any) -> list[Any]:
    with rt.transaction() as tx:
        return list(tx.scalars(select(table).order_by(table.id)))


def read(rt: Runtime, customer: Customer) -> Customer:
    with rt.transaction() as tx:
        return tx.get_one(Customer, customer.id)


def test_a_deposit_is_asked_for_once_and_its_state_can_be_asked(rt, phone, amina) -> None:
    reply = phone.text("DEP 100", id="one")
    assert phone.text("DEP 100", id="one") == reply
    (deposit,) = rows(rt, Deposit)
    assert (deposit.customer_id, deposit.amount, deposit.phone) == (amina.id, 100_00, AMINA)
    assert f"Ref {deposit.ref}." in reply
    waiting = phone.text("STATUS")
    assert "waiting for your M-PESA PIN" in waiting
    assert phone.text(f"HALI {deposit.ref.lower()}") == waiting
    assert "no such deposit" in phone.text("STATUS D000000")


def test_how_a_deposit_ended_is_told_in_the_customers_words(rt, phone) -> None:
    phone.text("DEP 100")
    for state, reason, said in (
        (DepositState.CREDITED, None, ": paid "),
        (DepositState.NOT_PAID, "money.why_cancelled", "not paid. You cancelled it."),
        (DepositState.SEND_UNKNOWN, None, "checking it with M-PESA"),
    ):
        with rt.transaction() as tx:
            (deposit,) = tx.scalars(select(Deposit))
            deposit.state, deposit.reason = state, reason
        assert said in phone.text("STATUS")


def test_an_amount_that_will_not_do_asks_for_nothing(rt, phone) -> None:
    for words, answer in (
        ("DEP abc", "could not read the amount"),
        ("DEP 0", "could not read the amount"),
        ("DEP -5", "could not read the amount"),
        ("DEP 1.5", "could not read the amount"),
        ("DEP 1000000000000000000", "could not read the amount"),
        ("DEP 😀", "could not read the amount"),
        ("DEP 250001", "largest deposit is KES 250,000"),
        ("DEP", "DEP and the amount"),
        ("STATUS", "no such deposit"),
        ("W 5 4826", "smallest withdrawal is KES 10"),
        ("W 1001 4826", "your balance is KES 1,000"),
        ("W abc 4826", "could not read the amount"),
        ("W 500", "W#500#PIN"),
        ("W 4826", "W#500#PIN"),
        ("W 500 48", "W#500#PIN"),
    ):
        assert answer in phone.text(words)
        assert "4826" not in phone.kept()[-1].masked
    assert (rows(rt, Deposit), rows(rt, Payout)) == ([], [])


def test_a_withdrawal_takes_the_pin_and_goes_to_the_sender_once(rt, phone, amina) -> None:
    reply = phone.text(f"W#500#{PIN}", id="one")
    assert phone.text(f"W#500#{PIN}", id="one") == reply
    assert reply == (
        "We are sending KES 500 to your M-PESA. Balance KES 500."
        " Delete your text: it shows your PIN."
    )
    (payout,) = rows(rt, Payout)
    assert (payout.customer_id, payout.phone, payout.amount) == (amina.id, AMINA, 500_00)
    assert phone.kept()[-1].masked == "W#500#****"
    assert "Your balance is KES 500." in phone.text("BAL")
    for state in (PayoutState.IN_DOUBT, PayoutState.NEEDS_HUMAN):
        with rt.transaction() as tx:
            tx.get_one(Payout, payout.id).state = state
        assert "KES 500 is on its way to your M-PESA" in phone.text("BAL")


def test_a_wrong_pin_withdraws_nothing_and_locks_in_the_end(rt, phone, amina, wait) -> None:
    assert "Wrong PIN. You have 2 more tries." in phone.text(f"W 500 {WRONG_PIN}", id="one")
    assert "Wrong PIN. You have 2 more tries." in phone.text(f"W 500 {WRONG_PIN}", id="one")
    assert "1 more try" in phone.text(f"W 500 {WRONG_PIN}")
    assert "now locked until" in phone.text(f"TOA 500 {WRONG_PIN}")
    assert "locked until" in phone.text(f"W 500 {PIN}")
    assert rows(rt, Payout) == []
    assert {one.masked for one in phone.kept()} == {"W *** ****", "TOA *** ****"}
    wait(minutes=16)
    assert "We are sending" in phone.text(f"W 500 {PIN}")


def test_the_pin_changes_with_the_old_one(rt, phone, amina) -> None:
    assert "Wrong PIN" in phone.text(f"PIN {WRONG_PIN} 5937")
    assert "easy to guess" in phone.text(f"PIN {PIN} 1234")
    assert "same as the old one" in phone.text(f"PIN {PIN} {PIN}")
    assert phone.text(f"PIN {PIN} 5937") == (
        "Your PIN is changed. Delete your text: it shows your PIN."
    )
    assert "We are sending" in phone.text("W 100 5937")
    assert {one.masked for one in phone.kept()[:4]} == {"PIN **** ****"}


def test_a_forgotten_pin_is_reset_by_code_and_name(rt, phone, amina) -> None:
    assert "code comes in another SMS" in phone.text("RESET")
    code = phone.code()
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    assert "not right" in phone.text(f"RESET {wrong} 5937 Amina Wanjiru", id="one")
    assert "not right" in phone.text(f"RESET {wrong} 5937 Amina Wanjiru", id="one")
    assert "easy to guess" in phone.text(f"RESET {code} 1234 Amina Wanjiru")
    assert "Tries left: 1" in phone.text(f"RESET {code} 5937 Brian Otieno")
    assert "PIN is changed" in phone.text(f"RESET {code} 5937 amina wanjiru")
    assert any("PIN was reset" in text for text in phone.inbox())
    assert "withdrawals open on" in phone.text("W 100 5937")
    assert not any(secret in one.masked for one in phone.kept() for secret in (code, "5937"))


def test_auto_cashout_takes_the_pin(rt, phone, amina) -> None:
    assert "add your PIN" in phone.text("AUTO OFF")
    assert read(rt, amina).auto_cashout
    assert "stay in your wallet" in phone.text(f"AUTO OFF {PIN}")
    assert not read(rt, amina).auto_cashout
    assert "straight to your M-PESA" in phone.text(f"AUTO ON {PIN}")
    assert read(rt, amina).auto_cashout


def test_who_may_not_play_may_still_withdraw(rt, phone, amina) -> None:
    with rt.transaction() as tx:
        tx.get_one(Customer, amina.id).excluded_until = rt.now().replace(year=rt.now().year + 1)
    assert "take a break" in phone.text("DEP 100")
    assert "We are sending" in phone.text(f"W 500 {PIN}")


def test_stop_and_start_and_words_without_an_act(rt, phone) -> None:
    assert "No more news" in phone.text("STOP")
    assert "our news again" in phone.text("START")
    assert "cannot be cancelled" in phone.text("CANCEL 9002711")
    assert "W#500#PIN" in phone.text("HELP W")
    assert "did not understand" in phone.text("😀")
    assert "did not understand" in phone.text("")
    assert "To bet: 101#1#50" in phone.text("TIPS")
    assert "Did you mean WITHDRAW?" in phone.text("WITHDRAE 500 4826")
    assert "Did you mean TOA or STOP?" in phone.text("TOKA 500 4826")
    assert rows(rt, Payout) == []


def test_a_pin_for_a_number_that_is_nobodys_costs_nobody_a_try(rt, amina) -> None:
    assert "Welcome" in Phone(rt, STRANGER).text(f"W 500 {PIN}")
    with rt.transaction() as tx:
        assert customers.find(tx, STRANGER) is None
    assert read(rt, amina).pin_tried == 0
