"""Business to customer: a payout, accepted now, carried out and told later."""

from typing import Any

from simulator import ids
from simulator.answers import Answer
from simulator.books import FULLEST, LARGEST, MOST_A_DAY
from simulator.clock import nairobi_now
from simulator.daraja import distortions, fields, notices, results
from simulator.daraja.refusals import Refused, named_error
from simulator.daraja.stk import forced, told_amount
from simulator.faults import Plan
from simulator.payments import Payout
from simulator.world import World

SMALLEST = 10
WRONG_CREDENTIALS_BEFORE_LOCK = 3
REASON = "Business Payment to Customer via API"
OPEN = frozenset({"Initiated", "Authorized"})
FAILED = frozenset({"Cancelled", "Declined", "Expired"})


def pay(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    """v3: the merchant's own OriginatorConversationID may be used once, ever."""
    originator_id = fields.text(body, "OriginatorConversationID", longest=100)
    return _accept(world, _read(world, body, originator_id, plan))


def pay_v1(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    """The old form, which knows no id of the merchant's and so refuses no repetition."""
    return _accept(world, _read(world, body, ids.merchant_request(), plan))


def _read(world: World, body: dict[str, Any], originator_id: str, plan: Plan) -> Payout:
    told = world.settings
    fields.one_of(body, "CommandID", "BusinessPayment", "SalaryPayment", "PromotionPayment")
    shortcode = fields.shortcode(body, "PartyA")
    if shortcode not in {told.b2c_shortcode, told.shortcode}:
        raise Refused(400, "400.002.02", "Bad Request - Invalid PartyA")
    fields.text(body, "Remarks", shortest=2, longest=100)
    return Payout(
        originator_id=originator_id,
        conversation_id=ids.conversation(nairobi_now()),
        phone=fields.phone(body, "PartyB"),
        shortcode=shortcode,
        amount=fields.amount(body),
        initiator=fields.text(body, "InitiatorName"),
        credential=fields.text(body, "SecurityCredential", longest=2000),
        result_url=fields.url(body, "ResultURL", strict=told.strict_urls),
        timeout_url=fields.url(body, "QueueTimeOutURL", strict=told.strict_urls),
        occasion=fields.optional(body, "Occassion", longest=100),
        plan=plan,
        request=body,
    )


def _accept(world: World, payout: Payout) -> Answer:
    plan = payout.plan
    refused = plan.has("duplicateOCID")
    with world.lock:
        if payout.originator_id in world.payouts or (refused and not _pays(plan, "duplicateOCID")):
            raise named_error("duplicate")
        world.payouts[payout.originator_id] = payout
    _begin(world, payout)
    if refused:
        raise named_error("duplicate")
    return Answer(
        body={
            "ConversationID": payout.conversation_id,
            "OriginatorConversationID": payout.originator_id,
            "ResponseCode": "0",
            "ResponseDescription": "Accept the service request successfully.",
        }
    )


def _begin(world: World, payout: Payout) -> None:
    plan = payout.plan
    if plan.has("queueTimeoutEcho"):
        world.courier.later(world.settings.answer_delay, lambda: _time_out(world, payout))
    elif plan.has("callbackBeforeAck"):
        carry_out(world, payout)
    elif not plan.has("neverAnswers"):
        world.courier.later(world.settings.answer_delay, lambda: carry_out(world, payout))


def _pays(plan: Plan, scenario: str) -> bool:
    return distortions.yes(plan.param(scenario, "pays", False))


def carry_out(world: World, payout: Payout) -> None:
    """Pays or fails, once, and tells."""
    with world.lock:
        if payout.line is not None:
            return
        code, desc = forced(payout.plan)
        code = code or _hindrance(world, payout)
        _write(world, payout, code)
    _tell(world, payout, code or "0", desc)


def fail(world: World, payout: Payout, status: str) -> None:
    """Gives one that is open another status, without a word to the house: only a query tells."""
    if status not in OPEN | FAILED:
        raise ValueError(f"a status is one of {', '.join(sorted(OPEN | FAILED))}")
    with world.lock:
        if payout.line is not None:
            return
        if status in FAILED:
            _write(world, payout, "failed")
            assert payout.line is not None
            payout.line.status = status
        payout.status = status
        world.stir()


# -- carrying out


def _hindrance(world: World, payout: Payout) -> str:
    """The code of the first thing that speaks against it. Call with the lock held."""
    return _credential_fault(world, payout) or _limit(payout) or _account_fault(world, payout)


def _credential_fault(world: World, payout: Payout) -> str:
    told = world.settings
    if world.refused_credentials >= WRONG_CREDENTIALS_BEFORE_LOCK:
        return "8006"
    right = (
        payout.initiator == told.initiator_name
        and world.keys.opened(payout.credential) == told.initiator_password
    )
    if not right:
        world.refused_credentials += 1
    return "" if right and not payout.plan.has("credentialError") else "2001"


def _limit(payout: Payout) -> str:
    if payout.amount < SMALLEST:
        return "2"
    return "3" if payout.amount > LARGEST else ""


def _account_fault(world: World, payout: Payout) -> str:
    person, house = world.person(payout.phone), world.organisation(payout.shortcode)
    assert house is not None  # refused at the door
    if not person.registered:
        return "2040"
    if house.utility < payout.amount:
        return "1"
    if world.books.moved_today(person.phone, paid_in=False) + payout.amount > MOST_A_DAY:
        return "4"
    return "8" if person.balance + payout.amount > FULLEST else ""


def _write(world: World, payout: Payout, code: str) -> None:
    person, house = world.person(payout.phone), world.organisation(payout.shortcode)
    assert house is not None
    ids_of_it = {
        "originator_id": payout.originator_id,
        "conversation_id": payout.conversation_id,
    }
    if code:
        payout.line = world.books.note_failure(
            person, house, payout.amount, paid_in=False, reason=REASON, **ids_of_it
        )
    else:
        payout.line = world.books.pay_out(
            house, person, payout.amount, charged=world.settings.b2c_charges, reason=REASON,
            **ids_of_it,
        )  # fmt: skip
        notices.text_received(world, person, payout.line)
    payout.status = payout.line.status
    world.stir()


# -- telling


def _tell(world: World, payout: Payout, code: str, desc: str) -> None:
    line, plan = payout.line, payout.plan
    assert line is not None
    if code == "0" and plan.has("disagrees"):
        code = str(plan.param("disagrees", "code", "2040"))
    strings = plan.has("stringTypes")
    parameters = None
    if code == "0":
        with world.lock:
            house = world.organisation(payout.shortcode)
            assert house is not None
            parameters = results.payout_parameters(
                line, world.person(payout.phone), house,
                amount=told_amount(plan, payout.amount), as_strings=strings,
            )  # fmt: skip
    payload = results.result(
        code=code, desc=desc, originator_id=payout.originator_id,
        conversation_id=payout.conversation_id, transaction_id=line.receipt,
        parameters=parameters, as_strings=strings,
        reference={"Key": "QueueTimeoutURL", "Value": payout.timeout_url},
    )  # fmt: skip
    payload = distortions.of_payout(payload, plan)
    notices.post_json(world, "b2c", payout.result_url, payload, plan)
    for again in distortions.contradiction(payload, plan):
        notices.post_json(world, "b2c", payout.result_url, again)


def _time_out(world: World, payout: Payout) -> None:
    """The queue gave up, or says so: `pays` carries the payout out all the same."""
    plan = payout.plan
    if _pays(plan, "queueTimeoutEcho"):
        with world.lock:
            _write(world, payout, _hindrance(world, payout))
    else:
        payout.status = ""
    payload = payout.request
    if plan.param("queueTimeoutEcho", "shape", "echo") == "result":
        payload = results.timed_out(payout.originator_id, payout.conversation_id)
    notices.post_json(world, "b2c_timeout", payout.timeout_url, payload, plan)
