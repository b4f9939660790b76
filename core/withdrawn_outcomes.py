"""Withdrawing one outcome of a live market: its stakes go back, and the market goes on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import markets, proposals, rights, settlement
from core.betting import Bet
from core.config import Config
from core.errors import Refusal
from core.markets import Market, Outcome, Status
from core.money import Cents
from core.proposals import Proposal
from core.rights import Right
from core.staff import Staff

ACT = "market.withdrawal"
LIVE = (Status.OPEN, Status.SUSPENDED, Status.CLOSED)
FEWEST = 2  # outcomes that a market needs


@dataclass(frozen=True)
class WithdrawalPreview:
    """What would go back as things stand. Bets go on meanwhile, so `hash` leaves the sums out."""

    content: Mapping[str, Any]
    hash: str
    name: str
    bets: int
    staked: Cents


def propose(
    tx: Session, code: int, *, outcome: int, source: str, by: Staff, now: datetime, config: Config
) -> tuple[Proposal, WithdrawalPreview]:
    """Put the withdrawal of an outcome before a second person.

    From their yes on nobody can bet on it. Raises Refusal if fewer than two would remain.
    """
    rights.require(by, Right.RESULT_PROPOSE)
    if not source.strip():
        raise Refusal("staff.source_missing")
    market = settlement.hold(tx, markets.live(tx, code, lock=False).id)
    content = _content(tx, market, outcome, source.strip())
    proposal = proposals.propose(
        tx,
        act=ACT,
        subject=settlement.subject(market.id),
        content=content,
        note=source.strip(),
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )
    return proposal, counted(tx, market, content)


def look(tx: Session, market: Market, *, outcome: int, source: str) -> WithdrawalPreview:
    """What a withdrawal, proposed now, would give back. Nothing is locked or written."""
    if not source.strip():
        raise Refusal("staff.source_missing")
    return counted(tx, market, _content(tx, market, outcome, source.strip()))


def afresh(tx: Session, market: Market, content: Mapping[str, Any]) -> dict[str, Any]:
    """What was proposed, checked against how the market is now."""
    return _content(tx, market, content["outcome"], content["source"])


def _content(tx: Session, market: Market, outcome: int, source: str) -> dict[str, Any]:
    if market.status not in LIVE:
        raise Refusal("staff.market_not_live", code=market.code)
    playing = tx.scalars(
        select(Outcome.number).where(Outcome.market_id == market.id, Outcome.withdrawn_at.is_(None))
    ).all()
    if outcome not in playing:
        raise Refusal("betting.no_such_outcome")
    if len(playing) <= FEWEST:
        raise Refusal("staff.outcomes_left", code=market.code)
    return {"market": market.id, "outcome": outcome, "source": source}


def counted(tx: Session, market: Market, content: Mapping[str, Any]) -> WithdrawalPreview:
    """What the withdrawal gives back, or has given."""
    number = content["outcome"]
    bets, staked = tx.execute(
        select(func.count(), func.coalesce(func.sum(Bet.stake), 0)).where(
            Bet.market_id == market.id, Bet.outcome == number
        )
    ).one()
    return WithdrawalPreview(
        content=content,
        hash=proposals.content_hash(content),
        name=tx.get_one(Outcome, (market.id, number)).name,
        bets=bets,
        staked=Cents(int(staked)),
    )
