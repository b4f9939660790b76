"""Reading an organisation statement into the house: all of a file or nothing, and nothing twice.

It credits nothing. What the statement shows and our books do not is kept open, and asked about.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import func, insert, select, text, tuple_
from sqlalchemy.orm import Session

from core import portal_csv, rights, statement_lines
from core.config import Config
from core.errors import Refusal
from core.portal_csv import Line, Sheet
from core.portal_dates import Form
from core.rights import Right
from core.staff import Staff
from core.statement_lines import (
    ACCOUNTS,
    UTILITY,
    Bucket,
    LineState,
    StatementFile,
    StatementLine,
)

LOCKS = (4, 3)  # the advisory lock of those who read statements
CHUNK = 1_000  # lines written, and looked up, by one statement
SECONDS = 120  # that one statement of an import may take; a request's may not


@dataclass(frozen=True)
class Imported:
    """What a file came to. `again` says that these very bytes had been read before."""

    file: StatementFile
    buckets: Mapping[Bucket, int]  # of the lines that are new
    open: int  # of them, those that somebody has to explain
    again: bool


def bring_in(
    tx: Session,
    content: bytes,
    *,
    by: Staff,
    now: datetime,
    config: Config,
    shortcode: str | None = None,
    account: str | None = None,
    dates: Form | None = None,
) -> Imported:
    """Read a statement. What it does not say of itself (`shortcode`, `account`) must be given.

    Raises Refusal, with the line where one is at fault; nothing is written then.
    """
    rights.require(by, Right.RECONCILE)
    if not tx.scalar(select(func.pg_try_advisory_xact_lock(*LOCKS))):
        raise Refusal("staff.statement_busy")
    digest = sha256(content).digest()
    if known := tx.scalar(select(StatementFile).where(StatementFile.sha256 == digest)):
        return Imported(known, {}, 0, again=True)
    sheet = portal_csv.read(content, now=now, dates=dates)
    ours = _shortcode(sheet.shortcode, shortcode, config)
    of = _account(sheet.account, account)
    tx.execute(text(f"SET LOCAL statement_timeout = '{SECONDS}s'"))
    fresh = list(_fresh(tx, sheet.lines, ours, of))
    file = _file(sheet, digest, ours, of, fresh=len(fresh), by=by, now=now)
    tx.add(file)
    tx.flush()
    for part in _parts(fresh):
        tx.execute(insert(StatementLine), [_row(line, file, now) for line in part])
    statement_lines.match(tx, now=now)
    return Imported(file, _buckets(tx, file), _open(tx, file), again=False)


def _shortcode(said: str | None, given: str | None, config: Config) -> str:
    """Whose statement it is, as our books call it: a till's money is its paybill's."""
    if said and given and said != given:
        raise Refusal("staff.statement_other", said=said)
    number = said or given
    if number is None:
        raise Refusal("staff.statement_whose")
    if number == config.mpesa_till_number:
        return config.mpesa_shortcode
    if number not in (config.mpesa_shortcode, config.mpesa_b2c_shortcode):
        raise Refusal("staff.statement_other", said=number)
    return number


def _account(said: str | None, given: str | None) -> str:
    """Which account it is of; the utility account holds what customers pay and are paid."""
    if given is not None and given not in ACCOUNTS:
        raise Refusal("staff.statement_account", names=", ".join(ACCOUNTS))
    if said and given and said != given:
        raise Refusal("staff.statement_other", said=said)
    return said or given or UTILITY


def _fresh(tx: Session, lines: Sequence[Line], shortcode: str, account: str) -> Iterator[Line]:
    """The lines that no file had before. One that has changed since is refused: M-PESA's past is
    past, so either file is not what it says."""
    for part in _parts(lines):
        named = tuple_(StatementLine.receipt, StatementLine.reason, StatementLine.amount)
        same = select(
            StatementLine.receipt,
            StatementLine.reason,
            StatementLine.amount,
            StatementLine.balance,
            StatementLine.completed_at,
        ).where(
            StatementLine.shortcode == shortcode,
            StatementLine.account == account,
            named.in_([tuple(line.key) for line in part]),
        )
        known = {(row[0], row[1], row[2]): (row[3], row[4]) for row in tx.execute(same)}
        for line in part:
            if line.key not in known:
                yield line
            elif known[line.key] != (line.balance, line.completed_at):
                raise Refusal("staff.statement_changed", line=line.number)


def _parts(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    for start in range(0, len(lines), CHUNK):
        yield lines[start : start + CHUNK]


def _file(
    sheet: Sheet,
    digest: bytes,
    shortcode: str,
    account: str,
    *,
    fresh: int,
    by: Staff,
    now: datetime,
) -> StatementFile:
    return StatementFile(
        sha256=digest,
        shortcode=shortcode,
        account=account,
        first_at=sheet.lines[0].completed_at,
        last_at=sheet.lines[-1].completed_at,
        opening=sheet.opening,
        paid_in=sheet.paid_in,
        withdrawn=sheet.withdrawn,
        closing=sheet.closing,
        lines=len(sheet.lines),
        fresh=fresh,
        failed=sheet.failed,
        imported_by=by.id,
        imported_at=now,
    )


def _row(line: Line, file: StatementFile, now: datetime) -> dict[str, Any]:
    bucket = statement_lines.sort(line.reason, file.account)
    why = statement_lines.why(bucket)
    return {
        "file_id": file.id,
        "shortcode": file.shortcode,
        "account": file.account,
        "receipt": line.receipt,
        "reason": line.reason,
        "amount": line.amount,
        "balance": line.balance,
        "completed_at": line.completed_at,
        "party": line.party,
        "linked": line.linked,
        "bill_ref": line.account,
        "bucket": bucket,
        "state": LineState.SETTLED if why is None else LineState.OPEN,
        "why": why,
        "settled_at": now if why is None else None,
    }


def _buckets(tx: Session, file: StatementFile) -> dict[Bucket, int]:
    counted = (
        select(StatementLine.bucket, func.count())
        .where(StatementLine.file_id == file.id)
        .group_by(StatementLine.bucket)
    )
    found = {Bucket(bucket): int(number) for bucket, number in tx.execute(counted)}
    return {bucket: found.get(bucket, 0) for bucket in Bucket}


def _open(tx: Session, file: StatementFile) -> int:
    waiting = select(func.count()).where(
        StatementLine.file_id == file.id, StatementLine.state == LineState.OPEN
    )
    return int(tx.scalar(waiting) or 0)
