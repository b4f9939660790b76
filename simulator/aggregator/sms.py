"""Texts both ways: from a phone to the house, and from the house to phones."""

from decimal import Decimal
from typing import Any

from simulator import gsm7, ids, wire
from simulator.aggregator.ussd import tell
from simulator.clock import nairobi_now
from simulator.faults import Plan
from simulator.handsets import Handset, Text, number_of
from simulator.world import World

STATUSES = {
    100: "Processed", 101: "Success", 102: "Success",
    401: "RiskHold", 402: "InvalidSenderId", 403: "InvalidPhoneNumber",
    404: "UnsupportedNumberType", 405: "InsufficientBalance", 406: "UserInBlacklist",
    407: "CouldNotRoute", 409: "DoNotDisturbRejection",
    500: "InternalServerError", 501: "GatewayError", 502: "RejectedByGateway",
}  # fmt: skip


# -- from a phone


def text(
    world: World,
    phone: Handset,
    words: str,
    *,
    to: str = "",
    message_id: str = "",
    link_id: str = "",
    copies: int = 1,
) -> str:
    """Sends a text to the house; its id, with which it can be sent again."""
    with world.lock:
        sent = {
            "from": phone.e164,
            "to": to or world.settings.short_code,
            "text": words,
            "date": f"{nairobi_now():%Y-%m-%d %H:%M:%S}",
            "id": message_id or ids.message(),
            "cost": "KES 1.00",
            "networkCode": phone.network_code,
        }
        if link_id:
            sent["linkId"] = link_id
        world.texts.append(sent)
        phone.sent.append({"to": sent["to"], "text": words, "id": sent["id"]})
        world.stir()
    _hand_over(world, sent, copies)
    return sent["id"]


def repeat_text(world: World, phone: Handset, *, message_id: str = "", copies: int = 1) -> str:
    """The aggregator sends the very same text again: the last one, or the one with this id."""
    with world.lock:
        mine = [sent for sent in world.texts if sent["from"] == phone.e164]
        wanted = [sent for sent in mine if message_id in ("", sent["id"])]
        if not wanted:
            raise LookupError(f"{phone.e164} sent no such text")
    _hand_over(world, wanted[-1], copies)
    return wanted[-1]["id"]


def opt_out(world: World, phone: Handset, sender: str) -> None:
    with world.lock:
        phone.opted_out.add(sender)
        fields = {"senderId": sender, "phoneNumber": phone.e164}
    url = world.settings.optout_callback
    tell(world, "optout", url, fields, wire.safe_form(fields), wait=0)


def _hand_over(world: World, sent: dict[str, str], copies: int) -> None:
    with world.lock:
        plan = world.faults.take("sms_in", phone=number_of(sent["from"]))
    shown = wire.safe_form(sent | {"text": wire.without_pins(sent["text"])})
    for _ in range(copies):
        tell(world, "sms_in", world.settings.sms_callback, sent, shown, plan, wait=0)


# -- from the house


def send(world: World, *, to: list[str], words: str, sender: str, plan: Plan) -> dict[str, Any]:
    """What the aggregator answers to one send, phones reached or not."""
    senders = world.settings.senders
    if plan.has("invalidSenderId") or (sender and senders and sender not in senders):
        return {"SMSMessageData": {"Message": "InvalidSenderId", "Recipients": []}}
    recipients = [_recipient(world, number, words, sender, plan) for number in to]
    cost = sum(Decimal(r["cost"].removeprefix("KES ")) for r in recipients)
    reached = sum(1 for r in recipients if r["messageId"] != "None")
    summary = f"Sent to {reached}/{len(to)} Total Cost: KES {cost:.4f}"
    return {"SMSMessageData": {"Message": summary, "Recipients": recipients}}


def _recipient(world: World, number: str, words: str, sender: str, plan: Plan) -> dict[str, Any]:
    code = plan.number("recipientStatus", "code", 405) if plan.has("recipientStatus") else 101
    phone = None
    with world.lock:
        try:
            phone = world.handset(number) if number.startswith("+") else None
        except ValueError:
            phone = None
    if phone is None:
        code = 403
    elif sender in phone.opted_out:
        code = 406
    if phone is None or code > 102:
        return {
            "statusCode": code, "number": number, "status": STATUSES.get(code, "Rejected"),
            "cost": "0", "messageId": "None",
        }  # fmt: skip
    message_id = ids.message()
    _deliver(world, phone, words, sender, message_id)
    cost = Decimal(world.settings.sms_cost) * gsm7.segments(words)
    return {
        "statusCode": code, "number": number, "status": STATUSES[code],
        "cost": f"KES {cost:.4f}", "messageId": message_id,
    }  # fmt: skip


def _deliver(world: World, phone: Handset, words: str, sender: str, message_id: str) -> None:
    """Reaches the phone, then reports; a switched-off phone is only reported."""
    with world.lock:
        plan = world.faults.take("delivery", phone=phone.number)
        reason = ""
        if plan.has("deliveryStatus"):
            statuses = str(plan.param("deliveryStatus", "statuses", "Failed")).split(",")
            reason = str(plan.param("deliveryStatus", "reason", ""))
        else:
            statuses = ["Sent", "Success" if phone.reachable else "AbsentSubscriber"]
        if "Success" in statuses:
            text = Text(
                sender or "AFRICASTKNG", words, f"{nairobi_now():%H:%M}", message_id,
                gsm7.segments(words),
            )  # fmt: skip
            phone.inbox.append(text)
        world.stir()
    for place, status in enumerate(statuses):
        report = {
            "id": message_id, "status": status.strip(), "phoneNumber": phone.e164,
            "networkCode": phone.network_code,
        }  # fmt: skip
        if reason and place == len(statuses) - 1:
            report["failureReason"] = reason
        tell(
            world, "delivery", world.settings.delivery_callback, report, wire.safe_form(report),
            plan, wait=world.settings.answer_delay * (place + 1),
        )  # fmt: skip
