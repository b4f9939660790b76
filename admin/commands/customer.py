"""`flask customer`: who somebody is to the house."""

import click
from sqlalchemy.orm import Session

from admin.commands.common import as_json, done, opened, show
from core import customers, ledger, money, phone
from core.customers import Standing


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
    show(facts, as_json, lambda one: "\n".join(f"{name:12} {value}" for name, value in one.items()))


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
        "since": found.created_at,
    }
