"""12. In no stretch of time does more go out than the rate allows, however it is asked for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from core import rates
from core.rates import Rate

NOON = datetime(2026, 11, 21, 9, tzinfo=UTC)
ASKED = st.lists(
    st.tuples(st.integers(0, 900), st.sampled_from([0, 0, 300, 2_000])), min_size=1, max_size=40
)


@pytest.fixture
def redis(config):
    with Redis.from_url(config.redis_url) as redis:
        yield redis


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(per_second=st.integers(1, 20), at_once=st.integers(1, 5), asked=ASKED)
def test_no_window_holds_more_than_its_rate(redis, per_second, at_once, asked):
    redis.flushdb()
    rate, now, gone = Rate(per_second, at_once), 0, []
    for later, patience in asked:
        now += later
        turn = rates.take(
            redis, "x", rate,
            now=NOON + timedelta(milliseconds=now), patience=timedelta(milliseconds=patience),
        )  # fmt: skip
        wait = turn.wait / timedelta(milliseconds=1)
        if turn.granted:
            assert wait <= patience
            gone.append(now + wait)
        else:
            assert wait > patience
    gone.sort()
    for first in range(len(gone)):
        for last in range(first, len(gone)):
            span = gone[last] - gone[first]
            # A wait is told in whole milliseconds, rounded up: one each may be missing.
            assert last - first + 1 <= at_once + (span + last - first) / rate.step + 1e-6
