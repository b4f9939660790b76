"""Proposals that nobody decided in time, closed by the clock: no list shows them as open."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import decisions, proposals
from core.proposals import Proposal, ProposalState
from core.runtime import Runtime

MARKET = "market:"
AT_ONCE = 100


def sweep(rt: Runtime) -> None:
    """Close what is over, each in a transaction of its own: they hold different things."""
    now = rt.now()
    over = select(Proposal.subject).where(
        Proposal.state == ProposalState.PENDING, Proposal.expires_at <= now
    )
    with rt.transaction() as tx:
        subjects = tx.scalars(over.order_by(Proposal.id).limit(AT_ONCE)).all()
    for subject in subjects:
        rt.attempt(lambda tx, subject=subject: _close(tx, subject, now))  # type: ignore[misc]


def _close(tx: Session, subject: str, now: datetime) -> None:
    if subject.startswith(MARKET):
        decisions.lapse(tx, int(subject.removeprefix(MARKET)), now=now)
    else:
        proposals.expire(tx, subject, now=now)
