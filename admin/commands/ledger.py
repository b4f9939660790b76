"""`flask ledger`: the books, proved."""

from collections.abc import Mapping
from typing import Any

import click

from admin.commands.common import as_json, done, opened, show
from core import proofs
from core import verify as books


@click.group()
def ledger() -> None:
    """The books."""


@ledger.command()
@as_json
def verify(as_json: bool) -> None:
    """Prove every invariant in one snapshot. Exits with 1 if one is broken."""
    rt = opened()
    findings = books.verify(rt)
    done(rt, lambda tx: proofs.keep(tx, findings, now=rt.now()))
    facts = [
        {
            "invariant": one.number,
            "name": one.name,
            "holds": one.holds,
            "broken": one.broken,
            "note": one.note,
            "seconds": round(one.seconds, 3),
        }
        for one in findings
    ]
    show(facts, as_json, _line)
    if not all(one.holds for one in findings):
        raise SystemExit(1)


def _line(one: Mapping[str, Any]) -> str:
    word = "ok    " if one["holds"] else "BROKEN"
    more = [str(row) for row in one["broken"]] + ([one["note"]] if one["note"] else [])
    first = f"{word} {one['invariant']:>2}  {one['name']} ({one['seconds']:.2f} s)"
    return "".join([first, *(f"\n           {line}" for line in more)])
