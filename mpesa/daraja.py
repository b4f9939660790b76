"""The Daraja client: what the house asks of M-PESA, field by field.

Each sender takes a request in the house's words and returns the answer in the house's words, or
raises NotSent, Rejected or Unknown.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from redis import Redis

from core import phone
from core.config import Config
from core.errors import NotSent, Unknown
from core.runtime import Sender
from mpesa import answers, pulled, secrets
from mpesa.line import Line
from mpesa.secrets import NAIROBI

REFERENCE = re.compile(r"[A-Z0-9]{1,12}")  # AccountReference
DESCRIPTION = "Deposit"  # TransactionDesc, 13 characters at most
REMARKS = "Payout"
IN_FLIGHT = "4999"  # an STK query's way to say that the customer has not answered yet
WHEN_SILENT = "Completed"  # what M-PESA does with a payment when our validation does not answer
SHORTCODE, REVERSAL_SHORTCODE = "4", "11"  # kinds of identifier

PATHS = {
    answers.STK: "/mpesa/stkpush/v1/processrequest",
    answers.STK_QUERY: "/mpesa/stkpushquery/v1/query",
    answers.B2C: "/mpesa/b2c/v3/paymentrequest",
    answers.STATUS: "/mpesa/transactionstatus/v1/query",
    answers.REVERSAL: "/mpesa/reversal/v1/request",
    answers.BALANCE: "/mpesa/accountbalance/v1/query",
    answers.C2B_REGISTER: "/mpesa/c2b/v2/registerurl",
    answers.PULL_REGISTER: "/pulltransactions/v1/register",
    answers.PULL: "/pulltransactions/v1/query",
}


class Daraja:
    """What one organisation asks of M-PESA. Amounts are cents, and extra words are not read."""

    def __init__(
        self, config: Config, redis: Redis, clock: Callable[[], datetime], *, apart: str = ""
    ) -> None:
        self.config, self.clock = config, clock
        self.line = Line(config, redis, clock, apart=apart)

    def senders(self) -> dict[str, Sender]:
        """What the outbox's kinds of M-PESA promise are sent with, and what only staff ask."""
        return {
            answers.OAUTH: self.log_in,
            "log_out": self.log_out,
            answers.STK: self.push,
            answers.STK_QUERY: self.ask_push,
            answers.B2C: self.pay,
            "b2c_refund": self.pay,  # the same product, promised for another reason
            answers.STATUS: self.ask_status,
            answers.REVERSAL: self.reverse,
            answers.BALANCE: self.ask_balance,
            answers.PULL: self.pull,
            answers.PULL_REGISTER: self.register_pull,
            answers.C2B_REGISTER: self.register_paybill,
        }

    def log_in(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have a token, which is not told, and a `fresh` one where that is asked.

        Raises NotSent where there is none to be had.
        """
        if request.get("fresh"):
            self.line.token.renewed()
        else:
            self.line.token.current()
        return {}

    def log_out(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Forget the token of this account."""
        self.line.token.drop()
        return {}

    def push(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Prompt a phone for its M-PESA PIN: `phone`, `amount`, `ref`."""
        _check_ours(request, self.config.mpesa_shortcode)
        till = self.config.mpesa_till_number
        payer = int(phone.daraja(request["phone"]))
        ref = request["ref"]
        assert REFERENCE.fullmatch(ref), ref
        answer = self._post(
            answers.STK,
            {
                **self._password(),
                "TransactionType": "CustomerBuyGoodsOnline" if till else "CustomerPayBillOnline",
                "Amount": _shillings(request["amount"]),
                "PartyA": payer,
                "PartyB": int(till or self.config.mpesa_shortcode),
                "PhoneNumber": payer,
                "CallBackURL": self._door("stk"),
                "AccountReference": ref,
                "TransactionDesc": DESCRIPTION,
            },
        )
        return {
            "receipt": answer["CheckoutRequestID"],
            "checkout_request_id": str(answer["CheckoutRequestID"]),
            "merchant_request_id": str(answer.get("MerchantRequestID") or ""),
        }

    def ask_push(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What became of a push: its result code, which is never a proof of payment."""
        checkout = request["checkout_request_id"]
        answer = self._post(answers.STK_QUERY, {**self._password(), "CheckoutRequestID": checkout})
        code = str(answer["ResultCode"])
        if code == IN_FLIGHT:
            raise Unknown("the customer has not answered", code="in_flight")
        return {"code": code, "detail": str(answer.get("ResultDesc") or "")}

    def pay(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Pay out: `phone`, `amount`, and `ocid`, which M-PESA pays at most once."""
        _check_ours(request, self.config.mpesa_b2c_shortcode)
        answer = self._post(
            answers.B2C,
            {
                "OriginatorConversationID": request["ocid"],
                "InitiatorName": self.config.mpesa_initiator_name,
                "SecurityCredential": self._credential(),
                "CommandID": "BusinessPayment",
                "Amount": _shillings(request["amount"]),
                "PartyA": int(self.config.mpesa_b2c_shortcode),
                "PartyB": int(phone.daraja(request["phone"])),
                "Remarks": REMARKS,
                "QueueTimeOutURL": self._door("b2c/timeout"),
                "ResultURL": self._door("b2c/result"),
            },
        )
        return _conversation(answer)

    def ask_status(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask what became of a payment, by its `receipt` or our `ocid`; the answer comes later."""
        # The documentation calls our id by two names, so it is sent under both.
        subject = (
            {"TransactionID": request["receipt"]}
            if "receipt" in request
            else {
                "OriginatorConversationID": request["ocid"],
                "OriginalConversationID": request["ocid"],
            }
        )
        asked = {
            **self._as_operator("TransactionStatusQuery", "Status"),
            **subject,
            "PartyA": int(request["shortcode"]),
            "IdentifierType": SHORTCODE,
            **self._doors("status"),
        }
        return _conversation(self._post(answers.STATUS, asked))

    def reverse(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give a paybill payment back: `receipt`, `amount`, `shortcode`; the result comes later."""
        asked = {
            **self._as_operator("TransactionReversal", "Refund"),
            "TransactionID": request["receipt"],
            "Amount": _shillings(request["amount"]),
            "ReceiverParty": int(request["shortcode"]),
            "RecieverIdentifierType": REVERSAL_SHORTCODE,  # sic
            **self._doors("reversal"),
        }
        return _conversation(self._post(answers.REVERSAL, asked))

    def ask_balance(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask what `shortcode` holds, or the one that receives deposits; the answer comes later."""
        asked = {
            **self._as_operator("AccountBalance", "Balance"),
            "PartyA": int(request.get("shortcode") or self.config.mpesa_shortcode),
            "IdentifierType": SHORTCODE,
            **self._doors("balance"),
        }
        return _conversation(self._post(answers.BALANCE, asked))

    def pull(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The paybill payments from `start` to `end`, a hundred from the `offset`-th on.

        Moments are aware, or ISO text that is; M-PESA knows the last 48 hours.
        """
        answer = self._post(
            answers.PULL,
            {
                "ShortCode": request.get("shortcode") or self.config.mpesa_shortcode,
                "StartDate": _in_nairobi(request["start"]),
                "EndDate": _in_nairobi(request["end"]),
                "OffSetValue": str(request.get("offset") or 0),
            },
        )
        return {"receipt": _reference(answer), "rows": pulled.rows(answer)}

    def register_pull(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask to be let use the pull API, once; to have asked before is a yes."""
        answer = self._post(
            answers.PULL_REGISTER,
            {
                "ShortCode": self.config.mpesa_shortcode,
                "RequestType": "Pull",
                "NominatedNumber": self.config.mpesa_pull_number,
                "CallBackURL": self._door("stk"),  # asked for, and never called
            },
        )
        return _registered(answer)

    def register_paybill(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Tell M-PESA the two paybill addresses; production takes them once."""
        answer = self._post(
            answers.C2B_REGISTER,
            {
                "ShortCode": int(self.config.mpesa_shortcode),
                "ResponseType": WHEN_SILENT,
                "ConfirmationURL": self._paybill_door("confirm"),
                "ValidationURL": self._paybill_door("validate"),
            },
        )
        return _registered(answer)

    def _post(self, product: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.line.post(product, PATHS[product], body)

    def _password(self) -> dict[str, Any]:
        passkey = self.config.mpesa_passkey.get_secret_value()
        return secrets.password(self.config.mpesa_shortcode, passkey, self.clock())

    def _credential(self) -> str:
        password = self.config.mpesa_initiator_password.get_secret_value()
        return secrets.credential(password, self.config.mpesa_certificate)

    def _as_operator(self, command: str, remarks: str) -> dict[str, Any]:
        """What every question of the operator begins with."""
        return {
            "Initiator": self.config.mpesa_initiator_name,
            "SecurityCredential": self._credential(),
            "CommandID": command,
            "Remarks": remarks,
            "Occasion": remarks,
        }

    def _doors(self, name: str) -> dict[str, str]:
        """Where its result goes, and the word that it waited too long."""
        return {
            "ResultURL": self._door(f"{name}/result"),
            "QueueTimeOutURL": self._door(f"{name}/timeout"),
        }

    def _door(self, name: str) -> str:
        token = self.config.daraja_hook_token[0].get_secret_value()
        return f"{self.config.public_url.rstrip('/')}/hooks/{token}/{name}"

    def _paybill_door(self, name: str) -> str:
        token = self.config.c2b_hook_token[0].get_secret_value()
        return f"{self.config.public_url.rstrip('/')}/hooks/{token}/c2b/{name}"


def _check_ours(request: Mapping[str, Any], shortcode: str) -> None:
    """Settings may change between a decision and its sending: then it is decided again."""
    if request.get("shortcode") not in (None, shortcode):
        raise NotSent("decided for another shortcode", code="shortcode")


def _conversation(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ids under which the result will come."""
    return {
        "receipt": answer["ConversationID"],
        "conversation_id": str(answer["ConversationID"]),
        "originator_conversation_id": str(answer.get("OriginatorConversationID") or ""),
    }


def _registered(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"receipt": _reference(answer), "detail": str(answer.get("ResponseDescription") or "")}


def _reference(answer: Mapping[str, Any]) -> str:
    """M-PESA's own name for an answer; one of its APIs misspells it."""
    names = ("ResponseRefID", "OriginatorCoversationID", "OriginatorConversationID")
    return next((str(answer[name]) for name in names if answer.get(name)), "")


def _shillings(cents: int) -> int:
    shillings, rest = divmod(cents, 100)
    assert rest == 0, f"M-PESA moves whole shillings: {cents} cents"
    return shillings


def _in_nairobi(moment: datetime | str) -> str:
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    assert read.tzinfo is not None, f"no zone: {moment}"
    return read.astimezone(NAIROBI).strftime("%Y-%m-%d %H:%M:%S")
