"""The inbox: what partners tell us, kept raw before it is answered, and acted on by a job."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from hashlib import sha256
from typing import Any

import structlog
from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import outbox
from core.base import Base, Small
from core.crypto import KeyRing
from core.log import traceparent

log = structlog.get_logger(__name__)

TRIES = 5
WAITS = tuple(timedelta(seconds=s) for s in (5, 30, 120, 600))
UNREADABLE = "unreadable"

# Whatever moves money is worked off beside the payments; the rest must not stand in its way.
QUEUE_OF: Mapping[str, str] = {"sms_delivery": outbox.MESSAGES}

NEXT = text("SELECT nextval(pg_get_serial_sequence('callback', 'id'))").columns(id=BigInteger)

Processor = Callable[[Session, dict[str, Any], datetime], str]
"""Acts on one callback inside its transaction and says what became of it. Must bear repeats."""


class State(IntEnum):
    """Where a callback stands."""

    NEW = 1
    DONE = 2
    STUCK = 3  # failed five times: an alert, and a person runs it again


class Callback(Base):
    """One body a partner posted, sealed under the row it is in."""

    __tablename__ = "callback"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 3", name="state"),
        Index("ix_callback_due", "due_at", "id", postgresql_where="state = 1"),
        Index("ix_callback_received_at", "received_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    door: Mapped[str]
    body: Mapped[str]
    sha256: Mapped[bytes]
    state: Mapped[int] = mapped_column(Small, default=State.NEW, server_default="1")
    attempts: Mapped[int] = mapped_column(Small, default=0, server_default="0")
    due_at: Mapped[datetime]
    verdict: Mapped[str | None]
    error: Mapped[str | None]
    trace: Mapped[str | None]
    received_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


def keep(tx: Session, door: str, body: bytes, *, keys: KeyRing, now: datetime) -> int:
    """Keep what came through `door`, sealed, and have it acted on after the commit."""
    number = int(tx.scalars(NEXT).one())
    tx.add(
        Callback(
            id=number,
            door=door,
            body=keys.seal(body, aad=_place(number)),
            sha256=sha256(body).digest(),
            due_at=now,
            trace=traceparent(),
            received_at=now,
        )
    )
    tx.info.setdefault("received", []).append((queue_of(door), number))
    return number


def queue_of(door: str) -> str:
    """The queue on which callbacks of a door are worked off."""
    return QUEUE_OF.get(door, outbox.MONEY)


def begin(tx: Session, callback_id: int, *, now: datetime) -> Callback | None:
    """Count one more try, in a transaction of its own; None if there is nothing to do.

    Counted before the work, so that a callback that kills its worker gets stuck too.
    """
    callback = tx.scalars(
        select(Callback)
        .where(Callback.id == callback_id, Callback.state == State.NEW, Callback.due_at <= now)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if callback is None:
        return None
    if callback.attempts >= TRIES:
        _stick(callback)
        return None
    callback.attempts += 1
    callback.due_at = now + outbox.wait(callback.attempts, WAITS)
    return callback


def work(
    tx: Session,
    callback_id: int,
    processors: Mapping[str, Processor],
    *,
    keys: KeyRing,
    now: datetime,
) -> str | None:
    """Act on a callback that has been begun; the verdict, or None if it was done meanwhile."""
    callback = tx.scalars(
        select(Callback)
        .where(Callback.id == callback_id, Callback.state == State.NEW)
        .with_for_update()
    ).one_or_none()
    if callback is None:
        return None
    payload = read(callback, keys=keys)
    verdict = UNREADABLE if payload is None else processors[callback.door](tx, payload, now)
    callback.state, callback.verdict = State.DONE, verdict
    callback.error, callback.done_at = None, now
    return verdict


def fail(tx: Session, callback_id: int, error: str) -> None:
    """Note why a try failed; the last one leaves the callback stuck."""
    callback = tx.get_one(Callback, callback_id, with_for_update=True)
    if callback.state != State.NEW:
        return
    callback.error = error[:500]
    if callback.attempts >= TRIES:
        _stick(callback)


def again(tx: Session, callback_id: int, *, now: datetime) -> bool:
    """Run a stuck callback once more, from its first try; False if it is not stuck."""
    door = tx.scalar(
        update(Callback)
        .where(Callback.id == callback_id, Callback.state == State.STUCK)
        .values(state=State.NEW, attempts=0, due_at=now)
        .returning(Callback.door)
    )
    if door is None:
        return False
    tx.info.setdefault("received", []).append((queue_of(door), callback_id))
    return True


def stuck(tx: Session, *, limit: int = 100) -> Sequence[Callback]:
    """Callbacks that nobody acts on any more, the oldest first. Their bodies stay sealed."""
    found = select(Callback).where(Callback.state == State.STUCK)
    return tx.scalars(found.order_by(Callback.id).limit(limit)).all()


def due(tx: Session, *, now: datetime, limit: int) -> list[tuple[str, int]]:
    """The oldest callbacks that nobody has acted on, as (queue, id)."""
    waiting = (
        select(Callback.door, Callback.id)
        .where(Callback.state == State.NEW, Callback.due_at <= now)
        .order_by(Callback.due_at, Callback.id)
        .limit(limit)
    )
    return [(queue_of(row.door), row.id) for row in tx.execute(waiting)]


def read(callback: Callback, *, keys: KeyRing) -> dict[str, Any] | None:
    """The JSON object of a callback; None if it is none."""
    body = keys.open(callback.body, aad=_place(callback.id))
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):  # not JSON, not even text, or a pit without a bottom
        return None
    return payload if isinstance(payload, dict) else None


def _stick(callback: Callback) -> None:
    callback.state = State.STUCK
    log.error("callback stuck", callback_id=callback.id, door=callback.door)


def _place(number: int) -> str:
    return f"callback.body|{number}"
