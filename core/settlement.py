"""Settlement: a result that two people stand by, then every cent of the pool paid out in chunks."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    false,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import markets, proposals, receipts
from core.base import Base, Small
from core.betting import Bet
from core.config import Config
from core.errors import Refusal
from core.markets import BASIS, Market, Status
from core.money import Cents
from core.staff import Role, Staff, require

RULES = "pari-mutuel/1"  # of the arithmetic; part of what the second person approves
LARGEST_SHOWN = 10


class SettlementState(IntEnum):
    """How far a settlement is."""

    APPROVED = 1
    RUNNING = 2
    SETTLED = 3


class Settlement(Base):
    """One result being paid: what it shares out, and how far it has got."""

    __tablename__ = "settlement"
    __table_args__ = (
        UniqueConstraint("market_id", "version"),
        CheckConstraint("approved_by <> proposed_by", name="two_people"),
        CheckConstraint("state BETWEEN 1 AND 3", name="state"),
        CheckConstraint("state < 3 OR paid + refunded + fee = pool", name="adds_up"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    market_id: Mapped[int] = mapped_column(ForeignKey("market.id"))
    version: Mapped[int] = mapped_column(Small)
    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposal.id"), unique=True)
    void: Mapped[bool]
    winners: Mapped[list[int]] = mapped_column(JSONB)
    state: Mapped[int] = mapped_column(Small)
    proposed_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    approved_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    approved_at: Mapped[datetime]
    due_at: Mapped[datetime]
    refunding: Mapped[bool] = mapped_column(server_default=false())
    pool: Mapped[int] = mapped_column(server_default="0")
    fee: Mapped[int] = mapped_column(server_default="0")
    net: Mapped[int] = mapped_column(server_default="0")
    paid: Mapped[int] = mapped_column(server_default="0")
    refunded: Mapped[int] = mapped_column(server_default="0")
    cursor_place: Mapped[int] = mapped_column(Small, server_default="0")
    cursor_bet: Mapped[int] = mapped_column(server_default="0")
    cursor_staked: Mapped[int] = mapped_column(server_default="0")
    started_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    effective_close: Mapped[datetime | None]
    collected: Mapped[int] = mapped_column(server_default="0")
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))


class SettlementShare(Base):
    """What one place of bets shares: `net` cents in proportion to `staked`.

    A place holds the bets on an outcome, or those of them that were made too `late`.
    """

    __tablename__ = "settlement_share"

    settlement_id: Mapped[int] = mapped_column(ForeignKey("settlement.id"), primary_key=True)
    place: Mapped[int] = mapped_column(Small, primary_key=True, autoincrement=False)
    outcome: Mapped[int] = mapped_column(Small)
    late: Mapped[bool] = mapped_column(server_default=false())
    refund: Mapped[bool] = mapped_column(server_default=false())
    staked: Mapped[int]
    net: Mapped[int]


class Dividend(Base):
    """What one bet got back. A bet without one in a settled market has lost."""

    __tablename__ = "dividend"
    __table_args__ = (
        CheckConstraint("amount >= 0", name="amount"),
        Index("ix_dividend_customer_id", "settlement_id", "customer_id"),
    )

    settlement_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    bet_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    customer_id: Mapped[int]
    amount: Mapped[int]
    refund: Mapped[bool]


@dataclass(frozen=True)
class Side:
    """What is on one outcome."""

    staked: int
    bets: int
    last_bet: int


@dataclass(frozen=True)
class Preview:
    """What a result would do, for the people who decide. `hash` names exactly this book."""

    content: Mapping[str, Any]
    hash: str
    bets: int
    pool: Cents
    fee: Cents
    gross: Cents
    refunding: bool
    largest: Sequence[tuple[int, Cents]]  # (bet id, what it gets), the ten largest


def propose(
    tx: Session,
    code: int,
    *,
    winner: int | None,
    source: str,
    by: Staff,
    now: datetime,
    config: Config,
) -> tuple[proposals.Proposal, Preview]:
    """Put a result (without a winner: the voiding) of a closed market before a second person."""
    require(by, Role.TRADER, Role.ADMIN)
    market = markets.live(tx, code)
    if market.status not in (Status.CLOSED, Status.PROPOSED):
        raise Refusal("staff.market_not_closed", code=code)
    if not source.strip():
        raise Refusal("staff.source_missing")
    seen = preview(tx, market, winner=winner, source=source.strip())
    proposal = proposals.propose(
        tx,
        act="market.result" if winner else "market.void",
        subject=_subject(market),
        content=seen.content,
        note=source.strip(),
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )
    market.status = Status.PROPOSED
    return proposal, seen


def approve(
    tx: Session, code: int, *, seen_hash: str, by: Staff, now: datetime, config: Config
) -> Settlement:
    """The second yes: the market is settled once the dispute window has passed.

    Raises Refusal for the proposer, and when the book is not what the approver saw.
    """
    require(by, Role.TRADER, Role.FINANCE, Role.ADMIN)
    market = markets.live(tx, code)
    proposal = proposals.pending(tx, _subject(market))
    if proposal is None:
        raise Refusal("staff.nothing_proposed", code=code)
    winner, source = proposal.content["winner"], proposal.content["source"]
    fresh = preview(tx, market, winner=winner, source=source)
    proposals.approve(tx, proposal, seen_hash=seen_hash, content=fresh.content, by=by.id, now=now)
    market.status = Status.APPROVED
    tx.flush()
    settlement_id = tx.scalar(
        select(func.settlement_open(proposal.id, now + config.dispute_window))
    )
    return tx.get_one(Settlement, settlement_id)


def refuse(tx: Session, code: int, *, by: Staff, now: datetime) -> None:
    """A no to the proposed result: the market is closed again and waits for another."""
    require(by, Role.TRADER, Role.FINANCE, Role.ADMIN)
    market = markets.live(tx, code)
    proposal = proposals.pending(tx, _subject(market))
    if proposal is None:
        raise Refusal("staff.nothing_proposed", code=code)
    proposals.refuse(proposal, by=by.id, now=now)
    market.status = Status.CLOSED


def preview(tx: Session, market: Market, *, winner: int | None, source: str) -> Preview:
    """Count the book and say what the result would pay.

    The content, and so the hash, holds what must not change between the two yeses: the result, its
    source, the rules, the fee and every bet; not what moves by itself, like the float.
    """
    book = _book(tx, market)
    if winner is not None and winner not in _numbers(tx, market):
        raise Refusal("betting.no_such_outcome")
    pool = sum(side.staked for side in book.values())
    won = book[winner].staked if winner in book else 0
    refunding = won == 0
    net = pool if refunding else max(won, pool - pool * market.fee_bp // BASIS)
    content: dict[str, Any] = {
        "market": market.id,
        "winner": winner,
        "source": source,
        "rules": RULES,
        "fee_bp": market.fee_bp,
        "bets": sum(side.bets for side in book.values()),
        "staked": {str(number): side.staked for number, side in book.items()},
        "last_bet": max((side.last_bet for side in book.values()), default=0),
        "closed_at": market.closed_at and market.closed_at.isoformat(),
    }
    return Preview(
        content=content,
        hash=proposals.content_hash(content),
        bets=content["bets"],
        pool=Cents(pool),
        fee=Cents(pool - net),
        gross=Cents(net),
        refunding=refunding,
        largest=_largest(tx, market, None if refunding else winner, net=net, won=won),
    )


def due(tx: Session, *, now: datetime) -> Sequence[int]:
    """The settlements to be worked on: past their dispute window, or begun and not ended."""
    return tx.scalars(
        select(Settlement.id)
        .where(Settlement.state < SettlementState.SETTLED, Settlement.due_at <= now)
        .order_by(Settlement.id)
    ).all()


def start(tx: Session, settlement_id: int, *, now: datetime) -> bool:
    """Count the pool and fix the shares, unless that has been done; False while it has to wait.

    It waits while the market holds stakes from money that M-PESA has not confirmed. The book is
    compared once more with what the second person approved.
    """
    row = tx.get_one(Settlement, settlement_id)
    if row.state != SettlementState.APPROVED:
        return True
    if row.due_at > now or receipts.market_unconfirmed(tx, row.market_id):
        return False
    proposal = tx.get_one(proposals.Proposal, row.proposal_id)
    winner, source = proposal.content["winner"], proposal.content["source"]
    fresh = preview(tx, tx.get_one(Market, row.market_id), winner=winner, source=source)
    assert fresh.hash == proposal.content_hash, f"the book of settlement {row.id} has changed"
    tx.execute(select(func.settle_start(settlement_id)))
    tx.expire(row)
    return True


def step(tx: Session, settlement_id: int, *, config: Config) -> int:
    """Pay the next chunk of bets; how many there were.

    Wins go to M-PESA for those who have auto cash-out on, as far as a withdrawal would.
    """
    paid = func.settle_chunk(
        settlement_id,
        config.settle_chunk,
        config.payout_min_amount,
        config.payout_max_amount,
        config.pin_reset_hold,
    )
    return tx.scalar(select(paid)) or 0


def finish(tx: Session, settlement_id: int) -> bool:
    """Take the fee and prove the pool empty; True once the market is settled."""
    return bool(tx.scalar(select(func.settle_finish(settlement_id))))


def progress(tx: Session, code: int) -> Settlement | None:
    """The newest settlement of the market that has, or last had, this code."""
    return tx.scalar(
        select(Settlement)
        .join(Market, Market.id == Settlement.market_id)
        .where(Market.code == code)
        .order_by(Settlement.id.desc())
        .limit(1)
    )


def _subject(market: Market) -> str:
    return f"market:{market.id}"


def _book(tx: Session, market: Market) -> dict[int, Side]:
    rows = tx.execute(
        select(Bet.outcome, func.sum(Bet.stake), func.count(), func.max(Bet.id))
        .where(Bet.market_id == market.id)
        .group_by(Bet.outcome)
        .order_by(Bet.outcome)
    )
    return {outcome: Side(int(staked), bets, last) for outcome, staked, bets, last in rows}


def _numbers(tx: Session, market: Market) -> Sequence[int]:
    return tx.scalars(
        select(markets.Outcome.number).where(markets.Outcome.market_id == market.id)
    ).all()


def _largest(
    tx: Session, market: Market, winner: int | None, *, net: int, won: int
) -> list[tuple[int, Cents]]:
    stakes = select(Bet.id, Bet.stake).where(Bet.market_id == market.id)
    if winner is not None:
        stakes = stakes.where(Bet.outcome == winner)
    top = tx.execute(stakes.order_by(Bet.stake.desc(), Bet.id).limit(LARGEST_SHOWN))
    return [(bet, Cents(stake if winner is None else stake * net // won)) for bet, stake in top]
