"""The statement by SMS: the newest five lines and the balance."""

import pytest

from core.customers import Customer
from core.runtime import Runtime
from core.staff import Staff
from tests import affairs, people
from tests.sms.phone import Phone


@pytest.mark.parametrize("word", ["STATEMENT", "taarifa", "Statement please"])
def test_the_newest_five_lines(
    rt: Runtime, amina: Customer, brian: Customer, wanjiku: Staff, kamau: Staff, word: str
) -> None:
    affairs.of(rt, amina, brian, wanjiku, kamau)
    lines = Phone(rt, amina.phone).text(word).split("\n")
    assert [line.partition(" ")[2] for line in lines[:-1]] == [
        "Deposit 95, failed",
        "Deposit +90",
        "Deposit 80, waiting",
        "Back to wallet +60",
        "To M-PESA -70, waiting",
    ]
    assert lines[-1] == "Balance KES 1,655."


def test_a_wallet_in_which_nothing_moved(rt: Runtime) -> None:
    people.customer(rt, people.AMINA, "Amina Wanjiru")
    phone = Phone(rt, people.AMINA)
    assert "Nothing has moved" in phone.text("TAARIFA")
    assert "STATEMENT" in phone.text("HELP STATEMENT")
    phone.text("LUGHA SW")
    assert "Bado hakuna pesa" in phone.text("STATEMENT")


def test_a_stranger_is_welcomed(rt: Runtime) -> None:
    assert "JOIN" in Phone(rt, people.STRANGER).text("STATEMENT")
