"""Betting: placing a bet at most once, and what a customer's bets have become."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, Identity, Index, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import markets, verbs
from core.base import Base, Small
from core.effects import Channel, Refused
from core.ledger import Wallet
from core.money import Cents
from core.verbs import Verb

NAIROBI = ZoneInfo("Africa/Nairobi")


class Bet(Base):
    """A stake on an outcome. Never changed: what became of it is its dividend."""

    __tablename__ = "bet"
    __table_args__ = (
        CheckConstraint("stake > 0", name="stake"),
        Index(
            "ix_bet_market_id_outcome",
            "market_id",
            "outcome",
            "id",
            postgresql_include=["stake", "customer_id"],
        ),
        Index("ix_bet_customer_id", "customer_id", "id"),
        Index(
            "ix_bet_xact",
            "xact",
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 16},
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    customer_id: Mapped[int]
    market_id: Mapped[int]
    outcome: Mapped[int] = mapped_column(Small)
    stake: Mapped[int]
    channel: Mapped[int] = mapped_column(Small)
    with_pin: Mapped[bool]
    session: Mapped[str]
    placed_at: Mapped[datetime]
    xact: Mapped[int] = mapped_column(server_default=text("((pg_current_xact_id())::text)::bigint"))


@dataclass(frozen=True)
class Placed:
    """The bet stands. `again` says that this key had placed it before."""

    bet_id: int
    balance: Cents
    again: bool


@dataclass(frozen=True)
class BetLine:
    """One bet as its owner reads it: `returned` once settled, `estimate` as the pool stands."""

    id: int
    market_code: int
    question: str
    outcome_name: str
    stake: Cents
    placed_at: datetime
    closes_at: datetime
    state: Literal["open", "won", "lost", "refunded"]
    returned: Cents
    estimate: Cents


def place_bet(
    tx: Session,
    *,
    key: uuid.UUID,
    customer_id: int,
    market_id: int,
    outcome: int,
    stake: int,
    channel: Channel,
    session: str,
    with_pin: bool,
    no_pin_limit: int,
) -> Placed | Refused:
    """Stake `stake` cents of the customer's wallet on an outcome, at most once per `key`.

    The first answer, yes or no, is the answer for ever; the same key with another bet is a fault.
    Without a PIN the day's bets may add up to `no_pin_limit` cents (the Nairobi day).
    """
    verdict, reason, facts, bet_id, balance, again = verbs.call(
        tx,
        PLACE_BET,
        str(key),
        customer_id,
        market_id,
        outcome,
        stake,
        int(channel),
        session,
        with_pin,
        no_pin_limit,
    )
    if verdict == "refused":
        return Refused(reason, _facts(facts))
    return Placed(bet_id, Cents(balance), again)


PLACE_BET = Verb(
    "place_bet",
    ("uuid", "bigint", "bigint", "smallint", "bigint", "smallint", "text", "boolean", "bigint"),
)


def staked_without_pin(tx: Session, customer_id: int, *, now: datetime) -> Cents:
    """What the customer has bet today (Nairobi) without a PIN."""
    row = tx.execute(
        select(Wallet.day, Wallet.day_no_pin).where(Wallet.customer_id == customer_id)
    ).one_or_none()
    today = now.astimezone(NAIROBI).date()
    return Cents(row.day_no_pin if row and row.day == today else 0)


def my_bets(
    tx: Session, customer_id: int, *, open: bool, limit: int, offset: int = 0
) -> list[BetLine]:
    """The customer's bets, newest first: those still running, or those that have ended."""
    rows = tx.execute(
        OPEN_BETS if open else ENDED_BETS,
        {"customer": customer_id, "limit": limit, "offset": offset},
    )
    return [_line(row) for row in rows]


def one_bet(tx: Session, customer_id: int, bet_id: int) -> BetLine | None:
    """One bet of the customer's."""
    row = tx.execute(ONE_BET, {"customer": customer_id, "bet": bet_id}).one_or_none()
    return None if row is None else _line(row)


def _bets(where: str) -> Any:
    return text(f"""
        SELECT b.id, m.code, m.question, m.fee_bp, o.name, b.stake, b.placed_at, m.closes_at,
               s.id IS NOT NULL AS ended, d.amount, coalesce(d.refund, false) AS refund, o.staked,
               o.withdrawn_at IS NOT NULL AS withdrawn,
               (SELECT coalesce(sum(staked), 0) FROM outcome
                 WHERE market_id = m.id AND withdrawn_at IS NULL) AS pool,
               coalesce(b.xact < (SELECT below FROM pool_mark), false) AS counted
          FROM bet b
          JOIN market m ON m.id = b.market_id
          JOIN outcome o ON o.market_id = b.market_id AND o.number = b.outcome
          LEFT JOIN LATERAL (SELECT id FROM settlement
                              WHERE market_id = m.id AND state = 3
                                AND CASE WHEN o.withdrawn_at IS NULL
                                         THEN m.status IN (8, 10) AND withdraws IS NULL
                                         ELSE withdraws = o.number END
                              ORDER BY version DESC LIMIT 1) s ON true
          LEFT JOIN dividend d ON d.settlement_id = s.id AND d.bet_id = b.id
         WHERE b.customer_id = :customer AND {where}
    """)  # noqa: S608 - the conditions are the three below


PAGE = "ORDER BY b.id DESC LIMIT :limit OFFSET :offset"
OPEN_BETS = _bets(f"s.id IS NULL {PAGE}")
ENDED_BETS = _bets(f"s.id IS NOT NULL {PAGE}")
ONE_BET = _bets("b.id = :bet")


def _line(row: Any) -> BetLine:
    state: Literal["open", "won", "lost", "refunded"] = "open"
    if row.ended:
        state = "lost" if row.amount is None else "refunded" if row.refund else "won"
    # The bet is in the totals, or will be in a second: it must count once.
    counted = row.stake if row.counted else 0
    others, pool = row.staked - counted, int(row.pool) - counted
    hope = markets.returns(pool=pool, staked=others, stake=row.stake, fee_bp=row.fee_bp)
    return BetLine(
        id=row.id,
        market_code=row.code,
        question=row.question,
        outcome_name=row.name,
        stake=Cents(row.stake),
        placed_at=row.placed_at,
        closes_at=row.closes_at,
        state=state,
        returned=Cents(row.amount or 0),
        estimate=Cents(row.stake) if row.withdrawn else hope,
    )


def _facts(facts: dict[str, Any]) -> dict[str, Any]:
    """A kept refusal's facts, with the moments in them made moments again."""
    if "until" in facts:
        return facts | {"until": datetime.fromisoformat(facts["until"])}
    return facts
