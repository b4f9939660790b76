"""The audit log: who did what, in lines that are only ever added, each chained to the one before.

A line's hash is SHA-256 over the hash before and the line's own canonical JSON. A head beside them
knows how many there are and the last hash, so that nothing can be changed, cut off, put in or moved
without showing. Whoever could rewrite all of it is found out by an older hash kept elsewhere.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Index, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import phone
from core.base import Base

NOTHING_YET = "0" * 64  # what the first line comes after
NOTED, CHANNEL = "audit", "channel"  # where `Session.info` keeps lines to write, and the edge
BY_DEFAULT = "command"
AT_ONCE = 1_000  # lines read together
SECRETS = {"pin", "password", "secret", "token", "seed", "totp"}
# However people write it. Nine bare digits may be anything: who knows them for a phone masks them.
NUMBER = re.compile(r"(?<![\w+-])(?:\+|00)?\(?(?:254|0)\)?[ .-]?[17](?:[ .-]?\d){8}(?![\w-])")


class AuditLine(Base):
    """One thing that was done. The columns repeat what `body` says, to be looked for."""

    __tablename__ = "audit_line"
    __table_args__ = (
        Index("ix_audit_line_staff_id", "staff_id", "id"),
        Index("ix_audit_line_subject", "subject", "id"),
        Index(
            "ix_audit_line_action", "action", "id", postgresql_ops={"action": "text_pattern_ops"}
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    staff_id: Mapped[int | None]  # nobody: the house itself, or somebody unknown
    action: Mapped[str]
    channel: Mapped[str]  # page, api, command or house
    subject: Mapped[str]
    body: Mapped[str]
    prev: Mapped[str]
    hash: Mapped[str]

    @property
    def facts(self) -> Mapping[str, Any]:
        """What else is known of it."""
        facts: Mapping[str, Any] = json.loads(self.body)["facts"]
        return facts


class AuditHead(Base):
    """One row: how many lines there are, and the hash of the last."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id", name="one"),)

    id: Mapped[bool] = mapped_column(Boolean, primary_key=True, server_default=text("true"))
    lines: Mapped[int]
    hash: Mapped[str]


@dataclass(frozen=True)
class Verdict:
    """What a check of the log came to; `fault` is the first thing that is wrong, in a sentence."""

    lines: int
    head: str
    fault: str = ""

    @property
    def ok(self) -> bool:
        """Whether every line is as it was written, and none is missing."""
        return not self.fault


def note(
    tx: Session,
    action: str,
    *,
    by: int | None,
    now: datetime,
    subject: str = "",
    facts: Mapping[str, Any] | None = None,
    channel: str | None = None,
) -> None:
    """Have a line written when this transaction commits, and not if it does not.

    The edge says in `tx.info["channel"]` what it is. Of secrets nothing is to be said at all, and
    phone numbers are masked.
    """
    assert not (found := _secrets(facts or {})), f"no line of the audit tells of {found}"
    line = {
        "at": now.astimezone(UTC).isoformat(),
        "by": by,
        "action": action,
        "channel": channel or tx.info.get(CHANNEL, BY_DEFAULT),
        "subject": masked(subject),
        "facts": _kept(facts or {}),
    }
    tx.info.setdefault(NOTED, []).append(canonical(line))


def write_noted(tx: Session) -> None:
    """Write what was noted. The runtime does it last, for writers wait for each other's commit."""
    noted = tx.info.pop(NOTED, ())
    if noted:
        tx.flush()
    for body in noted:
        tx.execute(select(func.audit_write(body)))


def head(tx: Session) -> tuple[int, str]:
    """The number of lines and the last one's hash: what to keep elsewhere, as an anchor."""
    found = tx.execute(select(AuditHead.lines, AuditHead.hash)).one()
    return found.lines, found.hash


