"""`flask market import`: markets from a CSV file, looked at first and written when asked."""

from pathlib import Path
from typing import Any

import click

from admin.commands.common import acting, as_json, by, done, opened
from admin.commands.common import show as shown
from admin.commands.market import market
from core import fixtures
from core.fixtures import Plan
from core.markets import Market
from core.say import say


@market.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Write them; without it the file is only looked at.")
@by
@as_json
def import_file(file: Path, yes: bool, name: str, as_json: bool) -> None:
    """Draft the markets of FILE, all or none; what is there already stays as it is."""
    content = _content(file)
    rt = opened()

    def look(tx: Any) -> tuple[Plan, list[Market]]:
        acting(rt, tx, name)
        return fixtures.plan(tx, content, now=rt.now(), config=rt.config), []

    def write(tx: Any) -> tuple[Plan, list[Market]]:
        who = acting(rt, tx, name)
        return fixtures.write(tx, content, by=who, now=rt.now(), config=rt.config)

    plan, drafted = done(rt, write if yes else look)
    facts = {
        "faults": [_fault(fault) for fault in plan.faults],
        "new": len(plan.fixtures),
        "known": plan.known,
        "codes": [one.code for one in drafted],
    }
    shown(facts, as_json, lambda one: _told(one, yes))
    if plan.faults:
        raise click.exceptions.Exit(1)


def _content(file: Path) -> bytes:
    """What is in the file, and one byte more than it may have if it is too large."""
    try:
        with file.open("rb") as opened_file:
            return opened_file.read(fixtures.MOST_BYTES + 1)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None


def _fault(fault: fixtures.Fault) -> dict[str, Any]:
    refusal = fault.refusal
    return {"line": fault.line, "fault": say(refusal.reason, "en", **refusal.facts)}


def _told(facts: Any, yes: bool) -> str:
    lines = [f"line {one['line']}: {one['fault']}" for one in facts["faults"]]
    there = f", {facts['known']} are there already" if facts["known"] else ""
    if lines:
        return "\n".join([*lines, "Nothing was written: mend these lines first."])
    if not yes:
        return f"{facts['new']} markets would be drafted{there}. To write them add --yes."
    codes = f": {', '.join(map(str, facts['codes']))}" if facts["codes"] else ""
    return f"{facts['new']} markets are drafted{there}{codes}."
