"""Transaction status: what became of a payment, asked now, told later."""

from typing import Any

from simulator.answers import Answer
from simulator.books import Transaction
from simulator.clock import nairobi_now
from simulator.daraja import fields, questions, results
from simulator.daraja.b2c import REASON
from simulator.daraja.questions import Question, Said
from simulator.daraja.refusals import invalid
from simulator.daraja.stk import forced, told_amount
from simulator.faults import Plan
from simulator.payments import Payout
from simulator.world import World

UNKNOWN = "25"  # what is answered for an id nobody knows is not documented; this has been seen


def ask(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    """By receipt, or by the merchant's id of the payment under either of its two names."""
    question = questions.read(world, "status", body, plan, "TransactionStatusQuery")
    fields.matching(body, "IdentifierType", "[124]")
    fields.shortcode(body, "PartyA")
    if not any(asked_about(body)):
        raise invalid("TransactionID")
    return questions.accept(world, question, lambda: _said(world, question))


def asked_about(body: dict[str, Any]) -> tuple[str, str]:
    """The receipt and the merchant's id."""
    originator_id = body.get("OriginalConversationID") or body.get("OriginatorConversationID")
    return str(body.get("TransactionID") or ""), str(originator_id or "")


def line_of(world: World, body: dict[str, Any]) -> Transaction | Payout | None:
    """What is asked about, so that a fault can be armed for its phone or amount."""
    receipt, originator_id = asked_about(body)
    line = world.books.find(receipt=receipt, originator_id=originator_id)
    return line or world.payouts.get(originator_id)


def _said(world: World, question: Question) -> Said:
    """ResultCode 0 says that the question was answered; TransactionStatus is the answer."""
    code, desc = forced(question.plan)
    with world.lock:
        found = line_of(world, question.body)
        receipt = found.receipt if isinstance(found, Transaction) else ""
        code = code or questions.operator_fault(world, question)
        if code:
            return Said(code, desc, receipt=receipt)
        if found is None or question.plan.has("unknownOCID"):
            return Said(UNKNOWN)
        if isinstance(found, Transaction):
            return Said(parameters=_about_line(world, found, question.plan), receipt=receipt)
        # One whose request never entered the system is as unknown as if it had not been sent.
        return Said(parameters=_about_open(world, found)) if found.status else Said(UNKNOWN)


def _about_line(world: World, line: Transaction, plan: Plan) -> list[dict[str, Any]]:
    person, house = world.person(line.phone), world.organisation(line.shortcode)
    assert house is not None
    parties = (person.party, house.party) if line.paid_in else (house.party, person.party)
    status = str(plan.param("disagrees", "status", "Cancelled"))
    return results.status_parameters(
        debit_party=parties[0], credit_party=parties[1], from_house=not line.paid_in,
        charge=line.charge, reason=line.reason,
        status=status if plan.has("disagrees") else line.status,
        at=line.at, amount=told_amount(plan, line.amount), originator_id=line.originator_id,
        conversation_id=line.conversation_id, receipt=line.receipt,
    )  # fmt: skip


def _about_open(world: World, payout: Payout) -> list[dict[str, Any]]:
    """One that was accepted and is not carried out: Initiated or Authorized, which is not final."""
    person, house = world.person(payout.phone), world.organisation(payout.shortcode)
    assert house is not None
    return results.status_parameters(
        debit_party=house.party, credit_party=person.party, from_house=True, charge=0,
        reason=REASON, status=payout.status, at=nairobi_now(), amount=payout.amount,
        originator_id=payout.originator_id, conversation_id=payout.conversation_id, receipt="",
    )  # fmt: skip
