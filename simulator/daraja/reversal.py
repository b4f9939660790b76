"""Reversal: a customer's payment is taken back, by the house's wish or by M-PESA's own."""

from typing import Any

from simulator import ids
from simulator.answers import Answer
from simulator.books import Transaction
from simulator.clock import nairobi_now
from simulator.daraja import fields, notices, questions, results
from simulator.daraja.questions import Question, Said
from simulator.daraja.stk import forced, told_amount
from simulator.faults import Plan
from simulator.world import World

REVERSED, NO_SUCH = "R000001", "R000002"


def ask(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    """The field that says who receives it is misspelled, as Safaricom has it."""
    question = questions.read(world, "reversal", body, plan, "TransactionReversal")
    fields.matching(body, "RecieverIdentifierType", "11|4")
    fields.shortcode(body, "ReceiverParty")
    fields.text(body, "TransactionID", longest=20)
    fields.amount(body)
    return questions.accept(world, question, lambda: _carry_out(world, question))


def by_mpesa(world: World, receipt: str) -> Transaction:
    """M-PESA takes a payment back and tells nobody; ValueError when it cannot."""
    with world.lock:
        line = world.books.find(receipt=receipt)
        code = _hindrance(world, line)
        if code or line is None:
            raise ValueError(results.described(code))
        return _reverse(world, line)


def _carry_out(world: World, question: Question) -> Said:
    body = question.body
    with world.lock:
        code, desc = forced(question.plan)
        line = world.books.find(receipt=str(body["TransactionID"]))
        code = code or questions.operator_fault(world, question) or _hindrance(world, line)
        if not code and line is not None and not _fits(line, body):
            code = NO_SUCH
        if code or line is None:
            return Said(code, desc, receipt=world.books.new_receipt())
        back = _reverse(
            world, line, originator_id=question.originator_id,
            conversation_id=question.conversation_id,
        )  # fmt: skip
        plan = question.plan
        if plan.has("disagrees"):
            return Said(str(plan.param("disagrees", "code", NO_SUCH)), receipt=back.receipt)
        said = told_amount(plan, back.amount)
        return Said(parameters=_parameters(world, line, back, said), receipt=back.receipt)


def _hindrance(world: World, line: Transaction | None) -> str:
    if line is None or line.status != "Completed" or line.linked:
        return NO_SUCH
    if not line.paid_in:
        return "2028"  # a payout cannot be reversed by API
    if world.books.reversal_of(line.receipt) is not None:
        return REVERSED
    return "1" if world.books.organisations[line.shortcode].utility < line.amount else ""


def _fits(line: Transaction, body: dict[str, Any]) -> bool:
    """Whether the whole payment is asked back, from whom it went to."""
    return (str(body["Amount"]), str(body["ReceiverParty"])) == (str(line.amount), line.shortcode)


def _reverse(world: World, line: Transaction, **ids_of_it: str) -> Transaction:
    given = {
        "originator_id": ids.merchant_request(),
        "conversation_id": ids.conversation(nairobi_now()),
    }
    back = world.books.reverse(line, **(given | ids_of_it))
    notices.text_taken_back(world, world.person(line.phone), line, back)
    return back


def _parameters(
    world: World, line: Transaction, back: Transaction, amount: int
) -> list[dict[str, Any]]:
    person, house = world.person(line.phone), world.organisation(line.shortcode)
    assert house is not None
    pairs: dict[str, Any] = {
        "DebitAccountBalance": results.account("Utility Account", house.utility),
        "Amount": f"{amount:.2f}",
        "TransCompletedTime": int(f"{back.at:%Y%m%d%H%M%S}"),
        "OriginalTransactionID": line.receipt,
        "Charge": "0.00",
        "CreditPartyPublicName": person.party,
        "DebitPartyPublicName": house.party,
    }
    return [{"Key": key, "Value": value} for key, value in pairs.items()]
