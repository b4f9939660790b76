"""What a worker does when the bell rings: keeps promises, acts on callbacks, strikes long ticks.

A job carries ids and nothing else. It may come late, twice, at the same time as its double, or
never: Postgres says what there is to do, and whoever claims it first does it.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from core import inbox, outbox, runtime, ticks
from core.errands import ERRANDS, PROCESSORS
from core.errors import NotSent, Rejected, Unknown
from core.log import traced
from core.outbox import Failed, Outcome, Promise, Sent
from core.runtime import Runtime, Sender

log = structlog.get_logger(__name__)

AT_ONCE = 32  # promises of one bell asked of a partner together; none holds a connection meanwhile
FROZEN = 5  # times as long as a lost worker is waited for: whoever wakes up then asks nothing
LOST_TRIES = 5  # a text whose worker died this often is left alone


@dataclass(frozen=True)
class Begun:
    """A promise that is this worker's to keep."""

    id: int
    kind: str
    attempt: int
    request: Mapping[str, Any]
    trace: str | None
    at: float  # by the machine's clock, before the claim was committed


def deliver(*promise_ids: int) -> None:
    """Keep the promises that are still due."""
    _each(_keep, promise_ids)


def process(*callback_ids: int) -> None:
    """Act on callbacks, one after the other: they touch the same payments."""
    rt = _ready()
    for callback_id in callback_ids:
        _take(rt, callback_id)


def recover(*promise_ids: int) -> None:
    """Settle what a dead worker left: ask again where that is harmless, doubt where it is not."""
    _each(_recover, promise_ids)


def strike(name: str) -> None:
    """Do a tick that is too long for the clock's own loop."""
    rt = _ready()
    ticks.strike(rt, next(tick for tick in rt.ticks if tick.name == name))


def _ready() -> Runtime:
    """The house, on the settings in force."""
    rt = runtime.current()
    rt.refresh()
    return rt


def _each(work: Callable[[Runtime, int], None], ids: tuple[int, ...]) -> None:
    rt = _ready()
    if len(ids) == 1:
        return work(rt, ids[0])
    with ThreadPoolExecutor(min(AT_ONCE, len(ids))) as crowd:
        # All are done before the first fault is raised: one bad promise stops no other.
        for done in [crowd.submit(work, rt, number) for number in ids]:
            done.result()
    return None


def _keep(rt: Runtime, promise_id: int) -> None:
    begun = _begin(rt, promise_id)
    if begun is None:
        return
    with traced(begun.trace, promise_id=begun.id, kind=begun.kind):
        if time.time() - begun.at > FROZEN * rt.config.sending_stuck.total_seconds():
            # It was given up for lost long ago, and people may have acted on that.
            log.error("frozen before it asked")
            return
        # No transaction is open here: a slow partner must never hold a row or a connection.
        try:
            outcome = _ask(rt.senders[begun.kind], begun.request)
        except Exception as fault:
            # A bug, and it may have struck after the partner acted: doubt it now, then be loud.
            _end(rt, begun, Failed(Unknown(f"fault: {type(fault).__name__}")))
            raise
        _end(rt, begun, outcome)


def _begin(rt: Runtime, promise_id: int) -> Begun | None:
    now = rt.now()
    try:
        return rt.attempt(lambda tx: _claim(tx, promise_id, now))
    except Exception as fault:
        # Nothing was sent and nothing written. Without this it would fail again each second.
        name, waits = type(fault).__name__, rt.config.send_retry
        rt.attempt(lambda tx: outbox.put_off(tx, promise_id, name, now=now, waits=waits))
        raise


def _claim(tx: Session, promise_id: int, now: datetime) -> Begun | None:
    at = time.time()
    promise = outbox.claim(tx, promise_id, now=now)
    if promise is None:
        return None
    request = ERRANDS[promise.kind].begin(tx, promise, now)
    if request is None:
        outbox.drop(promise, now=now)
        return None
    return Begun(promise.id, promise.kind, promise.attempts, request, promise.trace, at)


def _ask(sender: Sender, request: Mapping[str, Any]) -> Outcome:
    try:
        return Sent(sender(request))
    except (NotSent, Rejected, Unknown) as error:
        return Failed(error)


def _end(rt: Runtime, begun: Begun, outcome: Outcome) -> None:
    now = rt.now()
    rt.attempt(lambda tx: _finish(rt, tx, begun, outcome, now))
    if isinstance(outcome, Failed):
        error = outcome.error
        log.warning("not sent", verdict=type(error).__name__, error_code=error.code)


def _finish(rt: Runtime, tx: Session, begun: Begun, outcome: Outcome, now: datetime) -> None:
    promise = outbox.hold_for_finish(tx, begun.id, begun.attempt)
    if promise is None:
        log.warning("answer came too late", attempt=begun.attempt)
        return
    if promise.state != outbox.State.SENDING and not isinstance(outcome, Sent):
        return  # this worker was given up for lost, and its answer knows no better
    _write(rt, tx, promise, outcome, now)


def _write(rt: Runtime, tx: Session, promise: Promise, outcome: Outcome, now: datetime) -> None:
    """The errand first: it sees the promise as it was while it was being sent."""
    ERRANDS[promise.kind].finish(tx, promise, outcome, now)
    outbox.close(promise, outcome, now=now, waits=rt.config.send_retry)


def _recover(rt: Runtime, promise_id: int) -> None:
    now = rt.now()
    rt.attempt(lambda tx: _declare_lost(rt, tx, promise_id, now))


def _declare_lost(rt: Runtime, tx: Session, promise_id: int, now: datetime) -> None:
    promise = outbox.hold_lost(tx, promise_id, after=rt.config.sending_stuck)
    if promise is None:
        return
    again = ERRANDS[promise.kind].when_lost == "again" and promise.attempts < LOST_TRIES
    log.error("worker lost", promise_id=promise.id, kind=promise.kind, again=again)
    if again:
        outbox.reopen(tx, promise, now=now)
    else:
        _write(rt, tx, promise, Failed(Unknown("the worker died while it was asking")), now)


def _take(rt: Runtime, callback_id: int) -> None:
    now = rt.now()
    callback = rt.attempt(lambda tx: inbox.begin(tx, callback_id, now=now))
    if callback is None:
        return
    with traced(callback.trace, callback_id=callback_id, door=callback.door):
        log.info("callback done", verdict=_act(rt, callback_id, now))


def _act(rt: Runtime, callback_id: int, now: datetime) -> str | None:
    keys = rt.config.data_keys
    try:
        return rt.attempt(lambda tx: inbox.work(tx, callback_id, PROCESSORS, keys=keys, now=now))
    except Exception as fault:
        # Counted, told to staff at the fifth, and raised: the worker's log has the rest.
        name = type(fault).__name__
        rt.attempt(lambda tx: inbox.fail(tx, callback_id, name))
        raise
