"""Search: a market by code or words, a payout by its number, a customer by phone."""

import re
from typing import Any

from flask import render_template, request
from sqlalchemy.orm import Session

from admin import fields, frame, queries
from admin.frame import page
from core import customers, phone
from core.customers import Customer
from core.errors import Refusal
from core.payments import Payout
from core.rights import Right

LONGEST = 60  # characters that are looked for
PAYOUT = re.compile(r"[Pp]\s?([0-9]{1,18})")


@page("/search", Right.READ)
def search() -> str:
    """What was found; the part of the page alone where a script asks for it."""
    sought = fields.text("q", longest=LONGEST)
    found = frame.read(lambda tx: _found(tx, sought)) if sought else {}
    part = request.headers.get("HX-Request") and not request.headers.get("HX-Boosted")
    return render_template("found.html" if part else "search.html", sought=sought, **found)


def _found(tx: Session, sought: str) -> dict[str, Any]:
    customer = _customer(tx, sought)
    return {
        "markets": queries.found_markets(tx, sought),
        "payout": _payout(tx, sought),
        "customer": customer,
        "wallet": queries.wallet(tx, customer) if customer else {},
    }


def _payout(tx: Session, sought: str) -> Payout | None:
    named = PAYOUT.fullmatch(sought)
    return tx.get(Payout, int(named[1])) if named else None


def _customer(tx: Session, sought: str) -> Customer | None:
    try:
        return customers.find(tx, phone.read(sought))
    except Refusal:
        return None
