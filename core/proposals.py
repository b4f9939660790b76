"""Four eyes: what one member of staff proposes, another approves, seeing the very same thing.

Every act that needs two people goes through this one table: the content is hashed when it is
proposed, and the approver names the hash of what they saw.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import IntEnum
from hashlib import sha256
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column, object_session

from core import audit, rights
from core.base import Base, Small
from core.errors import Refusal
from core.staff import Staff


class ProposalState(IntEnum):
    """Where a proposal stands; only PENDING can still change."""

    PENDING = 1
    APPROVED = 2
    REFUSED = 3
    EXPIRED = 4


class Proposal(Base):
    """One act that waits for a second pair of eyes. One may be pending for each subject."""

    __tablename__ = "proposal"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 4", name="state"),
        CheckConstraint("state <> 2 OR decided_by <> proposed_by", name="two_people"),
        CheckConstraint("(state IN (1, 4)) = (decided_by IS NULL)", name="decided"),
        Index("uq_proposal_pending", "subject", unique=True, postgresql_where="state = 1"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    act: Mapped[str]
    subject: Mapped[str]
    content: Mapped[dict[str, Any]]
    content_hash: Mapped[str]
    note: Mapped[str]
    state: Mapped[int] = mapped_column(Small)
    proposed_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[datetime | None]


def content_hash(content: Mapping[str, Any]) -> str:
    """The fingerprint of what is proposed: SHA-256 of its canonical JSON, in hex."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(canonical.encode()).hexdigest()


def propose(
    tx: Session,
    *,
    act: str,
    subject: str,
    content: Mapping[str, Any],
    note: str,
    by: int,
    now: datetime,
    lasts: timedelta,
) -> Proposal:
    """Put an act before a second person. Raises Refusal while another waits for the subject."""
    expire(tx, subject, now=now)
    if pending(tx, subject):
        raise Refusal("staff.already_proposed", subject=subject)
    proposal = Proposal(
        act=act,
        subject=subject,
        content=dict(content),
        content_hash=content_hash(content),
        note=note,
        state=ProposalState.PENDING,
        proposed_by=by,
        proposed_at=now,
        expires_at=now + lasts,
    )
    try:
        with tx.begin_nested():
            tx.add(proposal)
    except IntegrityError:  # somebody else's, in the same moment
        raise Refusal("staff.already_proposed", subject=subject) from None
    _note(tx, "propose", proposal, by=by, now=now)
    return proposal


def pending(tx: Session, subject: str) -> Proposal | None:
    """The proposal that waits for this subject, locked for whoever decides it."""
    waiting = select(Proposal).where(
        Proposal.subject == subject, Proposal.state == ProposalState.PENDING
    )
    return tx.scalar(waiting.with_for_update())


def approve(
    tx: Session,
    proposal: Proposal,
    *,
    seen_hash: str,
    content: Mapping[str, Any],
    by: int,
    now: datetime,
) -> None:
    """The second yes. `content` is the act as it would be done now, made afresh by the caller.

    Raises Refusal when the approver is the proposer, saw something else, or the thing has changed;
    when the proposer has left, who may be back under another name, or may not propose it now; and
    when the approver has left or may not approve it any more.
    """
    if proposal.state != ProposalState.PENDING or proposal.expires_at <= now:
        raise Refusal("staff.proposal_over")
    if by == proposal.proposed_by:
        raise Refusal("staff.own_proposal")
    _check_proposer(tx, proposal)
    _check_approver(tx, proposal, by)
    if not seen_hash == proposal.content_hash == content_hash(content):
        raise Refusal("staff.content_changed")
    _decide(proposal, ProposalState.APPROVED, by=by, now=now)
    _note(tx, "approve", proposal, by=by, now=now)


def refuse(proposal: Proposal, *, by: int, now: datetime) -> None:
    """A no, or the proposer taking it back."""
    if proposal.state != ProposalState.PENDING:
        raise Refusal("staff.proposal_over")
    _decide(proposal, ProposalState.REFUSED, by=by, now=now)
    tx = object_session(proposal)
    assert tx is not None, f"proposal {proposal.id} belongs to no transaction"
    _note(tx, "refuse", proposal, by=by, now=now)


def expire(tx: Session, subject: str, *, now: datetime) -> None:
    """Close the subject's proposal if nobody decided it in time."""
    waiting = pending(tx, subject)
    if waiting and waiting.expires_at <= now:
        waiting.state = ProposalState.EXPIRED
        tx.flush()
        _note(tx, "expire", waiting, by=None, now=now)


def _check_proposer(tx: Session, proposal: Proposal) -> None:
    """The first yes is asked again: of two people both have to be entitled to theirs now."""
    proposer = tx.get_one(Staff, proposal.proposed_by, populate_existing=True)
    if not proposer.active:
        raise Refusal("staff.proposer_gone")
    if not rights.may(proposer.role, rights.PROPOSES[proposal.act]):
        raise Refusal("staff.proposer_may_not", name=proposer.name, role=proposer.role)


def _check_approver(tx: Session, proposal: Proposal, by: int) -> None:
    """The second is asked again too: they may have left while their yes waited for its turn."""
    approver = tx.get_one(Staff, by, populate_existing=True)
    if not approver.active:
        raise Refusal("staff.session_over")
    rights.require(approver, rights.second(rights.PROPOSES[proposal.act]))


def _decide(proposal: Proposal, state: ProposalState, *, by: int, now: datetime) -> None:
    proposal.state, proposal.decided_by, proposal.decided_at = state, by, now


def _note(tx: Session, verb: str, proposal: Proposal, *, by: int | None, now: datetime) -> None:
    """What becomes of a proposal is in the audit, whichever edge it came through."""
    facts = {"proposal": proposal.id, "hash": proposal.content_hash, "note": proposal.note}
    audit.note(
        tx,
        f"{verb} {proposal.act}",
        by=by,
        now=now,
        subject=proposal.subject,
        facts=facts,
        channel="house" if by is None else None,
    )
