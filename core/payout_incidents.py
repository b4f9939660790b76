"""Incidents: payouts that M-PESA paid though their money had gone back, or that it paid twice.

As much of the wallet is set aside the moment it is told, and nothing else is changed: whether it is
true two people find out, from the organisation statement, and post.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

import structlog
from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import payouts, proposals, rights
from core.base import Base, Small
from core.config import Config
from core.errors import Refusal
from core.payments import Payout
from core.proposals import Proposal
from core.rights import Right
from core.staff import Staff

log = structlog.get_logger(__name__)

PENDING = "payout-incident:"  # subjects of proposals
ENDS = ("correct", "dismiss")


class IncidentKind(IntEnum):
    """What M-PESA says it did."""

    AFTER_RELEASE = 1  # paid what had been given back
    TWICE = 2  # paid what it had paid before


class IncidentState(IntEnum):
    """Where it stands; only OPEN can still change."""

    OPEN = 1
    CORRECTED = 2  # it was paid: the money that was set aside has left the books
    DISMISSED = 3  # it was not: the money is back in the wallet


class PayoutIncident(Base):
    """One payment too many, as it was told. Written by database functions only."""

    __tablename__ = "payout_incident"
    __table_args__ = (
        CheckConstraint("kind BETWEEN 1 AND 2", name="kind"),
        CheckConstraint("state BETWEEN 1 AND 3", name="state"),
        CheckConstraint("(state = 1) = (ended_at IS NULL)", name="ended"),
        CheckConstraint(
            "amount > 0 AND tax >= 0 AND frozen >= 0 AND owed >= 0"
            " AND frozen + owed = amount + tax",
            name="parts",
        ),
        Index("ix_payout_incident_payout_id", "payout_id"),
        Index("ix_payout_incident_open", "id", postgresql_where="state = 1"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    payout_id: Mapped[int] = mapped_column(ForeignKey("payout.id"))
    kind: Mapped[int] = mapped_column(Small)
    receipt: Mapped[str] = mapped_column(unique=True)
    shortcode: Mapped[str]
    amount: Mapped[int]
    tax: Mapped[int]  # that had gone back with it
    frozen: Mapped[int]  # of it, what the wallet had
    owed: Mapped[int]  # and what it had not
    source: Mapped[int] = mapped_column(Small)
    state: Mapped[int] = mapped_column(Small)
    event_at: Mapped[datetime]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


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
    incident = tx.get_one(PayoutIncident, incident_id, populate_existing=True)
    log.warning("payout incident ended", payout_id=incident.payout_id, reason=verdict)
    if end == "dismiss":
        payout = tx.get_one(Payout, incident.payout_id)
        facts = {"held": incident.frozen + incident.owed}
        payouts.tell(tx, payout, "money.payout_thawed", facts, now=now)
    return incident


def refuse(tx: Session, incident_id: int, *, by: Staff, now: datetime) -> None:
    """A no to what is proposed."""
    rights.require(by, Right.PAYOUT_APPROVE)
    proposals.refuse(_proposed(tx, incident_id), by=by.id, now=now)


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
        "payout": incident.payout_id,
        "kind": IncidentKind(incident.kind).name.lower(),
        "receipt": incident.receipt,
        "amount": incident.amount,
        "tax": incident.tax,
        "frozen": incident.frozen,
        "owed": incident.owed,
        "end": end,
    }
