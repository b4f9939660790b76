"""`flask claim`: payments that customers claim by their M-PESA code, and what codes mean."""

from collections.abc import Mapping
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from admin.commands.common import as_json, done, opened, show, when
from core import phone
from core.code_claims import CodeClaim, CodeState
from core.customers import Customer
from core.reasons import PUSH, of_payout
from core.say import say

SHOWN = 100  # rows of a list
STATES = click.Choice([state.name.lower() for state in CodeState])


@click.group()
def claim() -> None:
    """Payments claimed by their M-PESA code, and what codes mean."""


@claim.command("list")
@click.option("--state", type=STATES, help="Only those; without it all, the newest first.")
@as_json
def list_(state: str | None, as_json: bool) -> None:
    """The codes that customers sent in, and what came of each."""
    rows = done(opened(), lambda tx: _rows(tx, state))
    show(rows, as_json, lambda one: "{at}  {phone}  {receipt}  {state}".format(**one))


@claim.command("code")
@click.argument("code")
@as_json
def code_(code: str, as_json: bool) -> None:
    """What M-PESA's result CODE means of a deposit and of a payout, and what to do."""
    rows = [_meaning("payout", of_payout(code))]
    if code in PUSH:
        rows.insert(0, _meaning("deposit", PUSH[code]))
    show(rows, as_json, lambda one: "\n".join(f"{name:9} {word}" for name, word in one.items()))


def _rows(tx: Session, state: str | None) -> list[dict[str, Any]]:
    found = select(CodeClaim, Customer.phone).join(Customer, Customer.id == CodeClaim.customer_id)
    if state is not None:
        found = found.where(CodeClaim.state == CodeState[state.upper()])
    return [
        {
            "at": when(row.created_at),
            "phone": phone.mask(number),
            "receipt": row.receipt,
            "state": CodeState(row.state).name.lower(),
            "deposit": row.deposit_id,
        }
        for row, number in tx.execute(found.order_by(CodeClaim.id.desc()).limit(SHOWN))
    ]


def _meaning(of: str, reason: Any) -> Mapping[str, str]:
    return {
        "of": of,
        "means": reason.meaning,
        "do": reason.advice,
        "effect": reason.effect,
        "customer": say(reason.sentence, "en"),
    }
