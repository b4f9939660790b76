"""Rates: so many at once, so many a second, and a turn for each who comes too early."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import rates
from core.config import Config
from core.rates import Rate

NOON = datetime(2026, 11, 21, 9, tzinfo=UTC)
TEN = Rate(10, 3)  # one each 100 ms, three at once


@pytest.fixture
def redis(config: Config):
    with Redis.from_url(config.redis_url) as redis:
        yield redis


def take(redis, ms=0.0, *, rate=TEN, patience=0.0, name="x"):
    turn = rates.take(
        redis,
        name,
        rate,
        now=NOON + timedelta(milliseconds=ms),
        patience=timedelta(milliseconds=patience),
    )
    return turn.granted, round(turn.wait / timedelta(milliseconds=1))


def test_so_many_at_once_and_then_one_by_one(redis):
    assert [take(redis)[0] for _ in range(4)] == [True, True, True, False]
    assert take(redis, 99) == (False, 101)  # its own turn, after the one sent away before
    assert take(redis, 100)[0]
    assert not take(redis, 101)[0]
    assert [take(redis, 10_000)[0] for _ in range(4)] == [True, True, True, False]
    assert take(redis, name="another") == (True, 0)


def test_whoever_has_patience_is_given_a_moment_and_it_is_his(redis):
    given = [take(redis, patience=250) for _ in range(6)]

    assert given == [(True, 0), (True, 0), (True, 0), (True, 100), (True, 200), (False, 300)]


def test_those_who_are_sent_away_do_not_come_back_together(redis):
    for _ in range(3):
        take(redis)

    assert [take(redis)[1] for _ in range(4)] == [100, 200, 300, 400]


def test_nobody_is_told_to_wait_for_ever(redis):
    slow = Rate(0.001, 1)  # one in 1,000 seconds
    take(redis, rate=slow)

    assert [take(redis, rate=slow) for _ in range(3)] == [(False, 600_000)] * 3


def test_after_too_many_the_rest_at_hand_is_gone(redis):
    rates.exhaust(redis, "x", TEN, now=NOON)

    assert take(redis) == (False, 100)
    assert take(redis, 100)[0]
    assert not take(redis, 110)[0]


def test_a_clock_that_was_set_back_locks_nobody_out(redis):
    for _ in range(4):
        take(redis, 3_600_000)

    assert take(redis)[0]


def test_without_redis_there_is_no_limit():
    with Redis(port=9, retry=Retry(NoBackoff(), 0)) as nowhere:
        rates.exhaust(nowhere, "x", TEN, now=NOON)
        assert [take(nowhere)[0] for _ in range(9)] == [True] * 9


def test_processes_share_it(redis, config):
    granted = []

    def process():
        with Redis.from_url(config.redis_url) as its_own:
            granted.extend(take(its_own)[0] for _ in range(3))

    crowd = [threading.Thread(target=process) for _ in range(6)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()

    assert sum(granted) == TEN.at_once


def test_no_span_holds_more_than_the_rate_allows(redis):
    """Whatever the pattern: in `span` at most `at_once` and one for each step of it."""

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.integers(0, 400), min_size=1, max_size=25),
        st.sampled_from([0, 50, 300]),
        st.sampled_from([TEN, Rate(3, 1), Rate(100, 7)]),
    )
    def holds(gaps, patience, rate):
        redis.flushdb()
        at, went = 0, []
        for gap in gaps:
            at += gap
            granted, wait = take(redis, at, rate=rate, patience=patience)
            if granted:
                went.append(at + wait)
        for first, began in enumerate(went):
            for last in range(first, len(went)):
                span = went[last] - began
                assert last - first + 1 <= rate.at_once + (span + 2) / rate.step

    holds()
