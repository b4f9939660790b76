"""`flask treasury`: the house's own money, M-PESA's tariff, and the closing of days."""

import csv
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands.common import Moment, Shillings, acting, as_json, by, done, opened, show, when
from core import days, ledger, money, tariffs, treasury
from core.ledger import AccountKind
from core.say import NAIROBI
from core.tariffs import TariffBand

DAY = click.DateTime(["%Y-%m-%d"])
OWED = (
    AccountKind.WALLET,
    AccountKind.POOL,
    AccountKind.PAYOUTS_PENDING,
    AccountKind.REFUND_DUE,
    AccountKind.SUSPENSE,
)


@click.group("treasury")
def house() -> None:
    """The house's own money."""


@house.command("propose")
@click.argument("act", type=click.Choice(sorted(treasury.ACTS)))
@click.argument("amount", type=Shillings())
@click.option("--ref", "reference", required=True, help="The bank's or M-PESA's reference.")
@click.option("--shortcode", default="", help="Of M-PESA, where its money moves.")
@click.option(
    "--date", "value_date", type=DAY, metavar="DAY", help="The value date; today if left out."
)
@click.option("--note", required=True, help="Why.")
@by
def propose(
    act: str,
    amount: int,
    reference: str,
    shortcode: str,
    value_date: datetime | None,
    note: str,
    name: str,
) -> None:
    """Put a move of money before a second person."""
    rt = opened()
    today = rt.now().astimezone(NAIROBI)
    proposal = done(
        rt,
        lambda tx: treasury.propose(
            tx,
            act,
            amount=money.Cents(amount),
            shortcode=shortcode,
            value_date=(value_date or today).date(),
            reference=reference,
            note=note,
            by=acting(rt, tx, name),
            now=rt.now(),
            config=rt.config,
        ),
    )
    click.echo(f"proposed: {proposal.content_hash}")


@house.command("approve")
@click.argument("reference")
@click.argument("seen_hash")
@by
def approve(reference: str, seen_hash: str, name: str) -> None:
    """Give the second yes to what is proposed under REFERENCE."""
    rt = opened()
    entry = done(
        rt,
        lambda tx: treasury.approve(
            tx,
            reference,
            seen_hash=seen_hash,
            by=acting(rt, tx, name),
            now=rt.now(),
            config=rt.config,
        ),
    )
    click.echo(f"posted: {entry.act} {money.show(entry.amount)}")


@house.command("refuse")
@click.argument("reference")
@by
def refuse(reference: str, name: str) -> None:
    """Say no to what is proposed under REFERENCE."""
    rt = opened()
    done(rt, lambda tx: treasury.refuse(tx, reference, by=acting(rt, tx, name), now=rt.now()))
    click.echo("refused")


@house.command("list")
@as_json
def listed(as_json: bool) -> None:
    """Show what waits, and what was posted lately."""
    show(done(opened(), _listed), as_json, _move, none="Nothing proposed, nothing posted.")


@house.command("balance")
@click.option("--before", type=Moment(), help="As the books were at this moment; now if left out.")
@as_json
def balance(before: datetime | None, as_json: bool) -> None:
    """Show the trial balance, and the customers' money against the float."""
    rt = opened()
    lines = done(rt, lambda tx: _balance(tx, before or rt.now()))
    if not as_json:
        click.echo(_columns("account", "shortcode", "debits", "credits"))
    show(lines, as_json, _balance_line)


@house.command("close-day")
@click.argument("day", metavar="DAY", type=DAY)
@click.option("--hash", "seen_hash", help="The second yes names what it saw.")
@by
def close_day(day: datetime, seen_hash: str | None, name: str) -> None:
    """Propose to close DAY, such as 2026-11-20; with --hash, approve it."""
    rt = opened()
    if seen_hash is None:
        proposal = done(
            rt,
            lambda tx: days.propose(
                tx, day.date(), by=acting(rt, tx, name), now=rt.now(), config=rt.config
            ),
        )
        click.echo(_to_sign(proposal.content))
        click.echo(f"proposed: {proposal.content_hash}")
        return
    closed = done(
        rt,
        lambda tx: days.approve(
            tx, day.date(), seen_hash=seen_hash, by=acting(rt, tx, name), now=rt.now()
        ),
    )
    click.echo(f"closed: {closed.day}")


