"""What happens by the clock: ticks, each done once a slot however many clocks there are.

A tick's slot is the latest moment at which it should have struck. Whoever holds the tick's
advisory lock does it, and writes the slot down when it is done: a clock that dies half-way leaves
the slot undone, and a slot missed while no clock ran is caught up, once, by the next that looks.
Work may therefore be done again after a crash, and every tick must bear that.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from redis.exceptions import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base
from core.runtime import Runtime, Tick
from core.say import NAIROBI

log = structlog.get_logger(__name__)

LOCKS = 2  # the class of advisory locks that ticks use; markets use 1
BEAT = 1.0  # seconds between two looks at the ticks
AGAIN = 60.0  # seconds before a long tick that is still not done is rung again
PATIENCE = 5  # faults of one tick in a row, then the clock gives up and its supervisor is alarmed


class Struck(Base):
    """The last slot of each tick that was done."""

    __tablename__ = "tick"

    name: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[datetime]
    done_at: Mapped[datetime]


def every(length: timedelta) -> Callable[[datetime], datetime]:
    """Slots of equal length."""

    def slot(now: datetime) -> datetime:
        return now - timedelta(seconds=now.timestamp() % length.total_seconds())

    return slot


def daily(hour: int, minute: int = 0) -> Callable[[datetime], datetime]:
    """Once a day at that time in Nairobi."""

    def slot(now: datetime) -> datetime:
        here = now.astimezone(NAIROBI)
        today = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
        return today if today <= here else today - timedelta(days=1)

    return slot


def strike(rt: Runtime, tick: Tick) -> bool:
    """Do `tick` unless its slot is done or another clock is at it; True if it was done here.

    The transaction that holds the lock stays open meanwhile, and does nothing else: the work has
    transactions of its own, and the lock dies with this process.
    """
    with rt.transaction() as guard:
        if not _alone(guard, tick.name):
            return False
        slot = _due(guard, tick)  # a statement of its own: it must see what the last holder wrote
        if slot is None:
            return False
        # A slot whose mark is lost with the machine is done again, so nothing waits for the disk.
        guard.execute(text("SET LOCAL synchronous_commit = off"))
        tick.work(rt)
        row = insert(Struck).values(name=tick.name, slot=slot, done_at=func.clock_timestamp())
        fresh = {"slot": row.excluded.slot, "done_at": row.excluded.done_at}
        guard.execute(row.on_conflict_do_update(index_elements=[Struck.name], set_=fresh))
    return True


def run(rt: Runtime, stop: threading.Event) -> None:
    """Look at every tick once a second until `stop` is set."""
    faults: Counter[str] = Counter()
    rung: dict[str, float] = {}
    while not stop.is_set():
        began = time.monotonic()
        rt.refresh()
        for tick in rt.ticks:
            _attend(rt, tick, faults, rung)
        stop.wait(max(0.0, BEAT - (time.monotonic() - began)))


def _alone(guard: Session, name: str) -> bool:
    lock = func.pg_try_advisory_xact_lock(LOCKS, func.hashtext(name))
    return bool(guard.scalar(select(lock)))


def _due(tx: Session, tick: Tick) -> datetime | None:
    """The slot to do now by the database's clock, the one that all clocks share; None if done."""
    now = tx.scalars(select(func.app_now())).one()
    last = tx.scalar(select(Struck.slot).where(Struck.name == tick.name))
    slot = tick.slot(now)
    # A last slot in the future was struck before somebody set the test clock back.
    return slot if last is None or last < slot or last > now else None


def _attend(rt: Runtime, tick: Tick, faults: Counter[str], rung: dict[str, float]) -> None:
    """Strike one tick or have it struck; its fault must not keep the others from striking.

    That the world is away (database, Redis) is nobody's bug: it is said, and waited for. Anything
    else is a bug: it is said loudly, and raised for good when it keeps coming.
    """
    try:
        if tick.queue is None:
            strike(rt, tick)
        else:
            _send_for(rt, tick, rung)
        faults[tick.name] = 0
    except (OperationalError, PoolTimeout, RedisError) as away:
        log.warning("tick waits", tick=tick.name, error=type(away).__name__)
    except Exception:
        faults[tick.name] += 1
        log.exception("tick failed", tick=tick.name, times=faults[tick.name])
        if faults[tick.name] >= PATIENCE:
            raise


def _send_for(rt: Runtime, tick: Tick, rung: dict[str, float]) -> None:
    assert tick.queue is not None
    if time.monotonic() - rung.get(tick.name, -AGAIN) < AGAIN:
        return
    with rt.transaction() as tx:
        slot = _due(tx, tick)
    if slot is not None:
        rt.queues[tick.queue].enqueue("core.jobs.strike", tick.name, result_ttl=0)
        rung[tick.name] = time.monotonic()
