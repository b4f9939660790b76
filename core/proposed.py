"""What is proposed about a market, told so that two people see what they agree on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import settlement
from core.markets import Outcome
from core.money import Cents
from core.proposals import Proposal, ProposalState
from core.settlement import Settlement
from core.staff import Staff

Picks = Sequence[tuple[int, str]]  # numbers and names; none of them is a void
NOTHING = Cents(0)


@dataclass(frozen=True)
class Verdict:
    """How a market ends; for a correction also how it had ended, and what that one gave.

    Of the cents `to_reverse`, those `from_customers` had been paid out or given back.
    """

    won: Picks
    was: Picks | None = None
    to_reverse: Cents = NOTHING
    from_customers: Cents = NOTHING


@dataclass(frozen=True)
class Proposed:
    """What waits for its second yes; from `expires_at` on nobody can give it any more."""

    number: int
    act: str  # result, void, correction or withdrawal
    content: Mapping[str, Any]
    hash: str
    source: str
    by: str
    at: datetime
    expires_at: datetime


def about(tx: Session, market_id: int) -> Proposed | None:
    """What is proposed about a market, without keeping anybody from deciding it."""
    row = tx.execute(
        select(Proposal, Staff.name)
        .join(Staff, Staff.id == Proposal.proposed_by)
        .where(
            Proposal.subject == settlement.subject(market_id),
            Proposal.state == ProposalState.PENDING,
        )
    ).one_or_none()
    if row is None:
        return None
    found: Proposal = row.Proposal
    return Proposed(
        number=found.id,
        act=found.act.removeprefix("market."),
        content=found.content,
        hash=found.content_hash,
        source=found.note,
        by=row.name,
        at=found.proposed_at,
        expires_at=found.expires_at,
    )


def verdict(tx: Session, content: Mapping[str, Any]) -> Verdict:
    """What the content of a result, a void or a correction comes to."""
    rows = tx.execute(
        select(Outcome.number, Outcome.name).where(Outcome.market_id == content["market"])
    )
    names = {row.number: row.name for row in rows}
    won = picks(names, content["winners"])
    if content.get("corrects") is None:
        return Verdict(won)
    wrong = tx.get_one(Settlement, content["corrects"])
    return Verdict(
        won=won,
        was=picks(names, wrong.winners),
        to_reverse=Cents(wrong.pool),
        from_customers=Cents(wrong.paid + wrong.refunded),
    )


def picks(names: Mapping[int, str], numbers: Sequence[int]) -> Picks:
    """Picks by their numbers, with their names."""
    return [(number, names[number]) for number in numbers]
