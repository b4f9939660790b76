"""`flask simulator`: what the simulated M-PESA holds against what our books say, line by line."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click
import requests
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from admin.commands.common import as_json, done, opened, show
from core import ledger, money
from core.ledger import Account, AccountKind
from core.receipts import Direction, MpesaReceipt

PATIENCE = 15  # seconds
NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """One thing on which the two books do not agree."""

    what: str
    theirs: str
    ours: str


@dataclass(frozen=True)
class OurBooks:
    """What the ledger and the registry of receipts say of M-PESA, in cents."""

    receipts: Mapping[str, tuple[str, str, int]]  # direction, shortcode, amount
    taken_back: frozenset[str]  # receipts that we know M-PESA took back
    utility: Mapping[str, int]  # by shortcode
    working: Mapping[str, int]
    charges: int


@click.group()
def simulator() -> None:
    """The simulated partners."""


@simulator.command()
@as_json
def compare(as_json: bool) -> None:
    """Hold M-PESA's simulated books against ours. Exits with 1 if they differ."""
    rt = opened()
    if rt.config.app_env not in ("demo", "test"):
        raise click.ClickException("Only in demo and test is M-PESA a simulated one.")
    theirs = their_books(rt.config.daraja_base_url)
    found = list(differences(theirs, done(rt, our_books)))
    if found or as_json:
        show([asdict(one) for one in found], as_json, _line)
    if found:
        raise SystemExit(1)
    if not as_json:
        count = len(theirs["transactions"])
        click.echo(f"M-PESA's books and ours agree: {count} lines, every account to the cent.")


def their_books(base_url: str) -> dict[str, Any]:
    """What M-PESA's books hold, in whole shillings; ClickException when nobody answers there."""
    try:
        answer = requests.get(f"{base_url.rstrip('/')}/control/books", timeout=PATIENCE)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
    except requests.RequestException as error:
        raise click.ClickException(f"The simulated M-PESA does not answer: {error}") from None
    return told


def our_books(tx: Session) -> OurBooks:
    """Read in one transaction: receipts, the accounts at M-PESA, and its charges."""
    rows = tx.scalars(select(MpesaReceipt)).all()
    return OurBooks(
        receipts={
            row.receipt: (Direction(row.direction).name.lower(), row.shortcode, row.amount)
            for row in rows
        },
        taken_back=frozenset(row.receipt for row in rows if row.reversed_at is not None),
        utility=_held(tx, AccountKind.MPESA_UTILITY),
        working=_held(tx, AccountKind.MPESA_WORKING),
        charges=ledger.total(tx, AccountKind.MPESA_CHARGES),
    )


def differences(theirs: Mapping[str, Any], ours: OurBooks) -> Iterator[Difference]:
    """Every line and account on which they do not agree; none is the only right answer.

    `theirs` is what the simulated world answers for its books, in whole shillings.
    """
    for complaint in theirs["discrepancies"]:
        yield Difference("M-PESA's own books", complaint, "-")
    yield from _lines(theirs["transactions"], ours)
    yield from _accounts(theirs["organisations"], ours)


def _lines(lines: list[dict[str, Any]], ours: OurBooks) -> Iterator[Difference]:
    completed = {line["receipt"]: line for line in lines if line["status"] == "Completed"}
    for receipt, line in completed.items():
        way = "in" if line["paid_in"] else "out"
        due = (way, line["shortcode"], line["amount"] * 100)
        known = ours.receipts.get(receipt)
        # A payment taken back without us has no receipt of ours, but a mark on the first one's.
        if known != due and not (known is None and line["linked"] in ours.taken_back):
            yield Difference(f"receipt {receipt}", _written(due), _written(known))
    for receipt, known in ours.receipts.items():
        if receipt not in completed:
            yield Difference(f"receipt {receipt}", NOTHING, _written(known))


def _accounts(houses: list[dict[str, Any]], ours: OurBooks) -> Iterator[Difference]:
    """What each account took and gave since its opening: we know nothing of what was there before.

    M-PESA keeps its charges apart; we take them from the account that paid.
    """
    known = {house["shortcode"]: house for house in houses}
    for code in sorted({*known, *ours.utility, *ours.working}):
        house = known.get(code, {"utility": 0, "opening": 0, "charges": 0, "working": 0})
        utility = (house["utility"] - house["opening"] + house["charges"]) * 100
        yield from _same(f"utility of {code}", utility, ours.utility.get(code, 0))
        yield from _same(f"working of {code}", house["working"] * 100, ours.working.get(code, 0))
    charges = -sum(house["charges"] for house in houses) * 100
    yield from _same("charges", charges, ours.charges)


def _same(what: str, theirs: int, ours: int) -> Iterator[Difference]:
    if theirs != ours:
        yield Difference(what, money.show(theirs), money.show(ours))


def _held(tx: Session, kind: AccountKind) -> dict[str, int]:
    sums = select(Account.shortcode, func.ledger_sum(Account.id)).where(Account.kind == kind)
    return {code: -int(total or 0) for code, total in tx.execute(sums) if code}


def _written(line: tuple[str, str, int] | None) -> str:
    if line is None:
        return NOTHING
    way, shortcode, amount = line
    return f"{way} {money.show(amount)} at {shortcode}"


def _line(one: Mapping[str, Any]) -> str:
    return f"{one['what']}: M-PESA says {one['theirs']}, we say {one['ours']}"
