"""What people do with their phones in these stories, keystroke by keystroke."""

import re

from core import customers, ledger

PIN, BIRTH, MPESA_PIN = "4826", "14021990", "1234"
LANGUAGES = {"en": "1", "sw": "2"}


def sign_up_by_ussd(phone, work, *, lang="en", name="Amina Wanjiru"):
    """From a number nobody knows to a verified customer's home screen."""
    phone.dial().sees("CON", "English", "Kiswahili")
    phone.press(LANGUAGES[lang], "1", name, BIRTH, PIN, PIN).sees("CON", "SMS")
    work()
    return phone.press(code_in(phone)).sees("CON", "1 ", "KES 0")


def sign_up_by_sms(phone, work, *, name="Brian Otieno"):
    """The same by texts alone."""
    for text in (f"JOIN {name}", f"ACCEPT {BIRTH}", f"PIN {PIN} {PIN}"):
        phone.text(text)
        work()
    phone.text(f"VERIFY {code_in(phone)}")
    work()


def deposit_by_ussd(phone, work, shillings):
    """Ask for the prompt, and pay."""
    phone.dial().press("3", str(shillings)).sees(f"KES {shillings:,}")
    phone.press("1").sees("END", "M-PESA")
    pay(phone, work)


def pay(phone, work):
    """Answer the M-PESA prompt that is on its way."""
    work()
    phone.await_stk()
    phone.enter_mpesa_pin(MPESA_PIN)
    work()


def code_in(phone):
    """The newest one-time code in the inbox."""
    codes = [found[0] for sms in phone.inbox() if (found := re.findall(r"\b\d{6}\b", sms.text))]
    assert codes, [sms.text for sms in phone.inbox()]
    return codes[-1]


def wallets(rt, *phones):
    """What each of them has, in cents."""
    with rt.transaction() as tx:
        people = [customers.find(tx, phone.number) for phone in phones]
        return [ledger.balance(tx, person.id) for person in people]
