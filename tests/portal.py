"""The organisation portal, as the tests pretend it: movements written as its statement."""

import csv
import io
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.say import NAIROBI
from demo.settings import PAYBILL

HEADER = (
    "Receipt No.", "Completion Time", "Initiation Time", "Details", "Transaction Status", "Paid In",
    "Withdrawn", "Balance", "Balance Confirmed", "Reason Type", "Other Party Info",
    "Linked Transaction ID", "A/C No.",
)  # fmt: skip
ISO, KENYAN = "%Y-%m-%d %H:%M:%S", "%d-%m-%Y %H:%M:%S"
PAID, SENT = "Pay Bill Online", "Business Payment to Customer via API"
CHARGED = "Business Payment to Customer via API Charge"


@dataclass(frozen=True)
class Move:
    """One movement; `amount` in cents, negative for what went."""

    receipt: str
    amount: int
    at: datetime
    reason: str = PAID
    party: str = "2547****0001 - AMINA WANJIRU"
    linked: str = ""
    account: str = ""
    status: str = "Completed"


def written(amount):
    return f"{amount / 100:,.2f}"


def rows(moves, *, opening=0, dates=ISO):
    """The lines, newest first, as the portal puts them."""
    found, held = [], opening
    for move in moves:
        moved = move.status == "Completed"
        held += move.amount if moved else 0
        at = move.at.astimezone(NAIROBI).strftime(dates)
        found.append(
            [
                move.receipt, at, at, f"{move.reason} from {move.party}", move.status,
                written(move.amount) if move.amount > 0 else "",
                written(move.amount) if move.amount < 0 else "",
                written(held), "TRUE", move.reason, move.party, move.linked, move.account,
            ]
        )  # fmt: skip
    return found[::-1]


def statement(
    moves, *, opening=0, shortcode=PAYBILL, account="Utility Account", dates=ISO, period=True
):
    """The file, in bytes."""
    out = io.StringIO()
    sheet = csv.writer(out)
    if shortcode:
        sheet.writerow(["Organization Name:", "HOUSE LIMITED"])
        sheet.writerow(["Short Code:", shortcode])
        sheet.writerow(["Account:", account])
    if period:
        days = [move.at.astimezone(NAIROBI).date() for move in moves]
        first, last = min(days), max(days) + timedelta(days=1)
        form = dates.partition(" ")[0]
        told = f"From {first:{form}} 00:00:00 To {last:{form}} 00:00:00"
        sheet.writerow(["Time Period:", told])
    sheet.writerow([])
    sheet.writerow(HEADER)
    sheet.writerows(rows(moves, opening=opening, dates=dates))
    return out.getvalue().encode()


def later(move, **span):
    """The same movement at another time."""
    return replace(move, at=move.at + timedelta(**span))
