"""The sweeper: rings for everything that is due, so that a lost bell costs a second."""

from collections.abc import Sequence

from core import inbox, outbox
from core.runtime import DELIVER, PROCESS, Runtime

BATCH = 100  # ids on one bell
AT_ONCE = 1_000  # ids of one queue found at one strike
FULL = 100  # bells waiting on a queue; more would only be doubles
SHORT = 10  # on that of the money, where whoever withdraws now waits behind all of them


def sweep(rt: Runtime) -> None:
    """Ring for every promise and callback that is due, however long ago its bell was lost."""
    now = rt.now()
    with rt.transaction() as tx:
        waiting = inbox.due(tx, now=now, limit=AT_ONCE)
        dead = outbox.lost(tx, after=rt.config.sending_stuck)
    for queue in outbox.QUEUES:
        if rt.queues[queue].count >= (SHORT if queue == outbox.MONEY else FULL):
            continue
        with rt.transaction() as tx:
            promises = outbox.due(tx, queue, now=now, limit=AT_ONCE)
        _ring(rt, queue, DELIVER, promises)
        _ring(rt, queue, PROCESS, [number for its, number in waiting if its == queue])
    _ring(rt, outbox.DEFAULT, "core.jobs.recover", dead)


def forget_releases(rt: Runtime) -> None:
    """Settlements whose messages and payouts have all gone need no release any more."""
    with rt.transaction() as tx:
        outbox.forget_releases(tx)


def _ring(rt: Runtime, queue: str, job: str, ids: Sequence[int]) -> None:
    for start in range(0, len(ids), BATCH):
        rt.ring(queue, *ids[start : start + BATCH], job=job)
