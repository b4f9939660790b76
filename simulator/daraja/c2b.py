"""Customer to business: the addresses, payments by hand, and their confirmations."""

from dataclasses import replace
from typing import Any

from simulator import ids
from simulator.answers import Answer
from simulator.books import LARGEST, MOST_A_DAY, Transaction
from simulator.clock import nairobi_now
from simulator.daraja import fields, notices, results
from simulator.daraja.refusals import Refused
from simulator.faults import NOTHING, Plan
from simulator.world import World


def register(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    """The validation address is only read: validation is off until Safaricom turns it on."""
    shortcode = fields.shortcode(body, "ShortCode")
    fields.one_of(body, "ResponseType", "Completed", "Cancelled")
    strict = world.settings.strict_urls
    confirmation = fields.url(body, "ConfirmationURL", strict=strict)
    fields.url(body, "ValidationURL", strict=strict)
    with world.lock:
        if world.organisation(shortcode) is None:
            raise Refused(400, "400.003.02", "Bad Request - Invalid ShortCode")
        world.settings = replace(world.settings, c2b_confirmation=confirmation)
    return Answer(
        body={
            "OriginatorCoversationID": ids.merchant_request(),  # sic
            "ResponseCode": "0",
            "ResponseDescription": "Success",
        }
    )


def pay_by_hand(
    world: World, phone: str, *, shortcode: str, account: str, amount: int
) -> Transaction:
    """The customer pays the paybill from the M-PESA menu; ValueError when M-PESA would not."""
    with world.lock:
        person, house = world.person(phone), world.organisation(shortcode)
        if house is None:
            raise ValueError(f"no paybill or till {shortcode}")
        if not 1 <= amount <= LARGEST:
            raise ValueError("M-PESA moves 1 to 250,000")
        if person.balance < amount:
            raise ValueError(results.described("1"))
        if world.books.moved_today(phone, paid_in=True) + amount > MOST_A_DAY:
            raise ValueError(results.described("4"))
        line = world.books.pay_in(
            person, house, amount,
            reason="Customer Buy Goods" if shortcode == world.settings.till_number else "Pay Bill",
            account=account, originator_id=ids.merchant_request(),
            conversation_id=ids.conversation(nairobi_now()),
        )  # fmt: skip
        notices.text_paid(world, person, line)
        plan = world.faults.take("c2b", phone=phone, amount=amount)
    world.courier.later(world.settings.answer_delay, lambda: confirm(world, line, plan))
    return line


def confirm(world: World, line: Transaction, plan: Plan = NOTHING) -> None:
    with world.lock:
        person, house = world.person(line.phone), world.organisation(line.shortcode)
        assert house is not None
        payload = results.c2b_payment(
            line, person, balance=f"{house.utility:.2f}",
            kind="Buy Goods" if "Buy Goods" in line.reason else "Pay Bill",
        )  # fmt: skip
        url = world.settings.c2b_confirmation
    notices.post_json(world, "c2b", url, payload, plan)
