"""How a callback can lie, hide or come in another shape, by the plan of its request."""

import copy
from collections.abc import Iterator
from typing import Any

from simulator.daraja import results
from simulator.faults import Plan

STRANGER = "254799999999"


def yes(told: Any) -> bool:
    """A parameter as it comes in JSON, or in the text of a standing scenario."""
    return str(told).lower() in {"1", "true", "yes", "on"}


def of_push(payload: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """An STK callback as the plan has it."""
    metadata = payload["Body"]["stkCallback"].get("CallbackMetadata")
    if metadata is None:
        return payload
    items = metadata["Item"]
    for item in items:
        if item["Name"] == "PhoneNumber":
            item["Value"] = _phone(item["Value"], plan)
    hidden = {"PhoneNumber"} if plan.has("noPhone") else set()
    hidden |= {"MpesaReceiptNumber"} if plan.has("noReceipt") else set()
    kept = [item for item in items if item["Name"] not in hidden]
    metadata["Item"] = kept[::-1] if plan.has("shuffledItems") else kept
    return payload


def of_payout(payload: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """A B2C result as the plan has it."""
    parameters = payload["Result"].get("ResultParameters")
    if parameters is None:
        return payload
    items = parameters["ResultParameter"]
    for item in items:
        if item["Key"] == "ReceiverPartyPublicName":
            number, _, name = item["Value"].partition(" - ")
            item["Value"] = f"{_phone(number, plan)} - {name}"
    hidden = {"ReceiverPartyPublicName"} if plan.has("noPhone") else set()
    hidden |= {"TransactionReceipt"} if plan.has("noReceipt") else set()
    kept = [item for item in items if item["Key"] not in hidden]
    parameters["ResultParameter"] = kept[::-1] if plan.has("shuffledItems") else kept
    return payload


def of_confirmation(payload: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """A C2B confirmation as the plan has it."""
    if plan.has("wrongAmount"):
        told = plan.number("wrongAmount", "says", int(float(payload["TransAmount"])) + 1)
        payload["TransAmount"] = f"{told:.2f}"
    if plan.has("wrongShortcode"):
        payload["BusinessShortCode"] = str(plan.param("wrongShortcode", "says", "999999"))
    if plan.has("wrongPhone"):
        payload["MSISDN"] = results.masked(str(plan.param("wrongPhone", "says", STRANGER)))
    if plan.has("noPhone"):
        payload["MSISDN"] = ""
    if plan.has("shuffledItems"):
        return dict(reversed(payload.items()))
    return payload


def contradiction(payload: dict[str, Any], plan: Plan) -> Iterator[dict[str, Any]]:
    """The same callback once more, saying that it failed; nothing without `contradicts`."""
    if not plan.has("contradicts"):
        return
    other = copy.deepcopy(payload)
    told = other["Body"]["stkCallback"] if "Body" in other else other["Result"]
    told.pop("CallbackMetadata", None)
    told.pop("ResultParameters", None)
    code = str(plan.param("contradicts", "code", "1032" if "Body" in other else "2040"))
    told["ResultCode"], told["ResultDesc"] = results.number_or_text(code), results.described(code)
    yield other


def _phone(told: Any, plan: Plan) -> Any:
    if plan.has("wrongPhone"):
        told = type(told)(plan.param("wrongPhone", "says", STRANGER))
    if plan.has("maskedPhone"):
        return f"{str(told)[:4]}*****{str(told)[-3:]}"
    return told
