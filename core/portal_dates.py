"""Moments as the organisation portal writes them: one form for a whole file, or none at all."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from core.errors import Refusal
from core.say import NAIROBI

SKEW = timedelta(minutes=10)  # by which M-PESA's clock may be ahead of ours

YEAR_FIRST = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
YEAR_LAST = re.compile(r"\d{2}-\d{2}-\d{4}", re.ASCII)
MOMENT = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2}|\d{2}-\d{2}-\d{4}) (?P<time>\d{2}:\d{2}:\d{2})", re.ASCII
)
SOME_DAY = re.compile(r"(\d{4}-\d{2}-\d{2}|\d{2}-\d{2}-\d{4})(?: (\d{2}:\d{2}:\d{2}))?", re.ASCII)


class Form(StrEnum):
    """How a file writes its days. The last has not been seen; it is what the second may be."""

    YEAR_FIRST = "year-first"
    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"


PATTERNS = {
    Form.YEAR_FIRST: "%Y-%m-%d",
    Form.DAY_FIRST: "%d-%m-%Y",
    Form.MONTH_FIRST: "%m-%d-%Y",
}
Cell = tuple[int, str]
"""The line a moment stands on, and what is written there."""


def forms(cells: Sequence[Cell], *, now: datetime, wanted: Form | None) -> list[Form]:
    """The forms in which every cell reads as a moment that has been.

    Raises Refusal, with the line, where a cell is no moment, where the file writes its days in two
    ways, and where no form is left.
    """
    families: list[Form] = []
    for line, written in cells:
        found = MOMENT.fullmatch(tidy(written))
        if found is None:
            raise Refusal("staff.statement_date", line=line)
        year_first = YEAR_FIRST.fullmatch(found["day"])
        families.append(Form.YEAR_FIRST if year_first else Form.DAY_FIRST)
        if families[-1] != families[0]:
            raise Refusal("staff.statement_dates_mixed", line=line)
    if not families:
        raise Refusal("staff.statement_empty")
    numeric = (Form.DAY_FIRST, Form.MONTH_FIRST)
    possible = [Form.YEAR_FIRST] if families[0] == Form.YEAR_FIRST else [*numeric]
    faults = {form: _first_fault(form, cells, now) for form in possible if wanted in (None, form)}
    left = [form for form, fault in faults.items() if fault is None]
    if not left:
        line = next((fault for fault in faults.values() if fault), cells[0][0])
        raise Refusal("staff.statement_date", line=line)
    return left


def moment(written: str, form: Form) -> datetime:
    """The moment in UTC; ValueError where the form does not fit."""
    read = datetime.strptime(tidy(written), f"{PATTERNS[form]} %H:%M:%S").replace(tzinfo=NAIROBI)
    return read.astimezone(UTC)


def tidy(written: str) -> str:
    """One space, dashes between the parts of a day."""
    return " ".join(written.replace("/", "-").replace("T", " ").split())


def period(told: str, form: Form) -> tuple[datetime, datetime] | None:
    """The two moments a line of the preamble names; a day without a time is meant whole.

    They may be written in another form than the lines; with their years first that is plain.
    """
    found = SOME_DAY.findall(tidy(told))
    if len(found) != 2:
        return None
    try:
        (since, _), (until, whole) = (_bound(day, time, form) for day, time in found)
    except ValueError:
        return None
    until += timedelta(days=1) if whole else timedelta(0)
    return (since, until) if since < until else None


def _bound(day: str, time: str, form: Form) -> tuple[datetime, bool]:
    if YEAR_FIRST.fullmatch(day):
        form = Form.YEAR_FIRST
    elif form == Form.YEAR_FIRST:
        form = Form.DAY_FIRST
    return moment(f"{day} {time or '00:00:00'}", form), not time


def _first_fault(form: Form, cells: Iterable[Cell], now: datetime) -> int | None:
    for line, written in cells:
        try:
            if moment(written, form) > now + SKEW:
                return line
        except ValueError:
            return line
    return None
