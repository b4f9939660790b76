"""`flask market propose|approve|...`: how a market ends, by two people, and how far that is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands import verdicts
from admin.commands.common import Moment, acting, as_json, by, done, opened, show, when
from admin.commands.market import code, market
from core import corrections, decisions, money, proposed, under_way
from core.withdrawn_outcomes import WithdrawalPreview

source = click.option("--source", required=True, help="Where this comes from; it is kept.")
reason = click.option("--reason", required=True, help="Why; it is kept.")
winners = click.option(
    "--winner", "winners", type=int, multiple=True, help="Its number; several for a dead heat."
)
cut_off = click.option(
    "--effective-close", type=Moment(), help="Bets made after it go back: the result was known."
)


@market.command()
@code
@winners
@cut_off
@source
@by
@as_json
def propose(
    code: int,
    winners: tuple[int, ...],
    effective_close: datetime | None,
    source: str,
    name: str,
    as_json: bool,
) -> None:
    """Put a result before a second person."""
    if not winners:
        raise click.UsageError("Say who won with --winner, or `market void` it.")
    facts = {"winners": winners, "effective_close": effective_close, "source": source}
    _put(decisions.propose, code, name, as_json, facts)


@market.command()
@code
@source
@by
@as_json
def void(code: int, source: str, name: str, as_json: bool) -> None:
    """Propose to void the market, as long as nothing has been paid."""
    _put(decisions.propose, code, name, as_json, {"winners": (), "source": source})


@market.command()
@code
@winners
@click.option("--void", is_flag=True, help="There was no result: every stake goes back.")
@click.option("--no-effective-close", "drop", is_flag=True, help="Bets that were too late count.")
@cut_off
@source
@by
@as_json
def correct(
    code: int,
    winners: tuple[int, ...],
    void: bool,
    drop: bool,
    effective_close: datetime | None,
    source: str,
    name: str,
    as_json: bool,
) -> None:
    """Propose another result for a settled market: what was given is taken back first."""
    if bool(winners) == void:
        raise click.UsageError("Give either --winner or --void.")
    facts = {
        "winners": winners,
        "effective_close": effective_close,
        "drop_cut_off": drop,
        "source": source,
    }
    _put(corrections.propose, code, name, as_json, facts)


@market.command()
@code
@click.option("--outcome", type=int, required=True, help="Its number.")
@source
@by
@as_json
def withdraw(code: int, outcome: int, source: str, name: str, as_json: bool) -> None:
    """Propose to withdraw an outcome: its stakes go back, and the market goes on."""
    rt = opened()

    def work(tx: Session) -> WithdrawalPreview:
        _, seen = decisions.withdraw(
            tx,
            code,
            outcome=outcome,
            source=source,
            by=acting(rt, tx, name),
            now=rt.now(),
            config=rt.config,
        )
        return seen

    seen = done(rt, work)
    facts = {"hash": seen.hash, "outcome": seen.name, "bets": seen.bets, "staked": seen.staked}
    show(facts, as_json, _withdrawn)


@market.command()
@code
@as_json
def proposal(code: int, as_json: bool) -> None:
    """Show what waits for its second yes, and what it would do as things are now."""
    rt = opened()
    show(done(rt, lambda tx: verdicts.waiting(tx, code, rt.now())), as_json, _waits)


@market.command()
@code
@click.option("--hash", "seen_hash", required=True, help="Of the preview you have seen.")
@by
@as_json
def approve(code: int, seen_hash: str, name: str, as_json: bool) -> None:
    """Stand by what is proposed, as the second person."""
    rt = opened()
    approved = done(
        rt,
        lambda tx: decisions.approve(
            tx,
            code,
            seen_hash=seen_hash,
            by=acting(rt, tx, name),
            now=rt.now(),
            config=rt.config,
        ),
    )
    facts = {"settlement": approved.id, "due_at": approved.due_at}
    show(
        facts, as_json, lambda one: f"Market {code} will be settled from {when(one['due_at'])} on."
    )


@market.command()
@code
@click.option("--reason", default="", help="Why; it is kept.")
@by
def refuse(code: int, reason: str, name: str) -> None:
    """Say no to what is proposed."""
    rt = opened()
    done(
        rt,
        lambda tx: decisions.refuse(tx, code, by=acting(rt, tx, name), now=rt.now(), reason=reason),
    )
    click.echo(f"What was proposed about market {code} is refused.")


@market.command("pause-settlement")
@code
@reason
@by
def pause(code: int, reason: str, name: str) -> None:
    """Pay nothing more of this market for now."""
    rt = opened()
    done(rt, lambda tx: under_way.pause(tx, code, reason=reason, by=acting(rt, tx, name)))
    click.echo(f"The settlement of market {code} is paused.")


@market.command("resume-settlement")
@code
@reason
@by
def resume(code: int, reason: str, name: str) -> None:
    """Go on with a paused settlement."""
    rt = opened()
    done(rt, lambda tx: under_way.resume(tx, code, reason=reason, by=acting(rt, tx, name)))
    click.echo(f"The settlement of market {code} goes on.")


@market.command()
@code
@as_json
def progress(code: int, as_json: bool) -> None:
    """Show how far a market's settlement is."""
    rt = opened()
    found = done(rt, lambda tx: under_way.progress(tx, code))
    if found is None:
        raise click.ClickException(f"Market {code} has no settlement.")
    show(vars(found) | {"state": found.state.name.lower()}, as_json, _how_far)


def _put(propose: Any, code: int, name: str, as_json: bool, facts: Mapping[str, Any]) -> None:
    rt = opened()

    def work(tx: Session) -> dict[str, Any]:
        who = acting(rt, tx, name)
        _, seen = propose(tx, code, by=who, now=rt.now(), config=rt.config, **facts)
        return verdicts.facts(seen, proposed.verdict(tx, seen.content))

    show(done(rt, work), as_json, verdicts.previewed)


def _waits(one: Mapping[str, Any]) -> str:
    lapses = "lapsed" if one["lapsed"] else "lapses"
    changed = "\nThe book has changed since: refuse it and propose it again."
    return (
        f"Market {one['code']}, {one['act']} proposed by {one['by']} at {when(one['at'])};"
        f" {lapses} {when(one['expires_at'])}. Source: {one['source']}\n"
        f"{_withdrawn(one) if one['act'] == 'withdrawal' else verdicts.previewed(one)}"
        f"{changed if one['changed'] else ''}"
    )


def _withdrawn(one: Mapping[str, Any]) -> str:
    return (
        f"{one['outcome']}: {one['bets']} bets so far, {money.show(one['staked'])} to go back."
        f"\nhash {one['hash']}"
    )


def _how_far(one: Mapping[str, Any]) -> str:
    back = (
        f"\n  taken back {money.show(one['reversed'])} of {money.show(one['to_reverse'])}"
        if one["corrects"]
        else ""
    )
    stopped = f" (paused by {one['paused_by'] or 'the house'})" if one["paused_at"] else ""
    head = f"Settlement {one['id']}: {one['stage']}{stopped}, due {when(one['due_at'])}{back}\n"
    if one["state"] == "approved":
        return f"{head}  paying has not begun"
    return (
        f"{head}  bets {one['bets_done']} of {one['bets']}, customers told {one['people_done']} of"
        f" {one['people']}\n"
        f"  pool {money.show(one['pool'])}: paid {money.show(one['paid'])}, given back"
        f" {money.show(one['refunded'])}, fee {money.show(one['fee'])}, kept for debts"
        f" {money.show(one['collected'])}"
    )
