"""Our books beside M-PESA's: what the statements cover, what is on one side only, and each day.

Reads only. What is found here is booked by whoever's it is: a status answer, or two people.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, text
from sqlalchemy.orm import Session, aliased

from core.money import Cents
from core.notices import same_phone
from core.receipts import MpesaReceipt
from core.say import NAIROBI
from core.statement_lines import UTILITY, Bucket, LineState, StatementFile, StatementLine

SETTLES = timedelta(hours=24)  # after which a payment of ours must be on a statement
SHOWN = 200  # of each sort of gap
SECONDS = 60  # that a look over everything may take

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Gap:
    """Something that one side has and the other has not, or has otherwise; cents, signed for us."""

    side: str  # 'theirs': on the statement only; 'ours': in our books only
    what: str  # of ours the kind of row, of theirs the bucket
    shortcode: str
    receipt: str
    amount: Cents
    at: datetime
    why: str
    line: int | None = None  # of the statement, to be closed by
    linked: str | None = None  # the receipt of what was taken back
    covered: bool = True  # by an imported statement; what is not may only be late


@dataclass(frozen=True)
class DayLine:
    """One account's day by the statement, and what our books say it moved; in cents."""

    shortcode: str
    account: str
    opening: Cents
    paid_in: Cents
    withdrawn: Cents
    closing: Cents
    buckets: dict[Bucket, int]  # lines
    charges: Cents  # by the statement
    open: int
    ledger: Cents | None  # what our books moved; None where no such account is kept
    booked_charges: Cents


def spans(tx: Session, shortcode: str, account: str = UTILITY) -> list[Span]:
    """The times of which every movement is known, oldest first.

    A file is complete from its first line to its last, by the balances between; the period that it
    claims proves nothing, for it may have been downloaded before that was over. Two files make one
    span where they overlap.
    """
    files = (
        select(StatementFile.first_at, StatementFile.last_at)
        .where(StatementFile.shortcode == shortcode, StatementFile.account == account)
        .order_by(StatementFile.first_at, StatementFile.last_at)
    )
    found: list[Span] = []
    for first, last in tx.execute(files):
        if found and first < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def covers(tx: Session, shortcode: str, start: datetime, end: datetime) -> bool:
    """Whether the imported statements show whatever happened from `start` to `end`.

    There is a line before `start` and one after `end`: a second may be cut in two by a file's edge.
    """
    return _covers(spans(tx, shortcode), start, end)


def paid_out(tx: Session, shortcode: str, receipt: str) -> Cents | None:
    """What the statement says left under this receipt, charges apart; None if it is not there."""
    gone = select(StatementLine.amount).where(
        StatementLine.shortcode == shortcode,
        StatementLine.account == UTILITY,
        StatementLine.receipt == receipt,
        StatementLine.amount < 0,
        StatementLine.bucket.in_((Bucket.MATCHED, Bucket.SUSPENSE)),
    )
    amount = tx.scalar(gone.order_by(StatementLine.id))
    return None if amount is None else Cents(-amount)


def outgoing(
    tx: Session, shortcode: str, phone: str, amount: int, start: datetime, end: datetime
) -> list[str]:
    """Receipts of payments to that phone, of that amount and time, that our books do not have.

    What nobody has explained may be one whatever the line calls itself.
    """
    gone = (
        select(StatementLine.receipt, StatementLine.party)
        .outerjoin(MpesaReceipt, MpesaReceipt.receipt == StatementLine.receipt)
        .where(
            StatementLine.shortcode == shortcode,
            StatementLine.account == UTILITY,
            StatementLine.amount == -amount,
            _unexplained(),
            StatementLine.completed_at.between(start, end),
            MpesaReceipt.receipt.is_(None),
        )
        .order_by(StatementLine.completed_at, StatementLine.id)
    )
    # A line that does not say to whom could be this one: a person decides.
    return [
        row.receipt for row in tx.execute(gone) if row.party is None or same_phone(row.party, phone)
    ]


