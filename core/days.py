"""Days: the trial balance of the books, and days that are closed and stay as they were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ForeignKey, Numeric, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import proposals, rights
from core.base import Base, Small
from core.config import Config
from core.errors import Refusal
from core.ledger import AccountKind
from core.proposals import Proposal
from core.rights import Right
from core.say import NAIROBI
from core.staff import Staff


class ClosedDay(Base):
    """A Nairobi day that two people closed."""

    __tablename__ = "closed_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposal.id"), unique=True)
    closed_at: Mapped[datetime]


class DayBalance(Base):
    """All debits and credits of one kind of account until the end of a closed day, in cents."""

    __tablename__ = "day_balance"

    day: Mapped[date] = mapped_column(ForeignKey("closed_day.day"), primary_key=True)
    kind: Mapped[int] = mapped_column(Small, primary_key=True, autoincrement=False)
    shortcode: Mapped[str] = mapped_column(primary_key=True, server_default="")
    debits: Mapped[Decimal] = mapped_column(Numeric)
    credits: Mapped[Decimal] = mapped_column(Numeric)


@dataclass(frozen=True)
class BalanceLine:
    """One line of the trial balance, in cents."""

    kind: AccountKind
    shortcode: str
    debits: int
    credits: int


def trial_balance(tx: Session, *, before: datetime) -> Sequence[BalanceLine]:
    """Debits and credits of each kind of account, of everything booked before a moment."""
    rows = tx.execute(
        text("SELECT kind, shortcode, debits, credits FROM trial_balance(:before)"),
        {"before": before},
    )
    return [
        BalanceLine(AccountKind(row.kind), row.shortcode, int(row.debits), int(row.credits))
        for row in rows
    ]


def last_closed(tx: Session) -> date | None:
    """The newest closed day; nothing may be dated into it or before."""
    return tx.scalar(select(func.max(ClosedDay.day)))


def end_of(day: date) -> datetime:
    """The midnight in Nairobi that ends a day."""
    return datetime.combine(day + timedelta(days=1), time(0), NAIROBI)


def propose(tx: Session, day: date, *, by: Staff, now: datetime, config: Config) -> Proposal:
    """Put the closing of a day that is over before a second person, with its trial balance.

    This transaction's own number is the line: whatever has a later one began after the day.
    """
    rights.require(by, Right.DAY_PROPOSE)
    newest = last_closed(tx)
    if newest and day != newest + timedelta(days=1):
        raise Refusal("staff.day_not_next", next=newest + timedelta(days=1))
    # Bets are dated by the database's clock: a day is over when it is over there, too.
    if min(now, tx.scalars(select(func.app_now())).one()) <= end_of(day):
        raise Refusal("staff.day_not_over", day=day)
    line = int(tx.scalars(text("SELECT pg_current_xact_id()::text").columns()).one())
    return proposals.propose(
        tx,
        act="day.close",
        subject=_subject(day),
        content=_content(tx, day, line),
        note="",
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def approve(tx: Session, day: date, *, seen_hash: str, by: Staff, now: datetime) -> ClosedDay:
    """The second yes. Refuses while a transaction that may still book into the day is open, and
    when the balance is not the one that was seen."""
    rights.require(by, Right.DAY_APPROVE)
    waiting = proposals.pending(tx, _subject(day))
    if waiting is None:
        raise Refusal("staff.day_none_proposed")
    line = waiting.content["line"]
    open_from = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
    if int(tx.scalars(text(open_from).columns()).one()) <= line:
        raise Refusal("staff.day_still_open")
    fresh = _content(tx, day, line)
    proposals.approve(tx, waiting, seen_hash=seen_hash, content=fresh, by=by.id, now=now)
    closed = ClosedDay(day=day, proposal_id=waiting.id, closed_at=now)
    tx.add(closed)
    tx.flush()
    tx.add_all(
        DayBalance(
            day=day,
            kind=int(one.kind),
            shortcode=one.shortcode,
            debits=Decimal(one.debits),
            credits=Decimal(one.credits),
        )
        for one in trial_balance(tx, before=end_of(day))
    )
    tx.flush()
    return closed


def report(tx: Session, *, since: date, until: date) -> Sequence[tuple[date, Mapping[str, int]]]:
    """Cents by Nairobi day and column, for the days with any booking; both days included."""
    rows = tx.execute(REPORT, {"since": since, "until": until})
    return [(row.day, {name: int(getattr(row, name)) for name in COLUMNS}) for row in rows]


# By kind of transfer; bets and wins that a correction took back are in `corrected`.
COLUMNS = {
    "deposits": (1,),
    "stakes": (2,),
    "won": (3,),
    "refunded": (4,),
    "fees": (5,),
    "paid_out": (7, 22),
    "excise": (9,),
    "withholding": (10,),
    "corrected": (12,),
    "charges": (16,),
    "sent_back": (17,),
    "reversed": (19,),
    "restored": (23,),
}
SUMS = ", ".join(
    f"coalesce(sum(amount) FILTER (WHERE kind IN ({', '.join(map(str, kinds))})), 0) AS {name}"
    for name, kinds in COLUMNS.items()
)
REPORT = text(f"""
    SELECT (created_at AT TIME ZONE 'Africa/Nairobi')::date AS day, {SUMS}
      FROM transfer
     WHERE created_at >= CAST(:since AS timestamp) AT TIME ZONE 'Africa/Nairobi'
       AND created_at < CAST(CAST(:until AS date) + 1 AS timestamp) AT TIME ZONE 'Africa/Nairobi'
     GROUP BY 1 ORDER BY 1
""")  # noqa: S608 - the names above


def _subject(day: date) -> str:
    return f"day:{day.isoformat()}"


def _content(tx: Session, day: date, line: int) -> dict[str, Any]:
    lines = trial_balance(tx, before=end_of(day))
    debits, credits = (sum(getattr(one, side) for one in lines) for side in ("debits", "credits"))
    assert debits == credits, "double entry: what is debited is credited"
    return {
        "day": day.isoformat(),
        "line": line,
        "total": debits,
        "lines": [
            [one.kind.name, one.shortcode, str(one.debits), str(one.credits)] for one in lines
        ],
    }
