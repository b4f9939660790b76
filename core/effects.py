"""What a customer's decision led to, kept under its key so that it is answered, never repeated."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from sqlalchemy import Text, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base, Small


class Channel(IntEnum):
    """Where a decision came from."""

    USSD = 1
    SMS = 2
    STAFF = 3
    HOUSE = 4  # the clock, a settlement: nobody typed it
    PAYBILL = 5  # paid by hand, from the menu of M-PESA


@dataclass(frozen=True)
class Refused:
    """A rule said no. `reason` is a sentence's key and `facts` fill it; the answer is kept."""

    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recalled:
    """What was done under a key: `verdict` is "done" or "refused", `verb` names the act."""

    verb: str
    verdict: str
    reason: str | None
    facts: Mapping[str, Any]


class Effect(Base):
    """One act of a channel and its verdict; refusals of money verbs are here too.

    A placed bet, a deposit asked for and a payout reserved are their own effect rows.
    """

    __tablename__ = "effect"

    key: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    channel: Mapped[int] = mapped_column(Small)
    session: Mapped[str]
    customer_id: Mapped[int | None]
    verb: Mapped[str]
    verdict: Mapped[str]
    reason: Mapped[str | None] = mapped_column(Text)
    facts: Mapped[dict[str, Any]]
    args: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


def record(
    tx: Session,
    *,
    key: uuid.UUID,
    channel: Channel,
    session: str,
    customer_id: int | None,
    verb: str,
    now: datetime,
    verdict: str = "done",
    reason: str | None = None,
    facts: Mapping[str, Any] | None = None,
    args: Mapping[str, Any] | None = None,
) -> None:
    """Keep what was answered to the decision `key`; a key that is already kept stays as it is."""
    tx.execute(
        insert(Effect)
        .values(
            key=key,
            channel=channel,
            session=session,
            customer_id=customer_id,
            verb=verb,
            verdict=verdict,
            reason=reason,
            facts=dict(facts or {}),
            args=dict(args or {}),
            created_at=now,
        )
        .on_conflict_do_nothing()
    )


def recall(tx: Session, key: uuid.UUID) -> Recalled | None:
    """What the decision `key` led to, or None if it was never acted on."""
    row = tx.execute(RECALL, {"key": key}).one_or_none()
    return None if row is None else Recalled(row.verb, row.verdict, row.reason, row.facts)


def written(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A refusal's facts as JSON."""
    return {name: f.isoformat() if isinstance(f, datetime) else f for name, f in facts.items()}


def read(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Kept facts, with the moments in them made moments again."""
    until = facts.get("until")
    return dict(facts) | ({"until": datetime.fromisoformat(until)} if until else {})


# One statement for every kind of effect row: a lost reply must be found whatever it was about.
RECALL = text("""
    SELECT 'bet' AS verb, 'done' AS verdict, NULL AS reason,
           jsonb_build_object('bet_id', b.id, 'market_code', m.code, 'question', m.question,
             'outcome_name', o.name, 'stake', b.stake, 'balance', t.debit_balance_after) AS facts
      FROM bet b JOIN market m ON m.id = b.market_id
      JOIN outcome o ON o.market_id = b.market_id AND o.number = b.outcome
      JOIN transfer t ON t.key = ledger_row_key(2, b.id, 0)
     WHERE b.key = :key
    UNION ALL
    SELECT 'deposit', 'done', NULL,
           jsonb_build_object('deposit_id', d.id, 'ref', d.ref, 'amount', d.amount,
             'order', d.order_id)
      FROM deposit d WHERE d.key = :key
    UNION ALL
    SELECT verb, verdict, reason, facts FROM effect WHERE key = :key
    LIMIT 1
""")
