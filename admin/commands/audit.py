"""`flask audit`: who did what, and proof that nobody has changed what is written of it."""

from collections.abc import Mapping
from typing import Any

import click
from sqlalchemy.orm import Session

from admin import subjects
from admin.commands.common import as_json, done, opened, show, when
from core import audit as rules
from core import staff
from core.audit import AuditLine

DIGITS = 18


class Anchor(click.ParamType[tuple[int, str]]):
    """`ID:HASH`, as the log has told it each hour."""

    name = "anchor"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, str]:
        """The number of a line and its hash."""
        number, _, link = str(value).partition(":")
        if not number.isdecimal() or len(number) > DIGITS or len(link) != len(rules.NOTHING_YET):
            self.fail("an anchor is ID:HASH, as the log has it hourly", param, ctx)
        return int(number), link.lower()


@click.group()
def audit() -> None:
    """The audit log."""


@audit.command()
@click.option("--anchor", type=Anchor(), metavar="ID:HASH", help="A head that was kept elsewhere.")
@as_json
def verify(anchor: tuple[int, str] | None, as_json: bool) -> None:
    """Walk the whole chain. Exits with 1 if a line was changed, cut off, put in or moved."""
    verdict = done(opened(), lambda tx: rules.verify(tx, anchor=anchor))
    facts = {
        "whole": verdict.ok,
        "lines": verdict.lines,
        "head": verdict.head,
        "fault": verdict.fault,
    }
    show(facts, as_json, _verdict)
    if not verdict.ok:
        raise SystemExit(1)


@audit.command("list")
@click.option("--action", default="", help="Only those that begin so.")
@click.option("--by", "name", help="Only what this member of staff did.")
@click.option("--subject", default="", help="Only what was done to this: market 101, payout:12.")
@click.option("--before", type=click.IntRange(1, 10**DIGITS), help="Only lines before this one.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@as_json
def list_(
    action: str, name: str | None, subject: str, before: int | None, limit: int, as_json: bool
) -> None:
    """List what was done, the newest first."""

    def work(tx: Session) -> list[dict[str, Any]]:
        names = staff.names(tx)
        by = None if name is None else _numbered(names, name)
        about = subjects.meant(tx, subject)
        found = rules.lines(tx, before=before, action=action, by=by, subject=about, limit=limit)
        called = subjects.named(tx, found)
        return [_row(one, names) | {"about": called[one.subject]} for one in found]

    show(done(opened(), work), as_json, _line)


def _numbered(names: Mapping[int, str], name: str) -> int:
    """Whose name it is or was: what somebody did is read when they have left, too."""
    found = [number for number, one in names.items() if one == name]
    if not found:
        raise click.ClickException(f"Nobody of the staff is or was called {name}.")
    return found[0]


def _row(line: AuditLine, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": line.id,
        "at": line.at,
        "by": "" if line.staff_id is None else names.get(line.staff_id, str(line.staff_id)),
        "action": line.action,
        "channel": line.channel,
        "subject": line.subject,
        "facts": line.facts,
        "hash": line.hash,
    }


def _line(one: Mapping[str, Any]) -> str:
    facts = " ".join(f"{name}={fact}" for name, fact in one["facts"].items())
    who = one["by"] or "nobody"
    return f"{one['id']:6} {when(one['at'])} {who:12} {one['action']} {one['about']} {facts}"


def _verdict(one: Mapping[str, Any]) -> str:
    if one["fault"]:
        return f"BROKEN: {one['fault']}"
    return f"{one['lines']} lines, all as they were written. Head: {one['lines']}:{one['head']}"
