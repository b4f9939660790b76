"""The runtime: transactions, bells, retries, and the two clocks that must agree."""

import contextlib
import socket
import threading
import uuid
from datetime import timedelta

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.exc import DBAPIError

from core import outbox, stamp
from core.outbox import Promise, State
from core.runtime import Runtime, TestClock


@pytest.fixture
def owner(config):
    """The role that migrates."""
    engine = create_engine(config.migration_database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def nobody() -> Redis:
    """A Redis that is not there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return Redis(port=port, retry=Retry(NoBackoff(), 0), socket_connect_timeout=0.2)


def promise_one(tx, rt, **more):
    return outbox.promise(tx, "sms", {"message": 1}, key=uuid.uuid4(), now=rt.now(), **more)


def jobs_on(rt, queue):
    return [(job.func_name, list(job.args)) for job in rt.queues[queue].jobs]


def test_the_bell_rings_after_the_commit_and_once_for_all(rt: Runtime):
    with rt.transaction() as tx:
        first = promise_one(tx, rt)
        second = promise_one(tx, rt)
        assert jobs_on(rt, "messages") == []

    assert jobs_on(rt, "messages") == [("core.jobs.deliver", [first, second])]


def test_what_was_rolled_back_rings_no_bell(rt: Runtime):
    with contextlib.suppress(ZeroDivisionError), rt.transaction() as tx:
        promise_one(tx, rt)
        raise ZeroDivisionError

    assert jobs_on(rt, "messages") == []
    with rt.transaction() as tx:
        assert tx.scalars(select(Promise)).all() == []


def test_a_promise_survives_a_redis_that_is_gone(rt: Runtime, nobody: Redis):
    rt.queues = {"messages": Queue("messages", connection=nobody, serializer=JSONSerializer)}

    with rt.transaction() as tx:
        promised = promise_one(tx, rt)

    with rt.transaction() as tx:
        assert tx.get_one(Promise, promised).state == State.PENDING
        assert outbox.due(tx, "messages", now=rt.now(), limit=10) == [promised]


def test_what_is_due_later_rings_no_bell_yet(rt: Runtime):
    with rt.transaction() as tx:
        promise_one(tx, rt, due_at=rt.now() + timedelta(seconds=3))

    assert jobs_on(rt, "messages") == []


@pytest.mark.race
def test_a_deadlock_is_fought_again_until_both_have_their_way(rt: Runtime):
    with rt.transaction() as tx:
        one, two = promise_one(tx, rt), promise_one(tx, rt)
    meeting = threading.Barrier(2, timeout=5)
    tries: list[int] = []

    def take_both(first: int, second: int) -> None:
        def work(tx):
            tries.append(first)
            tx.get_one(Promise, first, with_for_update=True).attempts += 1
            tx.flush()
            with contextlib.suppress(threading.BrokenBarrierError):
                meeting.wait()
            tx.get_one(Promise, second, with_for_update=True).attempts += 1

        rt.attempt(work)
        meeting.abort()

    crowd = [threading.Thread(target=take_both, args=pair) for pair in ((one, two), (two, one))]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(20)

    assert len(tries) > 2  # one of them had to begin again, or both on a slow machine
    with rt.transaction() as tx:
        assert list(tx.scalars(select(Promise.attempts))) == [2, 2]


def test_other_database_errors_are_not_tried_again(rt: Runtime):
    tries = []

    def divide(tx):
        tries.append(1)
        tx.execute(text("SELECT 1 / 0"))

    with pytest.raises(DBAPIError, match="division by zero"):
        rt.attempt(divide)
    assert len(tries) == 1


def test_a_connection_that_died_in_the_pool_costs_a_second_try_and_nothing_else(rt: Runtime):
    def kill_the_others():
        others = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with killer.connect() as connection:
            connection.execute(others)

    killer = create_engine(rt.config.migration_database_url)
    with rt.transaction() as tx:
        promise_one(tx, rt)
    kill_the_others()
    killer.dispose()

    promised = rt.attempt(lambda tx: promise_one(tx, rt))

    with rt.transaction() as tx:
        assert tx.get_one(Promise, promised).state == State.PENDING


def test_a_connection_that_dies_during_the_commit_leaves_the_doubt_to_the_caller(rt: Runtime):
    tries = []

    def die(tx):
        tries.append("death")
        tx.connection().connection.dbapi_connection.close()

    def dies_in_commit(tx):
        promise_one(tx, rt)
        tries.append("work")
        event.listen(tx, "before_commit", die, once=True)

    with pytest.raises(DBAPIError):
        rt.attempt(dies_in_commit)
    assert tries == ["work", "death"]


def test_python_and_sql_share_the_test_clock(rt: Runtime):
    with rt.transaction() as tx:
        before = tx.scalars(text("SELECT app_now()").columns()).one()
        stamp.set_clock(tx, 86_400)

    clock = TestClock(rt.engine)
    with rt.transaction() as tx:
        after = tx.scalars(text("SELECT app_now()").columns()).one()
    assert timedelta(hours=23) < after - before < timedelta(hours=25)
    assert abs(clock() - after) < timedelta(seconds=5)


def test_the_clock_is_looked_at_by_one_thread_while_the_others_hold_every_connection(config):
    engine = create_engine(config.database_url, pool_size=2, max_overflow=0, pool_timeout=2)
    clock = TestClock(engine)
    clock()
    clock.looked_at = 0.0
    waiting, told = threading.Event(), []

    def look():
        waiting.set()
        told.append(clock())

    with engine.connect(), engine.connect():
        looker = threading.Thread(target=look)
        looker.start()
        waiting.wait(5)
        while not clock.looking.locked():
            pass
        assert clock()  # does not wait for a connection
        assert told == []
    looker.join(10)
    engine.dispose()

    assert len(told) == 1


@pytest.mark.parametrize("environment", ["sandbox", "production"])
def test_in_earnest_nobody_sets_the_clock(rt: Runtime, owner, environment: str):
    with owner.begin() as connection:
        connection.execute(text("UPDATE house_stamp SET environment = :e"), {"e": environment})

    with pytest.raises(DBAPIError, match="in demo and test only"), rt.transaction() as tx:
        stamp.set_clock(tx, 1)
    with pytest.raises(DBAPIError, match="in demo and test only"), owner.begin() as connection:
        connection.execute(text("UPDATE test_clock SET seconds = 1"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE house_stamp SET environment = 'production'",
        "DELETE FROM house_stamp",
        "INSERT INTO house_stamp (id, environment) VALUES (false, 'demo')",
    ],
)
def test_the_house_cannot_stamp_its_own_database(rt: Runtime, statement: str):
    refused = pytest.raises(DBAPIError, match=r"only the owner|permission denied")
    with refused, rt.transaction() as tx:
        tx.execute(text(statement))


@pytest.mark.parametrize("statement", ["DELETE FROM test_clock", "TRUNCATE test_clock"])
def test_the_clock_cannot_be_taken_away(owner, statement: str):
    with pytest.raises(DBAPIError, match="in demo and test only"), owner.begin() as connection:
        connection.execute(text(statement))


def test_a_database_of_another_environment_is_refused(rt: Runtime):
    with rt.transaction() as tx:
        stamp.check(tx, "test")
        with pytest.raises(stamp.WrongDatabase, match="stamped test"):
            stamp.check(tx, "production")
