"""Limits: how much a customer lets themselves deposit, stake and lose in a day, week or month."""

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
    false,
    func,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import effects
from core.base import Base, Small
from core.effects import Channel, Refused
from core.money import Cents

RISE_WAITS = timedelta(hours=24)  # then a second yes: nobody raises a limit in the heat of a loss
RISE_LAPSES = timedelta(days=7)  # a yes that comes later than this is for a wish long forgotten
LEAST, MOST = 10_00, 100_000_000_00  # cents


class Kind(IntEnum):
    """What is limited."""

    DEPOSIT = 1
    STAKE = 2
    LOSS = 3


class Period(IntEnum):
    """In which time, by the Nairobi calendar; weeks begin on Monday."""

    DAY = 1
    WEEK = 2
    MONTH = 3


class PlayLimit(Base):
    """One limit, and the rise of it that waits for a second yes, if any."""

    __tablename__ = "play_limit"
    __table_args__ = (
        CheckConstraint("kind BETWEEN 1 AND 3", name="kind"),
        CheckConstraint("period BETWEEN 1 AND 3", name="period"),
        CheckConstraint("amount >= 0", name="amount"),
        CheckConstraint("rise > amount", name="rise"),
        CheckConstraint(
            "(rise_due_at IS NULL) = (rise IS NULL AND NOT rise_lifts)", name="waiting"
        ),
    )

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    kind: Mapped[int] = mapped_column(Small, primary_key=True, autoincrement=False)
    period: Mapped[int] = mapped_column(Small, primary_key=True, autoincrement=False)
    amount: Mapped[int]
    set_at: Mapped[datetime]
    rise: Mapped[int | None]
    rise_lifts: Mapped[bool] = mapped_column(server_default=false())
    rise_due_at: Mapped[datetime | None]


