"""`flask mpesa`: statements brought in, our books beside M-PESA's, balances and pulls."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands.common import acting, as_json, by, done, opened, show, when
from core import (
    balances,
    money,
    operator_password,
    portal_csv,
    pulls,
    reconciliation,
    statement_import,
    statement_items,
)
from core.balances import ReadingState
from core.portal_dates import Form
from core.pulls import PullState
from core.reconciliation import DayLine, Gap
from core.statement_import import Imported
from core.statement_lines import ACCOUNTS, Bucket

DAY = click.DateTime(["%Y-%m-%d"])


@click.group("mpesa")
def mpesa() -> None:
    """M-PESA's statement, balances and list of payments beside our books."""


@mpesa.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--shortcode", help="Whose statement it is, where the file does not say.")
@click.option("--account", type=click.Choice(ACCOUNTS), help="Of which account; utility as a rule.")
@click.option(
    "--dates",
    type=click.Choice([one.value for one in Form]),
    help="Where day and month could be either.",
)
@by
@as_json
def import_file(
    file: Path,
    shortcode: str | None,
    account: str | None,
    dates: str | None,
    name: str,
    as_json: bool,
) -> None:
    """Read the organisation statement in FILE, all of it or nothing. It credits nothing."""
    content = _content(file)
    rt = opened()

    def work(tx: Session) -> dict[str, Any]:
        found = statement_import.bring_in(
            tx,
            content,
            by=acting(rt, tx, name),
            now=rt.now(),
            config=rt.config,
            shortcode=shortcode,
            account=account,
            dates=None if dates is None else Form(dates),
        )
        return _imported(found)

    show(done(rt, work), as_json, _told)


@mpesa.command("gaps")
@as_json
def gaps(as_json: bool) -> None:
    """List what is on one side only: M-PESA's open lines, and ours that no statement shows."""
    rt = opened()
    found = done(rt, lambda tx: [_gap(one) for one in reconciliation.gaps(tx, now=rt.now())])
    show(found, as_json, _gap_line, none="Nothing is on one side only.")


@mpesa.command("statement")
@click.option("--day", type=DAY, help="A day in Nairobi; the last one if left out.")
@as_json
def statement(day: datetime | None, as_json: bool) -> None:
    """Show an account's day by the statement beside what our books moved, and what is covered."""
    rt = opened()

    def work(tx: Session) -> list[dict[str, Any]]:
        of = day.date() if day else reconciliation.last_day(tx)
        lines = [] if of is None else reconciliation.day(tx, of)
        return [_day(line, of) for line in lines]

    found = done(rt, work)
    show(found, as_json, _day_line)
    if as_json:
        return
    for shortcode in dict.fromkeys((rt.config.mpesa_shortcode, rt.config.mpesa_b2c_shortcode)):
        for start, end in done(rt, _spans(shortcode)):
            click.echo(f"covered  {shortcode}  {when(start)} to {when(end)}")


@mpesa.command("close")
@click.argument("line", type=int)
@click.option("--note", required=True, help="Why it needs no booking.")
@by
def close(line: int, note: str, name: str) -> None:
    """Propose to close the open LINE of the statement, by its number in `gaps`."""
    rt = opened()
    proposal = done(
        rt,
        lambda tx: statement_items.propose(
            tx, line, note=note, by=acting(rt, tx, name), now=rt.now(), config=rt.config
        ),
    )
    click.echo(f"proposed: {proposal.content_hash}")


@mpesa.command("approve")
@click.argument("line", type=int)
@click.argument("seen_hash")
@by
def approve(line: int, seen_hash: str, name: str) -> None:
    """Give the second yes to closing LINE."""
    rt = opened()
    closed = done(
        rt,
        lambda tx: statement_items.approve(
            tx, line, seen_hash=seen_hash, by=acting(rt, tx, name), now=rt.now()
        ),
    )
    click.echo(f"closed: {closed.receipt} {money.show(closed.amount)}")


@mpesa.command("refuse")
@click.argument("line", type=int)
@by
def refuse(line: int, name: str) -> None:
    """Say no to closing LINE."""
    rt = opened()
    done(rt, lambda tx: statement_items.refuse(tx, line, by=acting(rt, tx, name), now=rt.now()))
    click.echo("refused")


@mpesa.command("balance")
@click.option("--ask", is_flag=True, help="Have M-PESA asked now.")
@as_json
def balance(ask: bool, as_json: bool) -> None:
    """Show what M-PESA said our accounts hold, beside the ledger, the newest first."""
    rt = opened()
    if ask:
        asked = done(rt, lambda tx: len(balances.ask(tx, rt.now(), rt.config)))
        click.echo(f"asked about {asked} shortcodes; look again in a minute", err=as_json)
    show(done(rt, _readings), as_json, _reading_line)
    days = operator_password.age(rt.config, now=rt.now())
    if not as_json:
        click.echo(f"operator password: {'no date' if days is None else f'{days} days old'}")


@mpesa.command("pull")
@click.option("--now", "at_once", is_flag=True, help="Read M-PESA's list now.")
@as_json
def pull(at_once: bool, as_json: bool) -> None:
    """Show how far M-PESA's list of payments has been read, the newest window first."""
    rt = opened()
    if at_once:
        done(rt, lambda tx: pulls.begin(tx, now=rt.now(), config=rt.config))
    show(done(rt, _windows), as_json, _window_line)


