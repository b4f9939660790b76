"""The organisation portal's statement, as a file: read whole or refused whole.

The file begins with lines about the organisation, holds one line for each movement (the newest
first), and proves itself: from line to line the balance moves by the amount. What does not add up,
what is not final, and what can be read in two ways is refused with its line and the reason.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from itertools import groupby
from typing import NamedTuple

from core import portal_dates
from core.errors import Refusal
from core.notices import PARTY, RECEIPT
from core.portal_dates import Form

MOST_BYTES = 30_000_000
MOST_LINES = 100_000
LONGEST = 120  # characters of a reason or an account
PREAMBLE = 50  # lines at most before the names of the columns
DELIMITERS = ",;\t"

REQUIRED = (
    "receiptno", "completiontime", "transactionstatus", "paidin", "withdrawn", "balance",
    "reasontype",
)  # fmt: skip
OPTIONAL = ("otherpartyinfo", "linkedtransactionid", "acno")
COMPLETED = "completed"
NOT_MOVED = frozenset({"failed", "declined", "cancelled", "canceled", "expired"})

AMOUNT = re.compile(r"(-?)(\d{1,3}(?:,\d{3})+|\d{1,13})(?:\.(\d{1,2}))?", re.ASCII)
SHORTCODE = re.compile(r"(?<!\d)\d{5,7}(?!\d)", re.ASCII)
ABOUT_SHORTCODE = re.compile(r"short ?code|pay ?bill|till|organi[sz]ation|business|store", re.I)
ABOUT_PERIOD = re.compile(r"period|from|between", re.I)
ACCOUNTS = ("utility", "working", "charges")


class Key(NamedTuple):
    """What makes a line the same line: a charge repeats the receipt of what it is charged for."""

    receipt: str
    reason: str
    amount: int


@dataclass(frozen=True)
class Line:
    """One movement; `amount` in cents is positive for what came in, `balance` is what it left."""

    number: int  # of the line in the file, as an editor counts
    receipt: str
    completed_at: datetime
    amount: int
    balance: int
    reason: str
    party: str | None  # the other side's number, perhaps masked
    linked: str | None  # the receipt of what a reversal or charge belongs to
    account: str | None  # as the payer typed it

    @property
    def key(self) -> Key:
        """By which it is known when it is read again."""
        return Key(self.receipt, self.reason, self.amount)


@dataclass(frozen=True)
class Sheet:
    """A whole file, oldest line first. `shortcode`, `account` and `period` are as it says them."""

    lines: Sequence[Line]
    opening: int
    failed: int  # lines that moved nothing
    shortcode: str | None
    account: str | None
    period: tuple[datetime, datetime] | None

    @property
    def paid_in(self) -> int:
        """Cents that came."""
        return sum(line.amount for line in self.lines if line.amount > 0)

    @property
    def withdrawn(self) -> int:
        """Cents that went, as a positive sum."""
        return -sum(line.amount for line in self.lines if line.amount < 0)

    @property
    def closing(self) -> int:
        """What the account holds after the last line."""
        return self.opening + self.paid_in - self.withdrawn


Row = tuple[int, list[str]]


class Header(NamedTuple):
    """Which row names the columns, how many there are, and the place of each that is read."""

    row: int
    width: int
    places: Mapping[str, int]


def read(content: bytes, *, now: datetime, dates: Form | None = None) -> Sheet:
    """The statement in `content`. Raises Refusal, with facts `line` where a line is at fault.

    `dates` settles a file whose days and months could be either.
    """
    rows = _rows(_decoded(content))
    header = _header(rows)
    moved, failed = _movements(rows[header.row + 1 :], header)
    days = [(number, row["completiontime"]) for number, row in moved]
    form, lines, opening = _settled(moved, portal_dates.forms(days, now=now, wanted=dates))
    _each_once(lines)
    told = [" ".join(cells) for _, cells in rows[: header.row]]
    period = _period(told, form)
    if period is not None:
        _within(lines, period)
    return Sheet(lines, opening, failed, _shortcode(told), _account(told), period)


def _decoded(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise Refusal("staff.file_large", most=MOST_BYTES // 1000)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Refusal("staff.statement_text", line=line) from error
    for number, line_text in enumerate(text.splitlines(), 1):
        if any(ord(letter) < ord(" ") and letter != "\t" for letter in line_text):
            raise Refusal("staff.statement_text", line=number)
    return text


def _rows(text: str) -> list[Row]:
    """Every row that holds anything, with the line it begins on."""
    lines = text.splitlines()
    names = next((line for line in lines if "receiptno" in _name(line)), "")
    delimiter = max(DELIMITERS, key=names.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, before = [], 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((before + 1, [" ".join(cell.split()) for cell in cells]))
            before = reader.line_num
    except csv.Error as error:
        raise Refusal("staff.statement_quotes", line=before + 1) from error
    if len(rows) > MOST_LINES:
        raise Refusal("staff.statement_long", most=MOST_LINES)
    return rows


def _header(rows: Sequence[Row]) -> Header:
    """The row that names the columns, wherever it stands. Raises Refusal without one."""
    for index, (number, cells) in enumerate(rows[:PREAMBLE]):
        names = [_name(cell) for cell in cells]
        if "receiptno" not in names:
            continue
        missing = [name for name in REQUIRED if name not in names]
        twice = [name for name in (*REQUIRED, *OPTIONAL) if names.count(name) > 1]
        if missing or twice:
            raise Refusal("staff.statement_columns", line=number, names=", ".join(missing or twice))
        places = {name: names.index(name) for name in (*REQUIRED, *OPTIONAL) if name in names}
        return Header(index, len(names), places)
    raise Refusal("staff.statement_no_header")


def _name(cell: str) -> str:
    return re.sub(r"[^a-z]", "", cell.lower())


def _movements(rows: Sequence[Row], header: Header) -> tuple[list[tuple[int, dict[str, str]]], int]:
    """The rows that moved money, by the names of their columns, and how many moved none."""
    width, moved, failed = header.width, [], 0
    for number, cells in rows:
        if len(cells) < width or any(cells[width:]):
            raise Refusal("staff.statement_width", line=number, found=len(cells), wanted=width)
        row = {name: cells[place] for name, place in header.places.items()}
        status = row["transactionstatus"].lower()
        if status in NOT_MOVED:
            failed += 1
        elif status == COMPLETED:
            moved.append((number, row))
        else:  # pending, or a word nobody knows: it may become anything
            raise Refusal("staff.statement_status", line=number, status=status[:40])
    if not moved:
        raise Refusal("staff.statement_empty")
    return moved, failed


def _settled(
    moved: Sequence[tuple[int, dict[str, str]]], forms: Sequence[Form]
) -> tuple[Form, list[Line], int]:
    """The one reading of the days under which the balances follow from line to line."""
    found: list[tuple[Form, list[Line], int]] = []
    broken: Refusal | None = None
    for form in forms:
        lines = _sorted([_line(number, row, form) for number, row in moved])
        try:
            found.append((form, lines, _opening(lines)))
        except Refusal as refusal:
            broken = broken or refusal
    if not found:
        assert broken is not None, "a form that does not fit says why"
        raise broken
    whens = [[line.completed_at for line in lines] for _, lines, _ in found]
    if len(found) > 1 and whens[0] != whens[1]:
        raise Refusal("staff.statement_dates_either", line=moved[0][0])
    return found[0]


def _sorted(lines: list[Line]) -> list[Line]:
    """Oldest first; lines of one second in the order of the file, from its older end."""
    if lines[0].completed_at >= lines[-1].completed_at:
        lines = lines[::-1]
    return sorted(lines, key=lambda line: line.completed_at)


def _line(number: int, row: Mapping[str, str], form: Form) -> Line:
    receipt, reason = row["receiptno"].upper(), row["reasontype"]
    if not RECEIPT.fullmatch(receipt):
        raise Refusal("staff.statement_receipt", line=number)
    if not reason or len(reason) > LONGEST:
        raise Refusal("staff.statement_reason", line=number)
    came, went = (_cents(row[name], number, blank=0) for name in ("paidin", "withdrawn"))
    if came < 0 or (came == 0) == (went == 0):  # what went is written with a minus, or without
        raise Refusal("staff.statement_sides", line=number)
    linked = row.get("linkedtransactionid", "").upper()
    return Line(
        number=number,
        receipt=receipt,
        completed_at=portal_dates.moment(row["completiontime"], form),
        amount=came or -abs(went),
        balance=_cents(row["balance"], number),
        reason=reason,
        party=_party(row.get("otherpartyinfo", "")),
        linked=linked if RECEIPT.fullmatch(linked) else None,
        account=row.get("acno", "")[:LONGEST] or None,
    )


def _cents(written: str, number: int, *, blank: int | None = None) -> int:
    if not written and blank is not None:
        return blank
    found = AMOUNT.fullmatch(written)
    if found is None:
        raise Refusal("staff.statement_amount", line=number)
    cents = int(found[2].replace(",", "")) * 100 + int((found[3] or "").ljust(2, "0"))
    return -cents if found[1] else cents


def _party(written: str) -> str | None:
    """The number alone: a name is nobody's business here."""
    number = written.partition(" - ")[0].replace(" ", "").removeprefix("+")
    return number if PARTY.fullmatch(number) else None


