"""Texts that came in: each acted on once, kept masked, with the verdict it was given."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Identity, Index, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base
from core.say import NAIROBI

LOCKS = 8  # the class of advisory locks that put the texts of one number in a row
UNDECIDED = "undecided"  # never seen outside the transaction that writes the verdict


class InboundText(Base):
    """One text from a phone. `verdict` is the sentence that answered it, or why none did."""

    __tablename__ = "inbound_text"
    __table_args__ = (
        Index("ix_inbound_text_phone_received_at", "phone", "received_at"),
        Index("ix_inbound_text_customer_id", "customer_id", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    message_id: Mapped[str] = mapped_column(unique=True)
    phone: Mapped[str]
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    short_code: Mapped[str | None]
    network: Mapped[str | None]
    masked: Mapped[str]
    command: Mapped[str]
    verdict: Mapped[str]
    answer_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"))
    bets_digest: Mapped[uuid.UUID | None]  # of bets that were placed, to know a double by
    received_at: Mapped[datetime]


def known(tx: Session, message_id: str) -> bool:
    """Whether this text has been acted on."""
    return tx.scalar(select(InboundText.id).where(InboundText.message_id == message_id)) is not None


def claim(
    tx: Session,
    *,
    message_id: str,
    phone: str,
    masked: str,
    command: str,
    now: datetime,
    short_code: str | None = None,
    network: str | None = None,
) -> InboundText | None:
    """Take a text to act on it in this transaction; None if that has been done.

    Texts of one number wait for each other here, so that two copies of a bet, or two first texts
    of a stranger, see what the other did.
    """
    tx.execute(select(func.pg_advisory_xact_lock(LOCKS, func.hashtext(phone))))
    row = insert(InboundText).values(
        message_id=message_id,
        phone=phone,
        masked=masked,
        command=command,
        verdict=UNDECIDED,
        short_code=short_code,
        network=network,
        received_at=now,
    )
    claimed = row.on_conflict_do_nothing(index_elements=[InboundText.message_id])
    return tx.scalars(claimed.returning(InboundText)).one_or_none()


def placed_since(tx: Session, phone: str, digest: uuid.UUID, *, since: datetime) -> bool:
    """Whether the same bets of this number were placed by another text a moment ago."""
    same = select(InboundText.id).where(
        InboundText.phone == phone,
        InboundText.bets_digest == digest,
        InboundText.received_at > since,
    )
    return tx.scalar(same.limit(1)) is not None


def answered_stranger_today(tx: Session, phone: str, *, now: datetime) -> int:
    """How many replies a number that is nobody's has cost the house today (Nairobi)."""
    local = now.astimezone(NAIROBI)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    replies = select(func.count()).where(
        InboundText.phone == phone,
        InboundText.customer_id.is_(None),
        InboundText.answer_id.is_not(None),
        InboundText.received_at >= midnight,
        InboundText.received_at < midnight + timedelta(days=1),
    )
    return tx.scalar(replies) or 0
