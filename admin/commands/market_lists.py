"""`flask market list|show|history|categories`: what there is to bet on, and how the money lies."""

from collections.abc import Mapping
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands.common import acting, as_json, by, done, opened, show, when
from admin.commands.market import code, market
from core import categories, market_books, market_history, markets, money, under_way
from core.categories import Category
from core.errors import Refusal
from core.market_books import LIVE, BoardLine
from core.market_history import ChangeLine
from core.markets import Status
from core.under_way import Progress

STATUSES = [status.name.lower() for status in Status]


@market.command("list")
@click.option("--status", "only", type=click.Choice(STATUSES), multiple=True)
@click.option("--category", help="One of `market categories`.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@as_json
def list_all(only: tuple[str, ...], category: str | None, limit: int, as_json: bool) -> None:
    """List the markets that are not over, those that close next first."""
    rt = opened()
    statuses = [Status[name.upper()] for name in only] or LIVE

    def work(tx: Session) -> list[BoardLine]:
        kind = None if category is None else _category(tx, category).name
        return market_books.board(tx, statuses=statuses, category=kind, limit=limit)

    lines = [vars(line) | {"status": line.status.name.lower()} for line in done(rt, work)]
    if not lines and not as_json:
        click.echo("There are none.")
    show(lines, as_json, _listed)


@market.command("show")
@code
@as_json
def show_one(code: int, as_json: bool) -> None:
    """Show a market, how the money lies on it, and how far its settlement is."""
    rt = opened()
    facts = done(rt, lambda tx: _facts(tx, code))
    if facts is None:
        raise click.ClickException(f"There is no market {code}.")
    show(facts, as_json, _told)


@market.command()
@code
@as_json
def history(code: int, as_json: bool) -> None:
    """Show what was done to a market, by whom and why."""
    rt = opened()
    found = done(rt, lambda tx: [vars(one) for one in _history(tx, code)])
    show(found, as_json, _change)


@market.command("categories")
@as_json
def every_category(as_json: bool) -> None:
    """List what customers may browse by, in both languages."""
    rt = opened()
    found = done(rt, categories.every)
    facts = [{"name": one.name, "name_sw": one.name_sw} for one in found]
    show(facts, as_json, lambda one: f"{one['name']} / {one['name_sw']}")


@market.command("add-category")
@click.argument("english")
@click.argument("kiswahili")
@by
def add_category(english: str, kiswahili: str, name: str) -> None:
    """Add a category, by its name in ENGLISH and in KISWAHILI."""
    rt = opened()
    added = done(rt, lambda tx: categories.add(tx, english, kiswahili, by=acting(rt, tx, name)))
    click.echo(f"{added.name} / {added.name_sw} is a category.")


def _category(tx: Session, typed: str) -> Category:
    known = categories.every(tx)
    found = categories.named(known, typed)
    if found is None:
        names = ", ".join(one.name for one in known)
        raise Refusal("staff.no_such_category", name=typed, categories=names)
    return found


def _history(tx: Session, code: int) -> list[ChangeLine]:
    found = markets.by_code(tx, code, drafts=True)
    if found is None:
        raise Refusal("staff.no_such_market", code=code)
    return market_history.of_market(tx, found.id)


def _facts(tx: Session, code: int) -> dict[str, Any] | None:
    view = markets.by_code(tx, code, drafts=True)
    if view is None:
        return None
    run = under_way.progress(tx, code)
    book = market_books.book(tx, view)
    return {
        "code": view.code,
        "question": view.question,
        "category": view.category,
        "status": view.status.name.lower(),
        "opens_at": view.opens_at,
        "closes_at": view.closes_at,
        "fee_bp": view.fee_bp,
        "min_stake": view.min_stake,
        "max_stake": view.max_stake,
        "pool": view.pool,
        "imbalance_bp": book.imbalance_bp,
        "outcomes": [
            vars(side) | {"name": one.name, "staked": one.staked, "estimate": one.estimate}
            for one, side in zip(view.outcomes, book.sides, strict=True)
        ],
        # A code may have belonged to an older market, whose settlement is none of this one's.
        "settlement": _run(run) if run is not None and run.market_id == view.id else None,
    }


def _run(run: Progress) -> dict[str, Any]:
    return {
        "id": run.id,
        "state": run.state.name.lower(),
        "pool": run.pool,
        "fee": run.fee,
        "paid": run.paid,
        "refunded": run.refunded,
    }


def _listed(line: Mapping[str, Any]) -> str:
    closes, pool = when(line["closes_at"]), money.show(line["pool"])
    return f"{line['code']:>6} {line['status']:<9} {closes}  KES {pool:<12} {line['question']}"


def _told(facts: Mapping[str, Any]) -> str:
    run, pool = facts["settlement"], money.show(facts["pool"])
    lines = [
        f"{facts['code']} {facts['question']} ({facts['status']})",
        f"  {facts['category']}, bet on from {when(facts['opens_at'])} to"
        f" {when(facts['closes_at'])}, fee {facts['fee_bp'] / 100:g}%, stakes"
        f" {money.show(facts['min_stake'])} to {money.show(facts['max_stake'])}",
        f"  pool KES {pool}, imbalance {facts['imbalance_bp'] / 100:.0f}%",
        *(_side(one) for one in facts["outcomes"]),
    ]
    settled = [f"  settlement {run['state']}, paid {money.show(run['paid'])}"] if run else []
    return "\n".join([*lines, *settled])


def _side(one: Mapping[str, Any]) -> str:
    forgone = f", costs KES {money.show(one['short'])} of the fee" if one["short"] else ""
    return (
        f"  {one['number']}. {one['name']}: {money.show(one['staked'])}"
        f" ({one['share_bp'] / 100:.0f}%, bets {one['bets']}, backers {one['backers']},"
        f" KES 1 brings {money.show(one['estimate'])}{forgone})"
    )


def _change(one: Mapping[str, Any]) -> str:
    names = sorted(one["before"].keys() | one["after"].keys())
    changed = (f"{n} {one['before'].get(n, '-')} > {one['after'].get(n, '-')}" for n in names)
    why = f" ({one['reason']})" if one["reason"] else ""
    return f"{when(one['at'])} {one['by'] or 'the clock'}: {one['what']}{why} {', '.join(changed)}"
