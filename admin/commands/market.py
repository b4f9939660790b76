"""`flask market`: markets, from the draft to the result that two people stand by."""

from datetime import datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands.common import Moment, acting, as_json, by, done, opened, show
from core import markets, money, settlement
from core.markets import Market, MarketView
from core.settlement import Preview, SettlementState

code = click.argument("code", type=int)


@click.group()
def market() -> None:
    """Markets."""


@market.command()
@click.argument("question")
@click.option("--outcome", "outcomes", multiple=True, required=True, help="Two to eight of them.")
@click.option("--category", default="Other")
@click.option("--opens", type=Moment(), default="now")
@click.option("--closes", type=Moment(), required=True)
@by
@as_json
def create(
    question: str,
    outcomes: tuple[str, ...],
    category: str,
    opens: datetime,
    closes: datetime,
    name: str,
    as_json: bool,
) -> None:
    """Draft a market on QUESTION."""
    rt = opened()

    def work(tx: Session) -> Market:
        return markets.create(
            tx,
            question=question,
            outcomes=outcomes,
            category=category,
            opens_at=opens,
            closes_at=closes,
            by=acting(rt, tx, name),
            now=rt.now(),
            config=rt.config,
        )

    drafted = done(rt, work)
    facts = {"id": drafted.id, "code": drafted.code, "question": drafted.question}
    show(facts, as_json, lambda one: f"Market {one['code']} is drafted: {one['question']}")


@market.command("open")
@code
@by
def open_up(code: int, name: str) -> None:
    """Let the draft be bet on."""
    rt = opened()
    done(rt, lambda tx: markets.open_up(tx, code, by=acting(rt, tx, name)))
    click.echo(f"Market {code} is open.")


@market.command()
@code
@by
def close(code: int, name: str) -> None:
    """Stop the betting now."""
    rt = opened()
    done(rt, lambda tx: markets.close(tx, code, by=acting(rt, tx, name)))
    click.echo(f"Market {code} is closed.")


@market.command()
@code
@click.option("--winner", type=int, required=True, help="The number of the outcome that won.")
@click.option("--source", required=True, help="Where the result comes from.")
@by
@as_json
def propose(code: int, winner: int, source: str, name: str, as_json: bool) -> None:
    """Put a result before a second person."""
    _propose(code, winner, source, name, as_json)


@market.command()
@code
@click.option("--source", required=True, help="Why every stake goes back.")
@by
@as_json
def void(code: int, source: str, name: str, as_json: bool) -> None:
    """Propose to void the market."""
    _propose(code, None, source, name, as_json)


@market.command()
@code
@click.option("--hash", "seen_hash", required=True, help="Of the preview you have seen.")
@by
@as_json
def approve(code: int, seen_hash: str, name: str, as_json: bool) -> None:
    """Stand by the proposed result, as the second person."""
    rt = opened()
    approved = done(
        rt,
        lambda tx: settlement.approve(
            tx,
            code,
            seen_hash=seen_hash,
            by=acting(rt, tx, name),
            now=rt.now(),
            config=rt.config,
        ),
    )
    facts = {"settlement": approved.id, "due_at": approved.due_at}
    show(facts, as_json, lambda one: f"Market {code} will be settled from {one['due_at']} on.")


@market.command()
@code
@by
def refuse(code: int, name: str) -> None:
    """Say no to the proposed result."""
    rt = opened()
    done(rt, lambda tx: settlement.refuse(tx, code, by=acting(rt, tx, name), now=rt.now()))
    click.echo(f"The result of market {code} is refused.")


@market.command("show")
@code
@as_json
def show_one(code: int, as_json: bool) -> None:
    """Show a market, its pool, and how far its settlement is."""
    rt = opened()
    facts = done(rt, lambda tx: _facts(tx, code))
    if facts is None:
        raise click.ClickException(f"There is no market {code}.")
    show(facts, as_json, _told)


def _propose(code: int, winner: int | None, source: str, name: str, as_json: bool) -> None:
    rt = opened()

    def work(tx: Session) -> Preview:
        _, seen = settlement.propose(
            tx,
            code,
            winner=winner,
            source=source,
            by=acting(rt, tx, name),
            now=rt.now(),
            config=rt.config,
        )
        return seen

    seen = done(rt, work)
    facts = {
        "hash": seen.hash,
        "bets": seen.bets,
        "pool": seen.pool,
        "fee": seen.fee,
        "gross": seen.gross,
        "refunding": seen.refunding,
        "largest": seen.largest,
    }
    show(
        facts,
        as_json,
        lambda one: (
            f"{one['bets']} bets, pool {money.show(one['pool'])}, fee"
            f" {money.show(one['fee'])}, to be paid {money.show(one['gross'])}"
            f"{' (all stakes go back)' if one['refunding'] else ''}.\nhash {one['hash']}"
        ),
    )


def _facts(tx: Session, code: int) -> dict[str, Any] | None:
    view = markets.by_code(tx, code)
    if view is None:
        return None
    run = settlement.progress(tx, code)
    return {
        "code": view.code,
        "question": view.question,
        "category": view.category,
        "status": view.status.name.lower(),
        "opens_at": view.opens_at,
        "closes_at": view.closes_at,
        "pool": view.pool,
        "outcomes": _outcomes(view),
        "settlement": run
        and {
            "id": run.id,
            "state": SettlementState(run.state).name.lower(),
            "pool": run.pool,
            "fee": run.fee,
            "paid": run.paid,
            "refunded": run.refunded,
        },
    }


def _outcomes(view: MarketView) -> list[dict[str, Any]]:
    return [{"number": one.number, "name": one.name, "staked": one.staked} for one in view.outcomes]


def _told(facts: Any) -> str:
    outcomes = (
        f"  {one['number']}. {one['name']}: {money.show(one['staked'])}"
        for one in facts["outcomes"]
    )
    run = facts["settlement"]
    settled = [f"  settlement {run['state']}, paid {money.show(run['paid'])}"] if run else []
    first = f"{facts['code']} {facts['question']} ({facts['status']})"
    return "\n".join([first, *outcomes, *settled])
