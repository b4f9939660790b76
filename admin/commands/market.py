"""`flask market`: what a trader does alone, from the draft to the close."""

from datetime import datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands.common import Moment, Shillings, acting, as_json, by, done, opened, show, when
from core import drafts, markets, trading
from core.markets import Market

code = click.argument("code", type=int)


@click.group()
def market() -> None:
    """Markets."""


@market.command()
@click.argument("question")
@click.option("--outcome", "outcomes", multiple=True, required=True, help="Two to eight of them.")
@click.option("--category", default="Other", help="One of `market categories`.")
@click.option("--opens", type=Moment(), default="now", help="When it may be bet on, once opened.")
@click.option("--closes", type=Moment(), required=True)
@click.option("--min-stake", type=Shillings(), help="The house's own if it is not given.")
@click.option("--max-stake", type=Shillings(), help="The house's own if it is not given.")
@by
@as_json
def create(
    question: str,
    outcomes: tuple[str, ...],
    category: str,
    opens: datetime,
    closes: datetime,
    min_stake: int | None,
    max_stake: int | None,
    name: str,
    as_json: bool,
) -> None:
    """Draft a market on QUESTION."""
    rt = opened()

    def work(tx: Session) -> Market:
        return drafts.create(
            tx,
            question=question,
            outcomes=outcomes,
            category=category,
            opens_at=opens,
            closes_at=closes,
            min_stake=min_stake,
            max_stake=max_stake,
            by=acting(rt, tx, name),
            now=rt.now(),
            config=rt.config,
        )

    drafted = done(rt, work)
    facts = {"id": drafted.id, "code": drafted.code, "question": drafted.question}
    show(facts, as_json, lambda one: f"Market {one['code']} is drafted: {one['question']}")


@market.command()
@code
@click.option("--question")
@click.option("--outcome", "outcomes", multiple=True, help="All of them anew.")
@click.option("--category")
@click.option("--opens", "opens_at", type=Moment())
@click.option("--closes", "closes_at", type=Moment())
@click.option("--min-stake", type=Shillings())
@click.option("--max-stake", type=Shillings())
@by
def edit(code: int, name: str, outcomes: tuple[str, ...], **changes: Any) -> None:
    """Change what is given of a draft."""
    rt = opened()
    changes["outcomes"] = outcomes or None

    def work(tx: Session) -> Market:
        who = acting(rt, tx, name)
        return drafts.edit(tx, code, by=who, now=rt.now(), config=rt.config, **changes)

    edited = done(rt, work)
    click.echo(f"Market {code} is changed: {edited.question}")


@market.command("open")
@code
@by
def open_up(code: int, name: str) -> None:
    """Let the draft be bet on, from its opening time on."""
    rt = opened()
    ready = done(rt, lambda tx: drafts.open_up(tx, code, by=acting(rt, tx, name), now=rt.now()))
    waits = f" It can be bet on from {when(ready.opens_at)}." if ready.opens_at > rt.now() else ""
    click.echo(f"Market {code} is open.{waits}")


@market.command()
@code
@by
def close(code: int, name: str) -> None:
    """Stop the betting now, for good."""
    rt = opened()
    done(rt, lambda tx: markets.close(tx, code, by=acting(rt, tx, name)))
    click.echo(f"Market {code} is closed.")


@market.command()
@code
@click.option("--reason", required=True, help="Why; it is kept.")
@by
def suspend(code: int, reason: str, name: str) -> None:
    """Pause the betting at once."""
    rt = opened()
    done(rt, lambda tx: trading.suspend(tx, code, reason=reason, by=acting(rt, tx, name)))
    click.echo(f"Betting on market {code} is paused.")


@market.command()
@code
@click.option("--reason", default="", help="Why; it is kept.")
@by
def resume(code: int, reason: str, name: str) -> None:
    """Go on with the betting."""
    rt = opened()
    done(
        rt,
        lambda tx: trading.resume(tx, code, reason=reason, by=acting(rt, tx, name), now=rt.now()),
    )
    click.echo(f"Betting on market {code} goes on.")


@market.command()
@code
@click.option("--closes", type=Moment(), required=True, help="The new closing time.")
@click.option("--reason", required=True, help="Why; it is kept.")
@by
def move(code: int, closes: datetime, reason: str, name: str) -> None:
    """Move the closing time; whoever has bet on it is told by SMS."""
    rt = opened()

    def work(tx: Session) -> Market:
        who = acting(rt, tx, name)
        return trading.move(tx, code, closes_at=closes, reason=reason, by=who, now=rt.now())

    moved = done(rt, work)
    click.echo(f"Market {code} closes {when(moved.closes_at)}. Its backers are told.")
