"""Breakers: closed, open, tried by one, and closed again; and what no Redis means."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import breakers
from core.breakers import Rule
from core.config import Config

NOON = datetime(2026, 11, 21, 9, tzinfo=UTC)
RULE = Rule(failures=3, open_for=timedelta(seconds=30))
LEASE = timedelta(seconds=35)
ZERO = timedelta(0)


@pytest.fixture
def redis(config: Config):
    with Redis.from_url(config.redis_url) as redis:
        yield redis


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def enter(redis, product="b2c", after=0.0):
    return breakers.enter(redis, product, now=later(after), lease=LEASE)


def fail(redis, times=1, after=0.0, product="b2c"):
    for _ in range(times):
        breakers.failed(redis, product, RULE, now=later(after))


def test_it_opens_at_the_third_failure_in_a_row_and_for_that_product_alone(redis):
    fail(redis, 2)
    assert enter(redis) == ZERO

    fail(redis)
    assert enter(redis, after=10) == timedelta(seconds=20)
    assert breakers.open_for(redis, "b2c", now=later(10)) == timedelta(seconds=20)
    assert not enter(redis, "stk")
    assert not breakers.open_for(redis, "stk", now=NOON)


def test_an_answer_in_between_forgives_what_failed_before(redis):
    for _ in range(5):
        fail(redis, 2)
        breakers.passed(redis, "b2c")

    assert not enter(redis)


def test_what_fails_the_same_way_for_everybody_opens_it_at_once(redis):
    breakers.failed(redis, "b2c", RULE, now=NOON, at_once=True)

    assert enter(redis) == RULE.open_for


def test_one_failure_of_whatever_kind_after_such_a_break_opens_it_again(redis):
    breakers.failed(redis, "b2c", RULE, now=NOON, at_once=True)
    assert not enter(redis, after=30)
    fail(redis, after=31)

    assert enter(redis, after=31) == RULE.open_for


def test_after_the_break_one_tries_and_the_others_wait_for_what_it_finds(redis):
    fail(redis, 3)

    assert enter(redis, after=30) == ZERO
    assert enter(redis, after=31) == breakers.SHORTLY
    breakers.passed(redis, "b2c")
    assert enter(redis, after=32) == ZERO
    assert enter(redis, after=32) == ZERO


def test_one_failure_after_the_break_opens_it_again(redis):
    fail(redis, 3)
    assert enter(redis, after=30) == ZERO
    fail(redis, after=31)

    assert enter(redis, after=32) == timedelta(seconds=29)
    assert enter(redis, after=61) == ZERO


def test_who_tries_the_line_and_dies_does_not_keep_it(redis):
    fail(redis, 3)
    assert enter(redis, after=30) == ZERO

    assert enter(redis, after=65) == ZERO


def test_failures_of_requests_that_were_under_way_lengthen_nothing(redis):
    fail(redis, 3)
    fail(redis, 20, after=25)

    assert enter(redis, after=29) == timedelta(seconds=1)
    assert enter(redis, after=30) == ZERO


def test_of_many_processes_at_once_one_tries(redis, config):
    fail(redis, 3)
    waits = []

    def process():
        with Redis.from_url(config.redis_url) as its_own:
            waits.append(enter(its_own, after=31))

    crowd = [threading.Thread(target=process) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()

    assert sorted(map(bool, waits)) == [False] + [True] * 7


def test_without_redis_every_line_may_be_used():
    with Redis(port=9, retry=Retry(NoBackoff(), 0)) as nowhere:
        fail(nowhere, 5)
        breakers.passed(nowhere, "b2c")

        assert not enter(nowhere)
        assert not breakers.open_for(nowhere, "b2c", now=NOON)