def _opening(lines: Sequence[Line]) -> int:
    """What was there before the oldest line. Raises Refusal where a balance does not follow.

    Lines of one second may stand in any order, so that they are checked together: what they start
    from and what they leave cancel out, but for the balance before them and the one after.
    """
    opening: int | None = None
    held = 0
    for _, same in groupby(lines, key=lambda line: line.completed_at):
        group = list(same)
        before = Counter(line.balance - line.amount for line in group)
        after = Counter(line.balance for line in group)
        if opening is None:
            opening = held = next(iter(before - after), group[0].balance - group[0].amount)
        left = held + sum(line.amount for line in group)
        if held not in before or before + Counter([left]) != after + Counter([held]):
            raise Refusal("staff.statement_balance", line=group[0].number)
        held = left
    assert opening is not None, "a statement has lines"
    return opening


def _each_once(lines: Sequence[Line]) -> None:
    seen: dict[Key, int] = {}
    for line in sorted(lines, key=lambda line: line.number):
        if line.key in seen:
            raise Refusal("staff.statement_twice", line=line.number, other=seen[line.key])
        seen[line.key] = line.number


def _within(lines: Sequence[Line], period: tuple[datetime, datetime]) -> None:
    for line in lines:
        if not period[0] <= line.completed_at <= period[1]:
            raise Refusal("staff.statement_period", line=line.number)


def _period(told: Sequence[str], form: Form) -> tuple[datetime, datetime] | None:
    about = (line for line in told if ABOUT_PERIOD.search(line))
    return next((found for line in about if (found := portal_dates.period(line, form))), None)


def _shortcode(told: Sequence[str]) -> str | None:
    """The one number among the lines about the organisation; two are as good as none."""
    found = {number for line in told for number in _numbers(line)}
    return found.pop() if len(found) == 1 else None


def _numbers(line: str) -> Iterator[str]:
    if ABOUT_SHORTCODE.search(line) and not portal_dates.SOME_DAY.search(portal_dates.tidy(line)):
        yield from SHORTCODE.findall(line)


def _account(told: Sequence[str]) -> str | None:
    """Which of the organisation's accounts it says it is of."""
    text = " ".join(line.lower() for line in told if "account" in line.lower())
    found = [account for account in ACCOUNTS if account in text]
    return found[0] if len(found) == 1 else None
