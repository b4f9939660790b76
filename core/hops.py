"""What is kept of USSD: each hop as shown and typed, how sessions ended, and calls of outages."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Identity, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.base import Base


class UssdHop(Base):
    """One screen and the answer that led to it, secrets masked: the transcript for staff."""

    __tablename__ = "ussd_hop"
    __table_args__ = (
        UniqueConstraint("stream_id"),
        Index("ix_ussd_hop_session", "session", "hop"),
        Index("ix_ussd_hop_customer_id", "customer_id", "at"),
        Index("ix_ussd_hop_at", "at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    stream_id: Mapped[str | None]  # its place in Redis; None if it came here straight
    session: Mapped[str]
    hop: Mapped[int]
    phone: Mapped[str]
    customer_id: Mapped[int | None]
    code: Mapped[str]
    network: Mapped[str]
    screen: Mapped[str]
    typed: Mapped[str]  # masked
    shown: Mapped[str]
    more: Mapped[bool]
    note: Mapped[str] = mapped_column(server_default="")  # "rebuilt", "resumed", "phone changed"
    at: Mapped[datetime]


class UssdEnd(Base):
    """The aggregator's notice that a session ended, with the screen it was left from."""

    __tablename__ = "ussd_end"
    __table_args__ = (
        Index("ix_ussd_end_at", "at"),
        Index("ix_ussd_end_phone", "phone", "at"),
    )

    session: Mapped[str] = mapped_column(primary_key=True)
    phone: Mapped[str]
    customer_id: Mapped[int | None]
    code: Mapped[str]
    network: Mapped[str]
    status: Mapped[str]  # Success, Incomplete, Failed, or a word the aggregator has yet to invent
    screen: Mapped[str | None]  # the last one; None if the session was lost before
    typed: Mapped[str]  # masked
    shown: Mapped[str]  # the last answer the aggregator saw
    error: Mapped[str]
    hops: Mapped[int | None]
    milliseconds: Mapped[int | None]
    cost: Mapped[int | None]  # cents
    at: Mapped[datetime]


class UssdSession(Base):
    """A call in progress while Redis is down. `token` is the hop that is at work on it."""

    __tablename__ = "ussd_session"
    __table_args__ = (
        CheckConstraint("(token IS NULL) = (held_until IS NULL)", name="held"),
        Index("ix_ussd_session_phone", "phone", "at"),
        Index("ix_ussd_session_at", "at"),
    )

    session: Mapped[str] = mapped_column(primary_key=True)
    phone: Mapped[str]
    state: Mapped[str | None] = mapped_column(Text)  # as Redis would hold it
    replies: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    token: Mapped[uuid.UUID | None]
    held_until: Mapped[datetime | None]
    at: Mapped[datetime]
