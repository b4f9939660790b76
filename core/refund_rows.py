"""Refunds as rows: what goes back to who paid it, how, and where that stands."""

import uuid
from datetime import datetime
from enum import IntEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from core.base import Base, Small


class Method(IntEnum):
    """How money is sent back. A reversal undoes the payment; B2C is a payment of our own."""

    REVERSAL = 1
    B2C = 2


class RefundState(IntEnum):
    """Where a refund stands. Only a failed one makes room for another of the same receipt."""

    QUEUED = 1
    SENDING = 2
    ACCEPTED = 3
    IN_DOUBT = 4  # only M-PESA's word can end it; it is never sent again
    NEEDS_HUMAN = 5
    PAID = 6
    FAILED = 7


SENT = (
    RefundState.SENDING,
    RefundState.ACCEPTED,
    RefundState.IN_DOUBT,
    RefundState.NEEDS_HUMAN,
)
"""M-PESA may have it: its word moves the refund on."""


class Refund(Base):
    """Money on its way back, in full. Opened and paid by database functions."""

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 7", name="state"),
        CheckConstraint("method IN (1, 2)", name="method"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("(method = 2) = (phone IS NOT NULL)", name="payee"),
        CheckConstraint("(state = 6) = (paid_receipt IS NOT NULL)", name="paid_with_receipt"),
        Index("uq_refund_receipt", "receipt", unique=True, postgresql_where="state <> 7"),
        Index("ix_refund_ask_at", "ask_at", postgresql_where="ask_at IS NOT NULL"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    receipt: Mapped[str] = mapped_column(ForeignKey("mpesa_receipt.receipt"))
    method: Mapped[int] = mapped_column(Small)
    amount: Mapped[int]
    phone: Mapped[str | None]  # whom B2C pays, in E.164
    shortcode: Mapped[str]  # the account it leaves
    state: Mapped[int] = mapped_column(Small)
    proposal_id: Mapped[int | None] = mapped_column(ForeignKey("proposal.id"))
    ocid: Mapped[uuid.UUID] = mapped_column(unique=True)  # of B2C: M-PESA pays it at most once
    conversation_id: Mapped[str | None] = mapped_column(unique=True)
    code: Mapped[str | None]
    paid_receipt: Mapped[str | None] = mapped_column(
        ForeignKey("mpesa_receipt.receipt"), unique=True
    )
    asked: Mapped[int] = mapped_column(Small, default=0, server_default="0")
    ask_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    sending_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
