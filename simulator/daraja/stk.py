"""M-PESA Express: a push, its prompt on the phone, and what comes of it."""

import base64
import time
from typing import Any

from simulator import ids
from simulator.answers import Answer
from simulator.books import LARGEST, MOST_A_DAY, PINS_BEFORE_LOCK
from simulator.clock import nairobi_now
from simulator.daraja import c2b, distortions, fields, notices, results
from simulator.daraja.refusals import Refused, invalid, named_error
from simulator.faults import Plan
from simulator.handsets import Handset, Prompt
from simulator.payments import Push
from simulator.world import World


def push(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    asked = _read(world, body, plan)
    with world.lock:
        if world.handset(asked.phone).prompt is not None or _waiting(world, asked.phone):
            raise named_error("lockSubscriber")
        world.pushes[asked.checkout_id] = world.last_push[asked.phone] = asked
    if plan.has("callbackBeforeAck"):
        _pay_at_once(world, asked)
    elif not plan.has("neverAnswers"):
        world.courier.later(world.settings.answer_delay, lambda: _prompt(world, asked))
    return Answer(
        body={
            "MerchantRequestID": asked.merchant_id,
            "CheckoutRequestID": asked.checkout_id,
            "ResponseCode": "0",
            "ResponseDescription": "Success. Request accepted for processing",
            "CustomerMessage": "Success. Request accepted for processing",
        }
    )


def query(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    """Says how a push ended, as text, and never with a receipt."""
    check_password(world, body)
    checkout_id = fields.text(body, "CheckoutRequestID")
    with world.lock:
        asked = world.pushes.get(checkout_id)
        if asked is None:
            raise invalid("CheckoutRequestID")
        code, desc = forced(plan)
        code = "4999" if plan.has("query4999") else code or asked.code
    if not code:
        raise Refused(
            500, "500.001.1001", "The transaction is being processed", request_id=checkout_id
        )
    return Answer(
        body={
            "ResponseCode": "0",
            "ResponseDescription": "The service request has been accepted successsfully",
            "MerchantRequestID": asked.merchant_id,
            "CheckoutRequestID": checkout_id,
            "ResultCode": code,
            "ResultDesc": desc or results.described(code),
        }
    )


# -- what the phone's owner does


def enter_pin(world: World, phone: Handset, pin: str) -> None:
    with world.lock:
        asked = _lift(world, phone)
        person = world.person(phone.number)
        code = ""
        if person.wrong_pins >= PINS_BEFORE_LOCK:
            code = "8006"
        elif pin != person.pin:
            person.wrong_pins += 1
            code = "2001"
        else:
            person.wrong_pins = 0
    _finish(world, asked, code)


def cancel(world: World, phone: Handset) -> None:
    with world.lock:
        asked = _lift(world, phone)
    _finish(world, asked, "1032")


def ignore(world: World, phone: Handset) -> None:
    """The prompt goes away by itself: its time is up."""
    with world.lock:
        told = phone.prompt is not None and phone.prompt.told
        asked = _lift(world, phone)
    if not told:
        _finish(world, asked, "1037")


def expire(world: World) -> None:
    """Ends the prompts nobody answered in time."""
    with world.lock:
        before = time.monotonic() - world.settings.stk_timeout
        late = [
            phone
            for phone in world.handsets.values()
            if phone.prompt is not None and phone.prompt.shown_at < before
        ]
        for phone in late:
            ignore(world, phone)


# -- the request


def _read(world: World, body: dict[str, Any], plan: Plan) -> Push:
    told = world.settings
    check_password(world, body)
    kind = fields.one_of(body, "TransactionType", "CustomerPayBillOnline", "CustomerBuyGoodsOnline")
    amount = fields.amount(body)
    fields.phone(body, "PartyA")
    party_b = fields.shortcode(body, "PartyB")
    phone = fields.phone(body, "PhoneNumber")
    callback_url = fields.url(body, "CallBackURL", strict=told.strict_urls)
    account = fields.text(body, "AccountReference", longest=12)
    fields.optional(body, "TransactionDesc", longest=13)
    due = told.shortcode if kind == "CustomerPayBillOnline" else told.till_number
    return Push(
        merchant_id=ids.merchant_request(),
        checkout_id=ids.checkout_request(phone, nairobi_now()),
        phone=phone, shortcode=party_b, kind=kind, amount=amount, account=account,
        callback_url=callback_url, plan=plan, payee_fits=party_b == due,
    )  # fmt: skip


def check_password(world: World, body: dict[str, Any]) -> None:
    """base64(shortcode + passkey + timestamp), with the timestamp that is sent beside it."""
    shortcode = fields.shortcode(body, "BusinessShortCode")
    password = fields.text(body, "Password", longest=400)
    timestamp = fields.matching(body, "Timestamp", "20[0-9]{12}")
    if shortcode not in {world.settings.shortcode, world.settings.till_number}:
        raise named_error("merchantMissing")
    due = base64.b64encode(f"{shortcode}{world.settings.passkey}{timestamp}".encode()).decode()
    if password != due:
        raise named_error("wrongCredentials")


def _waiting(world: World, phone: str) -> bool:
    """A push is under way whose prompt has not come yet. `neverAnswers` locks nobody."""
    newest = world.last_push.get(phone)
    return newest is not None and not newest.code and not newest.plan.has("neverAnswers")


# -- the prompt


def _prompt(world: World, asked: Push) -> None:
    """Shows it, unless something is in the way that no PIN could change."""
    late = asked.plan.has("lateSuccessAfter1037")
    with world.lock:
        phone = world.handset(asked.phone)
        code, desc = forced(asked.plan)
        code = code or _hindrance(world, asked)
        if not code:
            phone.prompt = Prompt(
                asked.checkout_id, asked.amount, world.settings.organisation, asked.account,
                time.monotonic(), told=late,
            )  # fmt: skip
            phone.note = ""
            asked.code = "1037" if late else ""
            world.stir()
    if code:
        _finish(world, asked, code, desc)
    elif late:
        _tell(world, asked, "1037")
    else:
        _by_habit(world, phone)


def _by_habit(world: World, phone: Handset) -> None:
    if phone.habit == "pays":
        enter_pin(world, phone, world.person(phone.number).pin)
    elif phone.habit == "wrong_pin":
        enter_pin(world, phone, "0000")
    elif phone.habit == "cancels":
        cancel(world, phone)
    elif phone.habit == "ignores":
        ignore(world, phone)


def _hindrance(world: World, asked: Push) -> str:
    phone = world.handset(asked.phone)
    if not asked.payee_fits:
        return "2028"
    if asked.amount > LARGEST:
        return "3"
    if not phone.reachable or phone.session is not None:
        return "1037"  # a phone holds one session: ours, or M-PESA's
    return ""


# -- the end of it


def _lift(world: World, phone: Handset) -> Push:
    if phone.prompt is None:
        raise LookupError(f"no M-PESA prompt on {phone.e164}")
    asked = world.pushes[phone.prompt.checkout_id]
    phone.prompt = None
    world.stir()
    return asked


def _pay_at_once(world: World, asked: Push) -> None:
    with world.lock:
        code = _hindrance(world, asked) or _execute(world, asked)
        notices.after_push(world, asked.phone, asked.paid, code)
    _tell(world, asked, code)


def _finish(world: World, asked: Push, code: str, desc: str = "") -> None:
    """Moves the money if nothing speaks against it, then tells the house in its own time."""
    with world.lock:
        code = code or _execute(world, asked)
        asked.code = code
        notices.after_push(world, asked.phone, asked.paid, code)
    world.courier.later(world.settings.answer_delay, lambda: _tell(world, asked, code, desc))


def _execute(world: World, asked: Push) -> str:
    """Pays, or says why not. Call with the lock held."""
    person, house = world.person(asked.phone), world.organisation(asked.shortcode)
    assert house is not None  # a payee that does not fit never gets here
    told = world.settings
    code = ""
    if person.balance < asked.amount:
        code = "1"
    elif world.books.moved_today(asked.phone, paid_in=True) + asked.amount > MOST_A_DAY:
        code = "4"
    elif told.same_amount_rule and world.books.paid_lately(
        asked.phone, asked.shortcode, asked.amount
    ):
        code = "17"
    if not code:
        paybill = asked.kind == "CustomerPayBillOnline"
        asked.paid = world.books.pay_in(
            person, house, asked.amount,
            reason="Pay Bill Online" if paybill else "Customer Buy Goods Online",
            account=asked.account, checkout_id=asked.checkout_id,
            originator_id=asked.merchant_id, conversation_id=ids.conversation(nairobi_now()),
        )  # fmt: skip
    asked.code = code or "0"
    return asked.code


def _tell(world: World, asked: Push, code: str, desc: str = "") -> None:
    plan, paid = asked.plan, asked.paid
    if plan.has("disagrees") and paid is not None:
        code, paid = str(plan.param("disagrees", "code", "1032")), None
    payload = results.stk_callback(
        merchant_id=asked.merchant_id, checkout_id=asked.checkout_id, code=code, desc=desc,
        paid=paid, amount=told_amount(plan, asked.amount), as_strings=plan.has("stringTypes"),
    )  # fmt: skip
    payload = distortions.of_push(payload, plan)
    notices.post_json(world, "stk", asked.callback_url, payload, plan)
    for again in distortions.contradiction(payload, plan):
        notices.post_json(world, "stk", asked.callback_url, again)
    if asked.paid is not None and (world.settings.c2b_copy or plan.has("c2bAlsoForStk")):
        c2b.copy(world, asked.paid)


def forced(plan: Plan) -> tuple[str, str]:
    """The code and words a fault prescribes, or nothing."""
    if not plan.has("resultCode"):
        return "", ""
    return (
        str(plan.param("resultCode", "code", "1032")),
        str(plan.param("resultCode", "desc", "")),
    )


def told_amount(plan: Plan, amount: int) -> int:
    return plan.number("wrongAmount", "says", amount + 1) if plan.has("wrongAmount") else amount
