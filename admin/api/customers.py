"""A customer over the API, by phone: who it is and what is theirs, and a line of the audit."""

from typing import Any

from flask import Response, jsonify
from sqlalchemy.orm import Session

from admin.api import acts, problems
from admin.api.door import view
from core import customers, ledger, phone
from core.customers import Customer, Standing
from core.errors import Refusal
from core.rights import Right
from core.staff import Staff


@view("GET", "/customers/<phone:number>", Right.READ)
def customer(number: str) -> Response:
    """Show a customer, with a masked phone. That somebody looked is kept, found or not."""

    def work(tx: Session, by: Staff) -> dict[str, Any] | None:
        found = _found(tx, number)
        return None if found is None else _facts(tx, found)

    facts = acts.act(
        "read customer",
        f"phone:{phone.mask(number)}",
        work,
        lambda facts: {"customer": facts and facts["customer"]},
    )
    if facts is None:
        return problems.problem(404, "http.no_customer", "Nobody has joined with this number.")
    return jsonify(facts)


def _found(tx: Session, number: str) -> Customer | None:
    try:
        return customers.find(tx, phone.read(number))
    except Refusal:  # no number of a Kenyan mobile phone
        return None


def _facts(tx: Session, found: Customer) -> dict[str, Any]:
    return {
        "customer": found.id,
        "phone": phone.mask(found.phone),
        "name": found.name,
        "lang": found.lang,
        "standing": Standing(found.standing).name.lower(),
        "balance": ledger.balance(tx, found.id),
        "owed": ledger.owed(tx, found.id),
        "joined_at": found.created_at.isoformat(),
        "excluded_until": found.excluded_until and found.excluded_until.isoformat(),
    }
