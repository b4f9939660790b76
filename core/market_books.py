"""Markets as their traders see them: the whole list, and how the money lies on one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.betting import Bet
from core.markets import BASIS, Market, MarketView, Outcome, Status
from core.money import Cents

LIVE = tuple(status for status in Status if status not in (Status.SETTLED, Status.VOID))


@dataclass(frozen=True)
class BoardLine:
    """A market in the traders' list; the pool is as it is shown, up to a second old."""

    id: int
    code: int
    status: Status
    question: str
    category: str
    opens_at: datetime
    closes_at: datetime
    pool: Cents


@dataclass(frozen=True)
class Side:
    """One outcome: how many bets of how many people, and its part of the pool in basis points.

    `short` is how many cents of the fee the house would forgo if it won, so that no winner gets
    less than the stake.
    """

    number: int
    bets: int
    backers: int
    share_bp: int
    short: Cents


@dataclass(frozen=True)
class Book:
    """How the money lies. `imbalance_bp` is 0 for an even pool, 10,000 with all on one outcome."""

    sides: Sequence[Side]
    imbalance_bp: int


def board(
    tx: Session,
    *,
    statuses: Sequence[Status] = LIVE,
    category: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[BoardLine]:
    """Markets of these statuses, those that close next first."""
    pool = (
        select(func.coalesce(func.sum(Outcome.staked), 0))
        .where(Outcome.market_id == Market.id, Outcome.withdrawn_at.is_(None))
        .scalar_subquery()
    )
    found = select(Market, pool.label("pool")).where(Market.status.in_(statuses))
    if category is not None:
        found = found.where(Market.category == category)
    page = found.order_by(Market.closes_at, Market.id).limit(limit).offset(offset)
    return [
        BoardLine(
            id=market.id,
            code=market.code,
            status=Status(market.status),
            question=market.question,
            category=market.category,
            opens_at=market.opens_at,
            closes_at=market.closes_at,
            pool=Cents(int(staked)),
        )
        for market, staked in tx.execute(page)
    ]


def book(tx: Session, view: MarketView) -> Book:
    """The book of a market: what is shown of it, and the bets behind that counted."""
    counted = select(Bet.outcome, func.count(), func.count(Bet.customer_id.distinct()))
    rows = tx.execute(counted.where(Bet.market_id == view.id).group_by(Bet.outcome))
    counts = {outcome: (bets, backers) for outcome, bets, backers in rows}
    fee = view.pool * view.fee_bp // BASIS
    shares = [one.staked * BASIS // view.pool if view.pool else 0 for one in view.outcomes]
    sides = [
        Side(
            number=one.number,
            bets=counts.get(one.number, (0, 0))[0],
            backers=counts.get(one.number, (0, 0))[1],
            share_bp=share,
            short=Cents(max(0, one.staked - (view.pool - fee))),
        )
        for one, share in zip(view.outcomes, shares, strict=True)
    ]
    running = [share for one, share in zip(view.outcomes, shares, strict=True) if not one.withdrawn]
    return Book(sides, imbalance_bp=max(running) - min(running) if running else 0)
