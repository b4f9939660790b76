"""Account balance: what an organisation's accounts hold, asked now, told later."""

from typing import Any

from simulator.answers import Answer
from simulator.books import Organisation
from simulator.clock import nairobi_now
from simulator.daraja import fields, questions, results
from simulator.daraja.questions import Question, Said
from simulator.daraja.refusals import invalid
from simulator.daraja.stk import forced
from simulator.faults import Plan
from simulator.world import World


def ask(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    """Of a paybill, till or bulk-payment account of the house."""
    question = questions.read(world, "balance", body, plan, "AccountBalance")
    fields.matching(body, "IdentifierType", "[24]")
    shortcode = fields.shortcode(body, "PartyA")
    with world.lock:
        house = world.organisation(shortcode)
    if house is None:
        raise invalid("PartyA")
    return questions.accept(world, question, lambda: _said(world, question, house))


def _said(world: World, question: Question, house: Organisation) -> Said:
    with world.lock:
        code, desc = forced(question.plan)
        code = code or questions.operator_fault(world, question)
        if code:
            return Said(code, desc)
        accounts = {
            "Working Account": house.working,
            "Float Account": 0,
            "Utility Account": house.utility,
            "Charges Paid Account": house.charges,
            "Organization Settlement Account": 0,
        }
    held = "&".join(results.account(name, amount) for name, amount in accounts.items())
    moment = int(f"{nairobi_now():%Y%m%d%H%M%S}")
    return Said(
        parameters=[
            {"Key": "AccountBalance", "Value": held},
            {"Key": "BOCompletedTime", "Value": moment},
        ]
    )
