"""What we ask M-PESA about a payment: one row for each time of asking, and its errand."""

import uuid
from datetime import datetime
from enum import IntEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import outbox
from core.base import Base, Small
from core.code_claims import CodeClaim, CodeState
from core.errors import NotSent
from core.outbox import Errand, Outcome, Promise, Sent
from core.payments import Payout, PayoutState
from core.receipts import ClaimState, ReceiptClaim
from core.refund_rows import SENT, Method, Refund


class QueryState(IntEnum):
    """Where a question stands. A lost one is no answer: the payment is asked about again."""

    WAITING = 1
    ASKED = 2  # M-PESA took it; the answer comes to a door of ours
    ANSWERED = 3
    LOST = 4


class StatusQuery(Base):
    """One transaction status query, about a claimed receipt or about a payout's attempt."""

    __tablename__ = "status_query"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 4", name="state"),
        CheckConstraint(
            "num_nonnulls(claim_id, payout_id, refund_id, code_claim_id) = 1", name="subject"
        ),
        Index("ix_status_query_claim_id", "claim_id"),
        Index("ix_status_query_payout_id", "payout_id"),
        Index("ix_status_query_code_claim_id", "code_claim_id"),
        Index("ix_status_query_refund_id", "refund_id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    claim_id: Mapped[int | None] = mapped_column(ForeignKey("receipt_claim.id"))
    payout_id: Mapped[int | None] = mapped_column(ForeignKey("payout.id"))
    code_claim_id: Mapped[int | None] = mapped_column(ForeignKey("code_claim.id"))
    refund_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"))
    ocid: Mapped[uuid.UUID | None]  # the attempt that is asked about
    state: Mapped[int] = mapped_column(Small)
    conversation_id: Mapped[str | None] = mapped_column(unique=True)  # the question's own
    originator_conversation_id: Mapped[str | None]
    code: Mapped[str | None]
    status: Mapped[str | None]
    verdict: Mapped[str | None]
    created_at: Mapped[datetime]
    asked_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]


def ask_about_claim(tx: Session, claim: ReceiptClaim, *, now: datetime) -> None:
    """Have M-PESA asked, at once, what became of the claimed receipt."""
    _ask(tx, StatusQuery(claim_id=claim.id), now=now)


def ask_about_payout(tx: Session, payout: Payout, *, now: datetime) -> None:
    """Have M-PESA asked, at once, what became of the payout's present attempt."""
    _ask(tx, StatusQuery(payout_id=payout.id, ocid=payout.ocid), now=now)


def ask_about_refund(tx: Session, refund: Refund, *, now: datetime) -> None:
    """Have M-PESA asked, at once, what became of money that was sent back."""
    _ask(tx, StatusQuery(refund_id=refund.id), now=now)


def ask_about_code(tx: Session, claim: CodeClaim, *, now: datetime) -> None:
    """Have M-PESA asked, at once, about the code that a customer claims."""
    _ask(tx, StatusQuery(code_claim_id=claim.id), now=now)


def _ask(tx: Session, query: StatusQuery, *, now: datetime) -> None:
    query.key, query.state, query.created_at = uuid.uuid4(), QueryState.WAITING, now
    tx.add(query)
    tx.flush()
    outbox.promise(tx, "status_query", {"status_query_id": query.id}, key=query.key, now=now)


def _begin(tx: Session, promise: Promise, now: datetime) -> dict[str, Any] | None:
    query = _held(tx, promise)
    subject = _subject(tx, query)
    if query.state != QueryState.WAITING or subject is None:
        query.state = QueryState.LOST
        return None
    query.state, query.asked_at = QueryState.ASKED, now
    return subject


def _finish(tx: Session, promise: Promise, outcome: Outcome, now: datetime) -> None:
    query = _held(tx, promise)
    if isinstance(outcome, Sent):
        query.conversation_id = outcome.answer["conversation_id"]
        query.originator_conversation_id = outcome.answer["originator_conversation_id"]
    else:
        again = isinstance(outcome.error, NotSent)
        query.state = QueryState.WAITING if again else QueryState.LOST
        query.code = outcome.error.code


ERRAND = Errand("status_query", outbox.MONEY, _begin, _finish, when_lost="unknown")


def _subject(tx: Session, query: StatusQuery) -> dict[str, Any] | None:
    """What to ask; None if the answer is known by now."""
    if query.claim_id is not None:
        claim = tx.get_one(ReceiptClaim, query.claim_id)
        if claim.state == ClaimState.CONFIRMED:
            return None
        return {"receipt": claim.receipt, "shortcode": claim.shortcode}
    if query.code_claim_id is not None:
        code = tx.get_one(CodeClaim, query.code_claim_id)
        if code.state != CodeState.ASKING:
            return None
        return {"receipt": code.receipt, "shortcode": code.shortcode}
    if query.refund_id is not None:
        refund = tx.get_one(Refund, query.refund_id)
        if refund.state not in SENT:
            return None
        # A reversal has no id of ours: it is asked about by the payment that it undoes.
        own = {"ocid": str(refund.ocid)} if refund.method == Method.B2C else {}
        return (own or {"receipt": refund.receipt}) | {"shortcode": refund.shortcode}
    payout = tx.get_one(Payout, query.payout_id)
    if payout.state >= PayoutState.PAID or payout.ocid != query.ocid:
        return None
    return {"ocid": str(payout.ocid), "shortcode": payout.shortcode}


def _held(tx: Session, promise: Promise) -> StatusQuery:
    return tx.get_one(StatusQuery, promise.payload["status_query_id"], with_for_update=True)
