"""Settlement: every cent of a pool paid out in chunks, as two people decided."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum

import structlog
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    false,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import previews, proposals, receipts
from core.base import Base, Small
from core.config import Config
from core.markets import Market, Status
from core.previews import PATIENCE

log = structlog.get_logger(__name__)


class SettlementState(IntEnum):
    """How far a settlement is."""

    APPROVED = 1
    RUNNING = 2
    SETTLED = 3
    CANCELLED = 4  # overtaken by a void, or by another correction, before it had moved anything


class Settlement(Base):
    """One result being paid: what it shares out, and how far it has got.

    `withdraws` is the outcome whose stakes go back while the market goes on. One that `corrects`
    another has first to take back what that one gave; `reversed` counts this on the other one.
    """

    __tablename__ = "settlement"
    __table_args__ = (
        UniqueConstraint("market_id", "version"),
        CheckConstraint("approved_by <> proposed_by", name="two_people"),
        CheckConstraint("state BETWEEN 1 AND 4", name="state"),
        CheckConstraint("state <> 3 OR paid + refunded + fee = pool", name="adds_up"),
        CheckConstraint("reversed BETWEEN 0 AND pool", name="reversed"),
        Index("ix_settlement_open", "due_at", postgresql_where="state < 3"),
        Index("uq_settlement_corrects", "corrects", unique=True, postgresql_where="state <> 4"),
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
    withdraws: Mapped[int | None] = mapped_column(Small)
    corrects: Mapped[int | None] = mapped_column(ForeignKey("settlement.id"))
    reversed: Mapped[int] = mapped_column(server_default="0")
    undo_bet: Mapped[int] = mapped_column(server_default="0")
    undone_at: Mapped[datetime | None]


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


def due(tx: Session, *, now: datetime) -> Sequence[int]:
    """The settlements to be worked on: past their dispute window, or begun and not ended."""
    return tx.scalars(
        select(Settlement.id)
        .where(
            Settlement.state < SettlementState.SETTLED,
            Settlement.due_at <= now,
            Settlement.paused_at.is_(None),
        )
        .order_by(Settlement.id)
    ).all()


def stands(tx: Session, settlement_id: int) -> bool:
    """Whether a correction may begin: its book is the one that was approved.

    Asked before anything is taken back, so that one which has to stop has taken nothing.
    """
    row = tx.get_one(Settlement, settlement_id)
    if not untouched(row) or row.state != SettlementState.APPROVED:
        return True
    return row.paused_at is None and _same_book(tx, row)


def undo(tx: Session, settlement_id: int, *, config: Config) -> int:
    """Take back the next chunk of what a corrected settlement gave; how much there was.

    0 when all of it is back, and for a settlement that corrects none.
    """
    return tx.scalar(select(func.correct_chunk(settlement_id, config.settle_chunk))) or 0


def start(tx: Session, settlement_id: int, *, now: datetime) -> bool:
    """Count the pool and fix the shares, unless that has been done; False while it has to wait.

    It waits while it is paused, while the market holds stakes from money that M-PESA has not
    confirmed, and until a withdrawn outcome's stakes are back. The book is compared once more with
    what the second person approved: if it is another, the settlement is stopped for staff to see.
    """
    row = tx.get_one(Settlement, settlement_id)
    if row.state != SettlementState.APPROVED:
        _still_approved(tx, tx.get_one(Market, row.market_id), now)
        return row.state != SettlementState.CANCELLED
    if row.due_at > now or row.paused_at is not None:
        return False
    if row.withdraws is None and not _ready(tx, row, now):
        return False
    tx.execute(text(PATIENCE))
    tx.execute(select(func.settle_start(settlement_id)))
    tx.expire(row)
    return True


def step(tx: Session, settlement_id: int, *, config: Config) -> int:
    """Pay the next chunk of bets; how many there were.

    Wins go to M-PESA for those who have auto cash-out on, as far as a withdrawal would. A chunk
    that is lost with the machine is paid again from its cursor, which is lost with it, so none
    waits for the disk; whoever bets with what it brought does, and the end of the settlement too.
    """
    tx.execute(text("SET LOCAL synchronous_commit = off"))
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
    tx.execute(text(PATIENCE))
    return bool(tx.scalar(select(func.settle_finish(settlement_id))))


def newest(tx: Session, market_id: int) -> Settlement | None:
    """The newest settlement of a market's result; withdrawals of outcomes are none."""
    return tx.scalar(
        select(Settlement)
        .where(
            Settlement.market_id == market_id,
            Settlement.withdraws.is_(None),
            Settlement.state < SettlementState.CANCELLED,
        )
        .order_by(Settlement.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )


def subject(market_id: int) -> str:
    """What proposals about a market are kept under: one waits at a time."""
    return f"market:{market_id}"


def hold(tx: Session, market_id: int) -> Market:
    """A market for whoever decides about it: locked behind its settlements, and as it is now."""
    tx.execute(select(func.settlement_hold(market_id)))
    return tx.get_one(Market, market_id, with_for_update=True, populate_existing=True)


def begun(tx: Session, market_id: int) -> bool:
    """Whether the first chunk of a result has been paid, so that only a correction can help."""
    run = newest(tx, market_id)
    return run is not None and (run.cursor_place, run.cursor_bet) != (0, 0)


def untouched(run: Settlement) -> bool:
    """Whether a correction has taken nothing back yet, so that another may stand in for it."""
    return run.corrects is not None and not run.undo_bet and run.undone_at is None


def _ready(tx: Session, row: Settlement, now: datetime) -> bool:
    market = tx.get_one(Market, row.market_id)
    if row.corrects is not None:
        if row.undone_at is None:
            return False
    elif not _still_approved(tx, market, now):
        return False
    if receipts.market_unconfirmed(tx, market.id) or _withdrawing(tx, market.id):
        return False
    return _same_book(tx, row)


def _same_book(tx: Session, row: Settlement) -> bool:
    """Compare with what the second person approved; a settlement of another book is stopped."""
    tx.execute(text(PATIENCE))
    market = tx.get_one(Market, row.market_id)
    proposal = tx.get_one(proposals.Proposal, row.proposal_id)
    if previews.again(tx, market, proposal.content).hash == proposal.content_hash:
        return True
    log.error("settlement stopped", settlement_id=row.id, reason="the book has changed")
    tx.execute(select(func.settlement_pause(row.id, False, None)))
    return False


def _still_approved(tx: Session, market: Market, now: datetime) -> bool:
    """False while a void is proposed; if nobody decided on that in time, the result stands."""
    if market.status == Status.PROPOSED:
        proposals.expire(tx, subject(market.id), now=now)
        if proposals.pending(tx, subject(market.id)) is None:
            run = newest(tx, market.id)
            counted = run is not None and run.state == SettlementState.RUNNING
            market.status = Status.SETTLING if counted else Status.APPROVED
            tx.flush()
    return market.status == Status.APPROVED


def _withdrawing(tx: Session, market_id: int) -> bool:
    waiting = select(Settlement.id).where(
        Settlement.market_id == market_id,
        Settlement.withdraws.is_not(None),
        Settlement.state < SettlementState.SETTLED,
    )
    return tx.scalar(waiting.limit(1)) is not None
