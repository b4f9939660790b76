"""Fixtures for every test: real engines, started once a run, and a clean house for each test."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import structlog
from argon2 import PasswordHasher
from redis import Redis
from sqlalchemy import text

from core import hashing, log, runtime
from core.config import Config
from core.customers import Customer
from core.runtime import Runtime, TestClock
from core.staff import Staff
from demo.engines import Urls
from tests import people, standing
from tests.counts import Counts, chosen
from tests.ground import Ground, Slate, config_for, prepared

# At 25 ms each the hashes of these tests would take minutes. Nothing in the house can do this.
DEAR, CHEAP = hashing.HASHER, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
hashing.HASHER = CHEAP


@pytest.fixture
def dear_hashes() -> Iterator[None]:
    """Hashes as the house makes them."""
    hashing.HASHER = DEAR
    yield
    hashing.HASHER = CHEAP


@pytest.fixture(scope="session")
def ground(worker_id: str) -> Iterator[Ground]:
    """The engines of this process, started when a test first asks."""
    with prepared(int(worker_id.removeprefix("gw")) if worker_id != "master" else 0) as ground:
        yield ground


@pytest.fixture(scope="session")
def slate(ground: Ground) -> Iterator[Slate]:
    """The database that test after test is given."""
    with contextlib.closing(Slate(ground)) as slate:
        yield slate


@pytest.fixture
def urls(slate: Slate) -> Urls:
    """A house in which nothing has happened yet, and an empty Redis."""
    urls = slate.clean()
    with Redis.from_url(urls.redis) as redis:
        redis.flushdb()
    return urls


@pytest.fixture
def fresh_database(ground: Ground) -> Callable[[], contextlib.AbstractContextManager[Urls]]:
    """`with fresh_database() as urls:` gives one more database, for a second house or a kill."""
    return ground.clone


@pytest.fixture
def config(urls: Urls) -> Config:
    """The settings of the house under test."""
    return config_for(urls)


@pytest.fixture
def rt(config: Config) -> Iterator[Runtime]:
    """The house as `wsgi.py` builds it, without its partners: `senders` are the test's to fill."""
    with house(config) as rt:
        yield rt


@contextlib.contextmanager
def house(config: Config) -> Iterator[Runtime]:
    """A house for as long as the block; commits are real."""
    rt = standing.built(config)
    rt.senders = {}
    runtime.install(rt)
    yield rt
    standing.ended(rt)


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Logging as a process finds it, whatever the test before has configured."""
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if handler.get_name() != log.HANDLER]
    for package in log.PACKAGES:
        logging.getLogger(package).setLevel(logging.NOTSET)


@pytest.fixture
def amina(rt: Runtime) -> Customer:
    """A customer with KES 1,000."""
    return people.customer(rt, people.AMINA, "Amina Wanjiru", money=1_000_00)


@pytest.fixture
def brian(rt: Runtime) -> Customer:
    """A customer with KES 500."""
    return people.customer(rt, people.BRIAN, "Brian Otieno", money=500_00)


@pytest.fixture
def wanjiku(rt: Runtime) -> Staff:
    """The trader who proposes."""
    return people.member(rt, "wanjiku")


@pytest.fixture
def kamau(rt: Runtime) -> Staff:
    """The trader who approves."""
    return people.member(rt, "kamau")


@pytest.fixture
def wait(rt: Runtime) -> Callable[..., None]:
    """`wait(minutes=5)` moves the house's clock, in Python and in SQL, and takes no time."""

    def move(**span: float) -> None:
        seconds = round(timedelta(**span).total_seconds())
        with rt.transaction() as tx:
            tx.execute(text("UPDATE test_clock SET seconds = seconds + :more"), {"more": seconds})
        rt.clock = TestClock(rt.engine)  # which looks at once

    return move


@pytest.fixture(scope="session")
def counts() -> Counts:
    """How much is enough."""
    return chosen()


@pytest.fixture
def new_house(ground: Ground) -> Callable[[], tuple[contextlib.ExitStack, Runtime]]:
    """`closing, rt = new_house()`: a house on a database of its own, for tests that need many."""

    def open_house() -> tuple[contextlib.ExitStack, Runtime]:
        closing = contextlib.ExitStack()
        urls = closing.enter_context(ground.clone())
        return closing, closing.enter_context(house(config_for(urls)))

    return open_house
