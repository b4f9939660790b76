"""Workers: processes that answer the bell, each listening on one queue."""

import contextlib
import time
from types import FrameType, TracebackType
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker, Worker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from core import outbox
from core.runtime import Runtime

log = structlog.get_logger(__name__)

PRESENCE_SECONDS = 30  # how often a worker is heard of; it waits at a silent Redis no longer
PAUSE_SECONDS = 1.0  # before a worker that lost Redis begins again


class Calm:
    """What our workers do differently: outlive Redis, and leave no traceback in it.

    A traceback's last line may quote what a customer sent, and Redis is read by many eyes.
    """

    max_connection_wait_time = 2.0  # after an outage nobody waits for a backed-off worker
    log_job_description = False
    log_result_lifespan = False
    stopping = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """The supervisor wants it to end: finish the job at hand."""
        self.stopping = True
        super().request_stop(signum, frame)  # type: ignore[misc]  # of the worker mixed in

    def handle_exception(
        self,
        job: Job,
        kind: type[BaseException],
        fault: BaseException,
        trace: TracebackType | None,
    ) -> None:
        """Log the fault the house's way, redacted."""
        log.error("job failed", job=job.func_name, exc_info=(kind, fault, trace))

    def handle_job_failure(
        self, job: Job, queue: Queue, started_job_registry: Any = None, exc_string: str = ""
    ) -> None:
        """Keep in Redis that it failed, not how."""
        super().handle_job_failure(job, queue, started_job_registry)  # type: ignore[misc]


class Forking(Calm, Worker):
    """A process for each job: what hangs or swells is gone with it. 95 jobs a second."""

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """In the child. The parent's connections stay the parent's, unclosed."""
        self.runtime.engine.dispose(close=False)
        super().main_work_horse(job, queue)

    runtime: Runtime


class Steady(Calm, SimpleWorker):
    """One process for all jobs, with its connections kept. 500 jobs a second."""

    runtime: Runtime


# Partners of money are asked in a process of their own: a push or a payout takes a second of their
# time, so ten milliseconds for the fork are nothing, and whatever the call does to the process (a
# hang, a leak, a crash in a library) is over with it. The same goes for settlements on `default`.
# Texts go out by the thousand after a settlement: there the fork would be most of the work.
KINDS: dict[str, type[Forking] | type[Steady]] = {
    outbox.MONEY: Forking,
    outbox.MESSAGES: Steady,
    outbox.DEFAULT: Forking,
}


def run(rt: Runtime, queue: str, *, burst: bool = False) -> None:
    """Work on one queue until told to stop, through every absence of Redis.

    One queue only: a job popped by a worker of several is in no list until it is begun, and is lost
    if the worker dies just then.
    """
    worker: Forking | Steady | None = None
    with contextlib.suppress(StopRequested):  # told to stop in the pause between two lives
        while worker is None or not worker.stopping:
            try:
                worker = _hired(rt, queue)
                worker.work(burst=burst, logging_level="WARNING")
                if burst:
                    return
            except RedisError as gone:
                log.warning("worker waits for Redis", queue=queue, error=type(gone).__name__)
            if worker is None or not worker.stopping:
                time.sleep(PAUSE_SECONDS)


def _hired(rt: Runtime, queue: str) -> Forking | Steady:
    """A worker with a connection of its own: it waits on it far longer than a request may."""
    store = Redis.from_url(rt.config.redis_url)
    worker = KINDS[queue](
        [Queue(queue, connection=store, serializer=JSONSerializer)],
        connection=store,
        serializer=JSONSerializer,
        worker_ttl=PRESENCE_SECONDS,
    )
    worker.runtime = rt
    return worker
