"""Open lines of the statement: what came and is in no book is asked about, the rest two people end.

A line credits nothing. M-PESA's answer about its receipt does, as it does for any claim, and then
the line finds its receipt. What needs no booking of ours two people say so about, and why.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import c2b, proposals, rights, statement_lines
from core.config import Config
from core.errors import Refusal
from core.proposals import Proposal
from core.rights import Right
from core.staff import Staff
from core.statement_lines import UTILITY, Bucket, LineState, StatementLine

ACT = "statement.close"
BATCH = 50  # lines asked about at one strike of the clock
NOTE = 300  # characters of a reason


def sweep(tx: Session, now: datetime, config: Config) -> None:
    """Match what is open, and have M-PESA asked about money that came and is in no book."""
    statement_lines.match(tx, now=now)
    unknown = (
        select(StatementLine)
        .where(
            StatementLine.state == LineState.OPEN,
            StatementLine.bucket == Bucket.SUSPENSE,
            StatementLine.account == UTILITY,
            StatementLine.amount > 0,
            StatementLine.why == "unknown",
            StatementLine.asked_at.is_(None),
        )
        .order_by(StatementLine.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    for line in tx.scalars(unknown).all():
        line.asked_at = now
        c2b.take_line(
            tx,
            receipt=line.receipt,
            amount=line.amount,
            account=line.bill_ref or "",
            payer=line.party,
            at=line.completed_at,
            shortcode=line.shortcode,
            now=now,
        )


def propose(
    tx: Session, line_id: int, *, note: str, by: Staff, now: datetime, config: Config
) -> Proposal:
    """Put before a second person that an open line needs no booking, and why."""
    rights.require(by, Right.STATEMENT_PROPOSE)
    line = _open(tx, line_id)
    if not 0 < len(note.strip()) <= NOTE:
        raise Refusal("staff.statement_note", most=NOTE)
    return proposals.propose(
        tx,
        act=ACT,
        subject=_subject(line_id),
        content=_content(line, note),
        note=note.strip(),
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def approve(
    tx: Session, line_id: int, *, seen_hash: str, by: Staff, now: datetime
) -> StatementLine:
    """The second yes: the line is closed. Refuses where it has found its place meanwhile."""
    rights.require(by, Right.STATEMENT_APPROVE)
    waiting = _waiting(tx, line_id)
    line = _open(tx, line_id)
    content = _content(line, waiting.note)
    proposals.approve(tx, waiting, seen_hash=seen_hash, content=content, by=by.id, now=now)
    line.state, line.proposal_id, line.settled_at = LineState.CLOSED, waiting.id, now
    return line


def refuse(tx: Session, line_id: int, *, by: Staff, now: datetime) -> None:
    """A no: the line stays open."""
    rights.require(by, Right.STATEMENT_APPROVE)
    proposals.refuse(_waiting(tx, line_id), by=by.id, now=now)


def _open(tx: Session, line_id: int) -> StatementLine:
    line = tx.get(StatementLine, line_id, with_for_update=True, populate_existing=True)
    if line is None or line.state != LineState.OPEN:
        raise Refusal("staff.statement_not_open", number=line_id)
    return line


def _waiting(tx: Session, line_id: int) -> Proposal:
    found = proposals.pending(tx, _subject(line_id))
    if found is None:
        raise Refusal("staff.statement_none_proposed", number=line_id)
    return found


def _subject(line_id: int) -> str:
    return f"line:{line_id}"


def _content(line: StatementLine, note: str) -> dict[str, Any]:
    return {
        "line": line.id,
        "shortcode": line.shortcode,
        "account": line.account,
        "receipt": line.receipt,
        "reason": line.reason,
        "amount": line.amount,
        "bucket": line.bucket,
        "why": line.why,
        "note": note.strip(),
    }