def lines(
    tx: Session,
    *,
    before: int | None = None,
    action: str = "",
    by: int | None = None,
    subject: str | Sequence[str] = "",
    limit: int = 50,
) -> Sequence[AuditLine]:
    """The newest lines: before an id, of actions that begin so, by somebody, about a subject.

    Of several subjects, about any.
    """
    found = select(AuditLine).order_by(AuditLine.id.desc()).limit(limit)
    if before is not None:
        found = found.where(AuditLine.id < before)
    if action:
        found = found.where(AuditLine.action.startswith(action, autoescape=True))
    if by is not None:
        found = found.where(AuditLine.staff_id == by)
    if subject:
        about = [subject] if isinstance(subject, str) else subject
        found = found.where(AuditLine.subject.in_(about))
    return tx.scalars(found).all()


def verify(tx: Session, *, anchor: tuple[int, str] | None = None) -> Verdict:
    """Walk the whole chain, in one snapshot. An `anchor` is an id and a hash noted long ago."""
    told = select(AuditHead.lines.label("told"), AuditHead.hash.label("last"), *COLUMNS)
    rows = tx.execute(
        told.outerjoin(AuditLine, text("true")).order_by(AuditLine.id),
        execution_options={"yield_per": AT_ONCE},
    )
    return _walk(iter(rows), anchor)


COLUMNS = (
    AuditLine.id,
    AuditLine.at,
    AuditLine.staff_id,
    AuditLine.action,
    AuditLine.channel,
    AuditLine.subject,
    AuditLine.body,
    AuditLine.prev,
    AuditLine.hash,
)


def canonical(line: Mapping[str, Any]) -> str:
    """The one way to write a line as JSON."""
    return json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)


def _walk(rows: Iterator[Any], anchor: tuple[int, str] | None) -> Verdict:
    number, last, row = 0, NOTHING_YET, None
    for row in rows:
        if row.id is None:  # a head and no line
            break
        number += 1
        if fault := _fault(row, number, last) or _adrift(row, anchor):
            return Verdict(row.told, row.last, fault)
        last = row.hash
    if row is None:
        return Verdict(0, NOTHING_YET, "The head of the log is gone.")
    fault = ""
    if (row.told, row.last) != (number, last):
        fault = f"The head tells of {row.told} lines, and {number} are there or the last differs."
    elif anchor and anchor[0] > number:
        fault = f"Line {anchor[0]} is gone, whose hash was noted."
    return Verdict(row.told, row.last, fault)


def _fault(row: Any, number: int, last: str) -> str:
    """What is wrong with one line, where it should be the `number`th and come after `last`."""
    if row.id != number:
        return f"Line {number} is gone."
    if row.prev != last:
        return f"Line {number} does not come after the line before it."
    if sha256((last + row.body).encode()).hexdigest() != row.hash:
        return f"Line {number} is not what was written."
    kept = {"action": row.action, "channel": row.channel, "subject": row.subject}
    kept |= {"by": row.staff_id, "at": row.at.astimezone(UTC).isoformat()}
    if kept != _said(row.body, kept):
        return f"Line {number} says one thing in its columns and another in its body."
    return ""


def _said(body: str, names: Iterable[str]) -> Mapping[str, Any]:
    """Those facts of a body, as far as there are any in it."""
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return {name: said.get(name) for name in names} if isinstance(said, dict) else {}


def _adrift(row: Any, anchor: tuple[int, str] | None) -> str:
    if anchor is None or row.id != anchor[0] or row.hash == anchor[1]:
        return ""
    return f"Line {row.id} has another hash than was noted: the log was rewritten."


def masked(words: str) -> str:
    """The words with every phone number in them masked, and without what Postgres cannot keep."""
    clean = words.encode("utf-8", "replace").decode().replace("\x00", "")
    return NUMBER.sub(lambda number: phone.mask(number[0]), clean)


def _kept(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {masked(str(key)): _kept(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_kept(one) for one in value]
    return masked(value) if isinstance(value, str) else value


def _secrets(facts: Mapping[str, Any]) -> str:
    return ", ".join(name for name in facts if SECRETS & set(str(name).lower().split("_")))
