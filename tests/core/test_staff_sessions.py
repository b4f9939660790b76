"""Sessions of staff: they end by themselves, by being idle, by a word, and with their owner."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from core import staff_sessions
from core.errors import Refusal
from core.runtime import Runtime
from core.staff import Staff
from core.staff_sessions import StaffSession, Visit
from tests import people

SECOND = timedelta(seconds=1)


@pytest.fixture
def ann(rt: Runtime) -> Staff:
    return people.member(rt, "ann")


@pytest.fixture
def began(rt: Runtime) -> datetime:
    return rt.now()


@pytest.fixture
def token(rt: Runtime, ann: Staff, began: datetime) -> str:
    return begin(rt, ann, began)


def begin(rt: Runtime, member: Staff, now: datetime) -> str:
    with rt.transaction() as tx:
        return staff_sessions.begin(tx, member.id, address="::1", agent="Firefox", now=now)


def look(rt: Runtime, token: str, now: datetime) -> Visit | None:
    with rt.transaction() as tx:
        return staff_sessions.find(tx, token, now=now, config=rt.config)


def test_a_token_is_long_random_and_its_owners(rt, ann, token, began) -> None:
    found = look(rt, token, began)
    assert found is not None
    assert (found.staff.id, found.began_at) == (ann.id, began)
    assert found.ends_at == began + rt.config.staff_absolute
    assert len(token) >= 43
    assert begin(rt, ann, began) != token
    for wrong in ("", token[:-1], token.upper(), "x" * 10_000, "\0"):
        assert look(rt, wrong, began) is None


def test_it_ends_when_nobody_uses_it(rt, token, began) -> None:
    idle = rt.config.staff_idle
    assert look(rt, token, began + idle - SECOND)
    assert look(rt, token, began + 2 * idle - 2 * SECOND)  # it was used in between
    assert look(rt, token, began + 3 * idle) is None


def test_it_ends_however_much_it_is_used(rt, token, began) -> None:
    now = began
    while now < began + rt.config.staff_absolute:
        assert look(rt, token, now)
        now += timedelta(minutes=25)
    assert look(rt, token, began + rt.config.staff_absolute) is None


def test_it_is_known_to_the_minute_when_it_was_used(rt, token, began) -> None:
    def seen_at() -> datetime:
        with rt.transaction() as tx:
            return tx.scalars(text("SELECT seen_at FROM staff_session")).one()

    look(rt, token, began + 59 * SECOND)
    assert seen_at() == began
    look(rt, token, began + 60 * SECOND)
    assert seen_at() == began + 60 * SECOND


def test_it_is_fresh_for_five_minutes(rt, token, began) -> None:
    until = began + timedelta(minutes=5)
    found = look(rt, token, until - SECOND)
    assert found is not None
    assert (found.fresh, found.fresh_until) == (True, until)
    found = look(rt, token, until)
    assert found is not None
    assert (found.fresh, found.fresh_until) == (False, until)
    with rt.transaction() as tx:
        staff_sessions.freshened(tx, found.id, now=until)
    again = look(rt, token, until + SECOND)
    assert again is not None
    assert again.fresh


def test_one_is_ended_and_the_others_go_on(rt, ann, token, began) -> None:
    other = begin(rt, ann, began)
    found = look(rt, token, began)
    assert found is not None
    for _ in range(2):  # to end it twice is no harm
        with rt.transaction() as tx:
            staff_sessions.end(tx, found.id, now=began)
    assert look(rt, token, began) is None
    assert look(rt, other, began)
    with rt.transaction() as tx, pytest.raises(Refusal, match="session_over"):
        staff_sessions.freshened(tx, found.id, now=began)


def test_all_of_one_person_are_ended_but_perhaps_one(rt, ann, token, began) -> None:
    here, bens = begin(rt, ann, began), begin(rt, people.member(rt, "ben"), began)
    mine = look(rt, here, began)
    assert mine is not None
    with rt.transaction() as tx:
        staff_sessions.end_all(tx, ann.id, now=began, but=mine.id)
    assert [bool(look(rt, one, began)) for one in (token, here, bens)] == [False, True, True]
    with rt.transaction() as tx:
        staff_sessions.end_all(tx, ann.id, now=began)
    assert [bool(look(rt, one, began)) for one in (token, here, bens)] == [False, False, True]


def test_who_leaves_is_out_at_once(rt, token, began) -> None:
    with rt.transaction() as tx:
        tx.execute(text("UPDATE staff SET active = false"))
    assert look(rt, token, began) is None


def test_only_those_that_go_on_are_listed(rt, ann, token, began) -> None:
    later = began + rt.config.staff_idle - SECOND
    second = begin(rt, ann, later)
    found = look(rt, second, later)
    assert found is not None

    def listed(now: datetime) -> list[int]:
        with rt.transaction() as tx:
            mine = staff_sessions.of(tx, ann.id, now=now, config=rt.config)
            assert all(isinstance(one, StaffSession) for one in mine)
            return [one.id for one in mine]

    assert listed(later) == [found.id, found.id - 1]
    assert listed(later + SECOND) == [found.id]
    assert listed(later + rt.config.staff_absolute) == []
