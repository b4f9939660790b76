"""What tests of the edges share."""

from datetime import timedelta

import pytest
from redis import Redis

from core.runtime import Runtime
from core.say import NAIROBI
from tests import daraja


@pytest.fixture
def noon(rt: Runtime, wait) -> None:
    """It is noon in Nairobi: what is counted by the day is not cut in two by a midnight."""
    now = rt.now().astimezone(NAIROBI)
    wait(seconds=(timedelta(hours=36) - timedelta(hours=now.hour, minutes=now.minute)).seconds)


@pytest.fixture
def server():
    """Daraja's place, taken."""
    server = daraja.Server()
    yield server
    server.close()


@pytest.fixture
def client(ground, server):
    """A Daraja client of that server; `changes` are settings, but for `clock`."""
    database = f"{ground.urls.redis.partition('?')[0]}?db={ground.worker}"
    with Redis.from_url(database) as redis:
        redis.flushdb()
        yield lambda **changes: daraja.client(ground, server, redis, **changes)
        redis.flushdb()