def _content(file: Path) -> bytes:
    """What is in the file, and one byte more than it may have if it is too large."""
    try:
        with file.open("rb") as opened_file:
            return opened_file.read(portal_csv.MOST_BYTES + 1)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None


def _imported(found: Imported) -> dict[str, Any]:
    file = found.file
    return {
        "again": found.again,
        "shortcode": file.shortcode,
        "account": file.account,
        "first_at": file.first_at,
        "last_at": file.last_at,
        "opening": file.opening,
        "paid_in": file.paid_in,
        "withdrawn": file.withdrawn,
        "closing": file.closing,
        "lines": file.lines,
        "fresh": 0 if found.again else file.fresh,
        "failed": file.failed,
        **{bucket.name.lower(): count for bucket, count in found.buckets.items()},
        "open": found.open,
    }


def _told(one: Mapping[str, Any]) -> str:
    sums = {name: money.show(one[name]) for name in ("opening", "paid_in", "withdrawn", "closing")}
    head = (
        f"{one['shortcode']} {one['account']}, {when(one['first_at'])} to {when(one['last_at'])}:"
        f" {sums['opening']} + {sums['paid_in']} - {sums['withdrawn']} = {sums['closing']}"
    )
    if one["again"]:
        return f"{head}\nThis file was read before; nothing has changed."
    counts = ", ".join(f"{one[bucket.name.lower()]} {bucket.name.lower()}" for bucket in Bucket)
    known = one["lines"] - one["fresh"]
    return (
        f"{head}\n{one['lines']} lines, {known} known before;"
        f" {one['failed']} more that moved no money."
        f"\nNew: {counts}. Open: {one['open']}."
    )


def _gap(one: Gap) -> dict[str, Any]:
    return asdict(one)


def _gap_line(one: Mapping[str, Any]) -> str:
    number = f"line {one['line']}" if one["line"] else ""
    of = f" of {one['linked']}" if one["linked"] else ""
    return (
        f"{one['side']:6}  {when(one['at'])}  {one['shortcode']}  {one['receipt']:12}"
        f"  {money.show(one['amount']):>12}  {one['what']}{of}: {one['why']}  {number}".rstrip()
    )


def _day(line: DayLine, of: Any) -> dict[str, Any]:
    facts = asdict(line)
    return {"day": of} | facts | {"buckets": {b.name.lower(): n for b, n in line.buckets.items()}}


def _day_line(one: Mapping[str, Any]) -> str:
    sums = {name: money.show(one[name]) for name in ("opening", "paid_in", "withdrawn", "closing")}
    counts = ", ".join(f"{count} {name}" for name, count in one["buckets"].items())
    text = (
        f"{one['day']}  {one['shortcode']} {one['account']}\n"
        f"  {sums['opening']} + {sums['paid_in']} - {sums['withdrawn']} = {sums['closing']}\n"
        f"  {counts}; open {one['open']}"
    )
    if one["ledger"] is None:
        return text
    moved = one["paid_in"] - one["withdrawn"]
    return (
        f"{text}\n  M-PESA moved {money.show(moved)}, our books {money.show(one['ledger'])}:"
        f" difference {money.show(moved - one['ledger'])}\n"
        f"  charges {money.show(one['charges'])}, booked {money.show(one['booked_charges'])}"
    )


def _spans(shortcode: str) -> Callable[[Session], list[reconciliation.Span]]:
    return lambda tx: reconciliation.spans(tx, shortcode)


def _readings(tx: Session) -> list[dict[str, Any]]:
    return [
        {
            "shortcode": one.shortcode,
            "state": ReadingState(one.state).name.lower(),
            "at": one.read_at or one.asked_at or one.created_at,
            "utility": one.utility,
            "working": one.working,
            "charges": one.charges,
            "ledger": one.ledger,
            "difference": one.difference,
            "drift": one.drift,
            "verdict": one.verdict,
        }
        for one in balances.latest(tx)
    ]


def _reading_line(one: Mapping[str, Any]) -> str:
    def cents(name: str) -> str:
        return "-" if one[name] is None else money.show(one[name])

    return (
        f"{when(one['at'])}  {one['shortcode']}  {one['state']:8}  utility {cents('utility')}"
        f"  charges {cents('charges')}  working {cents('working')}  ledger {cents('ledger')}"
        f"  difference {cents('difference')}  {one['verdict'] or ''}".rstrip()
    )


def _windows(tx: Session) -> list[dict[str, Any]]:
    return [
        {
            "shortcode": one.shortcode,
            "state": PullState(one.state).name.lower(),
            "start": one.start_at,
            "end": one.end_at,
            "seen": one.seen,
            "fresh": one.fresh,
            "code": one.code,
        }
        for one in pulls.latest(tx)
    ]


def _window_line(one: Mapping[str, Any]) -> str:
    return (
        f"{one['shortcode']}  {one['state']:6}  {when(one['start'])} to {when(one['end'])}"
        f"  {one['seen']} rows, {one['fresh']} not booked before  {one['code'] or ''}".rstrip()
    )
