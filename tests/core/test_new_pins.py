"""New PINs by function call: changed with the old one, or reset by code and name."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
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


def reset(rt, digits, *, name=NAME, now=NOON, once=None, phone=AMINA):
    with rt.transaction() as tx:
        customer = customers.find(tx, phone)
        pin_hash = pins.choose(rt.config, customer, NEW_PIN) if customer else "a hash"
    return codes.reset(
        rt, phone=phone, digits=digits, name=name, pin_hash=pin_hash, now=now, once=once
    )


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
    with pytest.raises(Refusal) as refused:
        pins.change(rt, amina, old, new, now=NOON)
    assert refused.value.reason == why
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
