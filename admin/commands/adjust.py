"""`flask adjust`: money given to a customer, or what one owes written off, by two people."""

from collections.abc import Mapping
from typing import Any

import click

from admin.commands.common import Shillings, acting, as_json, by, done, opened, show, when
from core import adjustments, money, phone
from core.proposals import Proposal


@click.group("adjust")
def adjust() -> None:
    """Adjustments of one customer's money."""


@adjust.command("propose")
@click.argument("way", type=click.Choice(adjustments.WAYS))
@click.argument("customer", metavar="PHONE")
@click.argument("amount", type=Shillings())
@click.option("--note", required=True, help="Why.")
@by
def propose(way: str, customer: str, amount: int, note: str, name: str) -> None:
    """Put a credit to PHONE, or a write-off of what they owe, before a second person."""
    rt = opened()
    proposal = done(
        rt,
        lambda tx: adjustments.propose(
            tx, customer, way, amount=money.Cents(amount), note=note, by=acting(rt, tx, name),
            now=rt.now(), config=rt.config,
        ),
    )  # fmt: skip
    click.echo(f"proposed: {proposal.content_hash}")


@adjust.command("approve")
@click.argument("customer", metavar="PHONE")
@click.argument("seen_hash")
@by
def approve(customer: str, seen_hash: str, name: str) -> None:
    """Give the second yes to what is proposed for PHONE."""
    rt = opened()
    repaid = done(
        rt,
        lambda tx: adjustments.approve(
            tx, customer, seen_hash=seen_hash, by=acting(rt, tx, name), now=rt.now(),
            config=rt.config,
        ),
    )  # fmt: skip
    click.echo(f"posted; KES {money.show(repaid)} of it repaid a debt" if repaid else "posted")


@adjust.command("refuse")
@click.argument("customer", metavar="PHONE")
@by
def refuse(customer: str, name: str) -> None:
    """Say no to what is proposed for PHONE."""
    rt = opened()
    done(rt, lambda tx: adjustments.refuse(tx, customer, by=acting(rt, tx, name), now=rt.now()))
    click.echo("refused")


@adjust.command("list")
@as_json
def listed(as_json: bool) -> None:
    """List what waits for a second person."""
    found = done(opened(), lambda tx: [_facts(one) for one in adjustments.waiting(tx)])
    show(found, as_json, _line)


def _facts(one: Proposal) -> dict[str, Any]:
    return {
        "way": one.content["adjustment"],
        "phone": phone.mask(one.content["phone"]),
        "amount": money.show(one.content["amount"]),
        "note": one.note,
        "until": when(one.expires_at),
        "hash": one.content_hash,
    }


def _line(one: Mapping[str, Any]) -> str:
    return "  ".join(str(fact) for fact in one.values())
