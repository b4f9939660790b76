"""The hourly pull: M-PESA's own list of what customers paid, read so that nothing is passed over.

A window is read page by page, and each page is kept as the cursor moves on; the next window begins
before the end of the last. Whatever dies, the page at the cursor is asked for again, and rows that
are booked change nothing.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

import structlog
from sqlalchemy import CheckConstraint, Identity, Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import inbox, outbox
from core.base import Base, Small
from core.config import Config
from core.errors import NotSent, Rejected
from core.outbox import Errand, Outcome, Promise, Sent
from core.receipts import Direction, MpesaReceipt
from core.runtime import current

log = structlog.get_logger(__name__)

KIND = DOOR = "pull"
LOCKS = (4, 2)  # the advisory lock of those who open windows
EVERY = timedelta(hours=1)
KNOWN_FOR = timedelta(hours=48)  # as far back as M-PESA tells
REACH = KNOWN_FOR - timedelta(minutes=30)  # of a window: the rest is for asking again
RETRY = timedelta(minutes=5)  # after which a page that did not come is asked for again
PAGE = 100
TAKEN_BACK = "revers"  # in the type of a row under a receipt that may be booked
MOST_PAGES = 1_000  # of one window; more is a partner that does not read the offset


class PullState(IntEnum):
    """Where a window stands."""

    OPEN = 1
    DONE = 2
    FAILED = 3  # the next one begins where the last that was done ended


class PullWindow(Base):
    """A stretch of time whose payments are asked for; `next_offset` is how far it has been read."""

    __tablename__ = "pull_window"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 3", name="state"),
        CheckConstraint("start_at < end_at", name="span"),
        CheckConstraint("(state = 1) = (ended_at IS NULL)", name="ended"),
        Index("uq_pull_window_open", "shortcode", unique=True, postgresql_where="state = 1"),
        Index("ix_pull_window_shortcode", "shortcode", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    shortcode: Mapped[str]
    start_at: Mapped[datetime]
    end_at: Mapped[datetime]
    next_offset: Mapped[int] = mapped_column(default=0, server_default="0")
    state: Mapped[int] = mapped_column(Small)
    asked: Mapped[int] = mapped_column(default=0, server_default="0")
    ask_at: Mapped[datetime | None]  # when the page is asked for again if it has not come
    seen: Mapped[int] = mapped_column(default=0, server_default="0")
    fresh: Mapped[int] = mapped_column(default=0, server_default="0")  # of them, not booked yet
    code: Mapped[str | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


def sweep(tx: Session, now: datetime, config: Config) -> None:
    """Ask again for a page that did not come, or open the next window once an hour is over."""
    shortcode = config.mpesa_shortcode
    if not shortcode:
        return
    tx.execute(select(func.pg_advisory_xact_lock(*LOCKS)))
    last = _last(tx, shortcode)
    if last is None or last.state != PullState.OPEN:
        if last is None or last.created_at + EVERY <= now:
            _open(tx, shortcode, now=now, config=config)
    elif last.start_at < now - KNOWN_FOR:  # nobody was there for long: M-PESA would not tell now
        _end(last, PullState.FAILED, "too old", now=now)
        _open(tx, shortcode, now=now, config=config)
    elif last.ask_at is None or last.ask_at <= now:
        _ask(tx, last, now=now)


def begin(tx: Session, *, now: datetime, config: Config) -> PullWindow:
    """A window now, whatever the hour; the one that is being read if there is one."""
    tx.execute(select(func.pg_advisory_xact_lock(*LOCKS)))
    last = _last(tx, config.mpesa_shortcode)
    if last is not None and last.state == PullState.OPEN:
        return last
    return _open(tx, config.mpesa_shortcode, now=now, config=config)


def latest(tx: Session, *, limit: int = 20) -> Sequence[PullWindow]:
    """The newest windows first."""
    return tx.scalars(select(PullWindow).order_by(PullWindow.id.desc()).limit(limit)).all()


def _open(tx: Session, shortcode: str, *, now: datetime, config: Config) -> PullWindow:
    done = select(func.max(PullWindow.end_at)).where(
        PullWindow.shortcode == shortcode, PullWindow.state == PullState.DONE
    )
    until = tx.scalar(done)
    if until is not None and until < now - REACH:
        # Of these hours only the organisation statement tells.
        log.error("payments not pulled", seconds=int((now - REACH - until).total_seconds()))
    start = now - REACH if until is None else max(until - config.pull_overlap, now - REACH)
    window = PullWindow(
        key=uuid.uuid4(),
        shortcode=shortcode,
        start_at=min(start, now - timedelta(seconds=1)),
        end_at=now,
        next_offset=0,
        state=PullState.OPEN,
        asked=0,
        seen=0,
        fresh=0,
        created_at=now,
    )
    tx.add(window)
    tx.flush()
    _ask(tx, window, now=now)
    return window


def _ask(tx: Session, window: PullWindow, *, now: datetime) -> None:
    """Promise the page at the cursor; an older promise of this window means nothing any more."""
    window.asked += 1
    window.ask_at = now + RETRY
    payload = {"pull_window_id": window.id, "asked": window.asked}
    key = uuid.uuid5(window.key, f"ask:{window.asked}")
    outbox.promise(tx, KIND, payload, key=key, now=now)


def _begin(tx: Session, promise: Promise, now: datetime) -> dict[str, Any] | None:
    window = _held(tx, promise)
    if not _is_live(window, promise):
        return None
    return {
        "shortcode": window.shortcode,
        "start": window.start_at,
        "end": window.end_at,
        "offset": window.next_offset,
    }


def _finish(tx: Session, promise: Promise, outcome: Outcome, now: datetime) -> None:
    window = _held(tx, promise)
    if isinstance(outcome, Sent):
        rows = outcome.answer["rows"]
        fresh = _keep(tx, rows, window.shortcode, now=now)
        if _is_live(window, promise):  # a late answer's rows are welcome, its cursor is not
            _advance(tx, window, len(rows), fresh, now=now)
    elif not _is_live(window, promise) or isinstance(outcome.error, NotSent):
        return  # the promise itself is tried again
    elif isinstance(outcome.error, Rejected):
        log.error("pull refused", error_code=outcome.error.code)
        _end(window, PullState.FAILED, outcome.error.code or "refused", now=now)
    else:
        window.code = outcome.error.code


ERRAND = Errand(KIND, outbox.MONEY, _begin, _finish, when_lost="again")


def _advance(tx: Session, window: PullWindow, rows: int, fresh: int, *, now: datetime) -> None:
    window.seen, window.fresh, window.code = window.seen + rows, window.fresh + fresh, None
    if rows < PAGE:
        _end(window, PullState.DONE, None, now=now)
        return
    window.next_offset += PAGE
    if window.next_offset >= PAGE * MOST_PAGES:
        log.error("pull without an end", ids=[window.id])
        _end(window, PullState.FAILED, "endless", now=now)
        return
    _ask(tx, window, now=now)


def _keep(tx: Session, rows: Sequence[Mapping[str, Any]], shortcode: str, *, now: datetime) -> int:
    """Keep the rows that our books do not have yet, as if M-PESA had posted each; how many.

    One that cannot be worked off gets stuck like any callback, and stands in nobody's way.
    """
    keys = current().config.data_keys
    booked = _booked(tx, [str(row.get("receipt") or "") for row in rows], shortcode)
    fresh = [row for row in rows if not _is_known(row, booked)]
    for row in fresh:
        inbox.keep(tx, DOOR, json.dumps(row, default=str).encode(), keys=keys, now=now)
    return len(fresh)


def _is_known(row: Mapping[str, Any], booked: Mapping[str, int]) -> bool:
    if TAKEN_BACK in str(row.get("type") or "").lower():
        return False
    return row.get("amount") is not None and booked.get(str(row.get("receipt"))) == row["amount"]


def _booked(tx: Session, names: Sequence[str], shortcode: str) -> dict[str, int]:
    """Of these receipts those that are booked and confirmed, with their amounts."""
    known = select(MpesaReceipt.receipt, MpesaReceipt.amount).where(
        MpesaReceipt.receipt.in_(names),
        MpesaReceipt.direction == Direction.IN,
        MpesaReceipt.shortcode == shortcode,
        MpesaReceipt.confirmed_at.is_not(None),
    )
    return {row.receipt: row.amount for row in tx.execute(known)}


def _end(window: PullWindow, state: PullState, code: str | None, *, now: datetime) -> None:
    window.state, window.code, window.ask_at, window.ended_at = state, code, None, now


def _is_live(window: PullWindow, promise: Promise) -> bool:
    return window.state == PullState.OPEN and promise.payload["asked"] == window.asked


def _last(tx: Session, shortcode: str) -> PullWindow | None:
    newest = select(PullWindow).where(PullWindow.shortcode == shortcode)
    return tx.scalar(newest.order_by(PullWindow.id.desc()).limit(1).with_for_update())


def _held(tx: Session, promise: Promise) -> PullWindow:
    return tx.get_one(PullWindow, promise.payload["pull_window_id"], with_for_update=True)
