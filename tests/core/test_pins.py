"""PINs by function call: how one is kept, and that nobody gets a guess too many."""

import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median

import pytest
from sqlalchemy import select, text

from core import customers, pins
from core.customers import Customer
from core.errors import Refusal
from core.pins import Found, LockedPin, PinAttempt, RightPin, WrongPin
from core.say import say
from tests.core.sign_up import BRIAN, PIN, another, at_once, begin, read, sign_up

NOON = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(hours=24)
WRONG = another(PIN)


@pytest.fixture
def amina(rt) -> int:
    return sign_up(rt, now=NOON)


def guess(rt, customer_id, now, number):
    """One of a crowd, and wrong."""
    return pins.check(rt, customer_id, WRONG, now=now)


def attempts(rt, customer_id) -> Counter:
    """The booked tries of a customer by what came of them."""
    with rt.transaction() as tx:
        rows = select(PinAttempt.state).where(PinAttempt.customer_id == customer_id)
        return Counter(tx.scalars(rows).all())


def reason(act, *args, **kwargs) -> str:
    with pytest.raises(Refusal) as refused:
        act(*args, **kwargs)
    return refused.value.reason


# -- How a PIN is kept


@pytest.mark.usefixtures("dear_hashes")
def test_a_hash_is_argon2id_at_owasp_cost_and_good_for_one_customer(rt):
    kept = pins.hash_of(rt.config, 7, PIN)

    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PIN not in kept
    assert pins.hash_of(rt.config, 7, PIN) != kept  # its salt is its own


def test_a_hash_moved_to_another_row_opens_nothing(rt, amina):
    brian = sign_up(rt, now=NOON, phone=BRIAN, pin="8263")
    with rt.transaction() as tx:
        tx.get_one(Customer, brian).pin_hash = tx.get_one(Customer, amina).pin_hash

    assert pins.check(rt, brian, PIN, now=NOON) == WrongPin(left=2)


def test_another_pepper_opens_nothing(rt, amina):
    rt.config = rt.config.model_copy(update={"pin_pepper": b"another pepper of thirty-two byte"})
    assert pins.check(rt, amina, PIN, now=NOON) == WrongPin(left=2)


def test_between_the_two_pin_screens_only_an_imprint_is_held(rt):
    held = pins.imprint(rt.config, "ATUid_1", PIN)

    pins.typed_again(rt.config, "ATUid_1", held, PIN)
    assert reason(pins.typed_again, rt.config, "ATUid_1", held, WRONG) == "customers.pin_differs"
    assert reason(pins.typed_again, rt.config, "ATUid_2", held, PIN) == "customers.pin_differs"


# -- Counting


def test_the_right_pin_is_right(rt, amina):
    assert pins.check(rt, amina, PIN, now=NOON) == RightPin(NOON)


def test_the_ladder_of_locks(rt, amina):
    now = NOON
    for lock in (QUARTER, HOUR, DAY):
        assert pins.check(rt, amina, WRONG, now=now) == WrongPin(left=2)
        assert pins.check(rt, amina, WRONG, now=now) == WrongPin(left=1)
        until = now + lock
        assert pins.check(rt, amina, WRONG, now=now) == WrongPin(0, until)
        assert pins.check(rt, amina, PIN, now=now) == LockedPin(until, hard=False)
        last_moment = until - timedelta(microseconds=1)
        assert pins.check(rt, amina, PIN, now=last_moment) == LockedPin(until, hard=False)
        now = until
    assert pins.check(rt, amina, WRONG, now=now) == WrongPin(0, None, hard=True)
    in_a_year = now + timedelta(days=365)
    assert pins.check(rt, amina, PIN, now=in_a_year) == LockedPin(None, hard=True)
    assert attempts(rt, amina) == {Found.WRONG: 10, Found.LOCKED: 7}


def test_a_right_pin_forgives_the_wrong_ones_before_it(rt, amina):
    for _ in range(5):
        assert pins.check(rt, amina, WRONG, now=NOON) == WrongPin(left=2)
        assert pins.check(rt, amina, WRONG, now=NOON) == WrongPin(left=1)
        assert pins.check(rt, amina, PIN, now=NOON) == RightPin(NOON)


def test_a_right_pin_after_a_lock_starts_the_ladder_again(rt, amina):
    for _ in range(3):
        pins.check(rt, amina, WRONG, now=NOON)
    later = NOON + QUARTER
    assert pins.check(rt, amina, PIN, now=later) == RightPin(later)

    for left in (2, 1):
        assert pins.check(rt, amina, WRONG, now=later) == WrongPin(left)
    assert pins.check(rt, amina, WRONG, now=later) == WrongPin(0, later + QUARTER)


