"""New PINs by function call: which are refused, changes with the old one, resets by code."""

import contextlib
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from core import codes, customers, pins
from core.codes import NoCode, Purpose, RightCode, WrongCode
from core.customers import Customer
from core.errors import Refusal
from core.messages import Message
from core.pins import LockedPin, PinAttempt, RightPin, WrongPin
from tests.core.sign_up import AMINA, NAME, NOBODY, PIN, another, read, sent_code, sign_up

NOON = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WRONG, NEW_PIN = another(PIN), "8263"


@pytest.fixture
def amina(rt) -> int:
    return sign_up(rt, now=NOON)


def reason(act, *args, **kwargs) -> str:
    with pytest.raises(Refusal) as refused:
        act(*args, **kwargs)
    return refused.value.reason


def reset(rt, digits, *, name=NAME, now=NOON, once=None, phone=AMINA):
    with rt.transaction() as tx:
        customer = customers.find(tx, phone)
        pin_hash = pins.choose(rt.config, customer, NEW_PIN) if customer else "a hash"
    return codes.reset(
        rt, phone=phone, digits=digits, name=name, pin_hash=pin_hash, now=now, once=once
    )


# -- Which PINs are refused


@pytest.mark.parametrize(
    "pin",
    ["0000", "7777", "1211", "1122", "1212", "1221", "1234", "4321", "8901", "0987", "2468", "7531",
     "1930", "1985", "2024", "2039", "2580", "0852", "1478", "3214", "1213", "2021", "1379",
     "1470"],
)  # fmt: skip
def test_commonplace_pins_are_weak(pin):
    assert pins.weak(pin, phone=AMINA, birth=None)


def test_the_blocklist_is_about_a_thousand():
    assert 1_000 <= len(pins.commonplace()) <= 1_100
    assert all(len(pin) == 4 and pin.isdigit() for pin in pins.commonplace())


def test_what_others_know_of_a_person_is_weak():
    phone, birth = "+254712347306", date(1990, 8, 27)
    for pin in ("7306", "2708", "1990"):
        assert pins.weak(pin, phone=phone, birth=birth), pin
    for pin in ("7306", "2708"):
        assert not pins.weak(pin, phone=AMINA, birth=date(1985, 1, 3)), pin
    assert not pins.weak("6037", phone=phone, birth=birth)


def test_choosing_asks_phone_and_birth(rt, amina):
    with rt.transaction() as tx:
        customer = tx.get_one(Customer, amina)
        assert reason(pins.choose, rt.config, customer, "2512") == "customers.pin_weak"
        assert reason(pins.choose, rt.config, customer, AMINA[-4:]) == "customers.pin_weak"
        assert reason(pins.choose, rt.config, customer, "123") == "customers.pin_unreadable"
        assert pins.choose(rt.config, customer, "8263")


@given(
    st.text()
    | st.sampled_from(
        ["12345", "1*34", "\U0001f512", str(10**18), "١٢٣٤", "²³¹²", "1234\n", "-123"]
    )
)
def test_no_text_breaks_the_pin(written):
    with contextlib.suppress(Refusal):
        assert pins.read(written) == written
        assert written.isascii()
        assert written.isdigit()
        assert len(written) == 4


def test_a_refusal_does_not_repeat_the_pin():
    with pytest.raises(Refusal) as refused:
        pins.read("73061")
    assert "73061" not in f"{refused.value} {refused.value.facts}"


# -- Change


def test_a_pin_is_changed_with_the_old_one(rt, amina):
    assert pins.change(rt, amina, PIN, NEW_PIN, now=NOON) == RightPin(NOON)

    assert pins.check(rt, amina, PIN, now=NOON) == WrongPin(left=2)
    assert pins.check(rt, amina, NEW_PIN, now=NOON) == RightPin(NOON)
    assert read(rt, amina).pin_reset_at is None


