"""Markets: a question, its outcomes, when it may be bet on, and what its pool looks like."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Identity,
    Index,
    func,
    select,
    text,
    true,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import market_history, rights
from core.base import Base, Small
from core.errors import Refusal
from core.money import Cents
from core.rights import Right
from core.staff import Staff

BASIS = 10_000


class Status(IntEnum):
    """The life of a market. Below SETTLED its code is taken."""

    DRAFT = 1
    OPEN = 2
    SUSPENDED = 3
    CLOSED = 4
    PROPOSED = 5
    APPROVED = 6
    SETTLING = 7
    SETTLED = 8
    CORRECTING = 9
    VOID = 10


class Market(Base):
    """One question that is bet on. Its fee and stakes are those of the day it was made."""

    __tablename__ = "market"
    __table_args__ = (
        CheckConstraint("status BETWEEN 1 AND 10", name="status"),
        CheckConstraint("closes_at > opens_at", name="closes_after_opening"),
        CheckConstraint("fee_bp BETWEEN 0 AND 5000", name="fee"),
        CheckConstraint("min_stake > 0 AND max_stake >= min_stake", name="stakes"),
        Index("uq_market_live_code", "code", unique=True, postgresql_where="status < 8"),
        Index("ix_market_status", "status", "closes_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    code: Mapped[int]
    question: Mapped[str]
    category: Mapped[str] = mapped_column(ForeignKey("category.name"))
    status: Mapped[int] = mapped_column(Small)
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    fee_bp: Mapped[int]
    min_stake: Mapped[int]
    max_stake: Mapped[int]
    pool_account: Mapped[int] = mapped_column(ForeignKey("account.id"), unique=True)
    created_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]
    import_key: Mapped[uuid.UUID | None] = mapped_column(unique=True)  # of a line of a file


class Outcome(Base):
    """One answer to a market's question. `staked` is the total shown, up to a second old."""

    __tablename__ = "outcome"
    __table_args__ = (CheckConstraint("number BETWEEN 1 AND 8", name="number"),)

    market_id: Mapped[int] = mapped_column(ForeignKey("market.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Small, primary_key=True, autoincrement=False)
    name: Mapped[str]
    staked: Mapped[int] = mapped_column(server_default="0")
    withdrawn_at: Mapped[datetime | None]  # no more bets, and what was staked goes back


class PoolMark(Base):
    """Up to which transaction the shown totals have been added up."""

    __tablename__ = "pool_mark"
    __table_args__ = (CheckConstraint("id", name="one"),)

    id: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    below: Mapped[int]
    cluster: Mapped[int] = mapped_column(BigInteger)
    refreshed_at: Mapped[datetime]


@dataclass(frozen=True)
class MarketLine:
    """A market as a list shows it."""

    id: int
    code: int
    question: str
    category: str
    closes_at: datetime
    pool: Cents


@dataclass(frozen=True)
class OutcomeView:
    """An outcome with what is on it, and what KES 1 more on it would bring as the pool stands."""

    number: int
    name: str
    staked: Cents
    estimate: Cents
    withdrawn: bool = False


@dataclass(frozen=True)
class MarketView:
    """A market as its page shows it; the totals are up to a second old."""

    id: int
    code: int
    question: str
    category: str
    status: Status
    opens_at: datetime
    closes_at: datetime
    fee_bp: int
    min_stake: Cents
    max_stake: Cents
    pool: Cents
    outcomes: Sequence[OutcomeView]

    def is_open(self, now: datetime) -> bool:
        """Whether a bet could be placed at `now`; `place_bet` alone decides."""
        return self.status == Status.OPEN and self.opens_at <= now < self.closes_at

    def opens_later(self, now: datetime) -> bool:
        """Whether it waits for its opening time."""
        return self.status == Status.OPEN and now < self.opens_at

    def estimate(self, outcome: int, stake: int) -> Cents:
        """What `stake` on `outcome` would bring if nobody else bet any more."""
        staked = next(one.staked for one in self.outcomes if one.number == outcome)
        return returns(pool=self.pool, staked=staked, stake=stake, fee_bp=self.fee_bp)


def close(tx: Session, code: int, *, by: Staff) -> Market:
    """Stop the betting now."""
    rights.require(by, Right.MARKETS)
    market = live(tx, code, lock=False)  # the bets' lock comes before the row's, as for the clock
    if not shut(tx, market.id, by=by.id):
        raise Refusal("staff.market_not_open", code=code)
    tx.refresh(market)
    return market


def shut(tx: Session, market_id: int, *, by: int | None = None) -> bool:
    """Close one market's betting, whatever its closing time; False if it was not open.

    `by` is the member of staff who does it, None for the clock.
    """
    hold_bets(tx, market_id)
    return turn(tx, market_id, (Status.OPEN, Status.SUSPENDED), Status.CLOSED, what="close", by=by)


def shut_due(tx: Session, market_id: int) -> bool:
    """Close one market's betting if its time has come: it may have been moved a moment ago."""
    hold_bets(tx, market_id)
    closes_at = tx.scalar(select(Market.closes_at).where(Market.id == market_id).with_for_update())
    if closes_at is None or closes_at > tx.scalars(select(_app_now())).one():
        return False
    return turn(tx, market_id, (Status.OPEN, Status.SUSPENDED), Status.CLOSED, what="close")


def hold_bets(tx: Session, market_id: int) -> None:
    """Wait for every bet on a market that is being placed; none can begin before `tx` ends."""
    tx.execute(select(func.pg_advisory_xact_lock(1, market_id)))


def turn(
    tx: Session,
    market_id: int,
    before: Sequence[Status],
    after: Status,
    *,
    what: str,
    by: int | None = None,
    reason: str = "",
) -> bool:
    """Give a market another status and write that down; False if it has none of `before`."""
    was = tx.scalar(
        text(
            "UPDATE market SET status = :after,"
            " closed_at = CASE WHEN :after = 4 THEN app_now() ELSE closed_at END"
            " WHERE id = :id AND status = ANY(:before) RETURNING old.status"
        ),
        {"id": market_id, "after": int(after), "before": [int(status) for status in before]},
    )
    if was is None:
        return False
    market_history.keep(
        tx,
        market_id,
        what,
        by=by,
        reason=reason,
        before={"status": Status(was).name.lower()},
        after={"status": after.name.lower()},
    )
    return True


def due_to_close(tx: Session) -> Sequence[int]:
    """The markets whose closing time has come."""
    return tx.scalars(
        select(Market.id)
        .where(Market.status.in_((Status.OPEN, Status.SUSPENDED)), Market.closes_at <= _app_now())
        .order_by(Market.id)
    ).all()


def live(tx: Session, code: int, *, lock: bool = True) -> Market:
    """The market that has this code now, locked. Raises Refusal if there is none."""
    found = select(Market).where(Market.code == code, Market.status < Status.SETTLED)
    market = tx.scalar(found.with_for_update() if lock else found)
    if market is None:
        raise Refusal("staff.no_such_market", code=code)
    return market


def open_list(
    tx: Session,
    *,
    now: datetime,
    order: Literal["closing", "pool"] = "closing",
    category: str | None = None,
    offset: int = 0,
    limit: int = 10,
) -> list[MarketLine]:
    """The markets that can be bet on, the ones closing soonest or with the most staked first.

    `category` is the name of one. Totals are read as they are shown: no bet waits for a reader.
    """
    pool = (
        select(func.coalesce(func.sum(Outcome.staked), 0))
        .where(Outcome.market_id == Market.id, Outcome.withdrawn_at.is_(None))
        .scalar_subquery()
    )
    found = select(
        Market.id,
        Market.code,
        Market.question,
        Market.category,
        Market.closes_at,
        pool.label("pool"),
    ).where(*open_now(now))
    if category is not None:
        found = found.where(Market.category == category)
    first: tuple[Any, ...] = (pool.desc(),) if order == "pool" else ()
    page = found.order_by(*first, Market.closes_at, Market.id).offset(offset).limit(limit)
    return [
        MarketLine(
            row.id, row.code, row.question, row.category, row.closes_at, Cents(int(row.pool))
        )
        for row in tx.execute(page)
    ]


def open_now(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What is true of the markets that can be bet on."""
    return (Market.status == Status.OPEN, Market.opens_at <= now, Market.closes_at > now)


def by_code(tx: Session, code: int, *, drafts: bool = False) -> MarketView | None:
    """The market people mean by a code: the live one, else the last that had it.

    Only staff see `drafts`.
    """
    hidden = () if drafts else (Status.DRAFT,)
    market_id = tx.scalar(
        select(Market.id)
        .where(Market.code == code, Market.status.not_in(hidden))
        .order_by((Market.status < Status.SETTLED).desc(), Market.id.desc())
        .limit(1)
    )
    return None if market_id is None else view(tx, market_id)


def view(tx: Session, market_id: int) -> MarketView | None:
    """A market with its outcomes, as its page shows it."""
    rows = tx.execute(
        select(Market, Outcome)
        .join(Outcome, Outcome.market_id == Market.id)
        .where(Market.id == market_id)
        .order_by(Outcome.number)
        .execution_options(populate_existing=True)
    ).all()
    if not rows:
        return None
    market: Market = rows[0].Market
    shown = [row.Outcome for row in rows]
    pool = sum(one.staked for one in shown if one.withdrawn_at is None)
    outcomes = [_outcome(one, pool=pool, fee_bp=market.fee_bp) for one in shown]
    return MarketView(
        id=market.id,
        code=market.code,
        question=market.question,
        category=market.category,
        status=Status(market.status),
        opens_at=market.opens_at,
        closes_at=market.closes_at,
        fee_bp=market.fee_bp,
        min_stake=Cents(market.min_stake),
        max_stake=Cents(market.max_stake),
        pool=Cents(pool),
        outcomes=outcomes,
    )


def _outcome(one: Outcome, *, pool: int, fee_bp: int) -> OutcomeView:
    """An outcome as its market's page shows it; on a withdrawn one there is nothing any more."""
    if one.withdrawn_at is not None:
        return OutcomeView(one.number, one.name, Cents(0), Cents(0), withdrawn=True)
    estimate = returns(pool=pool, staked=one.staked, stake=100, fee_bp=fee_bp)
    return OutcomeView(one.number, one.name, Cents(one.staked), estimate)


def returns(*, pool: int, staked: int, stake: int, fee_bp: int) -> Cents:
    """What `stake` more on a side with `staked` of a `pool` brings if that side wins, rounded down.

    The fee gives way before a winner gets less than the stake, as in settlement.
    """
    pool, staked = pool + stake, staked + stake
    net = max(pool - pool * fee_bp // BASIS, staked)
    return Cents(stake * net // staked)


def refresh_pools(tx: Session) -> int:
    """Add new bets to the totals that are shown; how many there were."""
    return tx.scalar(select(func.pool_refresh())) or 0


def _app_now() -> Any:
    return func.app_now()
