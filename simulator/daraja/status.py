"""Transaction status: what became of a payment, asked now, told later."""

from typing import Any

from simulator import ids
from simulator.answers import Answer
from simulator.books import Transaction
from simulator.clock import nairobi_now
from simulator.daraja import fields, notices, results
from simulator.daraja.b2c import REASON
from simulator.daraja.refusals import invalid
from simulator.daraja.stk import forced, told_amount
from simulator.faults import Plan
from simulator.payments import Payout
from simulator.world import World

UNKNOWN = "25"  # what is answered for an id nobody knows is not documented; this has been seen


def ask(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    """By receipt, or by the merchant's id of the payment under either of its two names."""
    told = world.settings
    fields.one_of(body, "CommandID", "TransactionStatusQuery")
    fields.matching(body, "IdentifierType", "[124]")
    fields.shortcode(body, "PartyA")
    fields.text(body, "Initiator")
    fields.text(body, "SecurityCredential", longest=2000)
    fields.text(body, "Remarks", shortest=1, longest=100)
    url = fields.url(body, "ResultURL", strict=told.strict_urls)
    timeout_url = fields.url(body, "QueueTimeOutURL", strict=told.strict_urls)
    receipt, originator_id = asked_about(body)
    if not receipt and not originator_id:
        raise invalid("TransactionID")
    question = {
        "OriginatorConversationID": ids.merchant_request(),
        "ConversationID": ids.conversation(nairobi_now()),
    }
    if plan.has("queueTimeoutEcho"):
        _later(world, lambda: notices.post_json(world, "status_timeout", timeout_url, body, plan))
    elif plan.has("callbackBeforeAck"):
        _tell(world, body, question, url, plan)
    elif not plan.has("neverAnswers"):
        _later(world, lambda: _tell(world, body, question, url, plan))
    return Answer(
        body={
            **question,
            "ResponseCode": "0",
            "ResponseDescription": "Accept the service request successfully.",
        }
    )


def asked_about(body: dict[str, Any]) -> tuple[str, str]:
    originator_id = body.get("OriginalConversationID") or body.get("OriginatorConversationID")
    return str(body.get("TransactionID") or ""), str(originator_id or "")


def phone_of(world: World, body: dict[str, Any]) -> str | None:
    """Whose payment is asked about, so that a fault can be armed for a phone."""
    receipt, originator_id = asked_about(body)
    line = world.books.find(receipt=receipt, originator_id=originator_id)
    payout = world.payouts.get(originator_id)
    return line.phone if line else payout.phone if payout else None


def _later(world: World, act: Any) -> None:
    world.courier.later(world.settings.answer_delay, act)


def _tell(
    world: World, body: dict[str, Any], question: dict[str, str], url: str, plan: Plan
) -> None:
    """ResultCode 0 says that the question was answered; TransactionStatus is the answer."""
    receipt, originator_id = asked_about(body)
    code, desc = forced(plan)
    with world.lock:
        line = world.books.find(receipt=receipt, originator_id=originator_id)
        payout = world.payouts.get(originator_id)
        parameters = None
        if code:
            pass
        elif not _credential_fits(world, body) or plan.has("credentialError"):
            code = "2001"
        elif line is not None:
            parameters = _about_line(world, line, plan)
        elif payout is not None and payout.status:
            parameters = _about_open(world, payout)
        else:
            code = UNKNOWN
    if plan.has("echoesPaymentId") and originator_id:
        question = question | {"OriginatorConversationID": originator_id}
    payload = results.result(
        code=code or "0", desc=desc, originator_id=question["OriginatorConversationID"],
        conversation_id=question["ConversationID"],
        transaction_id=line.receipt if line else f"{ids.receipt()[:3]}0000000",
        parameters=parameters, reference={"Key": "Occasion"},
        as_strings=plan.has("stringTypes"),
    )  # fmt: skip
    notices.post_json(world, "status", url, payload, plan)


def _credential_fits(world: World, body: dict[str, Any]) -> bool:
    told = world.settings
    return (
        body["Initiator"] == told.initiator_name
        and world.keys.opened(str(body["SecurityCredential"])) == told.initiator_password
    )


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
