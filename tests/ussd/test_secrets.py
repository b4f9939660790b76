"""A PIN travels in the text of every later hop, and stays nowhere."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from core.runtime import Runtime
from tests.ussd import toys
from tests.ussd.handset import Handset, transcript
from ussd import transcripts

FOUND = re.compile(rf"(?<![\w.]){toys.SECRET}(?!\w)")


def redis_holds(rt: Runtime) -> str:
    """Everything in Redis, as text."""
    read: dict[Any, Callable[[Any], Any]] = {
        b"string": rt.redis.get,
        b"hash": rt.redis.hgetall,
        b"stream": rt.redis.xrange,
        b"list": lambda key: rt.redis.lrange(key, 0, -1),
        b"zset": lambda key: rt.redis.zrange(key, 0, -1),
        b"set": rt.redis.smembers,
    }
    keys = list(rt.redis.scan_iter())
    return str([(key, read[rt.redis.type(key)](key)) for key in keys])


def postgres_holds(rt: Runtime) -> str:
    """Every row of every table the channel writes to."""
    tables = ("effect", "ussd_hop", "ussd_session", "ussd_end")
    with rt.transaction() as tx:
        rows = [tx.execute(text(f"SELECT t::text FROM {name} t")).all() for name in tables]
    return str(rows)


def test_the_search_would_find_it() -> None:
    assert FOUND.search(f"1*{toys.SECRET}*1")
    assert FOUND.search(f'"{toys.SECRET}"')


def test_a_secret_is_in_no_state_and_no_transcript(
    handset: Handset, rt: Runtime, capfd: pytest.CaptureFixture[str]
) -> None:
    handset.dial().press("4", toys.SECRET, "1", "1").sees("Toy shop")
    handset.send(f"9*{toys.SECRET}")  # comes from nowhere, so it is logged, without its text
    with rt.transaction() as tx:
        transcripts.move(tx, rt.redis, rt.now())
    assert not FOUND.search(redis_holds(rt))
    assert not FOUND.search(postgres_holds(rt))
    captured = capfd.readouterr()
    assert "does not extend" in captured.out + captured.err
    assert not FOUND.search(captured.out + captured.err)


def test_what_may_be_a_secret_typed_in_the_wrong_place_is_masked(
    handset: Handset, rt: Runtime
) -> None:
    handset.dial().press(toys.SECRET).press("5", "x", f"{toys.SECRET} x")  # a name, as far as known
    handset.dial(f"4*{toys.SECRET}*1")
    typed = [hop["typed"] for hop in transcript(rt)]
    assert typed == ["", "****", "5", "x", f"{toys.SECRET} x", "4******1"]


def test_a_transcript_says_what_was_typed_where_it_is_no_secret(
    handset: Handset, rt: Runtime
) -> None:
    handset.dial().press("3", "1500", "9", "0")
    typed = [hop["typed"] for hop in transcript(rt)]
    assert typed == ["", "3", "1500", "9", "0"]


def test_the_trail_of_a_call_is_masked(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("4", "1111", toys.SECRET, "1")
    call = handset.board.sessions.peek(handset.session)
    assert call is not None
    assert call.trail == "*".join(["4", "****", "****", "1"])
