"""The way out for texts: Africa's Talking through its SDK, its answers sorted by meaning.

The SDK returns where it should raise (a 201 with nobody in it, a refused number), raises where it
loses the status, and answers with a string or a dictionary as the header happens to be spelled.
Everything of that ends here, in a receipt or in one of NotSent, Rejected and Unknown.
"""

import json
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

import requests
from africastalking.Service import AfricasTalkingException
from africastalking.SMS import SMSService
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, SSLError

from core import backers, messages, results
from core.config import Config
from core.errors import NotSent, PartnerError, Rejected, Unknown
from core.log import HIDDEN, SHORT_NUMBER, scrub
from core.runtime import Sender

VERSION = "/version1"
DETAIL = 200  # characters of an answer that staff get to see
DEAREST = 1_000_000  # shillings; what costs more than that is no price of a text
NOBODY = "None"  # the SDK's wire says this word where there is no message id

# A recipient's statusCode: 100 processed, 101 sent, 102 queued. The rest is no text on its way.
# What may be cured by us or by them in time is tried again, what is about the number is not.
AGAIN: Mapping[int, str] = {
    402: "InvalidSenderId",
    405: "InsufficientBalance",
    500: "InternalServerError",
    501: "GatewayError",
    502: "RejectedByGateway",
}
FINAL: Mapping[int, str] = {
    401: "RiskHold",
    403: "InvalidPhoneNumber",
    404: "UnsupportedNumberType",
    406: "UserInBlacklist",
    407: "CouldNotRoute",
    409: "DoNotDisturbRejection",
}
ACCEPTED = range(100, 200)

# The SDK keeps only the text of an answer that is not 2xx. These say that nothing was taken: a key
# that is wrong or too new (it needs up to twenty minutes), and too many at once.
UNTAKEN = ("authentication", "unauthorized", "too many requests", "rate limit", "throttl")


class Aggregator:
    """One account's line to the aggregator."""

    def __init__(self, config: Config) -> None:
        self.sender_id = config.at_sender_id or None
        self.timeout = (
            config.connect_timeout.total_seconds(),
            config.at_timeout.total_seconds(),
        )
        self.sms = SMSService(config.at_username, config.at_api_key.get_secret_value())
        # The SDK knows two hosts, chosen by the user's name; ours is a setting, and set here only.
        self.sms._baseUrl = config.at_base_url.rstrip("/") + VERSION

    def senders(self) -> dict[str, Sender]:
        """What the outbox's kinds of promise that end in a text are sent with."""
        return dict.fromkeys((messages.KIND, results.KIND, backers.KIND), self.send)

    def send(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send one text, `text` to `to`: its `receipt` and `cost_cents`, or how it failed."""
        try:
            answer = self.sms.send(
                request["text"], [request["to"]], sender_id=self.sender_id, timeout=self.timeout
            )
        except AfricasTalkingException as error:
            raise _of_refusal(str(error)) from error
        except requests.RequestException as error:
            raise _of_failure(error) from error
        except ValueError as error:  # the SDK's own look at the number
            raise Rejected("the number is no number", code="403") from error
        return _receipt(answer)


def _receipt(answer: object) -> Mapping[str, Any]:
    """The message id and price of an answer that came with 2xx."""
    sent, recipients = _opened(answer)
    if not recipients:
        raise _of_nobody(str(sent.get("Message", "")))
    recipient = recipients[0]
    code, message_id = _number(recipient.get("statusCode")), str(recipient.get("messageId") or "")
    status = f"{code} {recipient.get('status')}"[:DETAIL]
    if code in AGAIN:
        raise NotSent(status, code=str(code))
    if code in FINAL:
        raise Rejected(status, code=str(code))
    if code not in ACCEPTED or message_id in ("", NOBODY):
        raise Unknown(status, code=None if code is None else str(code))
    return {"receipt": message_id, "cost_cents": cents(recipient.get("cost"))}


def cents(cost: object) -> int | None:
    """`KES 0.8000` or `0` in cents, upwards; None for what is no amount in shillings."""
    words = str(cost if cost is not None else "").split()
    if not words or (len(words) == 2 and words[0] != "KES") or len(words) > 2:
        return None
    try:
        shillings = Decimal(words[-1])
        if not 0 <= shillings <= DEAREST:
            return None
    except InvalidOperation:  # no number, or NaN
        return None
    return int((shillings * 100).to_integral_value(ROUND_CEILING))


def _opened(answer: object) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """The envelope and its recipients, from a dictionary or from the text of one."""
    try:
        body = json.loads(answer) if isinstance(answer, str) else answer
        sent = body["SMSMessageData"]  # type: ignore[index]  # TypeError is what is waited for
        recipients = sent.get("Recipients") or []
        return sent, [dict(recipient) for recipient in recipients]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # It came with 2xx, so the text may be on its way; the words are in no form we know.
        raise Unknown(f"unreadable: {_shown(str(answer))}", code="unreadable") from error


def _of_nobody(message: str) -> PartnerError:
    """A 201 with no recipient: nothing was taken, and the message may say why."""
    plain = message.replace(" ", "").lower()
    for code, word in FINAL.items():
        if word.lower() in plain:
            return Rejected(_shown(message), code=str(code))
    known = (code for code, word in AGAIN.items() if word.lower() in plain)
    return NotSent(f"nobody: {_shown(message)}", code=str(next(known, "nobody")))


def _of_refusal(text: str) -> PartnerError:
    """An answer that was not 2xx; its status is lost, so only clear words make it clear."""
    if any(word in text.lower() for word in UNTAKEN):
        return NotSent(_shown(text), code="untaken")
    return Unknown(_shown(text), code="http")


def _shown(text: str) -> str:
    """An answer as it may be kept: a proxy may send our own words back, a one-time code in them."""
    return SHORT_NUMBER.sub(HIDDEN, scrub(text))[:DETAIL]


def _of_failure(error: requests.RequestException) -> PartnerError:
    """No answer. Surely unsent only where no connection came about; else it may have gone."""
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else None
    if isinstance(reason, NewConnectionError | ConnectTimeoutError | SSLError):
        return NotSent(f"no connection: {type(reason).__name__}", code="connection")
    return Unknown(f"no answer: {type(error).__name__}", code="no_answer")


def _number(code: object) -> int | None:
    try:
        return int(str(code))
    except ValueError:
        return None
