"""Working settlements through: the loop around the chunks, safe to kill and to run twice."""

from sqlalchemy import func, select

from core import markets, outbox, runtime, settlement
from core.runtime import Runtime

LOCKS = 6  # the class of advisory locks that say "this settlement is being worked on"
AHEAD = 16  # bells of settlements waiting; more would only be doubles


def settle(*settlement_ids: int) -> None:
    """The job: work each settlement through, unless somebody else is at it."""
    for settlement_id in settlement_ids:
        work(runtime.current(), settlement_id)


def work(rt: Runtime, settlement_id: int) -> bool:
    """Settle as far as it goes; True once every cent is paid and the pool is proved empty.

    Each chunk is a transaction with its cursor, so a kill loses nothing and a second worker could
    only take turns; the guard's lock spares them that, and dies with the process.
    """
    config = rt.config
    with rt.transaction() as guard:
        if not guard.scalar(select(func.pg_try_advisory_xact_lock(LOCKS, settlement_id))):
            return False
        now = rt.now()
        if not rt.attempt(lambda tx: settlement.stands(tx, settlement_id)):
            return False
        while rt.attempt(lambda tx: settlement.undo(tx, settlement_id, config=config)):
            pass
        if not rt.attempt(lambda tx: settlement.start(tx, settlement_id, now=now)):
            return False
        while rt.attempt(lambda tx: settlement.step(tx, settlement_id, config=config)):
            pass
        return rt.attempt(lambda tx: settlement.finish(tx, settlement_id))


def close_markets(rt: Runtime) -> None:
    """The tick: close every market whose time has come, each in its own transaction."""
    with rt.transaction() as tx:
        due = markets.due_to_close(tx)
    for market_id in due:
        with rt.transaction() as tx:
            markets.shut_due(tx, market_id)


def ring_settlements(rt: Runtime) -> None:
    """The tick: tell the workers of every settlement that is due or was left half-way."""
    with rt.transaction() as tx:
        due = settlement.due(tx, now=rt.now())
    if due and rt.queues[outbox.DEFAULT].count < AHEAD:
        for settlement_id in due:
            rt.ring(outbox.DEFAULT, settlement_id, job="core.settling.settle")


def refresh_pools(rt: Runtime) -> None:
    """The tick: bring the shown totals up to date."""
    with rt.transaction() as tx:
        markets.refresh_pools(tx)
