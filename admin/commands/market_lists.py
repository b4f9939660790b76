"""`flask market list|show|history|categories`: what there is to bet on, and how the money lies."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands import verdicts
from admin.commands.common import acting, as_json, by, done, opened, show, when
from admin.commands.market import code, market
from core import categories, market_books, market_history, markets, money, proposed, under_way
from core.categories import Category
from core.errors import Refusal
from core.market_books import LIVE, BoardLine
from core.market_history import ChangeLine
from core.markets import MarketView, Status
from core.proposed import Proposed
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
    lines, names, waiting = done(rt, lambda tx: _history(tx, code))
    show([vars(one) for one in lines], as_json, lambda one: _change(one, names))
    if waiting and not as_json:
        click.echo(_pending(code, waiting))


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


def _history(tx: Session, code: int) -> tuple[list[ChangeLine], dict[int, str], Proposed | None]:
    """What was done to a market, the names of its picks, and what waits for a second yes."""
    found = markets.by_code(tx, code, drafts=True)
    if found is None:
        raise Refusal("staff.no_such_market", code=code)
    names = {one.number: one.name for one in found.outcomes}
    return market_history.of_market(tx, found.id), names, proposed.about(tx, found.id)


def _facts(tx: Session, code: int) -> dict[str, Any] | None:
    view = markets.by_code(tx, code, drafts=True)
    if view is None:
        return None
    run = under_way.progress(tx, code)
    book = market_books.book(tx, view)
    waiting = proposed.about(tx, view.id)
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
        "settlement": _run(run, view) if run is not None and run.market_id == view.id else None,
        "proposal": None if waiting is None else vars(waiting),
    }


def _run(run: Progress, view: MarketView) -> dict[str, Any]:
    names = {one.number: one.name for one in view.outcomes}
    return {
        "won": proposed.picks(names, run.winners),
        "withdraws": run.withdraws,
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
    run, waiting, pool = facts["settlement"], facts["proposal"], money.show(facts["pool"])
    lines = [
        f"{facts['code']} {facts['question']} ({facts['status']})",
        f"  {facts['category']}, bet on from {when(facts['opens_at'])} to"
        f" {when(facts['closes_at'])}, fee {facts['fee_bp'] / 100:g}%, stakes"
        f" {money.show(facts['min_stake'])} to {money.show(facts['max_stake'])}",
        f"  pool KES {pool}, imbalance {facts['imbalance_bp'] / 100:.0f}%",
        *(_side(one) for one in facts["outcomes"]),
    ]
    settled = [f"  settlement {run['state']}: {_end(run)}"] if run else []
    waits = [f"  {_pending(facts['code'], Proposed(**waiting))}"] if waiting else []
    return "\n".join([*lines, *settled, *waits])


def _end(run: Mapping[str, Any]) -> str:
    how = f"pick {run['withdraws']} withdrawn" if run["withdraws"] else verdicts.ended(run["won"])
    return f"{how}; paid {money.show(run['paid'])}, given back {money.show(run['refunded'])}"


def _pending(code: int, waiting: Proposed) -> str:
    return (
        f"A {waiting.act} is proposed by {waiting.by} until {when(waiting.expires_at)}:"
        f" see it with market proposal {code}."
    )


def _side(one: Mapping[str, Any]) -> str:
    forgone = f", costs KES {money.show(one['short'])} of the fee" if one["short"] else ""
    return (
        f"  {one['number']}. {one['name']}: {money.show(one['staked'])}"
        f" ({one['share_bp'] / 100:.0f}%, bets {one['bets']}, backers {one['backers']},"
        f" KES 1 brings {money.show(one['estimate'])}{forgone})"
    )


def _change(one: Mapping[str, Any], picks: Mapping[int, str]) -> str:
    before, after = one["before"], one["after"]
    changed = []
    for name in sorted(before.keys() | after.keys()):
        now = _fact(name, after.get(name, "-"), picks)
        was = f"{_fact(name, before[name], picks)} > " if name in before else ""
        changed.append(f"{name} {was}{now}")
    why = f" ({one['reason']})" if one["reason"] else ""
    return f"{when(one['at'])} {one['by'] or 'the clock'}: {one['what']}{why} {', '.join(changed)}"


def _fact(name: str, fact: Any, picks: Mapping[int, str]) -> str:
    """What was kept as JSON, as people read it."""
    if name in ("min_stake", "max_stake") and isinstance(fact, int):
        return f"KES {money.show(fact)}"
    if name in ("opens_at", "closes_at", "effective_close") and fact not in (None, "-"):
        return when(datetime.fromisoformat(fact))
    if name == "winners" and isinstance(fact, list):
        return verdicts.listed(proposed.picks(picks, fact))
    return ", ".join(map(str, fact)) if isinstance(fact, list) else str(fact)
