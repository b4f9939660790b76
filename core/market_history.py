"""What was done to a market, by whom, when, and what it was before: written once, never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base
from core.staff import Staff


class MarketChange(Base):
    """One act on a market. `changed_by` is empty where the clock did it; moments are ISO texts."""

    __tablename__ = "market_change"
    __table_args__ = (Index("ix_market_change_market_id", "market_id", "id"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    market_id: Mapped[int] = mapped_column(ForeignKey("market.id"))
    what: Mapped[str]
    changed_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    reason: Mapped[str] = mapped_column(server_default="")
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    changed_at: Mapped[datetime] = mapped_column(server_default=text("app_now()"))


@dataclass(frozen=True)
class ChangeLine:
    """One act as a list shows it; `by` is a name, or None for the clock."""

    at: datetime
    what: str
    by: str | None
    reason: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def number(tx: Session) -> int:
    """The number of a change that is about to be made, for what has to refer to it first."""
    return int(tx.scalars(select(func.nextval("market_change_id_seq"))).one())


def keep(
    tx: Session,
    market_id: int,
    what: str,
    *,
    by: int | None,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reason: str = "",
    change_id: int | None = None,
) -> None:
    """Write one act down, in the transaction that does it. Moments may be given as moments."""
    change = MarketChange(
        market_id=market_id,
        what=what,
        changed_by=by,
        reason=reason,
        before=_plain(before),
        after=_plain(after),
    )
    if change_id is not None:
        change.id = change_id
    tx.add(change)
    tx.flush()


def of_market(tx: Session, market_id: int) -> list[ChangeLine]:
    """Everything that was done to a market, the oldest first."""
    rows = tx.execute(
        select(MarketChange, Staff.name)
        .join(Staff, Staff.id == MarketChange.changed_by, isouter=True)
        .where(MarketChange.market_id == market_id)
        .order_by(MarketChange.id)
    )
    return [
        ChangeLine(one.changed_at, one.what, name, one.reason, one.before, one.after)
        for one, name in rows
    ]


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as JSON can hold them."""
    return {name: _written(fact) for name, fact in facts.items()}


def _written(fact: Any) -> Any:
    if isinstance(fact, datetime):
        return fact.isoformat()
    if isinstance(fact, Sequence) and not isinstance(fact, str):
        return list(fact)
    return fact
