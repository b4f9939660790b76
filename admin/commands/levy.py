"""`flask levy`: the rates of the state's levies, set by two people, and what is to be filed."""

import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import click

from admin.commands.common import Moment, acting, as_json, by, done, opened, show, when
from core import levies, money
from core.levies import PROFILES, FilingLine

DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def levy() -> None:
    """The state's levies."""


@levy.command("show")
@as_json
def show_rates(as_json: bool) -> None:
    """Show every rate there was and will be."""
    rows = done(
        opened(),
        lambda tx: [
            {
                "levy": levies.Levy(row.kind).name,
                "basis_points": row.rate_bp,
                "from": when(row.from_at),
            }
            for row in levies.history(tx)
        ],
    )
    show(rows, as_json, _rate, none="There are no rates.")


@levy.command("propose")
@click.argument("profile", type=click.Choice(sorted(PROFILES)))
@click.option("--from", "starts", type=Moment(), required=True, help="When the rates begin.")
@click.option("--note", required=True, help="The law or the letter behind it.")
@by
def propose(profile: str, starts: datetime, note: str, name: str) -> None:
    """Put the rates of a PROFILE before a second person."""
    rt = opened()
    proposal = done(
        rt,
        lambda tx: levies.propose(
            tx,
            PROFILES[profile],
            starts=starts,
            note=note,
            by=acting(rt, tx, name),
            now=rt.now(),
            config=rt.config,
        ),
    )
    click.echo(f"proposed; another approves with: levy approve {proposal.content_hash}")


@levy.command("approve")
@click.argument("seen_hash")
@by
def approve(seen_hash: str, name: str) -> None:
    """Give the second yes to the proposed rates."""
    rt = opened()
    rows = done(
        rt,
        lambda tx: levies.approve(tx, seen_hash=seen_hash, by=acting(rt, tx, name), now=rt.now()),
    )
    click.echo(f"{len(rows)} rates from {when(rows[0].from_at)}")


@levy.command("report")
@click.option("--from", "since", type=DAY, required=True, help="The first day in Nairobi.")
@click.option("--to", "until", type=DAY, required=True, help="The last day.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, amounts in shillings.")
def report(since: datetime, until: datetime, as_csv: bool) -> None:
    """Show what is to be filed, by day."""
    lines = done(opened(), lambda tx: levies.filing(tx, since=_day(since), until=_day(until)))
    if as_csv:
        _as_csv(lines)
        return
    if not lines:
        click.echo("Nothing to be filed.")
    for line in lines:
        click.echo(
            f"{line.day} {line.levy.name.lower():12} {line.number:6} times on"
            f" {money.show(line.base)}: {money.show(line.tax)}"
        )


def _as_csv(lines: Sequence[FilingLine]) -> None:
    out = csv.writer(sys.stdout)
    out.writerow(["day", "levy", "number", "base", "tax"])
    for line in lines:
        sides = (f"{cents // 100}.{cents % 100:02}" for cents in (line.base, line.tax))
        out.writerow([line.day, line.levy.name.lower(), line.number, *sides])


def _rate(row: Mapping[str, Any]) -> str:
    whole, rest = divmod(row["basis_points"], 100)
    return f"{row['from']}  {row['levy'].lower():12} {whole}.{rest:02}%"


def _day(moment: datetime) -> date:
    return moment.date()
