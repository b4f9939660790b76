"""Settings of the account from a feature phone."""

from collections.abc import Callable

from core import customers
from core.customers import Customer
from core.runtime import Runtime
from tests.people import PIN, WRONG_PIN
from tests.ussd.handset import Handset

NEW = "7305"


def fresh(rt: Runtime, customer: Customer) -> Customer:
    with rt.transaction() as tx:
        found = customers.find(tx, customer.phone)
    assert found is not None
    return found


def test_the_language_is_changed_from_the_next_screen_on(
    phone: Handset, rt: Runtime, amina: Customer
) -> None:
    phone.dial("7").sees("Amina Wanjiru, 0712000001", "1 Language").press("1", "2")
    phone.sees("Habari Amina. Salio KES 1,000.", "4 Toa pesa")
    assert fresh(rt, amina).lang == "sw"
    phone.press("7", "1", "1").sees("Hi Amina")


def test_the_pin_is_changed_with_the_old_one(phone: Handset, rt: Runtime, amina: Customer) -> None:
    before = fresh(rt, amina).pin_hash
    phone.dial("7*2").sees("1 Change PIN", "2 I forgot my PIN").press("1", WRONG_PIN)
    phone.sees("Wrong PIN").press(PIN).sees("new secret PIN")
    phone.press("1234").sees("easy to guess").press(NEW, "7306").sees("not the same")
    assert fresh(rt, amina).pin_hash == before
    phone.press(NEW).sees("Your PIN is changed")
    phone.dial("4*100").press(PIN).sees("Wrong PIN").press(NEW).sees("Send KES 100")


def test_a_dropped_change_asks_for_the_old_pin_again(phone: Handset) -> None:
    phone.dial("7*2*1").press(PIN, NEW).sees("once more")
    phone.dial().press("1").sees("Type the PIN you have now")


def test_a_forgotten_pin_is_reset_by_code_and_name(
    phone: Handset, rt: Runtime, amina: Customer, code_sent: Callable[[str], str]
) -> None:
    phone.dial("7*2*2").sees("code by SMS", "24 hours").press("1").sees("full name")
    digits = code_sent(amina.phone)
    wrong = f"{(int(digits) + 1) % 1_000_000:06}"
    phone.press("Amina Wanjiru", NEW, NEW).sees("code of 6 digits")
    phone.press(wrong).sees("The code or the name is not right").press(digits)
    phone.sees("Your new PIN works now").ended()
    phone.dial("4").sees("Your PIN was reset", "withdrawals open on")


def test_a_code_of_yesterday_is_not_asked_for_again_before_it_is_sent(
    phone: Handset, amina: Customer, code_sent: Callable[[str], str]
) -> None:
    phone.dial("7*2*2").press("1").sees("full name")
    phone.dial("7*2*2").press("1").sees("wait", "1 Send me a code").press("2").sees("full name")


def test_auto_cash_out_is_turned_with_the_pin(phone: Handset, rt: Runtime, amina: Customer) -> None:
    phone.dial("7").sees("3 Wins to M-PESA: on").press("3").sees("sent to your M-PESA at once")
    phone.press("1").sees("Type your PIN").press(WRONG_PIN).sees("Wrong PIN")
    assert fresh(rt, amina).auto_cashout
    phone.press(PIN).sees("3 Wins to M-PESA: off")
    assert not fresh(rt, amina).auto_cashout
    phone.press("3").sees("stays in your wallet").press("1", PIN).sees("M-PESA: on")
