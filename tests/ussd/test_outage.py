"""While Redis is down, calls go on in Postgres; when it is back, they go on in Redis."""

import dataclasses
from collections.abc import Iterator

import pytest
from redis import Redis
from sqlalchemy import create_engine, func, select, text

from core.hops import UssdHop, UssdSession
from core.runtime import Runtime
from tests.ussd import toys
from tests.ussd.handset import Handset
from tests.ussd.wire import Wire, strung
from ussd import sessions
from ussd.engine import Switchboard


@pytest.fixture
def wire(rt: Runtime) -> Iterator[Wire]:
    """What stands between this house and its Redis."""
    with strung(rt.config.redis_url) as wire:
        yield wire


@pytest.fixture
def handset(rt: Runtime, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handset]:
    """A phone of a house that reaches Redis by the wire, and tries it again at once."""
    monkeypatch.setattr(sessions, "REDIS_REST", 0.0)
    toys.clear()
    with Redis.from_url(wire.url, socket_timeout=0.3, socket_connect_timeout=0.3) as redis:
        house = dataclasses.replace(rt, redis=redis)
        yield Handset(Switchboard(house, toys.home))


def kept_in_postgres(rt: Runtime) -> int:
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(UssdSession)) or 0


def test_a_call_begins_and_goes_on_without_redis(handset: Handset, wire: Wire, rt: Runtime) -> None:
    wire.cut()
    handset.dial().press("1", "1").sees("Bought: kite")
    assert handset.repeat().screen.startswith("Bought: kite")
    assert handset.send("1").text.startswith("Buy kite?")  # a late copy
    assert list(toys.acts.values()) == [1]
    assert kept_in_postgres(rt) == 1


def test_a_call_survives_the_fall_of_redis_and_its_return(handset: Handset, wire: Wire) -> None:
    handset.dial().press("3")
    wire.cut()
    handset.press("14").sees("Buy 14?")
    wire.mend()
    handset.press("1").sees("Bought: 14")
    assert handset.send("3*14").text.startswith("Buy 14?")
    assert list(toys.acts.values()) == [1]


def test_redis_that_comes_back_with_an_older_call_is_not_believed(
    handset: Handset, wire: Wire
) -> None:
    handset.dial()
    wire.cut()
    handset.press("5").sees("Name?").press("Amina").sees("Bought: Amina")
    wire.mend()
    handset.press("1").sees("Toy shop")  # and not: a fifth choice, a name and a choice at once
    assert list(toys.acts.values()) == [1]


def test_an_effect_done_before_the_fall_is_not_done_again(handset: Handset, wire: Wire) -> None:
    handset.dial().press("1", "1").sees("Bought: kite")
    wire.cut()
    handset.repeat().sees("Bought: kite")
    assert list(toys.acts.values()) == [1]


def test_a_frozen_redis_costs_a_moment_and_no_answer(handset: Handset, wire: Wire) -> None:
    handset.dial()
    wire.freeze()
    handset.press("1").sees("Buy kite?")
    wire.mend()
    handset.press("1").sees("Bought: kite")


def test_a_redial_in_an_outage_may_go_on(handset: Handset, wire: Wire) -> None:
    wire.cut()
    handset.dial().press("3", "12")
    handset.dial().sees("cut off").press("1").sees("Buy 12?")


def test_a_secret_of_an_outage_is_looked_at_once(handset: Handset, wire: Wire) -> None:
    wire.cut()
    handset.dial().press("4", "1111").sees("Wrong PIN")
    handset.repeat().sees("Wrong PIN")
    assert list(toys.tries.values()) == [1]


def test_a_hold_in_postgres_dies_by_itself_too(handset: Handset, wire: Wire, rt: Runtime) -> None:
    wire.cut()
    handset.dial()
    board = handset.board
    board.sessions.hold = 0.2
    assert board.sessions.take(handset.hop("1")) is not None  # and its process dies
    handset.press("1").sees("Buy kite?")


def test_transcripts_of_an_outage_are_kept_at_once(
    handset: Handset, wire: Wire, rt: Runtime
) -> None:
    wire.cut()
    handset.dial().press("4", "1111")
    with rt.transaction() as tx:
        typed = tx.scalars(select(UssdHop.typed).order_by(UssdHop.hop)).all()
    assert typed == ["", "4", "****"]


def test_what_was_done_is_told_though_it_can_be_kept_nowhere(
    handset: Handset, wire: Wire, rt: Runtime
) -> None:
    """Redis falls and the table is away, in the middle of a hop whose effect is committed."""
    handset.dial().press("1").sees("Buy kite?")
    toys.strokes[:] = [wire.cut, lambda: rename(rt, "ussd_session", "away")]
    handset.press("1").sees("Bought: kite")
    rename(rt, "away", "ussd_session")
    wire.mend()
    handset.repeat().sees("Bought: kite")
    assert list(toys.acts.values()) == [1]


def rename(rt: Runtime, old: str, new: str) -> None:
    """As the owner of the tables."""
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as tx:
        tx.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
    owner.dispose()
