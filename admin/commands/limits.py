"""`flask play`: limits, breaks and the history of a customer's play."""

import uuid
from collections.abc import Mapping
from typing import Any

import click
from sqlalchemy.orm import Session

from admin.commands.common import Shillings, acting, as_json, by, done, opened, show, when
from core import customers, exclusion, limits, money, phone, rights, under_age
from core.customers import Customer
from core.effects import Channel, Refused
from core.errors import Refusal
from core.limits import Changed, Kind, Period
from core.rights import Right

KINDS = click.Choice([kind.name.lower() for kind in Kind])
PERIODS = click.Choice([period.name.lower() for period in Period])
BREAKS = click.Choice([*exclusion.COOL_OFFS, *(f"{months}m" for months in exclusion.MONTHS)])


@click.group()
def play() -> None:
    """Limits, breaks and the history of a customer's play."""


@play.command("limit")
@click.argument("number")
@click.argument("kind", type=KINDS)
@click.argument("period", type=PERIODS)
@click.argument("amount", type=Shillings(), required=False)
@by
def set_limit(number: str, kind: str, period: str, amount: int | None, name: str) -> None:
    """Set a limit for NUMBER; without an AMOUNT ask to lift it. A rise waits for a second yes."""
    rt = opened()

    def work(tx: Session) -> Changed | Refused:
        member = acting(rt, tx, name)
        rights.require(member, Right.PLAY_LIMITS)
        return limits.set_limit(
            tx,
            key=uuid.uuid4(),
            customer_id=_who(tx, number).id,
            kind=Kind[kind.upper()],
            period=Period[period.upper()],
            amount=None if amount is None else money.Cents(amount),
            channel=Channel.STAFF,
            session=member.name,
            now=rt.now(),
            staff_id=member.id,
        )

    came = done(rt, lambda tx: _said(work(tx)))
    click.echo(came.verdict if came.due is None else f"waits for a yes from {when(came.due)}")


@play.command("confirm")
@click.argument("number")
@click.argument("kind", type=KINDS)
@click.argument("period", type=PERIODS)
@by
def confirm(number: str, kind: str, period: str, name: str) -> None:
    """Give the customer's second yes to a rise that has waited for a day."""
    rt = opened()

    def work(tx: Session) -> Changed | Refused:
        member = acting(rt, tx, name)
        rights.require(member, Right.PLAY_LIMITS)
        return limits.confirm(
            tx,
            key=uuid.uuid4(),
            customer_id=_who(tx, number).id,
            kind=Kind[kind.upper()],
            period=Period[period.upper()],
            channel=Channel.STAFF,
            session=member.name,
            now=rt.now(),
        )

    click.echo(done(rt, lambda tx: _said(work(tx))).verdict)


@play.command("break")
@click.argument("number")
@click.argument("length", type=BREAKS)
@by
def take_break(number: str, length: str, name: str) -> None:
    """Exclude NUMBER from play for a while. Nobody can end it early."""
    rt = opened()

    def work(tx: Session) -> Any:
        member = acting(rt, tx, name)
        rights.require(member, Right.PLAY_LIMITS)
        who: dict[str, Any] = {"key": uuid.uuid4(), "customer_id": _who(tx, number).id}
        told: dict[str, Any] = {"now": rt.now(), "staff_id": member.id}
        if length in exclusion.COOL_OFFS:
            return exclusion.cool_off(tx, length=length, **who, **told)
        return exclusion.self_exclude(tx, months=int(length.rstrip("m")), **who, **told)

    click.echo(f"no play until {when(done(rt, work))}")


@play.command("of-age")
@click.argument("number")
@by
def of_age(number: str, name: str) -> None:
    """Let NUMBER give its birth date again, where an identity card shows that it was a slip."""
    rt = opened()

    def work(tx: Session) -> None:
        member = acting(rt, tx, name)
        under_age.lift(tx, _who(tx, number).id, by=member, now=rt.now())

    done(rt, work)
    click.echo("may give a birth date again")


@play.command("history")
@click.argument("number")
@as_json
def history(number: str, as_json: bool) -> None:
    """Show the limits of NUMBER and the play of the last twelve months."""
    rt = opened()

    def work(tx: Session) -> dict[str, Any]:
        customer = _who(tx, number)
        return {
            "excluded_until": customer.excluded_until and when(customer.excluded_until),
            "limits": [
                f"{line.kind.name} {line.period.name}: {money.show(line.amount)}, "
                f"left {money.show(line.left)} until {when(line.until)}"
                for line in limits.limits_of(tx, customer.id, now=rt.now())
            ],
            "months": [
                f"{month.month}: deposited {money.show(month.deposited)}, "
                f"staked {money.show(month.staked)}, returned {money.show(month.returned)}, "
                f"withdrawn {money.show(month.withdrawn)}"
                for month in exclusion.play_history(tx, customer.id)
            ],
        }

    show(done(rt, work), as_json, lambda one: "\n".join(_lines(one)))


def _lines(facts: Mapping[str, Any]) -> list[str]:
    until = facts["excluded_until"]
    head = [f"no play until {until}"] if until else []
    return [*head, *facts["limits"], *facts["months"]] or ["no limits and no play"]


def _who(tx: Session, number: str) -> Customer:
    customer = customers.find(tx, phone.read(number))
    if customer is None:
        raise Refusal("staff.no_such_customer")
    return customer


def _said(came: Changed | Refused) -> Changed:
    if isinstance(came, Refused):
        raise Refusal(came.reason, **came.facts)
    return came
