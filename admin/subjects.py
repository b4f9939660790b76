"""What lines of the audit are about, as people know it: what is hashed has the markets' row ids."""

import re
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import settlement
from core.audit import AuditLine
from core.markets import Market

BY_ROW = re.compile(r"market:([0-9]{1,18})")
BY_CODE = re.compile(r"(?:market )?([0-9]{1,9})", re.IGNORECASE)
LONGEST = 40  # characters of a question


def named(tx: Session, lines: Iterable[AuditLine]) -> Mapping[str, str]:
    """How to call what those lines are about, by their subjects."""
    subjects = {line.subject for line in lines}
    rows = {int(found[1]) for one in subjects if (found := BY_ROW.fullmatch(one))}
    known = select(Market.id, Market.code, Market.question).where(Market.id.in_(rows))
    called = {
        settlement.subject(row.id): f"market {row.code} {_short(row.question)}"
        for row in tx.execute(known)
    }
    return {one: called.get(one, one) for one in subjects}


def meant(tx: Session, typed: str) -> Sequence[str]:
    """The subjects that somebody asks for; a code may have been several markets' in turn."""
    found = BY_CODE.fullmatch(typed.strip())
    if found is None:
        return [typed.strip()] if typed.strip() else []
    rows = tx.scalars(select(Market.id).where(Market.code == int(found[1])))
    return [settlement.subject(row) for row in rows] or [typed]


def of_code(tx: Session, code: int) -> str:
    """The subject that is the newest market of this code; none where nobody has it."""
    row = tx.scalar(select(func.max(Market.id)).where(Market.code == code))
    return "" if row is None else settlement.subject(row)


def _short(question: str) -> str:
    return question if len(question) <= LONGEST else f"{question[: LONGEST - 1].rstrip()}…"
