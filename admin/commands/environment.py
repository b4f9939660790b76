"""`flask environment`: what this database is for, and the one way from sandbox to production."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import click
from sqlalchemy import NullPool, create_engine
from sqlalchemy.orm import Session

from admin import readiness
from admin.commands.common import acting, as_json, by, done, opened, show, when
from core import money, promotion, rights, stamp
from core.proposals import Proposal
from core.rights import Right
from core.runtime import Runtime


@click.group("environment")
def environment() -> None:
    """The environment that the database is stamped with."""


@environment.command("show")
@as_json
def show_stamp(as_json: bool) -> None:
    """Show the stamp, what keeps a sandbox from being promoted, and what is proposed."""
    rt = opened()
    show(done(rt, lambda tx: _facts(tx, rt)), as_json, _told)


@environment.command("promote")
@click.option("--note", help="Why; with the proposal.")
@click.option("--hash", "seen_hash", help="The second yes names what it saw.")
@by
def promote(note: str | None, seen_hash: str | None, name: str) -> None:
    """Propose to make this sandbox production; with --hash, approve it.

    Only while its ledger is empty of customers' money and every check of `mpesa readiness` is
    green. The second yes needs MIGRATION_DATABASE_URL. After it nothing starts as a sandbox.
    """
    if (note is None) == (seen_hash is None):
        raise click.UsageError("Give --note to propose, or --hash to approve.")
    rt = opened()
    done(
        rt, lambda tx: rights.require(acting(rt, tx, name), Right.ENVIRONMENT_PROPOSE)
    )  # before M-PESA is asked
    failing = readiness.failing(readiness.run(rt))
    if note is not None:
        proposal = done(rt, lambda tx: _propose(rt, tx, failing, note, name))
        click.echo("\n".join(f"{fact:16} {told}" for fact, told in proposal.content.items()))
        click.echo(f"proposed: {proposal.content_hash}")
        return
    with owner(rt) as owning:
        done(owning, lambda tx: _approve(rt, tx, failing, str(seen_hash), name))
    click.echo("This database is production's. Set APP_ENV=production and start every process.")


@environment.command("refuse")
@by
def refuse(name: str) -> None:
    """Say no to the proposed change."""
    rt = opened()
    done(rt, lambda tx: promotion.refuse(tx, by=acting(rt, tx, name), now=rt.now()))
    click.echo("refused")


@contextlib.contextmanager
def owner(rt: Runtime) -> Iterator[Runtime]:
    """The house as the owner of its database, who alone may stamp it."""
    url = rt.config.migration_database_url
    if not url:
        raise click.ClickException("MIGRATION_DATABASE_URL: missing; only the owner may stamp.")
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    try:
        yield dataclasses.replace(rt, engine=engine)
    finally:
        engine.dispose()


def _propose(rt: Runtime, tx: Session, failing: list[str], note: str, name: str) -> Proposal:
    who, now = acting(rt, tx, name), rt.now()
    return promotion.propose(tx, failing=failing, note=note, by=who, now=now, config=rt.config)


def _approve(rt: Runtime, tx: Session, failing: list[str], seen: str, name: str) -> None:
    who, now, config = acting(rt, tx, name), rt.now(), rt.config
    promotion.approve(tx, seen_hash=seen, failing=failing, by=who, now=now, config=config)


def _facts(tx: Session, rt: Runtime) -> dict[str, Any]:
    found = promotion.waiting(tx, now=rt.now())
    return {
        "environment": stamp.environment(tx),
        "money": promotion.money(tx),
        "proposed": found
        and {"hash": found.content_hash, "note": found.note, "expires_at": found.expires_at},
    }


def _told(facts: Mapping[str, Any]) -> str:
    held = ", ".join(
        f"{name.replace('_', ' ')} KES {money.show(cents)}"
        for name, cents in facts["money"].items()
    )
    lines = [
        f"stamped {facts['environment']}",
        f"money in the ledger: {held or 'none of customers, none at M-PESA'}",
    ]
    if waiting := facts["proposed"]:
        until = when(waiting["expires_at"])
        lines.append(f"promotion proposed until {until}: {waiting['note']}, hash {waiting['hash']}")
    return "\n".join(lines)
