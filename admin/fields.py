"""What a form brought: text without what nobody can keep, numbers, moments, amounts."""

from collections.abc import Sequence
from datetime import datetime

from flask import request
from werkzeug.datastructures import MultiDict

from core import money
from core.errors import Refusal
from core.money import Cents
from core.say import NAIROBI

LONGEST = 500  # characters of a field; what is longer is cut where nobody reads on
LARGEST = 2**63 - 1  # that a column holds
YEARS = range(2020, 2101)  # outside them a date is a slip of the thumb


def text(name: str, *, longest: int = LONGEST) -> str:
    """A line or a note, trimmed."""
    return clean(_given().get(name, ""))[:longest].strip()


def secret(name: str) -> str:
    """A password or a code, as it was typed."""
    return clean(request.form.get(name, ""))


def texts(name: str) -> list[str]:
    """Every value of that name that says anything."""
    found = (clean(value)[:LONGEST].strip() for value in _given().getlist(name))
    return [value for value in found if value]


def number(name: str) -> int:
    """A whole number. Raises Refusal for anything else."""
    return _number(text(name))


def numbers(name: str) -> Sequence[int]:
    """Every one of that name, as of boxes that were ticked."""
    return [_number(value) for value in texts(name)]


def moment(name: str) -> datetime | None:
    """A moment as the browser's own field gives it, in Nairobi; None if it was left empty."""
    typed = text(name, longest=40)
    if not typed:
        return None
    try:
        read = datetime.fromisoformat(typed)
    except ValueError as error:
        raise Refusal("staff.moment_unreadable") from error
    if read.year not in YEARS:
        raise Refusal("staff.moment_unreadable")
    return read if read.tzinfo else read.replace(tzinfo=NAIROBI)


def amount(name: str) -> Cents | None:
    """Whole shillings as people write them; None if it was left empty."""
    typed = text(name, longest=40)
    return money.read(typed) if typed else None


def clean(value: str) -> str:
    """Without what Postgres cannot keep."""
    return value.encode("utf-8", "replace").decode().replace("\x00", "")


def _given() -> MultiDict[str, str]:
    """A form that acts says all in its body; one that asks, in the address."""
    return request.form if request.method == "POST" else request.args


def _number(value: str) -> int:
    if not (value.isascii() and value.isdigit()) or (read := int(value)) > LARGEST:
        raise Refusal("staff.number_unreadable")
    return read