def test_a_guesser_between_the_owners_own_uses_meets_the_month(rt, amina):
    """Two guesses, one right PIN, and so on: the thirtieth guess of a month is the last."""
    now = NOON
    for _ in range(14):
        for _ in range(2):
            assert isinstance(pins.check(rt, amina, WRONG, now=now), WrongPin)
        assert isinstance(pins.check(rt, amina, PIN, now=now), RightPin)
        now += timedelta(days=1)
    assert pins.check(rt, amina, WRONG, now=now) == WrongPin(left=2)
    assert pins.check(rt, amina, WRONG, now=now) == WrongPin(0, None, hard=True)
    assert pins.check(rt, amina, PIN, now=now) == LockedPin(None, hard=True)


def test_a_month_forgets(rt, amina):
    now = NOON
    for _ in range(16):
        for _ in range(2):
            pins.check(rt, amina, WRONG, now=now)
        assert isinstance(pins.check(rt, amina, PIN, now=now), RightPin)
        now += timedelta(days=3)


def test_a_new_pin_unlocks(rt, amina):
    for _ in range(3):
        pins.check(rt, amina, WRONG, now=NOON)
    with rt.transaction() as tx:
        customer = tx.get_one(Customer, amina)
        customers.set_pin(tx, customer, pins.choose(rt.config, customer, "8263"), now=NOON)

    assert pins.check(rt, amina, PIN, now=NOON) == WrongPin(left=2)
    assert pins.check(rt, amina, "8263", now=NOON) == RightPin(NOON)


def test_what_is_no_pin_costs_no_try(rt, amina):
    for written in ("", "123", "12345", "abcd", "12*4", "\U0001f600", str(10**18)):
        assert reason(pins.check, rt, amina, written, now=NOON) == "customers.pin_unreadable"

    assert attempts(rt, amina) == {}
    assert pins.check(rt, amina, WRONG, now=NOON) == WrongPin(left=2)


def test_nobodys_pin_is_wrong_in_the_same_words(rt):
    joining = begin(rt, now=NOON)
    assert pins.check(rt, None, PIN, now=NOON) == WrongPin(left=2)
    assert pins.check(rt, joining, PIN, now=NOON) == WrongPin(left=2)


@pytest.mark.usefixtures("dear_hashes")
def test_locked_unknown_and_pinless_are_as_much_work_as_known(rt, amina):
    locked, pinless = sign_up(rt, now=NOON, phone=BRIAN), begin(rt, now=NOON, phone="+254712000003")
    for _ in range(3):
        pins.check(rt, locked, WRONG, now=NOON)

    def work(customer_id, pin):
        """CPU time of this thread, which other processes do not disturb."""
        samples = []
        for _ in range(9):
            began = time.thread_time()
            pins.check(rt, customer_id, pin, now=NOON)
            samples.append(time.thread_time() - began)
        return median(samples)

    known = work(amina, PIN)
    for customer_id in (locked, None, pinless):
        assert 0.6 * known < work(customer_id, WRONG) < 1.6 * known


def test_every_verdict_has_its_sentence_in_both_languages(rt, amina):
    verdicts: list[WrongPin | LockedPin] = [
        WrongPin(2), WrongPin(1), WrongPin(0, NOON), WrongPin(0, None, hard=True),
        LockedPin(NOON, hard=False), LockedPin(None, hard=True),
    ]  # fmt: skip
    for lang in ("en", "sw"):
        said = [say(verdict.reason, lang, **verdict.facts) for verdict in verdicts]
        assert all(len(sentence) <= 110 for sentence in said)
    assert said[0] != said[1] != said[2] != said[3]


# -- Many at once


def test_of_fifty_guesses_at_once_three_are_looked_at(rt, amina):
    verdicts = at_once(50, partial(guess, rt, amina, NOON))

    looked_at = [verdict for verdict in verdicts if isinstance(verdict, WrongPin)]
    assert sorted(v.left for v in looked_at) == [0, 1, 2]
    assert verdicts.count(LockedPin(NOON + QUARTER, hard=False)) == 47
    assert attempts(rt, amina) == {Found.WRONG: 3, Found.LOCKED: 47}
    customer = read(rt, amina)
    assert (customer.pin_tried, customer.pin_right) == (3, 0)


def test_no_crowd_ever_gets_more_than_ten(rt, amina):
    """Wave upon wave, each when the lock of the last is over: ten guesses in all."""
    now = NOON
    for lock in (QUARTER, HOUR, DAY, DAY, DAY):
        at_once(12, partial(guess, rt, amina, now))
        now += lock

    assert attempts(rt, amina)[Found.WRONG] == 10
    assert pins.check(rt, amina, PIN, now=now) == LockedPin(None, hard=True)


def test_a_right_pin_in_a_crowd_of_guesses_forgives_only_those_before_it(rt, amina):
    def act(number):
        return pins.check(rt, amina, PIN if number == 0 else WRONG, now=NOON)

    verdicts = at_once(20, act)

    found = attempts(rt, amina)
    rights = sum(isinstance(verdict, RightPin) for verdict in verdicts)
    assert found[Found.RIGHT] == rights
    assert found[Found.WRONG] <= 3 + 2 * rights  # a right one lets through what stood before it
    customer = read(rt, amina)
    assert 0 <= customer.pin_tried - customer.pin_right <= 3
    assert customer.pin_tried == found[Found.WRONG] + found[Found.RIGHT]


