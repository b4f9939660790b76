"""Fixtures from a file: a CSV of markets, read whole or not at all, every fault by its line."""

import csv
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from io import StringIO

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import categories, drafts, money, rights
from core.categories import Category
from core.config import Config
from core.drafts import Draft
from core.errors import Refusal
from core.markets import Market
from core.rights import Right
from core.say import NAIROBI
from core.staff import Staff

MOST_BYTES = 1_000_000
MOST_LINES = 500  # of one file: they are written in one transaction
FIRST_YEAR, LAST_YEAR = 2020, 2100  # outside them a date is a slip of the thumb
PARTED_BY = "|"  # outcomes in their one cell

REQUIRED = ("question", "category", "outcomes", "opens_at", "closes_at")
COLUMNS = (*REQUIRED, "min_stake", "max_stake")
DELIMITERS = ",;\t"  # a spreadsheet uses its own country's

ISO = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[ T]+(?P<time>\d{1,2}:\d{2})(?::(?P<seconds>\d{2})(?:\.0+)?)?"
    r"\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?",
    re.ASCII | re.IGNORECASE,
)
KENYAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})\s+(\d{1,2}:\d{2})(?::(\d{2}))?", re.ASCII)


@dataclass(frozen=True)
class Fault:
    """What is wrong, and in which line of the file as an editor counts them."""

    line: int
    refusal: Refusal


@dataclass(frozen=True)
class Fixture:
    """One line that reads as a market. `key` is the same for the same content."""

    line: int
    key: uuid.UUID
    draft: Draft


@dataclass(frozen=True)
class Plan:
    """What a file would do: the fixtures that are new, how many are there already, every fault."""

    fixtures: Sequence[Fixture]
    known: int
    faults: Sequence[Fault]


def plan(tx: Session, content: bytes, *, now: datetime, config: Config) -> Plan:
    """Read a file and compare it with what there is; writes nothing and raises nothing."""
    fixtures, faults = read(content, now=now)
    faults += _same_twice(fixtures)
    among = categories.every(tx)
    keys = [fixture.key for fixture in fixtures]
    done = set(tx.scalars(select(Market.import_key).where(Market.import_key.in_(keys))))
    new = [fixture for fixture in fixtures if fixture.key not in done]
    for fixture in new:  # one that is there already may have closed since
        faults += _faults(fixture, among, now, config)
    return Plan(new, len(fixtures) - len(new), sorted(faults, key=lambda fault: fault.line))


def write(
    tx: Session, content: bytes, *, by: Staff, now: datetime, config: Config
) -> tuple[Plan, list[Market]]:
    """Draft every market of a file that is not there yet; with a single fault none at all."""
    rights.require(by, Right.MARKETS)
    # Whoever reads the same file meanwhile waits here, and then finds its lines.
    tx.execute(select(func.pg_advisory_xact_lock(*drafts.LOCKS)))
    seen = plan(tx, content, now=now, config=config)
    if seen.faults:
        return seen, []
    wanted = [(fixture.key, fixture.draft) for fixture in seen.fixtures]
    return seen, drafts.write(tx, wanted, by=by, now=now, config=config)


def read(content: bytes, *, now: datetime) -> tuple[list[Fixture], list[Fault]]:
    """The lines of a file that read as markets, and what is wrong with the others. Never raises.

    Commas, semicolons or tabs; with or without a byte-order mark; any line ends. Times are in
    Nairobi unless they say their own zone; a market without an opening time opens at `now`.
    """
    try:
        rows = list(_rows(_decoded(content)))
        header = _header(rows)
    except Refusal as refusal:
        return [], [Fault(1, refusal)]
    except csv.Error:
        return [], [Fault(1, Refusal("staff.file_not_csv"))]
    fixtures: list[Fixture] = []
    faults: list[Fault] = []
    for line, cells in rows[1:]:
        found = list(_line(line, cells, header, now))
        fixtures += [one for one in found if isinstance(one, Fixture)]
        faults += [one for one in found if isinstance(one, Fault)]
    return fixtures, faults


