"""Texts to customers: a row for each, the promise that sends it, what the gateway said of it."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import Any

import structlog
from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import gsm7, outbox
from core.base import Base, Small
from core.customers import Customer
from core.runtime import current
from core.say import say

log = structlog.get_logger(__name__)

KIND = "sms"  # of the promise that a text is
ANY_CODE = "000000"  # stands for a code when its message is measured: every code is six digits
LONGEST_WORD = 100  # characters of a gateway's id or status; what is longer is none
LOCKS = 9  # the class of advisory locks on a gateway's message id


class MessageState(IntEnum):
    """How far a text got. A report moves it to a higher number only, and never out of the last two.

    ABSENT (the phone is off) is no end: the network tries again for a day.
    """

    WAITING = 1
    SENT = 2
    SUBMITTED = 3
    BUFFERED = 4
    ABSENT = 5
    FAILED = 6
    DELIVERED = 7


ENDS = (MessageState.FAILED, MessageState.DELIVERED)

# The gateway's words (facts: delivery report). A word that is not here is kept and moves nothing.
REPORTED = {
    "sent": MessageState.SENT,
    "submitted": MessageState.SUBMITTED,
    "buffered": MessageState.BUFFERED,
    "absentsubscriber": MessageState.ABSENT,
    "rejected": MessageState.FAILED,
    "failed": MessageState.FAILED,
    "expired": MessageState.FAILED,
    "success": MessageState.DELIVERED,
}


class Message(Base):
    """One text to one phone. `body` is null where it would show a one-time code."""

    __tablename__ = "message"
    __table_args__ = (
        CheckConstraint("(body IS NULL) = (code_id IS NOT NULL)", name="codes_have_no_body"),
        CheckConstraint("segments > 0", name="segments"),
        CheckConstraint("state BETWEEN 1 AND 7", name="state"),
        Index("ix_message_customer_id", "customer_id", "id"),
        Index("ix_message_phone_created_at", "phone", "created_at"),
        Index(
            "uq_message_gateway_id",
            "gateway_id",
            unique=True,
            postgresql_where="gateway_id IS NOT NULL",
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    phone: Mapped[str]
    sentence: Mapped[str]
    body: Mapped[str | None]
    code_id: Mapped[int | None]
    purpose: Mapped[str | None]
    segments: Mapped[int] = mapped_column(Small)
    state: Mapped[int] = mapped_column(Small, default=MessageState.WAITING)
    gateway_id: Mapped[str | None]
    cost_cents: Mapped[int | None]
    status: Mapped[str | None]
    reason: Mapped[str | None]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class DeliveryReport(Base):
    """What the gateway said of a message, kept whether or not we know the message (yet)."""

    __tablename__ = "delivery_report"
    __table_args__ = (Index("ix_delivery_report_gateway_id", "gateway_id"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    gateway_id: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str | None]
    network: Mapped[str | None]
    created_at: Mapped[datetime]


class OptOut(Base):
    """A number that wants no news; receipts, codes and answers still reach it."""

    __tablename__ = "opt_out"

    phone: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    created_at: Mapped[datetime]


def text(
    tx: Session,
    *,
    to: str,
    lang: str,
    sentence: str,
    facts: Mapping[str, Any],
    key: uuid.UUID,
    now: datetime,
    customer_id: int | None = None,
    due_at: datetime | None = None,
    settlement_id: int | None = None,
) -> int:
    """Promise one text, at most once per `key`; the id of its message.

    The words are chosen now and kept, so that a second try says the same.
    """
    message_id = write(
        tx,
        to=to,
        lang=lang,
        sentence=sentence,
        facts=facts,
        key=key,
        now=now,
        customer_id=customer_id,
    )
    outbox.promise(
        tx,
        KIND,
        {"message": message_id},
        key=key,
        now=now,
        due_at=due_at,
        customer_id=customer_id,
        settlement_id=settlement_id,
    )
    return message_id


def write(
    tx: Session,
    *,
    to: str,
    lang: str,
    sentence: str,
    facts: Mapping[str, Any],
    key: uuid.UUID,
    now: datetime,
    customer_id: int | None = None,
) -> int:
    """Put a text into words, once per `key`, for an errand that sends it under the same key."""
    body = gsm7.fold(say(sentence, lang, **facts))
    row = {"sentence": sentence, "body": body, "segments": gsm7.segments(body)}
    return _write(tx, row, key=key, phone=to, customer_id=customer_id, now=now)


def code(
    tx: Session, *, customer: Customer, code_id: int, purpose: str, key: uuid.UUID, now: datetime
) -> int:
    """Promise a one-time code: promise and message know its id, only the sender its digits."""
    sentence = code_sentence(purpose)
    measured = say(sentence, customer.lang, **code_facts(ANY_CODE))
    row = {
        "sentence": sentence,
        "code_id": code_id,
        "purpose": purpose,
        "segments": gsm7.segments(gsm7.fold(measured)),
    }
    message_id = _write(tx, row, key=key, phone=customer.phone, customer_id=customer.id, now=now)
    outbox.promise(tx, KIND, {"message": message_id}, key=key, now=now, customer_id=customer.id)
    return message_id


def staff_code(
    tx: Session, *, staff_id: int, phone: str, purpose: str, measured: str, key: uuid.UUID,
    now: datetime,
) -> int:  # fmt: skip
    """Promise a code to somebody of the staff, whose number stands in the code's place."""
    row = {
        "sentence": code_sentence(purpose),
        "code_id": staff_id,
        "purpose": purpose,
        "segments": gsm7.segments(measured),
    }
    message_id = _write(tx, row, key=key, phone=phone, customer_id=None, now=now)
    outbox.promise(tx, KIND, {"message": message_id}, key=key, now=now)
    return message_id


