"""`flask ledger`: the books, proved."""

import click

from admin.commands.common import as_json, opened, show
from core import verify as books


@click.group()
def ledger() -> None:
    """The books."""


@ledger.command()
@as_json
def verify(as_json: bool) -> None:
    """Prove every invariant in one snapshot. Exits with 1 if one is broken."""
    findings = books.verify(opened())
    facts = [
        {"invariant": one.number, "name": one.name, "holds": one.holds, "broken": one.broken}
        for one in findings
    ]
    show(
        facts,
        as_json,
        lambda one: (
            f"{'ok    ' if one['holds'] else 'BROKEN'} {one['invariant']:>2}  {one['name']}"
            + "".join(f"\n          {row}" for row in one["broken"])
        ),
    )
    if not all(one.holds for one in findings):
        raise SystemExit(1)
