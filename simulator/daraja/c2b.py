"""Customer to business: the addresses, payments by hand, and their confirmations."""

import json
from typing import Any

from simulator import ids
from simulator.answers import Answer
from simulator.books import LARGEST, MOST_A_DAY, Organisation, Subscriber, Transaction
from simulator.clock import nairobi_now
from simulator.daraja import distortions, fields, notices, results
from simulator.daraja.refusals import Refused
from simulator.faults import Plan
from simulator.payments import Addresses
from simulator.world import World


def register(world: World, body: dict[str, Any], plan: Plan, version: str = "v2") -> Answer:
    """Validation happens only once Safaricom has turned it on."""
    shortcode = fields.shortcode(body, "ShortCode")
    on_silence = fields.one_of(body, "ResponseType", "Completed", "Cancelled")
    told = world.settings
    confirmation = fields.url(body, "ConfirmationURL", strict=told.strict_urls)
    validation = fields.url(body, "ValidationURL", strict=told.strict_urls)
    with world.lock:
        if world.organisation(shortcode) is None:
            raise Refused(400, "400.003.02", "Bad Request - Invalid ShortCode")
        if told.register_once and shortcode in world.addresses:
            raise Refused(500, "500.003.1001", "Urls are already registered.")
        world.addresses[shortcode] = Addresses(confirmation, validation, version, on_silence)
    return Answer(
        body={
            "OriginatorCoversationID": ids.merchant_request(),  # sic
            "ResponseCode": "0",
            "ResponseDescription": "Success",
        }
    )


def simulate(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    """The sandbox's way to have a customer pay."""
    fields.one_of(body, "CommandID", "CustomerPayBillOnline", "CustomerBuyGoodsOnline")
    try:
        pay_by_hand(
            world, fields.phone(body, "Msisdn"), shortcode=fields.shortcode(body, "ShortCode"),
            account=fields.optional(body, "BillRefNumber", longest=20), amount=fields.amount(body),
        )  # fmt: skip
    except ValueError as error:
        raise Refused(400, "400.003.02", f"Bad Request - {error}") from None
    return Answer(
        body={
            "OriginatorCoversationID": ids.merchant_request(),
            "ResponseCode": "0",
            "ResponseDescription": "Accept the service request successfully.",
        }
    )


def pay_by_hand(
    world: World, phone: str, *, shortcode: str, account: str, amount: int, deliver: bool = True
) -> Transaction:
    """The customer pays from the M-PESA menu; ValueError when M-PESA, or the house, would not.

    Without `deliver` the house is never told: it must find out.
    """
    with world.lock:
        person, house = _checked(world, phone, shortcode, amount)
        line = world.books.draft(
            person, house, amount, paid_in=True, account=account[:20],
            reason="Customer Buy Goods" if shortcode == world.settings.till_number else "Pay Bill",
            originator_id=ids.merchant_request(), conversation_id=ids.conversation(nairobi_now()),
        )  # fmt: skip
    third_party = _validated(world, person, line)
    with world.lock:
        person, house = _checked(world, phone, shortcode, amount)
        world.books.pay_in_draft(line)
        notices.text_paid(world, person, line)
        plan = world.faults.take("c2b", phone=phone, amount=amount)
    if deliver:
        world.courier.later(
            world.settings.answer_delay, lambda: confirm(world, line, plan, third_party)
        )
    return line


def copy(world: World, line: Transaction) -> None:
    """What was paid by STK push is confirmed as C2B too, with its own luck."""
    with world.lock:
        plan = world.faults.take("c2b", phone=line.phone, amount=line.amount)
    confirm(world, line, plan)


def confirm(world: World, line: Transaction, plan: Plan, third_party: str = "") -> None:
    """Tells the house, in the form its registration asked for."""
    with world.lock:
        person, house = world.person(line.phone), world.organisation(line.shortcode)
        assert house is not None
        where = _addresses(world, line.shortcode)
        payload = results.c2b_payment(
            line, person, balance=f"{house.utility:.2f}", version=where.version,
            third_party=third_party,
        )  # fmt: skip
    payload = distortions.of_confirmation(payload, plan)
    notices.post_json(world, "c2b", where.confirmation, payload, plan)


def _addresses(world: World, shortcode: str) -> Addresses:
    """Those registered for the shortcode, else those of the settings."""
    told = world.settings
    usual = Addresses(told.c2b_confirmation, told.c2b_validation, told.c2b_version)
    return world.addresses.get(shortcode, usual)


def _checked(
    world: World, phone: str, shortcode: str, amount: int
) -> tuple[Subscriber, Organisation]:
    """Call with the lock held."""
    person, house = world.person(phone), world.organisation(shortcode)
    if house is None:
        raise ValueError(f"no paybill or till {shortcode}")
    if not 1 <= amount <= LARGEST:
        raise ValueError("M-PESA moves 1 to 250,000")
    if person.balance < amount:
        raise ValueError(results.described("1"))
    if world.books.moved_today(phone, paid_in=True) + amount > MOST_A_DAY:
        raise ValueError(results.described("4"))
    return person, house


def _validated(world: World, person: Subscriber, line: Transaction) -> str:
    """Asks the house, if validation is on; its ThirdPartyTransID. ValueError when it will not."""
    told = world.settings
    with world.lock:
        where = _addresses(world, line.shortcode)
        plan = world.faults.take("c2b_validation", phone=line.phone, amount=line.amount)
    if not told.c2b_validates or not where.validation:
        return ""
    payload = results.c2b_payment(line, person, balance="", version=where.version)
    posted = notices.parcel("c2b_validation", where.validation, payload)
    silent = plan.has("losesCallback")
    answer = _read(None if silent else world.ask(posted, told.validation_timeout))
    code = answer.get("ResultCode")
    if where.on_silence == "Cancelled" if code is None else str(code) != "0":
        with world.lock:
            world.handset(line.phone).note = "M-PESA: the paybill did not accept the payment"
            world.stir()
        raise ValueError(f"the paybill did not accept the payment ({code or 'no answer'})")
    return str(answer.get("ThirdPartyTransID") or "")


def _read(text: str | None) -> dict[str, Any]:
    """What the house answered; empty when that is nothing, or not an object."""
    try:
        answer = json.loads(text or "")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
