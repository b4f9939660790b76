"""`flask refunds`: money on its way back to who paid it, and how two people end a doubt."""

from collections.abc import Mapping
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands.common import acting, as_json, by, done, opened, show, when
from core import money, phone, refund_ends
from core.refund_rows import Method, Refund, RefundState


@click.group("refunds")
def refunds() -> None:
    """Money that goes back."""


@refunds.command("list")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
@as_json
def listed(limit: int, as_json: bool) -> None:
    """List refunds, the newest first."""

    def work(tx: Session) -> list[dict[str, Any]]:
        return [_facts(one) for one in refund_ends.newest(tx, limit=limit)]

    show(done(opened(), work), as_json, _line)


@refunds.command("end")
@click.argument("number", type=int)
@click.option("--paid", metavar="RECEIPT", help="It was sent back, under this receipt.")
@click.option("--not-paid", is_flag=True, help="The statement shows that it never was.")
@click.option("--note", required=True, help="Why.")
@by
def end(number: int, paid: str | None, not_paid: bool, note: str, name: str) -> None:
    """Propose the end of refund NUMBER, which needs a person."""
    if (paid is None) != not_paid:
        raise click.UsageError("Give either --paid RECEIPT or --not-paid.")
    rt = opened()
    proposal = done(
        rt,
        lambda tx: refund_ends.propose(
            tx, number, paid=paid, note=note, by=acting(rt, tx, name), now=rt.now(),
            config=rt.config,
        ),
    )  # fmt: skip
    click.echo(f"proposed: {proposal.content_hash}")


@refunds.command("approve")
@click.argument("number", type=int)
@click.argument("seen_hash")
@by
def approve(number: int, seen_hash: str, name: str) -> None:
    """Give the second yes to the proposed end of refund NUMBER."""
    rt = opened()
    verdict = done(
        rt,
        lambda tx: refund_ends.approve(
            tx, number, seen_hash=seen_hash, by=acting(rt, tx, name), now=rt.now()
        ),
    )
    click.echo(verdict)


@refunds.command("refuse")
@click.argument("number", type=int)
@by
def refuse(number: int, name: str) -> None:
    """Say no to the proposed end of refund NUMBER."""
    rt = opened()
    done(rt, lambda tx: refund_ends.refuse(tx, number, by=acting(rt, tx, name), now=rt.now()))
    click.echo("refused")


def _facts(one: Refund) -> dict[str, Any]:
    return {
        "refund": one.id,
        "receipt": one.receipt,
        "method": Method(one.method).name.lower(),
        "amount": one.amount,
        "to": None if one.phone is None else phone.mask(one.phone),
        "state": RefundState(one.state).name.lower(),
        "code": one.code,
        "paid_receipt": one.paid_receipt,
        "created_at": one.created_at,
    }


def _line(one: Mapping[str, Any]) -> str:
    shown = money.show(one["amount"])
    return (
        f"{one['refund']:6} {one['receipt']:12} {one['method']:8} {one['state']:12} {shown:>12}"
        f"  {one['code'] or '':8} {when(one['created_at'])}"
    )
