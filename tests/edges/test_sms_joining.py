"""Signing up by SMS alone, over the door."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import func, select

from core import customers, pins
from core.customers import Customer, Standing
from core.outbox import Promise
from core.runtime import Runtime
from tests.people import PIN, STRANGER
from tests.sms.phone import Phone


@pytest.fixture
def phone(rt: Runtime, noon: None) -> Phone:
    return Phone(rt, STRANGER)


@pytest.fixture
def phones(rt: Runtime) -> Callable[[], Phone]:
    """One stranger after the other."""
    numbers: Iterator[int] = iter(range(712_000_100, 712_000_999))
    return lambda: Phone(rt, f"+254{next(numbers)}")


def customer(phone: Phone) -> Customer:
    with phone.rt.transaction() as tx:
        found = customers.find(tx, phone.number)
        assert found is not None
        return found


def count(rt: Runtime, table: type) -> int:
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(table)) or 0


def up_to_the_code(phone: Phone) -> Phone:
    for words in ("JOIN Amina Wanjiku", "ACCEPT 25121990", f"PIN {PIN} {PIN}"):
        phone.text(words)
    return phone


def test_a_stranger_signs_up_with_four_texts(phone: Phone) -> None:
    assert "send JOIN" in phone.text("hello")
    assert "send ACCEPT" in phone.text("JOIN amina wanjiku otieno")
    assert "choose a secret 4-digit PIN" in phone.text("ACCEPT 25121990")
    assert phone.text(f"PIN {PIN} {PIN}") == (
        "PIN saved. Your code comes in another SMS. Delete your text: it shows your PIN."
    )
    assert f"VERIFY {phone.code()}" in phone.inbox()[-2]
    assert "account is ready" in phone.text(f"VERIFY {phone.code()}")

    joined = customer(phone)
    assert (joined.name, joined.standing) == ("Amina Wanjiku Otieno", Standing.ACTIVE)
    right = pins.check(phone.rt, joined.id, PIN, now=phone.rt.now())
    assert isinstance(right, pins.RightPin)
    assert "Your balance is KES 0." in phone.text("BAL")
    assert "Your account is ready" in phone.text("JOIN Somebody Else")
    assert customer(phone).name == "Amina Wanjiku Otieno"


def test_and_in_kiswahili_when_the_first_word_is(phone: Phone) -> None:
    assert "tuma KUBALI" in phone.text("JIUNGE Amina Wanjiku")
    assert "chagua PIN" in phone.text("KUBALI 25/12/1990")
    assert "Futa ujumbe wako" in phone.text(f"PIN {PIN} {PIN}")
    assert "iko tayari" in phone.text(phone.code())  # the code alone is enough
    assert phone.text("bal").startswith("Salio lako ni KES 0.")


def test_whatever_is_asked_half_way_gets_the_next_step(phone: Phone) -> None:
    phone.text("JOIN Amina Wanjiku")
    for words in ("DEP 100", "101#1#50", "W 100 4826", "STATUS", "BETS", "AUTO OFF 4826"):
        assert "send ACCEPT" in phone.text(words)
    for words in ("25121990", "DEP", "mimi ni mkubwa"):
        assert "send ACCEPT" in phone.text(words)
    phone.text("ACCEPT 25121990")
    for words in ("DEP 100", f"{PIN} {PIN}"):
        assert "choose a secret 4-digit PIN" in phone.text(words)


def test_a_birth_date_that_will_not_do_leaves_nothing_behind(phone: Phone) -> None:
    phone.text("JOIN Amina Wanjiku")
    for words, answer in (
        ("ACCEPT 31021990", "8 digits"),
        ("ACCEPT 25122015", "you must be 18 or older"),
        ("ACCEPT 25121990", "you must be 18 or older"),  # another year does not help at once
        ("ACCEPT 1990", "8 digits"),
        ("ACCEPT", "day, month, year"),
    ):
        assert answer in phone.text(words)
        assert (customer(phone).terms_at, customer(phone).birth) == (None, None)
        assert not any(map(str.isdigit, phone.kept()[-1].masked))


def test_a_name_that_will_not_do_begins_no_account(rt: Runtime, phones) -> None:
    for words, answer in (
        ("JOIN", "JOIN and your full name"),
        ("JOIN Amina", "at least two names"),
        ("JOIN Amina 4821", "letters only"),
        ("JOIN Amina*Wanjiku Otieno", "letters only"),
        ("JOIN 😀 😀", "letters only"),
        ("JOIN " + "Wanjiku " * 12, "too long"),
    ):
        assert answer in phones().text(words)
    assert count(rt, Customer) == 0


def test_a_pin_that_will_not_do_is_kept_nowhere(phone: Phone) -> None:
    phone.text("JOIN Amina Wanjiku")
    phone.text("ACCEPT 25121990")
    for words, answer in (
        ("PIN 1234 1234", "easy to guess"),
        ("PIN 4826 4862", "not the same"),
        ("PIN 4826", "the old one and the new one"),
        ("PIN 48261 48261", "the old one and the new one"),
    ):
        assert answer in phone.text(words)
        assert customer(phone).pin_hash is None
        assert not any(map(str.isdigit, phone.kept()[-1].masked))


def test_the_choice_of_a_pin_sent_twice_is_no_wrong_pin(phone: Phone) -> None:
    up_to_the_code(phone)
    assert "Send VERIFY" in phone.text(f"PIN {PIN} {PIN}")
    assert customer(phone).pin_tried == 0


def test_a_wrong_code_is_told_and_counted_once_whatever_is_repeated(phone: Phone) -> None:
    up_to_the_code(phone)
    wrong = f"{(int(phone.code()) + 1) % 1_000_000:06}"
    assert "Tries left: 2" in phone.text(f"VERIFY {wrong}", id="same")
    assert "Tries left: 2" in phone.text(f"VERIFY {wrong}", id="same")
    assert "Tries left: 1" in phone.text(f"VERIFY {wrong}")
    assert "account is ready" in phone.text(f"VERIFY {phone.code()}")


def test_verify_alone_asks_for_another_code_and_not_too_soon(phone: Phone, wait) -> None:
    up_to_the_code(phone)
    first = phone.code()
    assert "Please wait" in phone.text("VERIFY")
    wait(minutes=1)
    assert "new code is on its way" in phone.text("VERIFY")
    assert phone.code() != first
    assert "not the code" in phone.text(f"VERIFY {first}")
    assert "account is ready" in phone.text(f"VERIFY {phone.code()}")


def test_a_stranger_gets_one_welcome_a_day_and_three_answers(phone: Phone, wait) -> None:
    assert "Welcome" in phone.text("hello")
    assert [phone.text(words) for words in ("hello", "BAL", "101#1#50", "W 500 1234")] == [""] * 4
    assert "No games" in phone.text("GAMES")
    assert "GAMES" in phone.text("HELP")
    assert phone.text("GAMES") == ""
    assert [one.verdict for one in phone.kept()].count("unanswered") == 5
    wait(days=1)
    assert "Welcome" in phone.text("hello")
    phone.text("HELP")
    phone.text("HELP")
    assert "send ACCEPT" in phone.text("JOIN Amina Wanjiku")  # who joins is no stranger


def test_a_stranger_who_said_stop_is_not_even_welcomed(phone: Phone) -> None:
    assert "No more news" in phone.text("STOP")
    assert phone.text("hello") == ""


def test_a_number_that_can_be_no_customers_begins_nothing(rt: Runtime) -> None:
    foreign = Phone(rt, "+256772123456")
    assert "Kenyan numbers only" in foreign.text("JOIN Amina Wanjiku")
    promised = count(rt, Promise)
    for number in ("+256772123456", "0202000111", "HOUSE", "22384", "+254", "'; --", "+" * 20):
        assert Phone(rt, number).text("JOIN Amina Wanjiku") == ""
    assert (count(rt, Customer), count(rt, Promise)) == (0, promised)


def test_a_number_is_known_in_every_form(rt: Runtime) -> None:
    for number in ("0712000009", "254712000009", " 254712000009", "+254712000009"):
        Phone(rt, number).text("JOIN Amina Wanjiku")
    assert count(rt, Customer) == 1
