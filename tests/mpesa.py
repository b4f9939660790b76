"""M-PESA as the tests pretend it: a Daraja of senders, the bodies it posts, and its worker."""

import functools
import json
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from core import fates, inbox, jobs, ledger, outbox, payout_results, pushes, refund_results
from core.errors import PartnerError
from core.messages import Message
from core.outbox import MONEY
from core.payments import Deposit, Payout
from core.runtime import Runtime
from demo.settings import PAYBILL


class Daraja:
    """Takes everything with thanks, unless `says` has an error for that kind of request."""

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.says: dict[str, PartnerError | dict[str, Any]] = {}
        self.meanwhile: dict[str, Any] = {}  # what happens before the answer, by kind
        rt.senders = {
            kind: functools.partial(self.answer, kind)
            for kind in ("stk", "stk_query", "b2c", "b2c_refund", "reversal", "status_query")
        }

    def answer(self, kind: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append((kind, dict(request)))
        number = len(self.asked)
        if kind in self.meanwhile:
            self.meanwhile.pop(kind)(request)
        said = self.says.get(kind)
        if isinstance(said, PartnerError):
            raise said
        return said or {
            "receipt": f"{kind}-{number}",
            "checkout_request_id": f"ws_CO_{number}",
            "merchant_request_id": f"m-{number}",
            "conversation_id": f"AG_{number}",
            "originator_conversation_id": f"o-{number}",
            "code": "1032",
            "detail": "",
        }

    def requests(self, kind: str) -> list[dict[str, Any]]:
        return [request for asked, request in self.asked if asked == kind]


def work(rt: Runtime) -> None:
    """One pass of the money worker: every promise and every callback that is due now."""
    with rt.transaction() as tx:
        promises = outbox.due(tx, MONEY, now=rt.now(), limit=100)
        waiting = inbox.due(tx, now=rt.now(), limit=100)
    for promise_id in promises:
        jobs.deliver(promise_id)
    for queue, callback_id in waiting:
        if queue == MONEY:
            jobs.process(callback_id)


def sweep(rt: Runtime) -> None:
    """One strike of the clock over the payments, and the work it finds."""
    for sweeper in (pushes.sweep, fates.sweep, payout_results.sweep, refund_results.sweep):
        with rt.transaction() as tx:
            sweeper(tx, rt.now(), rt.config)
    work(rt)


def post(rt: Runtime, door: str, payload: Any) -> str | None:
    """M-PESA posts `payload`; the verdict once it was acted on."""
    with rt.transaction() as tx:
        body = json.dumps(payload).encode()
        number = inbox.keep(tx, door, body, keys=rt.config.data_keys, now=rt.now())
    jobs.process(number)
    with rt.transaction() as tx:
        return tx.get_one(inbox.Callback, number).verdict


def push_result(
    checkout: str,
    code: Any = 0,
    *,
    receipt: str = "SKL7RT61SV",
    amount: Any = 100.0,
    phone: Any = 254712000001,
) -> dict[str, Any]:
    """The STK callback: success has items, and one of them no value."""
    told: dict[str, Any] = {
        "MerchantRequestID": "m-1",
        "CheckoutRequestID": checkout,
        "ResultCode": code,
        "ResultDesc": "told",
    }
    if code in (0, "0"):
        told["CallbackMetadata"] = {
            "Item": [
                {"Name": "Amount", "Value": amount},
                {"Name": "MpesaReceiptNumber", "Value": receipt},
                {"Name": "Balance"},
                {"Name": "TransactionDate", "Value": 20261120143000},
                {"Name": "PhoneNumber", "Value": phone},
            ]
        }
    return {"Body": {"stkCallback": told}}


def payout_result(
    request: dict[str, Any],
    code: Any = 0,
    *,
    receipt: str = "SKP1PAYOUT",
    amount: Any = None,
    conversation: str = "",
    payee: str = "",
) -> dict[str, Any]:
    """The B2C result for what was asked of us; a failure has a TransactionID too."""
    told: dict[str, Any] = {
        "ResultType": 0,
        "ResultCode": code,
        "ResultDesc": "told",
        "OriginatorConversationID": request["ocid"],
        "ConversationID": conversation,
        "TransactionID": receipt,
    }
    if code in (0, "0"):
        name = payee or f"{request['phone'].removeprefix('+')} - AMINA WANJIRU"
        told["ResultParameters"] = {
            "ResultParameter": [
                {"Key": "TransactionAmount", "Value": amount or request["amount"] // 100},
                {"Key": "TransactionReceipt", "Value": receipt},
                {"Key": "ReceiverPartyPublicName", "Value": name},
                {"Key": "TransactionCompletedDateTime", "Value": "20.11.2026 14:30:00"},
            ]
        }
    return {"Result": told}


def status_result(
    conversation: str,
    status: str = "Completed",
    *,
    code: Any = 0,
    receipt: str = "SKL7RT61SV",
    amount: Any = 100,
    payer: str = "254712000001 - AMINA",
    payee: str = f"{PAYBILL} - HOUSE",
    ocid: str = "",
) -> dict[str, Any]:
    """The answer to a status query: DebitPartyName twice, TransactionReason with no value."""
    told: dict[str, Any] = {
        "ResultType": "0",
        "ResultCode": code,
        "ResultDesc": "told",
        "OriginatorConversationID": ocid or str(uuid.uuid4()),
        "ConversationID": conversation,
        "TransactionID": "SK00000000",
    }
    if code in (0, "0"):
        pairs = [
            ("DebitPartyName", payer), ("DebitPartyName", payee), ("TransactionStatus", status),
            ("FinalisedTime", "20261120143000"), ("Amount", str(amount)), ("ReceiptNo", receipt),
        ]  # fmt: skip
        told["ResultParameters"] = {
            "ResultParameter": [
                {"Key": "TransactionReason"},
                *({"Key": key, "Value": value} for key, value in pairs),
            ]
        }
    return {"Result": told}


def deposit(rt: Runtime, deposit_id: int) -> Deposit:
    with rt.transaction() as tx:
        return tx.get_one(Deposit, deposit_id)


def payout(rt: Runtime, payout_id: int) -> Payout:
    with rt.transaction() as tx:
        return tx.get_one(Payout, payout_id)


def balance(rt: Runtime, customer: Any) -> int:
    with rt.transaction() as tx:
        return ledger.balance(tx, customer.id)


def texts(rt: Runtime, customer: Any) -> list[str]:
    """The sentences that were texted to the customer, oldest first."""
    with rt.transaction() as tx:
        told = select(Message.sentence).where(Message.customer_id == customer.id)
        return list(tx.scalars(told.order_by(Message.id)))
