"""Incidents: money that M-PESA paid out though it was not there to be paid any more.

A payout that had gone back, or was paid already; a refund whose money somebody else had by then, or
which went back by another way. As much of the wallet is set aside the moment it is told, and
nothing else is changed: whether it is true two people find out, from the organisation statement,
and post.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

import structlog
from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import ledger, messages, payouts, proposals, rights
from core.base import Base, Small
from core.config import Config
from core.customers import Customer
from core.errors import Refusal
from core.payments import Payout
from core.proposals import Proposal
from core.refund_rows import Refund
from core.rights import Right
from core.staff import Staff

log = structlog.get_logger(__name__)

PENDING = "payout-incident:"  # subjects of proposals
ENDS = ("correct", "dismiss")


class IncidentKind(IntEnum):
    """What M-PESA says it did."""

    AFTER_RELEASE = 1  # paid what had been given back
    TWICE = 2  # paid what it had paid before
    SENT_BACK = 3  # paid a refund whose money had gone elsewhere


class IncidentState(IntEnum):
    """Where it stands; only OPEN can still change."""

    OPEN = 1
    CORRECTED = 2  # it was paid: the money that was set aside has left the books
    DISMISSED = 3  # it was not: the money is back in the wallet


class PayoutIncident(Base):
    """One payment too many, as it was told. Written by database functions only.

    Who got the money twice is `customer_id`; where it is nobody we know, the house bears it.
    """

    __tablename__ = "payout_incident"
    __table_args__ = (
        CheckConstraint("kind BETWEEN 1 AND 3", name="kind"),
        CheckConstraint(
            "(kind = 3) = (refund_id IS NOT NULL) AND (kind = 3) = (payout_id IS NULL)",
            name="subject",
        ),
        CheckConstraint("state BETWEEN 1 AND 3", name="state"),
        CheckConstraint("(state = 1) = (ended_at IS NULL)", name="ended"),
        CheckConstraint(
            "amount > 0 AND tax >= 0 AND frozen >= 0 AND owed >= 0"
            " AND frozen + owed = amount + tax",
            name="parts",
        ),
        Index("ix_payout_incident_payout_id", "payout_id"),
        Index("ix_payout_incident_refund_id", "refund_id"),
        Index("ix_payout_incident_open", "id", postgresql_where="state = 1"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)  # the event of what was set aside
    payout_id: Mapped[int | None] = mapped_column(ForeignKey("payout.id"))
    refund_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"))
    customer_id: Mapped[int | None]
    kind: Mapped[int] = mapped_column(Small)
    receipt: Mapped[str] = mapped_column(unique=True)
    shortcode: Mapped[str]
    amount: Mapped[int]
    tax: Mapped[int]  # that had gone back with it
    frozen: Mapped[int]  # of it, what the wallet had
    owed: Mapped[int]  # and what it had not: of the customer, or else the house's own loss
    source: Mapped[int] = mapped_column(Small)
    state: Mapped[int] = mapped_column(Small)
    event_at: Mapped[datetime]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    @property
    def about(self) -> str:
        """What it is about, as the lists write it."""
        return f"refund {self.refund_id}" if self.refund_id else f"P{self.payout_id}"


def announce(tx: Session, payout: Payout, receipt: str, *, now: datetime) -> None:
    """An incident has just been opened: stop payouts, and tell the customer what was set aside."""
    incident = tx.scalars(select(PayoutIncident).where(PayoutIncident.receipt == receipt)).one()
    log.error("payout incident", payout_id=payout.id, kind=IncidentKind(incident.kind))
    payouts.pause(tx, "incident", f"payout {payout.id}: paid, by receipt {receipt}", now=now)
    late = incident.kind == IncidentKind.AFTER_RELEASE
    payouts.tell(
        tx,
        payout,
        "money.payout_came_late" if late else "money.payout_came_twice",
        {"receipt": receipt, "held": incident.frozen, "owed": incident.owed},
        now=now,
    )


def announce_refund(tx: Session, refund: Refund, receipt: str, *, now: datetime) -> None:
    """The same for money that was sent back though somebody had it by then."""
    incident = tx.scalars(select(PayoutIncident).where(PayoutIncident.receipt == receipt)).one()
    log.error("refund incident", refund_id=refund.id, verdict="incident")
    payouts.pause(tx, "incident", f"refund {refund.id}: paid, by receipt {receipt}", now=now)
    facts = {
        "amount": incident.amount,
        "receipt": refund.receipt,
        "held": incident.frozen,
        "owed": incident.owed,
    }
    _tell(tx, incident, "money.refund_came_late", facts, part="told", now=now)


def waiting(tx: Session) -> Sequence[PayoutIncident]:
    """The incidents that nobody has ended, the oldest first."""
    found = select(PayoutIncident).where(PayoutIncident.state == IncidentState.OPEN)
    return tx.scalars(found.order_by(PayoutIncident.id)).all()


def propose(
    tx: Session, incident_id: int, end: str, *, note: str, by: Staff, now: datetime, config: Config
) -> Proposal:
    """Put an end before a second person: `correct` (M-PESA did pay it) or `dismiss` (it did not).

    Raises Refusal for an incident that has ended, or without a note of what was seen.
    """
    rights.require(by, Right.PAYOUT_PROPOSE)
    if end not in ENDS:
        raise Refusal("staff.payout_end")
    if not note.strip():
        raise Refusal("staff.reason_missing")
    return proposals.propose(
        tx,
        act="payout incident",
        subject=f"{PENDING}{incident_id}",
        content=_content(tx, incident_id, end),
        note=note.strip(),
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def approve(
    tx: Session, incident_id: int, *, seen_hash: str, by: Staff, now: datetime
) -> PayoutIncident:
    """The second yes: posted. Raises Refusal as a proposal does, or if the receipt is taken."""
    rights.require(by, Right.PAYOUT_APPROVE)
    proposal = _proposed(tx, incident_id)
    end = str(proposal.content["end"])
    fresh = _content(tx, incident_id, end)
    proposals.approve(tx, proposal, seen_hash=seen_hash, content=fresh, by=by.id, now=now)
    verdict = tx.scalar(select(func.payout_incident_end(incident_id, end == "correct")))
    if verdict == "conflict":
        raise Refusal("staff.receipt_taken", receipt=fresh["receipt"])
    if verdict == "refunding":
        raise Refusal("staff.receipt_refunding", receipt=fresh["receipt"])
    incident = tx.get_one(PayoutIncident, incident_id, populate_existing=True)
    log.warning("incident ended", ids=[incident.id], reason=verdict)
    if end == "dismiss":
        facts = {"held": incident.frozen + incident.owed}
        _tell(tx, incident, "money.payout_thawed", facts, part="thawed", now=now)
    return incident


def refuse(tx: Session, incident_id: int, *, by: Staff, now: datetime) -> None:
    """A no to what is proposed."""
    rights.require(by, Right.PAYOUT_APPROVE)
    proposals.refuse(_proposed(tx, incident_id), by=by.id, now=now)


def _tell(
    tx: Session,
    incident: PayoutIncident,
    sentence: str,
    facts: dict[str, Any],
    *,
    part: str,
    now: datetime,
) -> None:
    """One text to who got the money twice, if it is somebody we know."""
    if incident.customer_id is None:
        return
    customer = tx.get_one(Customer, incident.customer_id)
    facts["balance"] = ledger.balance(tx, customer.id)
    messages.text(
        tx, to=customer.phone, lang=customer.lang, sentence=sentence, facts=facts,
        key=uuid.uuid5(incident.key, part), now=now, customer_id=customer.id,
    )  # fmt: skip


def _proposed(tx: Session, incident_id: int) -> Proposal:
    found = proposals.pending(tx, f"{PENDING}{incident_id}")
    if found is None:
        raise Refusal("staff.payout_none_proposed")
    return found


def _content(tx: Session, incident_id: int, end: str) -> dict[str, Any]:
    """What both people see, as it is now."""
    incident = tx.get(PayoutIncident, incident_id, populate_existing=True)
    if incident is None or incident.state != IncidentState.OPEN:
        raise Refusal("staff.payout_incident_over")
    return {
        "incident": incident.id,
        **_subject(incident),
        "kind": IncidentKind(incident.kind).name.lower(),
        "receipt": incident.receipt,
        "amount": incident.amount,
        "tax": incident.tax,
        "frozen": incident.frozen,
        "owed": incident.owed,
        "end": end,
    }


def _subject(incident: PayoutIncident) -> dict[str, Any]:
    if incident.refund_id is not None:
        return {"refund": incident.refund_id}
    return {"payout": incident.payout_id}
