"""Markets: a question, its outcomes, when it may be bet on, and what its pool looks like."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    func,
    select,
    text,
    true,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import gsm7, ledger
from core.base import Base, Small
from core.config import Config
from core.errors import Refusal
from core.money import Cents
from core.staff import Role, Staff, require

QUESTION_LONGEST = 60  # septets: with its outcomes and the navigation it must fit one screen
NAME_LONGEST = 20  # septets of an outcome's name
OUTCOMES = range(2, 9)
FIRST_CODE = 100  # three digits are read and typed without a slip
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
    category: Mapped[str]
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


class Outcome(Base):
    """One answer to a market's question. `staked` is the total shown, up to a second old."""

    __tablename__ = "outcome"
    __table_args__ = (CheckConstraint("number BETWEEN 1 AND 8", name="number"),)

    market_id: Mapped[int] = mapped_column(ForeignKey("market.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Small, primary_key=True, autoincrement=False)
    name: Mapped[str]
    staked: Mapped[int] = mapped_column(server_default="0")


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

    def estimate(self, outcome: int, stake: int) -> Cents:
        """What `stake` on `outcome` would bring if nobody else bet any more."""
        staked = next(one.staked for one in self.outcomes if one.number == outcome)
        return returns(pool=self.pool, staked=staked, stake=stake, fee_bp=self.fee_bp)


def create(
    tx: Session,
    *,
    question: str,
    outcomes: Sequence[str],
    category: str,
    opens_at: datetime,
    closes_at: datetime,
    by: Staff,
    now: datetime,
    config: Config,
) -> Market:
    """A new draft with a code of its own. Raises Refusal for what could not be shown or bet on."""
    require(by, Role.TRADER, Role.ADMIN)
    question, names = _check_words(question, outcomes)
    if closes_at <= max(opens_at, now):
        raise Refusal("staff.closes_too_soon")
    tx.execute(select(func.pg_advisory_xact_lock(4, 0)))  # two new markets, two codes
    market = Market(
        code=_free_code(tx),
        question=question,
        category=gsm7.fold(category.strip()) or "Other",
        status=Status.DRAFT,
        opens_at=opens_at,
        closes_at=closes_at,
        fee_bp=config.platform_fee_bp,
        min_stake=config.stake_min,
        max_stake=config.stake_max,
        created_by=by.id,
        created_at=now,
    )
    market.id = tx.scalars(select(func.nextval("market_id_seq"))).one()
    market.pool_account = ledger.account(tx, ledger.AccountKind.POOL, market_id=market.id)
    tx.add(market)
    tx.flush()
    numbered = enumerate(names, start=1)
    tx.add_all(Outcome(market_id=market.id, number=n, name=name) for n, name in numbered)
    tx.flush()
    return market


def open_up(tx: Session, code: int, *, by: Staff) -> Market:
    """Let a draft be bet on, from its opening time on."""
    require(by, Role.TRADER, Role.ADMIN)
    market = live(tx, code)
    if market.status != Status.DRAFT:
        raise Refusal("staff.market_not_draft", code=code)
    market.status = Status.OPEN
    return market


def close(tx: Session, code: int, *, by: Staff) -> Market:
    """Stop the betting now."""
    require(by, Role.TRADER, Role.ADMIN)
    market = live(tx, code, lock=False)  # the bets' lock comes before the row's, as for the clock
    if not shut(tx, market.id):
        raise Refusal("staff.market_not_open", code=code)
    tx.refresh(market)
    return market


def shut(tx: Session, market_id: int) -> bool:
    """Close one market's betting; False if it was not open.

    The exclusive lock waits for every bet that is being placed, and none can begin behind it.
    """
    tx.execute(select(func.pg_advisory_xact_lock(1, market_id)))
    closed = tx.execute(
        text(
            "UPDATE market SET status = :closed, closed_at = app_now()"
            " WHERE id = :id AND status IN (:open, :suspended)"
        ),
        {
            "id": market_id,
            "closed": int(Status.CLOSED),
            "open": int(Status.OPEN),
            "suspended": int(Status.SUSPENDED),
        },
    )
    return bool(closed.rowcount)  # type: ignore[attr-defined]  # a text UPDATE has one


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
    """The markets that can be bet on, the ones closing soonest or with the most staked first."""
    pool = (
        select(func.coalesce(func.sum(Outcome.staked), 0))
        .where(Outcome.market_id == Market.id)
        .scalar_subquery()
    )
    found = select(
        Market.id,
        Market.code,
        Market.question,
        Market.category,
        Market.closes_at,
        pool.label("pool"),
    ).where(Market.status == Status.OPEN, Market.opens_at <= now, Market.closes_at > now)
    if category is not None:
        found = found.where(func.lower(Market.category) == category.lower())
    first: tuple[Any, ...] = (pool.desc(),) if order == "pool" else ()
    page = found.order_by(*first, Market.closes_at, Market.id).offset(offset).limit(limit)
    return [
        MarketLine(
            row.id, row.code, row.question, row.category, row.closes_at, Cents(int(row.pool))
        )
        for row in tx.execute(page)
    ]


def categories(tx: Session, *, now: datetime) -> Sequence[str]:
    """The categories with something to bet on, in alphabetical order."""
    return tx.scalars(
        select(Market.category)
        .where(Market.status == Status.OPEN, Market.opens_at <= now, Market.closes_at > now)
        .distinct()
        .order_by(Market.category)
    ).all()


def by_code(tx: Session, code: int) -> MarketView | None:
    """The market customers mean by a code: the live one, else the last that had it; no drafts."""
    market_id = tx.scalar(
        select(Market.id)
        .where(Market.code == code, Market.status > Status.DRAFT)
        .order_by((Market.status < Status.SETTLED).desc(), Market.id.desc())
        .limit(1)
    )
    return None if market_id is None else view(tx, market_id)


def view(tx: Session, market_id: int) -> MarketView | None:
    """A market with its outcomes, as its page shows it."""
    rows = tx.execute(
        select(Market, Outcome.number, Outcome.name, Outcome.staked)
        .join(Outcome, Outcome.market_id == Market.id)
        .where(Market.id == market_id)
        .order_by(Outcome.number)
    ).all()
    if not rows:
        return None
    market: Market = rows[0].Market
    pool = sum(row.staked for row in rows)
    outcomes = [
        OutcomeView(
            number=row.number,
            name=row.name,
            staked=Cents(row.staked),
            estimate=returns(pool=pool, staked=row.staked, stake=100, fee_bp=market.fee_bp),
        )
        for row in rows
    ]
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


def _check_words(question: str, outcomes: Sequence[str]) -> tuple[str, list[str]]:
    question = gsm7.fold(" ".join(question.split()))
    names = [gsm7.fold(" ".join(name.split())) for name in outcomes]
    if not 0 < gsm7.septets(question) <= QUESTION_LONGEST:
        raise Refusal("staff.question_length", longest=QUESTION_LONGEST)
    if len(names) not in OUTCOMES or len({name.upper() for name in names}) != len(names):
        raise Refusal("staff.outcomes_number")
    if not all(0 < gsm7.septets(name) <= NAME_LONGEST for name in names):
        raise Refusal("staff.outcome_length", longest=NAME_LONGEST)
    return question, names


def _free_code(tx: Session) -> int:
    """The lowest code that no market had lately: old codes rest until the numbers get long."""
    highest = tx.scalar(select(func.max(Market.code)))
    return FIRST_CODE + 1 if highest is None else highest + 1


def _app_now() -> Any:
    return func.app_now()
