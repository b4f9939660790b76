"""Notices that nobody expects yet: M-PESA may tell the end before it has answered the start."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Identity, Index, select
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from core.base import Base
from core.notices import Notice

PUSH, PAYOUT, STATUS = "stk", "b2c_result", "status_result"
ORPHAN = "orphan"  # the verdict of a notice that is kept here
BATCH = 100  # matched at one strike of the clock


class Orphan(Base):
    """One notice without its intent, until the two are matched."""

    __tablename__ = "orphan"
    __table_args__ = (
        Index(
            "ix_orphan_correlation", "door", "correlation", postgresql_where="matched_at IS NULL"
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    door: Mapped[str]
    correlation: Mapped[str]
    notice: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    matched_at: Mapped[datetime | None]
    verdict: Mapped[str | None]


def keep(tx: Session, door: str, notice: Notice, *, now: datetime) -> str:
    """Keep a notice until somebody knows what it is about."""
    tx.add(Orphan(door=door, correlation=notice.correlation, notice=notice.kept(), created_at=now))
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


def between(tx: Session, door: str, since: datetime | None, before: datetime) -> Iterator[Orphan]:
    """Orphans that came in that time, newest first: old rubbish must not stand in their way."""
    came = _waiting(door).where(Orphan.created_at < before)
    if since is not None:
        came = came.where(Orphan.created_at >= since)
    yield from tx.scalars(came.order_by(Orphan.id.desc()).limit(BATCH))


def match(orphan: Orphan, verdict: str, *, now: datetime) -> None:
    """The orphan has been acted on."""
    orphan.matched_at, orphan.verdict = now, verdict


def _waiting(door: str) -> Any:
    return (
        select(Orphan)
        .where(Orphan.door == door, Orphan.matched_at.is_(None))
        .with_for_update(skip_locked=True)
    )
