"""Money as people type it and as they read it; everywhere else it is whole cents."""

import re
from decimal import Decimal
from typing import NewType

from core import gsm7
from core.errors import Refusal

Cents = NewType("Cents", int)

LARGEST = Cents(1_000_000_000_00)  # a billion shillings: above it a number is a slip of the thumb

UNREADABLE = "money.amount_unreadable"
SHILLINGS = re.compile(
    r"(?:(?:kes|ksh|kshs|sh)[.:]?\s*)?"
    r"(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.(?P<cents>[0-9]{1,2}))?"
    r"\s*(?:/[-=]|kes|ksh|kshs|sh|bob)?",
    re.IGNORECASE,
)


def read(text: str, *, cents: bool = False) -> Cents:
    """Read an amount in shillings: `100`, `1,000`, `KES 50`, `50/-`; with `cents` also `285.50`.

    M-PESA and stakes know whole shillings only, so a fraction is refused unless `cents` is true,
    and `100.00` is whole. Raises Refusal for whatever is not plainly a positive amount.
    """
    found = SHILLINGS.fullmatch(gsm7.western(text).strip())
    if not found:
        raise Refusal(UNREADABLE)
    fraction = (found["cents"] or "").ljust(2, "0")
    if len(found["whole"]) > len(f"{LARGEST:,}") or (fraction != "00" and not cents):
        raise Refusal(UNREADABLE)
    amount = int(found["whole"].replace(",", "")) * 100 + int(fraction)
    if not 0 < amount <= LARGEST:
        raise Refusal(UNREADABLE)
    return Cents(amount)


def show(amount: int) -> str:
    """`1,000` or `285.50`: cents are shown only where there are some."""
    shillings = Decimal(amount) / 100
    return f"{shillings:,.0f}" if amount % 100 == 0 else f"{shillings:,.2f}"