def code_facts(digits: str) -> Mapping[str, Any]:
    """What the sentence of a code says: also where to send it, for a name takes no reply."""
    return {"code": digits, "short": current().config.at_short_code}


def code_sentence(purpose: str) -> str:
    """The sentence that carries a code of `purpose`."""
    return f"sms.code_{purpose}"


def accepted(
    tx: Session, message_id: int, *, gateway_id: str, cost_cents: int | None, now: datetime
) -> None:
    """The gateway took the message; reports of it may have come before its answer."""
    _hold_gateway_id(tx, gateway_id)
    message = tx.get_one(Message, message_id, with_for_update=True)
    message.gateway_id, message.sent_at = gateway_id, now
    if cost_cents is not None:  # a text sent twice has cost twice
        message.cost_cents = (message.cost_cents or 0) + cost_cents
    _move(message, MessageState.SENT, now)
    early = select(DeliveryReport).where(DeliveryReport.gateway_id == gateway_id)
    for report in tx.scalars(early.order_by(DeliveryReport.id)):
        _apply(message, report.status, report.reason, now)


def failed(tx: Session, message_id: int, *, reason: str, now: datetime) -> None:
    """The message will not be sent: the gateway refused it, or it came too late to be of use."""
    message = tx.get_one(Message, message_id, with_for_update=True)
    message.reason = reason
    _move(message, MessageState.FAILED, now)


def take_report(tx: Session, payload: Mapping[str, Any], now: datetime) -> str:
    """Keep a delivery report and move its message forward if it can; the inbox's verdict."""
    gateway_id, status = str(payload.get("id") or ""), str(payload.get("status") or "")
    if not 0 < len(gateway_id) <= LONGEST_WORD or not 0 < len(status) <= LONGEST_WORD:
        return "unreadable"
    reason, network = payload.get("failureReason"), payload.get("networkCode")
    _hold_gateway_id(tx, gateway_id)
    tx.add(
        DeliveryReport(
            gateway_id=gateway_id, status=status, reason=reason, network=network, created_at=now
        )
    )
    known = select(Message).where(Message.gateway_id == gateway_id).with_for_update()
    message = tx.scalar(known)
    if message is None:
        return "orphan"
    return _apply(message, status, reason, now)


def opt_out(tx: Session, phone: str, *, source: str, now: datetime) -> None:
    """No more news for this number, customer or not."""
    row = {"phone": phone, "source": source, "created_at": now}
    tx.execute(insert(OptOut).values(row).on_conflict_do_nothing(index_elements=[OptOut.phone]))


def opt_in(tx: Session, phone: str) -> None:
    """News again."""
    tx.execute(delete(OptOut).where(OptOut.phone == phone))


def opted_out(tx: Session, phone: str) -> bool:
    """Whether this number said STOP."""
    return tx.scalar(select(OptOut.phone).where(OptOut.phone == phone)) is not None


def _write(
    tx: Session,
    row: Mapping[str, Any],
    *,
    key: uuid.UUID,
    phone: str,
    customer_id: int | None,
    now: datetime,
) -> int:
    """Insert the message, or find the one that this key wrote before."""
    written = tx.scalar(
        insert(Message)
        .values(
            **row,
            key=key,
            phone=phone,
            customer_id=customer_id,
            state=MessageState.WAITING,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=[Message.key])
        .returning(Message.id)
    )
    return written or tx.scalars(select(Message.id).where(Message.key == key)).one()


def _hold_gateway_id(tx: Session, gateway_id: str) -> None:
    """A report may overtake the answer it reports on: one of the two waits and sees the other."""
    tx.execute(select(func.pg_advisory_xact_lock(LOCKS, func.hashtext(gateway_id))))


def _apply(message: Message, status: str, reason: str | None, now: datetime) -> str:
    state = REPORTED.get(status.strip().lower())
    if message.state in ENDS or (state is not None and state <= message.state):
        return "late"
    if state is None:
        log.warning("delivery status unknown", status=status, message_id=message.id)
        message.status = status
        return "unknown status"
    message.status, message.reason = status, reason or message.reason
    _move(message, state, now)
    return "moved"


def _move(message: Message, state: MessageState, now: datetime) -> None:
    message.state = max(message.state, state)
    if state in ENDS:
        message.ended_at = now