def _unexplained() -> ColumnElement[bool]:
    """Lines that may be any payment, whatever they call themselves.

    A charge repeats the receipt of its payment: one that is alone under its name may be a payment
    that is called after its charge.
    """
    other = aliased(StatementLine)
    beside = select(other.id).where(
        other.receipt == StatementLine.receipt, other.bucket != Bucket.CHARGE
    )
    return or_(
        StatementLine.bucket == Bucket.SUSPENSE,
        and_(StatementLine.bucket == Bucket.TREASURY, StatementLine.state == LineState.OPEN),
        and_(
            StatementLine.bucket == Bucket.CHARGE,
            StatementLine.party.is_not(None),
            ~beside.exists(),
        ),
    )


def gaps(tx: Session, *, now: datetime, limit: int = SHOWN) -> list[Gap]:
    """What is on one side only, oldest first: their open lines, and ours that are a day old."""
    tx.execute(text(f"SET LOCAL statement_timeout = '{SECONDS}s'"))
    return [*_theirs(tx, limit), *_ours(tx, now, limit), *_unposted(tx, now, limit)]


def day(tx: Session, of: date) -> list[DayLine]:
    """Each account that has a line on that day in Nairobi."""
    start = datetime.combine(of, time(0), NAIROBI)
    span = {"start": start, "end": start + timedelta(days=1)}
    by_account: dict[tuple[str, str], list[Any]] = {}
    for row in tx.execute(text(DAY), span).all():
        by_account.setdefault((row.shortcode, row.account), []).append(row)
    opening = {(row.shortcode, row.account): row.opening for row in tx.execute(text(FIRST), span)}
    return [
        _day_line(tx, *account, opening[account], rows, span)
        for account, rows in by_account.items()
    ]


def last_day(tx: Session) -> date | None:
    """The newest day in Nairobi of which there is a line."""
    newest = tx.scalar(select(func.max(StatementFile.last_at)))
    return newest and newest.astimezone(NAIROBI).date()


def _covers(known: Sequence[Span], start: datetime, end: datetime) -> bool:
    return any(first < start and end < last for first, last in known)


def _theirs(tx: Session, limit: int) -> Iterator[Gap]:
    waiting = (
        select(StatementLine)
        .where(StatementLine.state == LineState.OPEN)
        .order_by(StatementLine.completed_at, StatementLine.id)
        .limit(limit)
    )
    for line in tx.scalars(waiting):
        yield Gap(
            side="theirs",
            what=Bucket(line.bucket).name.lower(),
            shortcode=line.shortcode,
            receipt=line.receipt,
            amount=Cents(line.amount),
            at=line.completed_at,
            why=line.why or "",
            line=line.id,
            linked=line.linked,
        )


def _ours(tx: Session, now: datetime, limit: int) -> Iterator[Gap]:
    """Receipts of ours on no line, since the first line that was ever imported."""
    yield from _missing(tx, OUR_RECEIPTS, now, limit)


def _unposted(tx: Session, now: datetime, limit: int) -> Iterator[Gap]:
    """Treasury entries that M-PESA's statement does not know by their reference."""
    yield from _missing(tx, OUR_ENTRIES, now, limit)


def _missing(tx: Session, query: str, now: datetime, limit: int) -> Iterator[Gap]:
    known: dict[str, list[Span]] = {}
    rows = tx.execute(text(query), {"before": now - SETTLES, "limit": limit})
    for row in rows.all():
        if row.shortcode not in known:
            known[row.shortcode] = spans(tx, row.shortcode)
        covered = _covers(known[row.shortcode], row.at, row.at)
        yield Gap(
            side="ours",
            what=row.what,
            shortcode=row.shortcode,
            receipt=row.receipt,
            amount=Cents(row.amount),
            at=row.at,
            why=row.why if row.why else "not on it" if covered else "not covered",
            covered=covered,
        )


def _day_line(
    tx: Session,
    shortcode: str,
    account: str,
    opening: int,
    rows: Sequence[Any],
    span: Mapping[str, datetime],
) -> DayLine:
    paid_in, withdrawn = (sum(int(getattr(row, side)) for row in rows) for side in ("came", "went"))
    counted = {Bucket(row.bucket): int(row.lines) for row in rows}
    charged = [int(row.went - row.came) for row in rows if row.bucket == Bucket.CHARGE]
    found = tx.execute(text(MOVED), {**span, "shortcode": shortcode})
    moved = found.one_or_none() if account == UTILITY else None
    return DayLine(
        shortcode=shortcode,
        account=account,
        opening=Cents(opening),
        paid_in=Cents(paid_in),
        withdrawn=Cents(withdrawn),
        closing=Cents(opening + paid_in - withdrawn),
        buckets={bucket: counted.get(bucket, 0) for bucket in Bucket},
        charges=Cents(sum(charged)),
        open=sum(int(row.waiting) for row in rows),
        ledger=None if moved is None else Cents(int(moved.net)),
        booked_charges=Cents(0 if moved is None else int(moved.charges)),
    )


