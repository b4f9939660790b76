"""The outbox: what the house has promised the outside world, written where the reason was written.

A promise is a row of the same transaction as the bet, payout or code it belongs to. A worker is
told of it by a bell (`Runtime.ring`), and the sweeper finds what the bell missed, so losing Redis
loses time and nothing else. `core/jobs.py` keeps promises; `core/errands.py` says how, by kind.
"""

import random
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Literal

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Identity,
    Index,
    and_,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base, Small
from core.errors import NotSent, Rejected, Unknown
from core.log import traceparent

MONEY, MESSAGES, DEFAULT = "money", "messages", "default"
QUEUES = (MONEY, MESSAGES, DEFAULT)
QUEUE_OF: Mapping[str, str] = {
    "sms": MESSAGES,
    "result": MESSAGES,
    "closing_moved": MESSAGES,
    "stk": MONEY,
    "stk_query": MONEY,
    "b2c": MONEY,
    "b2c_refund": MONEY,
    "reversal": MONEY,
    "status_query": MONEY,
    "pull": MONEY,
    "balance": MONEY,
}


class State(IntEnum):
    """Where a promise stands. Only a worker makes it SENDING, and only for as long as it asks."""

    PENDING = 1
    SENDING = 2
    SENT = 3
    REJECTED = 4
    UNKNOWN = 5
    HELD = 6  # until the settlement it belongs to is released, or staff let it go
    DROPPED = 7  # not wanted any more when its turn came


