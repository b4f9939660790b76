"""Notices that nobody expects yet: M-PESA may tell the end before it has answered the start.

Each is looked at in its own time and then put off, so that no number of forged ones hides another.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Identity, Index, select
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from core.base import Base, Small
from core.notices import Notice

PUSH, PAYOUT, STATUS, REVERSAL = "stk", "b2c_result", "status_result", "reversal_result"
ORPHAN = "orphan"  # the verdict of a notice that is kept here
BATCH = 100  # matched at one strike of the clock
LOOKS = tuple(timedelta(minutes=m) for m in (2, 5, 60, 360, 1_440))
"""When an orphan is looked at again, counted from when it came; after the last it is a person's."""


class Orphan(Base):
    """One notice without its intent, until the two are matched."""

    __tablename__ = "orphan"
    __table_args__ = (
        Index(
            "ix_orphan_correlation", "door", "correlation", postgresql_where="matched_at IS NULL"
        ),
        Index("ix_orphan_try_at", "door", "try_at", postgresql_where="matched_at IS NULL"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    door: Mapped[str]
    correlation: Mapped[str]
    notice: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    tried: Mapped[int] = mapped_column(Small, default=0, server_default="0")
    try_at: Mapped[datetime | None]
    matched_at: Mapped[datetime | None]
    verdict: Mapped[str | None]


def keep(tx: Session, door: str, notice: Notice, *, now: datetime) -> str:
    """Keep a notice until somebody knows what it is about."""
    tx.add(
        Orphan(
            door=door,
            correlation=notice.correlation,
            notice=notice.kept(),
            created_at=now,
            try_at=now + LOOKS[0],
        )
    )
    return ORPHAN


def of(tx: Session, door: str, correlation: str) -> Iterator[Orphan]:
    """The orphans that waited for this id, oldest first, for this transaction alone."""
    yield from tx.scalars(
        _waiting(door).where(Orphan.correlation == correlation).order_by(Orphan.id)
    )


def known(tx: Session, door: str, column: InstrumentedAttribute[str | None]) -> Iterator[Orphan]:
    """Orphans whose id has turned up in `column` since."""
    yield from tx.scalars(
        _waiting(door)
        .where(Orphan.correlation.in_(select(column)))
        .order_by(Orphan.id)
        .limit(BATCH)
    )


def due(tx: Session, door: str, *, now: datetime) -> Iterator[Orphan]:
    """Orphans whose time to be looked at has come, those that waited longest first.

    Each is put off as it is handed out; `last_look` says whether it will not come again.
    """
    waiting = _waiting(door).where(Orphan.try_at <= now).order_by(Orphan.try_at, Orphan.id)
    for orphan in tx.scalars(waiting.limit(BATCH)):
        orphan.tried += 1
        later = [at for look in LOOKS if (at := orphan.created_at + look) > now]
        orphan.try_at = later[0] if later else None
        yield orphan


def last_look(orphan: Orphan) -> bool:
    """Whether nobody will look at it any more by itself."""
    return orphan.try_at is None


def match(orphan: Orphan, verdict: str, *, now: datetime) -> None:
    """The orphan has been acted on."""
    orphan.matched_at, orphan.verdict = now, verdict


def _waiting(door: str) -> Any:
    return (
        select(Orphan)
        .where(Orphan.door == door, Orphan.matched_at.is_(None))
        .with_for_update(skip_locked=True)
    )