DAY = """
    SELECT shortcode, account, bucket, count(*) AS lines,
           coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS came,
           coalesce(-sum(amount) FILTER (WHERE amount < 0), 0) AS went,
           count(*) FILTER (WHERE state = 1) AS waiting
      FROM statement_line
     WHERE completed_at >= :start AND completed_at < :end
     GROUP BY shortcode, account, bucket ORDER BY shortcode, account, bucket
"""

FIRST = """
    SELECT DISTINCT ON (shortcode, account) shortcode, account, balance - amount AS opening
      FROM statement_line
     WHERE completed_at >= :start AND completed_at < :end
     ORDER BY shortcode, account, completed_at, id
"""

# One that stands on an open line with another amount is told of by both sides.
OUR_RECEIPTS = """
    SELECT 'receipt' AS what, r.shortcode, r.receipt, r.event_at AS at,
           CASE r.direction WHEN 1 THEN r.amount ELSE -r.amount END AS amount,
           (SELECT 'amount' FROM statement_line l
             WHERE l.receipt = r.receipt AND l.state = 1 AND l.why = 'amount' LIMIT 1) AS why
      FROM mpesa_receipt r
      JOIN (SELECT shortcode, min(first_at) AS first_at FROM statement_file
             WHERE account = 'utility' GROUP BY shortcode) f
        ON f.shortcode = r.shortcode AND r.event_at >= f.first_at
     WHERE r.event_at < :before
       AND NOT EXISTS (SELECT FROM statement_line l
                        WHERE l.receipt = r.receipt AND l.shortcode = r.shortcode
                          AND (l.bucket = 1 OR l.bucket = 4 AND l.state > 1 OR l.state = 3))
       AND NOT EXISTS (SELECT FROM statement_line l
                        WHERE l.linked || 'R' = r.receipt AND l.shortcode = r.shortcode
                          AND l.bucket = 4 AND l.state > 1)
     ORDER BY r.event_at, r.receipt LIMIT :limit
"""

OUR_ENTRIES = """
    SELECT 'treasury ' || e.act AS what, a.shortcode, e.reference AS receipt,
           (e.value_date + interval '12 hours') AT TIME ZONE 'Africa/Nairobi' AS at,
           CASE WHEN a.id = t.debit_account THEN e.amount ELSE -e.amount END AS amount,
           NULL AS why
      FROM treasury_entry e
      JOIN transfer t ON t.id = e.transfer_id
      JOIN account a ON a.id IN (t.debit_account, t.credit_account) AND a.kind = 10
      JOIN (SELECT shortcode, min(first_at) AS first_at FROM statement_file
             WHERE account = 'utility' GROUP BY shortcode) f
        ON f.shortcode = a.shortcode AND e.posted_at >= f.first_at
     WHERE e.posted_at < :before AND e.act <> 'charge'
       AND NOT EXISTS (SELECT FROM statement_line l
                        WHERE l.treasury_id = e.id AND l.account = 'utility')
     ORDER BY e.id LIMIT :limit
"""

# By M-PESA's time of what was booked. What is booked a week late is left out of its day.
MOVED = """
    SELECT coalesce(sum(CASE WHEN t.debit_account = a.id THEN t.amount ELSE -t.amount END), 0)
           AS net,
           coalesce(sum(t.amount) FILTER (WHERE c.kind = 31), 0) AS charges
      FROM account a
      JOIN transfer t ON a.id IN (t.debit_account, t.credit_account)
      JOIN account c ON c.id = t.debit_account
     WHERE a.kind = 10 AND a.shortcode = :shortcode
       AND t.event_at >= :start AND t.event_at < :end
       AND t.created_at >= CAST(:start AS timestamptz)
       AND t.created_at < CAST(:end AS timestamptz) + interval '7 days'
"""