def test_a_crash_between_counting_and_looking_forgives_nothing(rt, amina):
    rt.config = rt.config.model_copy(update={"pin_pepper": None})  # whoever looks now falls over
    for _ in range(3):
        with pytest.raises((TypeError, AttributeError)):
            pins.check(rt, amina, PIN, now=NOON)

    customer = read(rt, amina)
    assert (customer.pin_tried, customer.pin_locked_until) == (3, NOON + QUARTER)


# -- The same try twice


def test_a_repeat_counts_once_and_gets_the_same_verdict(rt, amina):
    once = uuid.uuid4()
    first = pins.check(rt, amina, WRONG, now=NOON, once=once)
    for minutes in (0, 1, 600):
        again = NOON + timedelta(minutes=minutes)
        assert pins.check(rt, amina, WRONG, now=again, once=once) == first
    assert pins.check(rt, amina, WRONG, now=NOON) == WrongPin(left=1)


def test_repeats_of_every_verdict(rt, amina):
    """Right stays right although the PIN was locked since, and locked stays locked."""
    keys = [uuid.uuid4() for _ in range(5)]
    typed = [PIN, WRONG, WRONG, WRONG, PIN]
    first = [
        pins.check(rt, amina, pin, now=NOON, once=key) for pin, key in zip(typed, keys, strict=True)
    ]
    tomorrow = NOON + DAY
    again = [
        pins.check(rt, amina, pin, now=tomorrow, once=key)
        for pin, key in zip(typed, keys, strict=True)
    ]

    assert again == first
    assert first == [
        RightPin(NOON), WrongPin(2), WrongPin(1), WrongPin(0, NOON + QUARTER),
        LockedPin(NOON + QUARTER, hard=False),
    ]  # fmt: skip


def test_copies_at_the_same_instant_are_one_try(rt, amina):
    once = uuid.uuid4()
    verdicts = at_once(10, lambda number: pins.check(rt, amina, WRONG, now=NOON, once=once))

    assert verdicts == [WrongPin(left=2)] * 10
    assert read(rt, amina).pin_tried == 1


def test_a_repeated_key_is_no_way_to_guess_again(rt, amina):
    once = uuid.uuid4()
    guesses = [WRONG, "8263", PIN, "4073"]
    assert {pins.check(rt, amina, pin, now=NOON, once=once) for pin in guesses} == {WrongPin(2)}


def test_guesses_under_one_key_at_the_same_instant_are_one_guess(rt, amina):
    """Nine wrong ones and the right one: whichever is looked at answers for all."""
    once = uuid.uuid4()

    def act(number):
        pin = PIN if number == 0 else f"80{number:02}"
        return pins.check(rt, amina, pin, now=NOON, once=once)

    for verdict in (verdicts := at_once(10, act)):
        assert verdict == verdicts[0]
    assert read(rt, amina).pin_tried == 1


def test_a_copy_whose_twin_died_does_the_work_in_its_place(rt, amina):
    once, config = uuid.uuid4(), rt.config
    rt.config = config.model_copy(update={"pin_pepper": None})
    with pytest.raises((TypeError, AttributeError)):
        pins.check(rt, amina, PIN, now=NOON, once=once)
    rt.config = config

    assert pins.check(rt, amina, PIN, now=NOON, once=once) == RightPin(NOON)
    customer = read(rt, amina)
    assert (customer.pin_tried, customer.pin_right) == (1, 1)


def test_a_right_pin_does_not_forgive_what_was_typed_after_it(rt, amina):
    once, config = uuid.uuid4(), rt.config
    rt.config = config.model_copy(update={"pin_pepper": None})
    with pytest.raises((TypeError, AttributeError)):
        pins.check(rt, amina, PIN, now=NOON, once=once)
    rt.config = config
    assert pins.check(rt, amina, WRONG, now=NOON) == WrongPin(left=1)

    assert pins.check(rt, amina, PIN, now=NOON, once=once) == RightPin(NOON)
    assert pins.check(rt, amina, WRONG, now=NOON) == WrongPin(left=1)


def test_one_key_for_two_customers_is_a_fault(rt, amina):
    brian = sign_up(rt, now=NOON, phone=BRIAN)
    once = uuid.uuid4()
    pins.check(rt, amina, WRONG, now=NOON, once=once)
    with pytest.raises(AssertionError, match="two customers"):
        pins.check(rt, brian, WRONG, now=NOON, once=once)


def test_no_pin_is_in_any_row(rt, amina):
    pins.check(rt, amina, PIN, now=NOON, once=uuid.UUID(int=1))
    pins.check(rt, amina, WRONG, now=NOON, once=uuid.UUID(int=2))
    with rt.transaction() as tx:
        rows = tx.scalars(
            text("""SELECT (to_jsonb(c) - 'pin_hash' - 'birth')::text FROM customer c
                     UNION ALL SELECT to_jsonb(a)::text FROM pin_attempt a""")
        ).all()

    assert len(rows) == 3
    assert not [row for row in rows if PIN in row or WRONG in row]