def test_a_wrong_old_pin_changes_nothing_and_counts(rt, amina):
    assert pins.change(rt, amina, WRONG, NEW_PIN, now=NOON) == WrongPin(left=2)
    assert pins.check(rt, amina, NEW_PIN, now=NOON) == WrongPin(left=1)
    assert pins.check(rt, amina, PIN, now=NOON) == RightPin(NOON)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (PIN, PIN, "customers.pin_same"),
        (PIN, "1234", "customers.pin_weak"),
        (WRONG, "1234", "customers.pin_weak"),
        (PIN, "82633", "customers.pin_unreadable"),
        ("x", NEW_PIN, "customers.pin_unreadable"),
    ],
)
def test_a_new_pin_that_will_not_do_is_refused_before_anything_counts(rt, amina, old, new, why):
    assert reason(pins.change, rt, amina, old, new, now=NOON) == why
    with rt.transaction() as tx:
        assert not tx.scalars(select(PinAttempt)).all()


def test_a_late_copy_of_a_change_does_not_undo_a_later_one(rt, amina):
    once = uuid.uuid4()
    pins.change(rt, amina, PIN, NEW_PIN, now=NOON, once=once)
    later = NOON + timedelta(minutes=5)
    pins.change(rt, amina, NEW_PIN, "5906", now=later)

    assert pins.change(rt, amina, PIN, NEW_PIN, now=later, once=once) == RightPin(NOON)
    assert pins.check(rt, amina, "5906", now=later) == RightPin(later)


# -- A forgotten PIN


def test_code_and_name_reset_a_pin(rt, amina):
    for _ in range(3):
        pins.check(rt, amina, another(PIN), now=NOON)
    assert isinstance(pins.check(rt, amina, PIN, now=NOON), LockedPin)
    code = sent_code(rt, AMINA, Purpose.PIN_RESET, now=NOON)

    assert reset(rt, code, name="otieno amina") == RightCode(amina, Purpose.PIN_RESET)

    assert pins.check(rt, amina, NEW_PIN, now=NOON) == RightPin(NOON)
    customer = read(rt, amina)
    assert customer.pin_reset_at == NOON
    assert customers.withdrawals_open_at(customer) == NOON + timedelta(hours=24)


def test_the_hard_lock_ends_with_a_reset(rt, amina):
    with rt.transaction() as tx:
        tx.get_one(Customer, amina).pin_dead_at = NOON
    reset(rt, sent_code(rt, AMINA, Purpose.PIN_RESET, now=NOON))

    assert pins.check(rt, amina, NEW_PIN, now=NOON) == RightPin(NOON)


def test_a_wrong_name_is_a_wrong_try_in_the_same_words(rt, amina):
    code = sent_code(rt, AMINA, Purpose.PIN_RESET, now=NOON)

    assert reset(rt, code, name="Brian Kamau") == WrongCode(2, Purpose.PIN_RESET)
    assert reset(rt, another(code)) == WrongCode(1, Purpose.PIN_RESET)
    assert reset(rt, code, name="Amina \U0001f600*") == WrongCode(0, Purpose.PIN_RESET)
    assert reset(rt, code) == NoCode()
    assert pins.check(rt, amina, PIN, now=NOON) == RightPin(NOON)
    assert read(rt, amina).pin_reset_at is None


def test_the_owner_is_told_of_a_reset_once(rt, amina):
    code, once = sent_code(rt, AMINA, Purpose.PIN_RESET, now=NOON), uuid.uuid4()
    for _ in range(2):
        reset(rt, code, once=once)
    with rt.transaction() as tx:
        told = tx.scalars(
            select(Message.body).where(Message.sentence == "customers.pin_reset_done")
        ).all()

    assert len(told) == 1
    assert "21/11 12:00" in told[0]


def test_a_repeated_reset_does_not_undo_a_later_change(rt, amina):
    code, once = sent_code(rt, AMINA, Purpose.PIN_RESET, now=NOON), uuid.uuid4()
    reset(rt, code, once=once)
    pins.change(rt, amina, NEW_PIN, "5906", now=NOON + MINUTE)

    assert reset(rt, code, once=once) == RightCode(amina, Purpose.PIN_RESET)
    assert pins.check(rt, amina, "5906", now=NOON + MINUTE) == RightPin(NOON + MINUTE)


def test_nobody_and_nothing_sent_get_the_same_words(rt, amina):
    assert reset(rt, "123456") == reset(rt, "123456", phone=NOBODY) == NoCode()
