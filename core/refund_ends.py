"""How two people end a refund that M-PESA never explained: with the receipt of it, or with proof.

That it was paid is proved by its receipt; that it was not, by an imported statement that covers the
day after its sending and does not have it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from core import proposals, receipts, reconciliation, refund_results, rights
from core.config import Config
from core.errors import Refusal
from core.notices import RECEIPT
from core.proposals import Proposal
from core.refund_rows import Method, Refund, RefundState
from core.rights import Right
from core.staff import Staff
from core.statement_lines import UTILITY, Bucket, LineState, StatementLine

ACT, SUBJECT = "refund", "refund:"  # of proposals
COVERED = timedelta(hours=24)  # after the sending: M-PESA pays nothing later than that
SKEW = timedelta(minutes=5)  # by which M-PESA's clock may be behind ours


def propose(
    tx: Session,
    refund_id: int,
    *,
    paid: str | None,
    note: str,
    by: Staff,
    now: datetime,
    config: Config,
) -> Proposal:
    """Put an end before a second person: `paid` under that receipt, or None, never sent back."""
    rights.require(by, Right.PAYOUT_PROPOSE)
    content = _content(tx, refund_id, paid and paid.strip().upper())
    return proposals.propose(
        tx,
        act=ACT,
        subject=f"{SUBJECT}{refund_id}",
        content=content,
        note=note,
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def approve(tx: Session, refund_id: int, *, seen_hash: str, by: Staff, now: datetime) -> str:
    """The second yes: `paid` or `failed`, or what stood against it."""
    rights.require(by, Right.PAYOUT_APPROVE)
    waiting = _waiting(tx, refund_id)
    paid = waiting.content["paid"]
    fresh = _content(tx, refund_id, paid)
    proposals.approve(tx, waiting, seen_hash=seen_hash, content=fresh, by=by.id, now=now)
    return refund_results.end(tx, _held(tx, refund_id), paid=paid, now=now)


def refuse(tx: Session, refund_id: int, *, by: Staff, now: datetime) -> None:
    """A no to a proposed end."""
    rights.require(by, Right.PAYOUT_APPROVE)
    proposals.refuse(_waiting(tx, refund_id), by=by.id, now=now)


def newest(tx: Session, *, limit: int) -> Sequence[Refund]:
    """Refunds as they stand, the newest first."""
    return tx.scalars(select(Refund).order_by(Refund.id.desc()).limit(limit)).all()


def _waiting(tx: Session, refund_id: int) -> Proposal:
    found = proposals.pending(tx, f"{SUBJECT}{refund_id}")
    if found is None:
        raise Refusal("staff.refund_none_proposed", refund=refund_id)
    return found


def _content(tx: Session, refund_id: int, paid: str | None) -> dict[str, Any]:
    refund = _held(tx, refund_id)
    if refund.state != RefundState.NEEDS_HUMAN:
        raise Refusal("staff.refund_not_yours", refund=refund_id)
    if paid is not None:
        if not RECEIPT.fullmatch(paid) or receipts.find(tx, paid) is not None:
            raise Refusal("staff.refund_receipt", receipt=paid)
    elif not _is_absent(tx, refund):
        raise Refusal("staff.refund_not_covered", refund=refund_id)
    return {
        "refund": refund_id,
        "receipt": refund.receipt,
        "amount": refund.amount,
        "method": refund.method,
        "paid": paid,
    }


def _is_absent(tx: Session, refund: Refund) -> bool:
    """Whether a statement covers the day after the sending, and nothing in it could be this."""
    assert refund.sending_at is not None, "what needs a person has been sent"
    since, until = refund.sending_at - SKEW, refund.sending_at + COVERED
    if not reconciliation.covers(tx, refund.shortcode, since, until):
        return False
    if refund.method == Method.B2C:
        return not reconciliation.outgoing(
            tx, refund.shortcode, refund.phone or "", refund.amount, since, until
        )
    # Not every file says what was undone: a line that nobody has explained could be this one.
    unnamed = and_(
        StatementLine.linked.is_(None),
        StatementLine.shortcode == refund.shortcode,
        StatementLine.account == UTILITY,
        StatementLine.amount == -refund.amount,
        StatementLine.bucket != Bucket.CHARGE,
        StatementLine.state == LineState.OPEN,
        StatementLine.completed_at.between(since, until),
    )
    named = and_(StatementLine.linked == refund.receipt, StatementLine.amount < 0)
    return tx.scalar(select(StatementLine.id).where(or_(named, unnamed)).limit(1)) is None


def _held(tx: Session, refund_id: int) -> Refund:
    found = tx.get(Refund, refund_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise Refusal("staff.refund_unknown", refund=refund_id)
    return found
