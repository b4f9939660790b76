"""The runtime: what the house stands on, built once in `wsgi.py` and passed or looked up."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from core import audit
from core.config import Config

log = structlog.get_logger(__name__)
T = TypeVar("T")

Sender = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Takes a request, returns the partner's answer, or raises NotSent, Rejected or Unknown."""

DEADLOCK, SERIALISATION, LOCK_TIMEOUT = "40P01", "40001", "55P03"
UNDONE = (DEADLOCK, SERIALISATION, LOCK_TIMEOUT)  # no bug: another transaction was in the way
TRIES = 4  # of a transaction that Postgres gave up; more would be a bug to look at
DELIVER, PROCESS = "core.jobs.deliver", "core.jobs.process"
BELLS = {"promised": DELIVER, "received": PROCESS}  # by where `Session.info` keeps them
JOB_SECONDS = 150  # a worker gives up on a job that takes longer
FAILURE_SECONDS = 86_400  # how long Redis remembers a failed job; the truth is in Postgres
OFFSET_SECONDS = 1.0  # how long a process believes the test clock before it looks again


@dataclass(frozen=True)
class Tick:
    """Work that the clock does once in each slot; `slot` gives the latest that has begun.

    With a `queue` it is long, and a worker of that queue does it.
    """

    name: str
    slot: Callable[[datetime], datetime]
    work: "Callable[[Runtime], None]"
    queue: str | None = None


@dataclass
class Runtime:
    """Everything a request or a job needs, and the one way to touch the database."""

    config: Config
    engine: Engine
    redis: Redis
    queues: Mapping[str, Queue]
    senders: Mapping[str, Sender] = field(default_factory=dict)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ticks: Sequence[Tick] = ()
    # The M-PESA settings of the database go before the environment's; see core/mpesa_watch.py.
    watch: "Callable[[Runtime, bool], None] | None" = None
    trial: "Callable[[Config], Mapping[str, Sender]] | None" = None
    mpesa_version: int = 0
    mpesa_shut: str | None = None  # why those of the database cannot be opened

    def __post_init__(self) -> None:
        self.sessions = sessionmaker(self.engine, expire_on_commit=False)

    def now(self) -> datetime:
        """The moment to reason with, aware UTC."""
        return self.clock()

    def refresh(self, *, at_once: bool = False) -> None:
        """Take the M-PESA settings in force: `at_once`, or where that was not done a moment ago.

        For the beginning of a request, a job, a tick or a command: from there on they stay.
        """
        if self.watch is not None:
            self.watch(self, at_once)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """All or nothing, what was noted for the audit with it; then ring for what was promised.

        A bell that cannot be rung is no fault: the promise is in Postgres and the clock finds it.
        """
        with self.sessions.begin() as tx:
            yield tx
            audit.write_noted(tx)
        for info, job in BELLS.items():
            ids: dict[str, list[int]] = {}
            for queue, number in tx.info.pop(info, ()):
                ids.setdefault(queue, []).append(number)
            for queue, numbers in ids.items():
                self.ring(queue, *numbers, job=job)

    def attempt(self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction, again where it surely came to nothing.

        That is where Postgres broke a deadlock by choosing it, where a lock was not given soon (the
        connection is lent to others before it is asked for again), or where the connection turned
        out to be dead before the commit was sent. One that dies during the commit leaves it in
        doubt, and the keys of whoever asks again find out.
        """
        for left in reversed(range(TRIES)):
            committing = False
            try:
                with self.transaction() as tx:
                    result = work(tx)
                    tx.flush()
                    audit.write_noted(tx)
                    committing = True
                return result
            except DBAPIError as error:
                dead = error.connection_invalidated and not committing
                if not left or not (dead or _sqlstate(error) in UNDONE):
                    raise
                log.warning("transaction again", sqlstate=_sqlstate(error), left=left)
        raise AssertionError("unreachable")

    def ring(self, queue: str, *ids: int, job: str = DELIVER) -> None:
        """Tell a worker of `queue` what is due; silence is tolerable."""
        try:
            self.queues[queue].enqueue(
                job, *ids, result_ttl=0, failure_ttl=FAILURE_SECONDS, job_timeout=JOB_SECONDS
            )
        except RedisError as error:
            log.warning("bell not rung", job=job, count=len(ids), error=type(error).__name__)


class TestClock:
    """The clock of demo and test: real time plus the offset that SQL's `app_now()` adds too."""

    __test__ = False  # not a test case, whatever its name says

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.offset: timedelta | None = None
        self.looked_at = 0.0
        self.looking = threading.Lock()

    def __call__(self) -> datetime:
        stale = time.perf_counter() - self.looked_at >= OFFSET_SECONDS
        # One thread looks, and the others go on with what they know: to look takes a connection,
        # and they may be holding all there are.
        if stale and self.looking.acquire(blocking=self.offset is None):
            try:
                self._look()
            finally:
                self.looking.release()
        assert self.offset is not None
        return datetime.now(UTC) + self.offset

    def _look(self) -> None:
        with self.engine.connect() as connection:
            seconds = connection.scalar(text("SELECT seconds FROM test_clock"))
        self.offset = timedelta(seconds=seconds or 0)
        self.looked_at = time.perf_counter()


def in_the_way(error: DBAPIError) -> bool:
    """Whether it is no bug but another transaction, or a lost connection: the whole comes again."""
    return error.connection_invalidated or _sqlstate(error) in UNDONE


_installed: list[Runtime] = []


def install(runtime: Runtime) -> None:
    """Make `runtime` the one that jobs and commands of this process find."""
    _installed[:] = [runtime]


def current() -> Runtime:
    """The runtime of this process."""
    assert _installed, "no runtime: start through wsgi.py (flask --app wsgi ...)"
    return _installed[0]


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "pgcode", None)
