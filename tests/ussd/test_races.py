"""Copies of one hop at the same instant: one works, the others wait, and all get one reply."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from core.effects import Effect
from core.runtime import Runtime
from tests.ussd import toys
from tests.ussd.handset import Handset
from ussd.calls import Reply
from ussd.engine import Switchboard

COPIES = 12

pytestmark = pytest.mark.race


def at_once(hop: Callable[[], Reply]) -> list[Reply]:
    """What every copy was answered."""
    start = threading.Barrier(COPIES)
    replies: list[Reply] = []

    def send() -> None:
        start.wait()
        replies.append(hop())

    threads = [threading.Thread(target=send) for _ in range(COPIES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


@pytest.fixture(params=["one process", "two processes"])
def boards(request: pytest.FixtureRequest, rt: Runtime) -> list[Switchboard]:
    """The switchboards the copies arrive at."""
    toys.clear()
    count = 1 if request.param == "one process" else 2
    return [Switchboard(rt, toys.home) for _ in range(count)]


def test_copies_of_a_decision_act_once_and_are_answered_alike(
    boards: list[Switchboard], rt: Runtime
) -> None:
    phones = [Handset(board) for board in boards]
    phones[0].dial().press("1")
    turns = iter(range(COPIES))

    def copy() -> Reply:
        phone = phones[next(turns) % len(phones)]
        return phone.send("1*1", session=phones[0].session)

    replies = at_once(copy)
    assert len(replies) == COPIES
    assert set(replies) == {Reply(True, replies[0].text)}
    assert "Bought: kite" in replies[0].text
    with rt.transaction() as tx:
        assert tx.scalar(select(func.count()).select_from(Effect)) == 1
    assert list(toys.acts.values()) == [1]


def test_copies_of_a_wrong_secret_are_looked_at_once(boards: list[Switchboard]) -> None:
    phone = Handset(boards[0])
    phone.dial().press("4")
    replies = at_once(lambda: phone.send("4*1111"))
    assert len(set(replies)) == 1
    assert list(toys.tries.values()) == [1]


def test_a_dial_that_is_doubled_begins_one_call(boards: list[Switchboard]) -> None:
    phone = Handset(boards[0])
    phone.session = "ATUid_doubled"
    replies = at_once(lambda: phone.send(""))
    assert len(set(replies)) == 1


def test_many_callers_at_once_do_not_hear_each_other(boards: list[Switchboard]) -> None:
    phones = [Handset(boards[0], phone=f"+2547120001{n:02}") for n in range(COPIES)]
    turns = iter(range(COPIES))

    def call() -> Reply:
        mine = next(turns)
        phones[mine].dial().press("3", str(100 + mine)).sees(f"Buy {100 + mine}?")
        phones[mine].press("1").sees(f"Bought: {100 + mine}")
        return Reply(True, str(mine))

    assert len(at_once(call)) == COPIES
    assert len(toys.acts) == COPIES
