"""`flask customer`: who somebody is to the house, and every shilling of theirs."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands.common import Moment, as_json, done, opened, show, when
from core import customers, debts, explain, ledger, money, phone, statement
from core.customers import Standing
from core.explain import Explanation
from core.statement import Kind, Line, Period, State


@click.group()
def customer() -> None:
    """Who somebody is to the house."""


@customer.command("show")
@click.argument("number")
@as_json
def show_one(number: str, as_json: bool) -> None:
    """Show the customer with this phone NUMBER, in any of its forms."""
    rt = opened()
    facts = done(rt, lambda tx: _facts(tx, phone.read(number)))
    if facts is None:
        raise click.ClickException("Nobody has this number.")
    show(facts, as_json, lambda one: "\n".join(_fact(name, one[name]) for name in one))


@customer.command("debts")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True)
@as_json
def who_owes(limit: int, as_json: bool) -> None:
    """List the customers who owe the house after a correction, the most first."""
    lines = done(opened(), lambda tx: debts.largest(tx, limit=limit))
    rows = [vars(one) | {"phone": phone.mask(one.phone)} for one in lines]
    show(rows, as_json, _debt, none="Nobody owes anything.")


@customer.command("explain")
@click.argument("number")
@click.option("--since", type=Moment(), help="Show the lines from then on; all are proved.")
@as_json
def explain_balance(number: str, since: datetime | None, as_json: bool) -> None:
    """Trace every shilling of the wallet of NUMBER. Exits with 1 if one cannot be explained."""
    if not done(opened(), lambda tx: _explained(tx, number, since, as_json)):
        raise SystemExit(1)


@customer.command("statement")
@click.argument("number")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="Only these.")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only these.")
@click.option("--period", type=click.Choice([period.value for period in Period]))
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
@as_json
def statement_of(
    number: str, kind: str | None, state: str | None, period: str | None, limit: int, as_json: bool
) -> None:
    """Show the statement of NUMBER as the customer has it, newest first."""
    rt = opened()

    def work(tx: Session) -> list[dict[str, Any]]:
        found = statement.page(
            tx,
            _somebody(tx, number),
            kind=None if kind is None else Kind(kind),
            state=None if state is None else State(state),
            since=None if period is None else Period(period).since(rt.now()),
            limit=limit,
        )
        return [_told(line) for line in found.lines]

    show(done(rt, work), as_json, lambda one: str(one["words"]))


def _somebody(tx: Session, number: str) -> int:
    found = customers.find(tx, phone.read(number))
    if found is None:
        raise click.ClickException("Nobody has this number.")
    return found.id


def _told(line: Line) -> dict[str, Any]:
    return vars(line) | {"words": line.words("en", long=True)}


def _explained(tx: Session, number: str, since: datetime | None, as_json: bool) -> bool:
    """Print the lines as they are walked, for there may be very many; whether all is well."""
    explain.snapshot(tx)
    story = Explanation(tx, _somebody(tx, number), since)
    for text in _as_json(story) if as_json else _as_text(story):
        click.echo(text)
    return not story.problems and not story.faults


def _as_json(story: Explanation) -> Iterator[str]:
    yield '{"lines": ['
    comma = ""
    for line in story.lines():
        yield comma + json.dumps(vars(line), default=str, ensure_ascii=False)
        comma = ","
    figures = {name: getattr(story, name) for name in FIGURES}
    yield f"], {json.dumps(figures, ensure_ascii=False)[1:]}"


def _as_text(story: Explanation) -> Iterator[str]:
    for line in story.lines():
        yield (
            f"{line.seq:6} {when(line.at)} {line.kind:11} {_shillings(line.amount, '+'):>14}"
            f" {_shillings(line.balance):>14}  {_listed(line.origin)}"
        )
        yield from (f"       PROBLEM: {problem}" for problem in line.problems)
    yield f"{story.count} lines come to {_shillings(story.recomputed)}."
    yield f"The wallet has {_shillings(story.balance)}; owed to the house {_shillings(story.owed)}."
    yield from (f"PROBLEM: {fault}" for fault in story.faults)
    yield f"Lines with problems: {story.problems}."


FIGURES = ("opening", "recomputed", "balance", "owed", "count", "problems", "faults")


def _shillings(cents: int, sign: str = "-") -> str:
    return f"{Decimal(cents) / 100:{sign},.2f}"


def _listed(origin: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_shown(fact)}" for name, fact in origin.items())


def _fact(name: str, fact: object) -> str:
    return f"{name:12} {_shown(fact)}"


def _shown(fact: object) -> object:
    return when(fact) if isinstance(fact, datetime) else fact


def _debt(one: Mapping[str, Any]) -> str:
    owes, has = money.show(one["owed"]), money.show(one["balance"])
    return f"{one['name'] or '-':40} {one['phone']:14} owes KES {owes:>10}, has KES {has}"


def _facts(tx: Session, number: str) -> dict[str, object] | None:
    found = customers.find(tx, number)
    if found is None:
        return None
    return {
        "id": found.id,
        "phone": found.phone,
        "name": found.name,
        "language": found.lang,
        "standing": Standing(found.standing).name.lower(),
        "next_step": customers.next_step(found).name.lower(),
        "verified_at": found.kyc_verified_at,
        "auto_cashout": found.auto_cashout,
        "balance": money.show(ledger.balance(tx, found.id)),
        "owed": money.show(ledger.owed(tx, found.id)),
        "since": found.created_at,
    }