def _decoded(content: bytes) -> str:
    """The text of a file. Raises Refusal for what is too large, or no text."""
    if len(content) > MOST_BYTES:
        raise Refusal("staff.file_large", most=MOST_BYTES // 1000)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal("staff.file_not_text") from error
    if any(ord(letter) < ord(" ") and letter not in "\t\r\n" for letter in text):
        raise Refusal("staff.file_not_text")
    return text


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, and the line each begins on."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = 0
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield before + 1, [" ".join(cell.split()) for cell in cells]
        before = reader.line_num


def _header(rows: Sequence[tuple[int, list[str]]]) -> list[str]:
    """The names of the columns. Raises Refusal if one is missing, unknown or there twice."""
    names = [name.lower().replace(" ", "_") for name in rows[0][1]] if rows else []
    while names and not names[-1]:
        names.pop()  # a spreadsheet may keep empty columns behind the last
    wrong = [name for name in names if name not in COLUMNS or names.count(name) > 1]
    wrong += [name for name in REQUIRED if name not in names]
    if wrong:
        raise Refusal("staff.file_columns", columns=", ".join(COLUMNS), wrong=", ".join(wrong)[:80])
    if len(rows) == 1:
        raise Refusal("staff.file_empty")
    if len(rows) - 1 > MOST_LINES:
        raise Refusal("staff.file_long", most=MOST_LINES)
    return names


def _line(
    line: int, cells: Sequence[str], header: Sequence[str], now: datetime
) -> Iterator[Fixture | Fault]:
    """The market of one line, or everything in it that cannot be read."""
    if any(cells[len(header) :]):
        yield Fault(line, Refusal("staff.line_long", cells=len(header)))
        return
    given = {name: cell for name, cell in zip(header, cells, strict=False) if cell}
    values: dict[str, object] = {}
    faults = [
        Fault(line, Refusal("staff.cell_missing", column=name))
        for name in REQUIRED
        if name not in given and name != "opens_at"
    ]
    for name in [name for name in header if name in READERS and name in given]:
        try:
            values[name] = READERS[name](given[name])
        except Refusal:
            told = Refusal("staff.cell_unreadable", column=name, cell=given[name][:40])
            faults.append(Fault(line, told))
    if faults:
        yield from faults
        return
    yield Fixture(line, _key(given, values), _draft(given, {"opens_at": now} | values))


def _draft(given: Mapping[str, str], values: Mapping[str, object]) -> Draft:
    return Draft(
        question=given["question"],
        outcomes=_outcomes(given["outcomes"]),
        category=given["category"],
        **values,  # type: ignore[arg-type]  # each is what its reader makes
    )


def _outcomes(cell: str) -> list[str]:
    return [name.strip() for name in cell.split(PARTED_BY)]


def _moment(cell: str) -> datetime:
    """`2026-11-21 18:00`, `21/11/2026 18:00`, `2026-11-21T18:00+03:00`. Raises Refusal."""
    kenyan = KENYAN.fullmatch(cell)
    if kenyan:
        day, month, year, time, seconds = kenyan.groups()
        cell = f"{year}-{month:>02}-{day:>02} {time}:{seconds or '00'}"
    iso = ISO.fullmatch(cell)
    if not iso:
        raise Refusal("staff.moment_unreadable")
    zone = (iso["zone"] or "").upper().replace("Z", "+00:00")
    try:
        read = datetime.fromisoformat(
            f"{iso['day']}T{iso['time']:>05}:{iso['seconds'] or '00'}{zone}"
        )
    except ValueError as error:
        raise Refusal("staff.moment_unreadable") from error
    if not FIRST_YEAR <= read.year <= LAST_YEAR:
        raise Refusal("staff.moment_unreadable")
    return read if read.tzinfo else read.replace(tzinfo=NAIROBI)


READERS: Mapping[str, Callable[[str], object]] = {
    "opens_at": _moment,
    "closes_at": _moment,
    "min_stake": money.read,
    "max_stake": money.read,
}


def _key(given: Mapping[str, str], values: Mapping[str, object]) -> uuid.UUID:
    """Of what the line says: whether it says it in capitals, or a time in another form, is one."""
    said = [given.get(name, "").upper() for name in ("question", "category")]
    said += ["|".join(_outcomes(given["outcomes"])).upper()]
    for name in ("opens_at", "closes_at", "min_stake", "max_stake"):
        value = values.get(name, "")
        said.append(str(value.timestamp()) if isinstance(value, datetime) else str(value))
    return uuid.UUID(bytes=sha256("\x1f".join(said).encode()).digest()[:16])


def _same_twice(fixtures: Sequence[Fixture]) -> list[Fault]:
    """Lines that say what another has said: one of them is a slip."""
    first: dict[uuid.UUID, int] = {}
    return [
        Fault(fixture.line, Refusal("staff.line_twice", line=first[fixture.key]))
        for fixture in fixtures
        if first.setdefault(fixture.key, fixture.line) != fixture.line
    ]


def _faults(
    fixture: Fixture, among: Sequence[Category], now: datetime, config: Config
) -> list[Fault]:
    against = drafts.faults(fixture.draft, among, now=now, config=config)
    return [Fault(fixture.line, refusal) for refusal in against]