@house.command("tariff")
@click.argument("bands", nargs=-1)
@click.option("--from", "starts", type=Moment(), help="When new bands begin.")
@click.option("--hash", "seen_hash", help="The second yes to the proposed bands.")
@click.option("--note", default="", help="Where they come from.")
@click.option("--as", "name", metavar="NAME", help="Who of the staff does it.")
def tariff(
    bands: tuple[str, ...],
    starts: datetime | None,
    seen_hash: str | None,
    note: str,
    name: str | None,
) -> None:
    """Show the tariff; propose BANDS (`100=0 1500=5`, shillings); approve them with --hash."""
    _check_tariff(bands, starts, seen_hash, name)
    rt = opened()
    if seen_hash and name:
        done(
            rt,
            lambda tx: tariffs.approve(
                tx, seen_hash=seen_hash, by=acting(rt, tx, name), now=rt.now()
            ),
        )
    elif bands and starts and name:
        proposal = done(
            rt,
            lambda tx: tariffs.propose(
                tx,
                _bands(bands),
                starts=starts,
                note=note,
                by=acting(rt, tx, name),
                now=rt.now(),
                config=rt.config,
            ),
        )
        click.echo(f"proposed: {proposal.content_hash}")
    told = [_band(band) for band in done(rt, tariffs.bands)]
    click.echo("\n".join(told) or "There is no tariff.")


@house.command("report")
@click.option("--from", "since", type=DAY, metavar="DAY", required=True)
@click.option("--to", "until", type=DAY, metavar="DAY", required=True)
def report(since: datetime, until: datetime) -> None:
    """Print what moved by DAY, such as 2026-11-20, as CSV in shillings."""
    rows = done(opened(), lambda tx: days.report(tx, since=since.date(), until=until.date()))
    out = csv.writer(sys.stdout)
    out.writerow(["day", *days.COLUMNS])
    for day, sums in rows:
        out.writerow(
            [day, *(f"{sums[name] // 100}.{sums[name] % 100:02}" for name in days.COLUMNS)]
        )


def _listed(tx: Session) -> list[dict[str, Any]]:
    waiting = [
        {"state": "waits", **one.content, "hash": one.content_hash} for one in treasury.waiting(tx)
    ]
    posted = [
        {
            "state": "posted",
            "act": one.act,
            "amount": one.amount,
            "value_date": one.value_date,
            "reference": one.reference,
        }
        for one in treasury.entries(tx)
    ]
    return [*waiting, *posted]


def _balance(tx: Session, before: datetime) -> list[dict[str, Any]]:
    lines = [
        {
            "account": one.kind.name,
            "shortcode": one.shortcode,
            "debits": money.show(one.debits),
            "credits": money.show(one.credits),
        }
        for one in days.trial_balance(tx, before=before)
    ]
    owed = sum(ledger.total(tx, kind) for kind in OWED)
    float_held = ledger.total(tx, AccountKind.MPESA_UTILITY)
    return [
        *lines,
        {"account": "owed to customers now", "cents": money.show(owed)},
        {"account": "utility float now", "cents": money.show(float_held)},
    ]


def _move(one: Mapping[str, Any]) -> str:
    facts = (
        f"{one['state']:6} {one['value_date']} {one['act']:18} KES {money.show(one['amount']):>14}",
        f"{one['reference']}",
        f"of {one['shortcode']}" if one.get("shortcode") else "",
        f"hash {one['hash']}" if "hash" in one else "",
    )
    return "  ".join(fact for fact in facts if fact)


def _balance_line(one: Mapping[str, Any]) -> str:
    if "cents" in one:
        return f"{one['account']:48} {one['cents']:>20}"
    return _columns(one["account"], one["shortcode"], one["debits"], one["credits"])


def _to_sign(content: Mapping[str, Any]) -> str:
    """The trial balance that a closed day will keep."""
    lines = [
        _columns(kind, shortcode, money.show(int(debits)), money.show(int(credits)))
        for kind, shortcode, debits, credits in content["lines"]
    ]
    total = money.show(content["total"])
    head = _columns("account", "shortcode", "debits", "credits")
    return "\n".join([head, *lines, _columns("total", "", total, total)])


def _columns(account: str, shortcode: str, debits: str, credits: str) -> str:
    return f"{account:20} {shortcode:10} {debits:>18} {credits:>18}"


def _band(band: TariffBand) -> str:
    cost = f"up to {money.show(band.upto)}: {money.show(band.charge)}"
    return f"{when(band.from_at)}  {cost}"


def _check_tariff(
    bands: tuple[str, ...], starts: datetime | None, seen_hash: str | None, name: str | None
) -> None:
    """Say what is missing: nothing at all only shows the tariff."""
    if bands and seen_hash:
        raise click.UsageError("Give either bands to propose or the --hash of those to approve.")
    if bands and not starts:
        raise click.UsageError("Say with --from when these bands begin.")
    if starts and not bands:
        raise click.UsageError("Say which bands begin then: 100=0 1500=5, in shillings.")
    if (bands or seen_hash) and not name:
        raise click.UsageError("Say with --as who does it.")


def _bands(pairs: tuple[str, ...]) -> dict[money.Cents, money.Cents]:
    try:
        sides = [pair.split("=", 1) for pair in pairs]
        return {money.Cents(int(upto) * 100): money.Cents(int(cost) * 100) for upto, cost in sides}
    except ValueError:
        raise click.BadParameter("bands are written 100=0 1500=5, in shillings") from None
