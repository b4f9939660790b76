"""Transcripts on their way from Redis to Postgres: each hop arrives, once."""

from datetime import timedelta

from sqlalchemy import select

from core.hops import UssdHop
from core.runtime import Runtime
from tests.ussd.handset import Handset
from ussd import transcripts


def move(rt: Runtime) -> int:
    with rt.transaction() as tx:
        return transcripts.move(tx, rt.redis, rt.now())


def hops(rt: Runtime) -> list[UssdHop]:
    with rt.transaction() as tx:
        return list(tx.scalars(select(UssdHop).order_by(UssdHop.hop)))


def test_every_hop_is_moved_once(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("3", "12")
    assert move(rt) == 3
    assert move(rt) == 0
    assert rt.redis.xlen(transcripts.STREAM) == 0
    handset.press("0")
    assert move(rt) == 1
    assert [(hop.hop, hop.typed) for hop in hops(rt)] == [(1, ""), (2, "3"), (3, "12"), (4, "0")]


def test_a_hop_says_what_was_shown_where_and_to_whom(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("3")
    move(rt)
    last = hops(rt)[-1]
    assert (last.shown, last.screen) == (handset.screen, "tests.ussd.toys.amount")
    assert (last.session, last.phone, last.code) == (handset.session, handset.phone, "*384*2468#")
    assert abs(last.at - rt.now()) < timedelta(minutes=1)
    assert last.more


def test_a_move_that_is_undone_loses_nothing(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("3")
    session = rt.sessions()
    transcripts.move(session, rt.redis, rt.now())
    session.rollback()
    session.close()
    assert move(rt) == 2


def test_a_long_stream_is_moved_in_parts(handset: Handset, rt: Runtime, monkeypatch) -> None:
    monkeypatch.setattr(transcripts, "BATCH", 2)
    handset.dial().press("3", "1", "0", "2")
    assert move(rt) == 5
    assert move(rt) == 0
    assert len(hops(rt)) == 5


def test_transcripts_go_after_ninety_days(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("3")
    move(rt)
    with rt.transaction() as tx:
        transcripts.move(tx, rt.redis, rt.now() + timedelta(days=89))
    assert len(hops(rt)) == 2
    with rt.transaction() as tx:
        transcripts.move(tx, rt.redis, rt.now() + timedelta(days=91))
    assert not hops(rt)
