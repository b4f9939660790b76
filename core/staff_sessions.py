"""Sessions of staff: who has signed in where, for how long, and who has been shown out."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import ColumnElement, ForeignKey, Identity, Index, and_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base
from core.config import Config
from core.errors import Refusal
from core.staff import Staff

TOKEN_BYTES = 32
LONGEST_AGENT = 200  # characters of what a browser says it is
SEEN_EVERY = timedelta(minutes=1)  # how exactly it is known when a session was last used


class StaffSession(Base):
    """One sign-in. Whoever shows the token, of which only the SHA-256 is kept, is that person."""

    __tablename__ = "staff_session"
    __table_args__ = (
        Index("ix_staff_session_staff_id", "staff_id", postgresql_where="ended_at IS NULL"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    token: Mapped[bytes] = mapped_column(unique=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    address: Mapped[str]
    agent: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    fresh_at: Mapped[datetime]  # when the second factor was last shown
    ended_at: Mapped[datetime | None]


@dataclass(frozen=True)
class Visit:
    """Somebody who is signed in. `fresh`: the second factor was shown just now, until then."""

    id: int
    staff: Staff
    fresh: bool
    fresh_until: datetime
    began_at: datetime
    ends_at: datetime


def begin(tx: Session, staff_id: int, *, address: str, agent: str, now: datetime) -> str:
    """A new session, its second factor just shown; the token is told here and never again."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    tx.add(
        StaffSession(
            token=_kept(token),
            staff_id=staff_id,
            address=address,
            agent=agent[:LONGEST_AGENT],
            created_at=now,
            seen_at=now,
            fresh_at=now,
        )
    )
    tx.flush()
    return token


def find(tx: Session, token: str, *, now: datetime, config: Config) -> Visit | None:
    """Whose token this is, while the session lasts and its owner works here."""
    row = tx.execute(
        select(StaffSession, Staff)
        .join(Staff, Staff.id == StaffSession.staff_id)
        .where(StaffSession.token == _kept(token), Staff.active, _open(now, config))
    ).one_or_none()
    if row is None:
        return None
    session, member = row.StaffSession, row.Staff
    if now - session.seen_at >= SEEN_EVERY:
        session.seen_at = now
    until = session.fresh_at + config.staff_fresh
    return Visit(
        id=session.id,
        staff=member,
        fresh=now < until,
        fresh_until=until,
        began_at=session.created_at,
        ends_at=session.created_at + config.staff_absolute,
    )


def freshened(tx: Session, session_id: int, *, now: datetime) -> None:
    """The second factor was shown again. Raises Refusal if the session has ended meanwhile."""
    live = StaffSession.id == session_id, StaffSession.ended_at.is_(None)
    shown = update(StaffSession).where(*live).values(fresh_at=now).returning(StaffSession.id)
    if tx.scalar(shown) is None:
        raise Refusal("staff.session_over")


def end(tx: Session, session_id: int, *, now: datetime) -> None:
    """End one session, for good; ending it again changes nothing."""
    _end(tx, StaffSession.id == session_id, now)


def end_all(tx: Session, staff_id: int, *, now: datetime, but: int | None = None) -> None:
    """End every session of one person, `but` perhaps the one that asks for it."""
    _end(tx, and_(StaffSession.staff_id == staff_id, StaffSession.id.is_distinct_from(but)), now)


def of(tx: Session, staff_id: int, *, now: datetime, config: Config) -> Sequence[StaffSession]:
    """The sessions of one person that go on, the newest first."""
    found = select(StaffSession).where(StaffSession.staff_id == staff_id, _open(now, config))
    return tx.scalars(found.order_by(StaffSession.id.desc())).all()


def _open(now: datetime, config: Config) -> ColumnElement[bool]:
    return and_(
        StaffSession.ended_at.is_(None),
        StaffSession.seen_at > now - config.staff_idle,
        StaffSession.created_at > now - config.staff_absolute,
    )


def _end(tx: Session, which: ColumnElement[bool], now: datetime) -> None:
    live = update(StaffSession).where(which, StaffSession.ended_at.is_(None))
    tx.execute(live.values(ended_at=now))


def _kept(token: str) -> bytes:
    """What is kept of a token: 256 random bits need no salt."""
    return sha256(token.encode()).digest()
