"""Deposits and payouts: what the house intends with M-PESA, and every state that can be in."""

import uuid
from datetime import datetime
from enum import IntEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.base import Base, Small


class DepositState(IntEnum):
    """Where a deposit stands. Only CREDITED is the end: a late success is booked from any other."""

    CREATED = 1
    SENDING = 2  # the push is leaving, or its worker died: committed before the call
    PROMPTED = 3
    SEND_UNKNOWN = 4  # the prompt may be on the phone, and we may never learn its id
    REFUSED = 5
    NOT_PAID = 6
    AWAITING_RECEIPT = 7  # paid, says M-PESA, without the receipt by which to credit
    CONFIRMING = 8  # a receipt is claimed, and waits for a second word of M-PESA's
    CREDITED = 9


WAITING = (DepositState.SENDING, DepositState.PROMPTED, DepositState.SEND_UNKNOWN)
"""A prompt may be on the phone; a failure can still be told."""


class Deposit(Base):
    """Money a customer means to bring by STK push; the row of a decision, and its effect row."""

    __tablename__ = "deposit"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 9", name="state"),
        CheckConstraint("amount > 0 AND amount % 100 = 0", name="whole_shillings"),
        Index("ix_deposit_customer_id", "customer_id", "id"),
        Index("ix_deposit_ask_at", "ask_at", postgresql_where="ask_at IS NOT NULL"),
        Index("ix_deposit_order_id", "order_id", postgresql_where="order_id IS NOT NULL"),
        Index("ix_deposit_lost", "sending_at", postgresql_where="checkout_request_id IS NULL"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    ref: Mapped[str] = mapped_column(unique=True)  # the account a paybill payment may name
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    phone: Mapped[str]
    amount: Mapped[int]
    shortcode: Mapped[str]
    channel: Mapped[int] = mapped_column(Small)
    session: Mapped[str]
    order_id: Mapped[int | None] = mapped_column(ForeignKey("deposit_order.id"))
    state: Mapped[int] = mapped_column(Small)
    merchant_request_id: Mapped[str | None]
    checkout_request_id: Mapped[str | None] = mapped_column(unique=True)
    code: Mapped[str | None]  # of core/reasons
    reason: Mapped[str | None]  # a sentence's key: why it was not paid
    asked: Mapped[int] = mapped_column(Small, default=0, server_default="0")
    ask_at: Mapped[datetime | None]  # the next STK query
    created_at: Mapped[datetime]
    sending_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    credited_at: Mapped[datetime | None]


class PayoutState(IntEnum):
    """Where a payout stands. Money is reserved in all but the last three, which are the ends."""

    REQUESTED = 1
    HELD = 2  # `held_for` says what it waits for
    QUEUED = 3
    SENDING = 4
    ACCEPTED = 5
    IN_DOUBT = 6  # only M-PESA's word can end it; it is never sent again
    NEEDS_HUMAN = 7
    PAID = 8
    FAILED = 9
    CANCELLED = 10


class HeldFor(IntEnum):
    """What a payout that is HELD waits for."""

    SETTLEMENT = 1  # the market's settlement to be finished
    PAUSE = 2  # payouts to be resumed
    FLOAT = 3  # our M-PESA account was empty: a new attempt once the old one is proved dead
    APPROVAL = 4  # it is over PAYOUT_HOLD_OVER: two people let it go
    STAFF = 5  # a member of staff holds it back


class PayoutReason(IntEnum):
    """Why money is paid out."""

    WITHDRAWAL = 1
    WINNINGS = 2


class Payout(Base):
    """Money set aside for a customer's M-PESA. `ocid` is the one id M-PESA pays at most once."""

    __tablename__ = "payout"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 10", name="state"),
        CheckConstraint("(state = 2) = (held_for IS NOT NULL)", name="held_for"),
        CheckConstraint("(state = 8) = (receipt IS NOT NULL)", name="paid_with_receipt"),
        CheckConstraint("amount >= 1000 AND amount % 100 = 0", name="payable"),
        CheckConstraint("tax >= 0", name="tax"),
        Index("ix_payout_request", "request"),
        Index("ix_payout_customer_id", "customer_id", "id"),
        Index("ix_payout_open", "state", "held_for", postgresql_where="state < 8"),
        Index("ix_payout_ask_at", "ask_at", postgresql_where="ask_at IS NOT NULL"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    request: Mapped[uuid.UUID]  # the decision; one over the limit is paid in several payouts
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    phone: Mapped[str]
    amount: Mapped[int]  # what arrives
    tax: Mapped[int] = mapped_column(server_default="0")  # withheld beside it
    reason: Mapped[int] = mapped_column(Small)
    settlement_id: Mapped[int | None]
    state: Mapped[int] = mapped_column(Small)
    held_for: Mapped[int | None] = mapped_column(Small)
    attempt: Mapped[int] = mapped_column(Small, default=1, server_default="1")
    ocid: Mapped[uuid.UUID] = mapped_column(unique=True)
    conversation_id: Mapped[str | None] = mapped_column(unique=True)
    shortcode: Mapped[str | None]  # the account it was sent from
    code: Mapped[str | None]
    failure: Mapped[str | None]  # a sentence's key
    receipt: Mapped[str | None]
    asked: Mapped[int] = mapped_column(Small, default=0, server_default="0")
    ask_at: Mapped[datetime | None]  # the next status query
    created_at: Mapped[datetime]
    sending_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    approved_at: Mapped[datetime | None]  # two people have let it go, though it is large


class PayoutAttempt(Base):
    """An attempt that is proved dead: its id may come back in a late answer, and must be known."""

    __tablename__ = "payout_attempt"
    __table_args__ = (UniqueConstraint("payout_id", "attempt"),)

    ocid: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    payout_id: Mapped[int] = mapped_column(ForeignKey("payout.id"))
    attempt: Mapped[int] = mapped_column(Small)
    conversation_id: Mapped[str | None]
    code: Mapped[str]
    closed_at: Mapped[datetime]


class PayoutPause(Base):
    """A time in which nothing is paid out, from the reason to the person who ended it."""

    __tablename__ = "payout_pause"
    __table_args__ = (
        Index(
            "uq_payout_pause_live",
            text("(true)"),
            unique=True,
            postgresql_where="resumed_at IS NULL",
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    reason: Mapped[str]  # a code of core/reasons
    detail: Mapped[str]
    paused_at: Mapped[datetime]
    resumed_at: Mapped[datetime | None]
    resumed_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
