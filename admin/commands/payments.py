"""`flask payments`: deposits and payouts, and where each stands."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from admin.commands.common import acting, as_json, by, done, opened, show, when
from core import money, payouts, phone
from core.customers import Customer
from core.payments import Deposit, DepositState, HeldFor, Payout, PayoutState
from core.staff import Staff

DEPOSIT, PAYOUT = "deposit", "payout"


@click.group()
def payments() -> None:
    """Deposits and payouts."""


@payments.command("list")
@click.option("--kind", type=click.Choice([DEPOSIT, PAYOUT]), help="Only these.")
@click.option("--state", help="Only those in this state, such as in_doubt.")
@click.option("--phone", "number", help="Only of this customer.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
@as_json
def list_all(
    kind: str | None, state: str | None, number: str | None, limit: int, as_json: bool
) -> None:
    """List payments, the newest first."""
    rt = opened()

    def work(tx: Session) -> list[dict[str, Any]]:
        of = None if number is None else phone.read(number)
        return newest(tx, kind, state, of, limit)

    show(done(rt, work), as_json, _line)


@payments.command("show")
@click.argument("ref")
@as_json
def show_one(ref: str, as_json: bool) -> None:
    """Show the payment REF: a deposit's reference, or P and the number of a payout."""
    facts = done(opened(), lambda tx: _facts(tx, ref.strip().upper()))
    if facts is None:
        raise click.ClickException(f"There is no payment {ref}.")
    show(facts, as_json, _told)


@payments.command("resume")
@by
def resume(name: str) -> None:
    """Let payouts go again, once the reason of their pause is mended."""
    rt = opened()
    done(rt, lambda tx: _resume(tx, acting(rt, tx, name), rt.now()))


def _resume(tx: Session, by: Staff, now: datetime) -> None:
    why = payouts.paused(tx)
    if not payouts.resume(tx, by=by, now=now):
        raise click.ClickException("Payouts are not paused.")
    click.echo(f"Payouts go again. They were paused: {why and why.detail}")


def _facts(tx: Session, ref: str) -> dict[str, Any] | None:
    if ref.startswith("P") and ref[1:].isdigit():
        payout = tx.get(Payout, int(ref[1:]))
        return None if payout is None else payout_facts(payout)
    deposit = tx.scalar(select(Deposit).where(Deposit.ref == ref))
    return None if deposit is None else _deposit(deposit)


def _deposits(tx: Session, state: str | None, of: str | None, limit: int) -> list[dict[str, Any]]:
    query = select(Deposit).order_by(Deposit.id.desc()).limit(limit)
    if state is not None:
        query = query.where(Deposit.state.in_(_named(DepositState, state)))
    if of is not None:
        query = query.join(Customer).where(Customer.phone == of)
    return [_deposit(deposit) for deposit in tx.scalars(query)]


def _payouts(tx: Session, state: str | None, of: str | None, limit: int) -> list[dict[str, Any]]:
    query = select(Payout).order_by(Payout.id.desc()).limit(limit)
    if state is not None:
        query = query.where(Payout.state.in_(_named(PayoutState, state)))
    if of is not None:
        query = query.join(Customer).where(Customer.phone == of)
    return [payout_facts(payout) for payout in tx.scalars(query)]


def _named(states: type[DepositState] | type[PayoutState], name: str) -> Sequence[int]:
    """The state of that name; none of a kind of payment that has no such state."""
    return [int(one) for one in states if one.name == name.strip().upper()]


def _deposit(deposit: Deposit) -> dict[str, Any]:
    return {
        "ref": deposit.ref,
        "kind": DEPOSIT,
        "state": DepositState(deposit.state).name.lower(),
        "amount": deposit.amount,
        "phone": phone.mask(deposit.phone),
        "code": deposit.code,
        "asked": deposit.asked,
        "ask_at": deposit.ask_at,
        "created_at": deposit.created_at,
        "ended_at": deposit.credited_at or deposit.ended_at,
    }


def newest(
    tx: Session, kind: str | None, state: str | None, of: str | None, limit: int
) -> list[dict[str, Any]]:
    """Payments of a kind, in a state, `of` a phone, as far as these are named."""
    found = [] if kind == PAYOUT else _deposits(tx, state, of, limit)
    found += [] if kind == DEPOSIT else _payouts(tx, state, of, limit)
    return sorted(found, key=lambda one: one["created_at"], reverse=True)[:limit]


def payout_facts(payout: Payout) -> dict[str, Any]:
    """Where a payout stands, for programs and lists."""
    held = payout.held_for and HeldFor(payout.held_for).name.lower()
    return {
        "ref": f"P{payout.id}",
        "kind": PAYOUT,
        "state": PayoutState(payout.state).name.lower(),
        "held_for": held,
        "amount": payout.amount,
        "phone": phone.mask(payout.phone),
        "attempt": payout.attempt,
        "code": payout.code,
        "receipt": payout.receipt,
        "asked": payout.asked,
        "ask_at": payout.ask_at,
        "created_at": payout.created_at,
        "sending_at": payout.sending_at,
        "ended_at": payout.ended_at,
    }


def _line(one: Any) -> str:
    at, who = when(one["created_at"]), one["phone"]
    shown = money.show(one["amount"])
    return f"{one['ref']:16} {one['kind']:8} {one['state']:17} {shown:>14} {who}  {at}"


def _told(one: Mapping[str, Any]) -> str:
    """One payment, line by line: in shillings, in Nairobi, without what is not known."""
    return "\n".join(
        f"{name:14} {_word(name, fact)}" for name, fact in one.items() if fact is not None
    )


def _word(name: str, fact: Any) -> Any:
    if name == "amount":
        return f"KES {money.show(fact)}"
    return when(fact) if isinstance(fact, datetime) else fact