class PlayChange(Base):
    """What was changed about a customer's play, by whom: never altered."""

    __tablename__ = "play_change"
    __table_args__ = (Index("ix_play_change_customer_id", "customer_id", "id"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    act: Mapped[str]
    kind: Mapped[int | None] = mapped_column(Small)
    period: Mapped[int | None] = mapped_column(Small)
    amount: Mapped[int | None]
    until: Mapped[datetime | None]
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[datetime]


@dataclass(frozen=True)
class Changed:
    """What a wish came to: "set", "lifted", or "waiting" until `due` for a second yes."""

    verdict: str
    due: datetime | None = None


@dataclass(frozen=True)
class LimitLine:
    """A limit as it is shown: cents allowed, used and left in the present period."""

    kind: Kind
    period: Period
    amount: Cents
    used: Cents
    left: Cents
    until: datetime  # when it starts anew
    rise: Cents | None  # waiting; None with a `rise_due_at` means that it would be lifted
    rise_due_at: datetime | None


def set_limit(
    tx: Session,
    *,
    key: uuid.UUID,
    customer_id: int,
    kind: Kind,
    period: Period,
    amount: Cents | None,
    channel: Channel,
    session: str,
    now: datetime,
    staff_id: int | None = None,
) -> Changed | Refused:
    """Set a limit in cents, or ask to lift it (None); a cut holds at once, a rise waits.

    The first answer to a `key` is its answer for ever.
    """
    args = {"kind": int(kind), "period": int(period), "amount": amount}
    if (kept := _kept(tx, key, "limit", customer_id, args)) is not None:
        return kept
    if amount is not None and not LEAST <= amount <= MOST:
        came: Changed | Refused = Refused("money.limit_amount", {"min": LEAST, "max": MOST})
    else:
        row = tx.execute(SET, _sides(key, customer_id, kind, period, now) | {
            "amount": amount, "staff": staff_id, "wait": RISE_WAITS,
        }).one()  # fmt: skip
        none = row.verdict == "none"
        came = Refused("money.limit_none") if none else Changed(row.verdict, row.due)
    _keep(tx, key, "limit", customer_id, args, came, channel, session, now)
    return came


def confirm(
    tx: Session,
    *,
    key: uuid.UUID,
    customer_id: int,
    kind: Kind,
    period: Period,
    channel: Channel,
    session: str,
    now: datetime,
) -> Changed | Refused:
    """The second yes to a rise that has waited long enough, and not for too long."""
    args = {"kind": int(kind), "period": int(period)}
    if (kept := _kept(tx, key, "limit_confirm", customer_id, args)) is not None:
        return kept
    row = tx.execute(
        CONFIRM, _sides(key, customer_id, kind, period, now) | {"lapse": RISE_LAPSES}
    ).one()
    came: Changed | Refused
    if row.verdict == "early":
        came = Refused("money.limit_early", {"until": row.due})
    elif row.verdict in ("none", "lapsed"):
        came = Refused("money.limit_no_rise")
    else:
        came = Changed(row.verdict)
    _keep(tx, key, "limit_confirm", customer_id, args, came, channel, session, now)
    return came


def refuse_deposit(tx: Session, customer_id: int, amount: int, *, now: datetime) -> Refused | None:
    """The no to a deposit of `amount` cents that would break a limit; open intents count.

    For whoever holds the customer's row, so that two askings at once cannot both pass.
    """
    broken = tx.execute(BROKEN, {"customer": customer_id, "amount": amount, "now": now}).one()
    return None if broken.kind is None else Refused("money.limit_deposit", _moments(broken.facts))


def limits_of(tx: Session, customer_id: int, *, now: datetime) -> Sequence[LimitLine]:
    """Every limit of the customer's, with what is left of it."""
    return [_line(row) for row in tx.execute(LINES, {"customer": customer_id, "now": now})]


SET = text(
    "SELECT verdict, due FROM limit_set(:key, :customer, CAST(:kind AS smallint),"
    " CAST(:period AS smallint), CAST(:amount AS bigint), CAST(:staff AS bigint), :now, :wait)"
)
CONFIRM = text(
    "SELECT verdict, due FROM limit_confirm(:key, :customer, CAST(:kind AS smallint),"
    " CAST(:period AS smallint), :now, :lapse)"
)
BROKEN = text(
    "SELECT kind, facts FROM limit_broken(:customer, CAST(ARRAY[1] AS smallint[]), :amount, :now)"
)
LINES = text("""
    SELECT l.*, greatest(u.used, 0) AS used, greatest(l.amount - u.used, 0) AS remaining,
           period_end(l.period, :now) AS until
      FROM play_limit l,
           LATERAL (SELECT limit_used(l.customer_id, l.kind, period_start(l.period, :now)) AS used)
           u
     WHERE l.customer_id = :customer ORDER BY l.kind, l.period
""")


def _line(row: Any) -> LimitLine:
    return LimitLine(
        kind=Kind(row.kind),
        period=Period(row.period),
        amount=Cents(row.amount),
        used=Cents(row.used),
        left=Cents(row.remaining),
        until=row.until,
        rise=None if row.rise is None else Cents(row.rise),
        rise_due_at=row.rise_due_at,
    )


def _sides(
    key: uuid.UUID, customer_id: int, kind: Kind, period: Period, now: datetime
) -> dict[str, Any]:
    return {
        "key": key,
        "customer": customer_id,
        "kind": int(kind),
        "period": int(period),
        "now": now,
    }


def _kept(
    tx: Session, key: uuid.UUID, verb: str, customer_id: int, args: Mapping[str, Any]
) -> Changed | Refused | None:
    """What this key was answered before; the wallet's lock makes two at once wait here."""
    tx.execute(select(func.ledger_hold_key(key)))
    kept = tx.get(effects.Effect, key)
    if kept is None:
        return None
    same = (kept.verb, kept.customer_id, kept.args) == (verb, customer_id, dict(args))
    assert same, f"key {key} was used for something else"
    facts = _moments(kept.facts)
    if kept.verdict == "refused":
        return Refused(kept.reason or "", facts)
    return Changed(facts["verdict"], facts.get("until"))


def _keep(
    tx: Session,
    key: uuid.UUID,
    verb: str,
    customer_id: int,
    args: Mapping[str, Any],
    came: Changed | Refused,
    channel: Channel,
    session: str,
    now: datetime,
) -> None:
    refused = isinstance(came, Refused)
    facts: dict[str, Any] = (
        dict(came.facts) if isinstance(came, Refused) else {"verdict": came.verdict}
    )
    if isinstance(came, Changed) and came.due:
        facts["until"] = came.due
    effects.record(
        tx,
        key=key,
        channel=channel,
        session=session,
        customer_id=customer_id,
        verb=verb,
        now=now,
        verdict="refused" if refused else "done",
        reason=came.reason if isinstance(came, Refused) else None,
        facts={n: f.isoformat() if isinstance(f, datetime) else f for n, f in facts.items()},
        args=args,
    )


def _moments(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts from JSON, with the moments in them made moments again."""
    until = facts.get("until")
    return dict(facts) | ({"until": datetime.fromisoformat(until)} if until else {})