class Promise(Base):
    """One thing owed to the outside: a text, a push, a payout, a question."""

    __tablename__ = "promise"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 7", name="state"),
        CheckConstraint("state <> 2 OR claimed_at IS NOT NULL", name="claimed"),
        # Only what still has to be done is looked for, and it is a sliver of the table.
        Index("ix_promise_due", "due_at", "id", postgresql_where="state = 1"),
        Index("ix_promise_claimed", "claimed_at", postgresql_where="state = 2"),
        Index("ix_promise_held", "settlement_id", "id", postgresql_where="state = 6"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[str]
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    payload: Mapped[dict[str, Any]]
    customer_id: Mapped[int | None]
    settlement_id: Mapped[int | None]
    due_at: Mapped[datetime]
    state: Mapped[int] = mapped_column(Small, default=State.PENDING, server_default="1")
    attempts: Mapped[int] = mapped_column(Small, default=0, server_default="0")
    claimed_at: Mapped[datetime | None]  # by the machine's clock: a test clock kills no worker
    receipt: Mapped[str | None]  # the partner's own name for it
    error: Mapped[str | None]
    trace: Mapped[str | None]  # of the request that promised it, for the logs
    created_at: Mapped[datetime] = mapped_column(server_default=text("app_now()"))
    done_at: Mapped[datetime | None]


class Release(Base):
    """A settlement whose held promises may go. One row frees them all, rewriting none."""

    __tablename__ = "promise_release"

    settlement_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    released_at: Mapped[datetime]


@dataclass(frozen=True)
class Sent:
    """The partner took it. `answer["receipt"]`, where there is one, is kept with the promise."""

    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """It did not simply succeed; the class of `error` says what that means."""

    error: NotSent | Rejected | Unknown


Outcome = Sent | Failed


@dataclass(frozen=True)
class Errand:
    """How promises of one kind are kept.

    `begin(tx, promise, now)` moves the domain row in the transaction that claims the promise, and
    returns what the sender needs; None says it is not wanted any more. `finish(tx, promise,
    outcome, now)` records what happened. After a NotSent the promise is begun again later. A late
    `Sent` may follow an `Unknown`: a worker that was frozen for longer than anyone waits.
    """

    kind: str
    queue: str
    begin: Callable[[Session, Promise, datetime], Mapping[str, Any] | None]
    finish: Callable[[Session, Promise, Outcome, datetime], None]
    when_lost: Literal["again", "unknown"]  # its worker died while it was SENDING

    def __post_init__(self) -> None:
        assert QUEUE_OF[self.kind] == self.queue, f"{self.kind} rings {QUEUE_OF[self.kind]}"


def promise(
    tx: Session,
    kind: str,
    payload: Mapping[str, Any],
    *,
    key: uuid.UUID,
    now: datetime,
    due_at: datetime | None = None,
    customer_id: int | None = None,
    settlement_id: int | None = None,
) -> int:
    """Promise one errand of `kind`, once per key, to be begun at `due_at` (at once if None).

    With a settlement it is held until that settlement is released.
    """
    due = due_at or now
    added = tx.scalar(
        insert(Promise)
        .values(
            kind=kind,
            key=key,
            payload=dict(payload),
            customer_id=customer_id,
            settlement_id=settlement_id,
            state=State.PENDING if settlement_id is None else State.HELD,
            due_at=due,
            trace=traceparent(),
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=[Promise.key])
        .returning(Promise.id)
    )
    if added is None:
        return _promised_before(tx, kind, key)
    if due <= now and settlement_id is None:
        tx.info.setdefault("promised", []).append((QUEUE_OF[kind], added))
    return int(added)


def release(tx: Session, settlement_id: int, *, now: datetime) -> None:
    """Let the held promises of a settlement go, from the commit of `tx` on."""
    row = insert(Release).values(settlement_id=settlement_id, released_at=now)
    tx.execute(row.on_conflict_do_nothing())


def claim(tx: Session, promise_id: int, *, now: datetime) -> Promise | None:
    """Take a promise that is due for this worker alone; None if another has it, or none is due."""
    claimed = (
        update(Promise)
        .where(Promise.id == promise_id, Promise.due_at <= now, _free())
        .values(
            state=State.SENDING,
            attempts=Promise.attempts + 1,
            claimed_at=func.clock_timestamp(),
        )
        .returning(Promise)
        .execution_options(synchronize_session=False)
    )
    return tx.scalars(claimed).one_or_none()


def hold_for_finish(tx: Session, promise_id: int, attempt: int) -> Promise | None:
    """The promise as claimed at `attempt`, locked; None if another worker has claimed it since.

    It is not SENDING any more if this worker was given up for lost meanwhile.
    """
    return tx.scalars(
        select(Promise)
        .where(
            Promise.id == promise_id,
            Promise.attempts == attempt,
            Promise.state.in_((State.SENDING, State.UNKNOWN, State.PENDING)),
        )
        .with_for_update()
    ).one_or_none()


def close(promise: Promise, outcome: Outcome, *, now: datetime, waits: Sequence[timedelta]) -> None:
    """Write down what came of a promise: done, refused, in doubt, or to be tried again."""
    if isinstance(outcome, Sent):
        receipt = outcome.answer.get("receipt")
        promise.state, promise.receipt = State.SENT, None if receipt is None else str(receipt)
        promise.error, promise.done_at = None, now
        return
    error = outcome.error
    promise.error = f"{type(error).__name__} {error.code or ''} {error.detail}"[:500]
    if isinstance(error, NotSent):
        pause = error.retry_after or wait(promise.attempts, waits)
        promise.state, promise.due_at = State.PENDING, now + pause
        return
    promise.state = State.REJECTED if isinstance(error, Rejected) else State.UNKNOWN
    promise.done_at = now


def drop(promise: Promise, *, now: datetime) -> None:
    """Let a claimed promise lapse: it is not wanted any more."""
    promise.state, promise.done_at = State.DROPPED, now


def put_off(
    tx: Session, promise_id: int, error: str, *, now: datetime, waits: Sequence[timedelta]
) -> None:
    """A promise that could not even be begun is tried later, and later each time."""
    promise = tx.get_one(Promise, promise_id, with_for_update=True)
    if promise.state in (State.PENDING, State.HELD):
        promise.attempts += 1
        promise.due_at = now + wait(promise.attempts, waits)
        promise.error = f"fault: {error}"


def hold_lost(tx: Session, promise_id: int, *, after: timedelta) -> Promise | None:
    """A promise whose worker must be dead, locked; None if it has come to life or an end."""
    return tx.scalars(
        select(Promise).where(Promise.id == promise_id, _overdue(after)).with_for_update()
    ).one_or_none()


def reopen(tx: Session, promise: Promise, *, now: datetime) -> None:
    """Have a promise begun again at once."""
    promise.state, promise.due_at = State.PENDING, now
    tx.info.setdefault("promised", []).append((QUEUE_OF[promise.kind], promise.id))


def wait(attempts: int, waits: Sequence[timedelta]) -> timedelta:
    """How long to wait after the `attempts`-th try: up to that try's wait, so that herds disperse.

    Half of it is sure: a partner who is down gains nothing from being asked again at once.
    """
    longest = waits[min(attempts, len(waits)) - 1]
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - spreads load, guards nothing


def due(tx: Session, queue: str, *, now: datetime, limit: int) -> list[int]:
    """Promises of `queue` that are due, however long ago, the oldest first; `limit` at most.

    Fair between big and small: what belongs to no settlement and what settlements have released
    have half each where both want all, and every settlement has as much as the others. A million
    winners are paid beside the one who withdraws, not before.
    """
    pending = select(Promise.id).where(
        Promise.state == State.PENDING, Promise.due_at <= now, Promise.kind.in_(_kinds_of(queue))
    )
    small = list(tx.scalars(pending.order_by(Promise.due_at, Promise.id).limit(limit)))
    big = _released(tx, queue, now=now, limit=limit)
    kept = max(limit - len(big), limit - limit // 2)  # at least half, and all that big leaves over
    small = small[:kept]
    return small + big[: limit - len(small)]


def _released(tx: Session, queue: str, *, now: datetime, limit: int) -> list[int]:
    """Of every settlement that has been released its first promises, in turns."""
    rows = tx.execute(
        RELEASED,
        {"now": now, "kinds": list(_kinds_of(queue)), "limit": limit},
    )
    return [int(row.id) for row in rows]


def forget_releases(tx: Session) -> None:
    """Drop the release of every settlement that has nothing held any more."""
    held = select(literal(1)).where(
        Promise.settlement_id == Release.settlement_id, Promise.state == State.HELD
    )
    for done in tx.scalars(select(Release).where(~held.exists()).with_for_update(skip_locked=True)):
        tx.delete(done)


def lost(tx: Session, *, after: timedelta) -> list[int]:
    """Promises that a worker claimed and never finished: it must be dead by now."""
    return list(
        tx.scalars(
            select(Promise.id).where(_overdue(after)).order_by(Promise.claimed_at).limit(1_000)
        )
    )


def _overdue(after: timedelta) -> ColumnElement[bool]:
    return and_(Promise.state == State.SENDING, Promise.claimed_at < func.clock_timestamp() - after)


def _free() -> ColumnElement[bool]:
    """PENDING, or HELD for a settlement that has been released."""
    released = select(literal(1)).where(Release.settlement_id == Promise.settlement_id)
    return or_(Promise.state == State.PENDING, and_(Promise.state == State.HELD, released.exists()))


def _promised_before(tx: Session, kind: str, key: uuid.UUID) -> int:
    row = tx.execute(select(Promise.id, Promise.kind).where(Promise.key == key)).one()
    assert row.kind == kind, f"key {key} already promises {row.kind}"
    return int(row.id)


def _kinds_of(queue: str) -> Iterable[str]:
    return [kind for kind, its in QUEUE_OF.items() if its == queue]


# By the index of what is held, as far as one share goes: there may be a million behind it.
RELEASED = text("""
    SELECT held.id
      FROM promise_release r
     CROSS JOIN LATERAL
           (SELECT p.id, row_number() OVER (ORDER BY p.id) AS turn
              FROM (SELECT id FROM promise
                     WHERE settlement_id = r.settlement_id AND state = 6 AND due_at <= :now
                       AND kind = ANY (:kinds)
                     ORDER BY id LIMIT :limit) p) held
     ORDER BY held.turn, r.settlement_id LIMIT :limit
""")
