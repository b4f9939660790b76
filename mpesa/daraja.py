"""The Daraja client: what the house asks of M-PESA, and its answers sorted by what they mean.

Each sender takes a request in the house's words and returns the answer in the house's words, or
raises NotSent, Rejected or Unknown. Nothing here tries a money request twice, but for the one case
where the gateway refused our token and M-PESA never saw it.
"""

import base64
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import requests
import structlog
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate
from redis import Redis
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError

from core import phone
from core.config import Config
from core.errors import NotSent, Unknown
from core.runtime import Sender
from mpesa import answers
from mpesa.token import SharedToken

log = structlog.get_logger(__name__)

NAIROBI = ZoneInfo("Africa/Nairobi")
REFERENCE_LENGTH, DESCRIPTION = 12, "Deposit"  # AccountReference at most 12, TransactionDesc 13
REMARKS = "Payout"
IN_FLIGHT = "4999"  # an STK query's way to say that the customer has not answered yet

OAUTH = "/oauth/v1/generate?grant_type=client_credentials"
PATHS = {
    answers.STK: "/mpesa/stkpush/v1/processrequest",
    answers.STK_QUERY: "/mpesa/stkpushquery/v1/query",
    answers.B2C: "/mpesa/b2c/v3/paymentrequest",
    answers.STATUS: "/mpesa/transactionstatus/v1/query",
}


class Daraja:
    """One organisation's line to M-PESA."""

    def __init__(self, config: Config, redis: Redis, clock: Callable[[], datetime]) -> None:
        self.config, self.clock = config, clock
        self.base_url = config.daraja_base_url.rstrip("/")
        self.timeout = (
            config.connect_timeout.total_seconds(),
            config.daraja_timeout.total_seconds(),
        )
        self.token = SharedToken(
            redis,
            config.data_keys,
            account=f"{self.base_url}|{config.mpesa_consumer_key.get_secret_value()}",
            margin=config.token_margin,
            mint=self._mint,
        )

    def senders(self) -> dict[str, Sender]:
        """What the outbox's kinds of M-PESA promise are sent with."""
        return {
            answers.STK: self.push,
            answers.STK_QUERY: self.ask_push,
            answers.B2C: self.pay,
            answers.STATUS: self.ask_status,
        }

    def push(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Prompt a phone for its M-PESA PIN: `phone`, `amount` in cents, `ref`."""
        till = self.config.mpesa_till_number
        payer = int(phone.daraja(request["phone"]))
        assert len(request["ref"]) <= REFERENCE_LENGTH, request["ref"]
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
                "AccountReference": request["ref"],
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
        """Pay out: `phone`, `amount` in cents, and `ocid`, which M-PESA pays at most once."""
        answer = self._post(
            answers.B2C,
            {
                "OriginatorConversationID": request["ocid"],
                "InitiatorName": self.config.mpesa_initiator_name,
                "SecurityCredential": self._security_credential(),
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
        answer = self._post(
            answers.STATUS,
            {
                "Initiator": self.config.mpesa_initiator_name,
                "SecurityCredential": self._security_credential(),
                "CommandID": "TransactionStatusQuery",
                **subject,
                "PartyA": int(request["shortcode"]),
                "IdentifierType": "4",
                "ResultURL": self._door("status/result"),
                "QueueTimeOutURL": self._door("status/timeout"),
                "Remarks": "Status",
                "Occasion": "Status",
            },
        )
        return _conversation(answer)

    def _post(self, product: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """One POST, sorted; with a new token, once, where the gateway refused the one we had."""
        token = self.token.current()
        try:
            return self._post_once(product, body, token)
        except answers.StaleToken:
            return self._post_once(product, body, self.token.current(instead_of=token))

    def _post_once(self, product: str, body: Mapping[str, Any], token: str) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        status, found = self._send("POST", PATHS[product], product, headers=headers, json=body)
        return answers.read(product, status, found)

    def _mint(self) -> tuple[str, int]:
        """A new token and its life in seconds. Whatever goes wrong, no money was asked for."""
        secret = self.config.mpesa_consumer_secret.get_secret_value()
        auth = (self.config.mpesa_consumer_key.get_secret_value(), secret)
        try:
            status, found = self._send("GET", OAUTH, "oauth", auth=auth)
        except Unknown as error:
            raise NotSent(f"no token: {error.detail}", code="token") from error
        if status != 200 or found is None or not found.get("access_token"):
            raise NotSent(f"no token: {status}", code="token")
        # Documented as a number, seen as a string; what is neither is a token for this once.
        seconds = str(found.get("expires_in"))
        return str(found["access_token"]), int(seconds) if seconds.isdecimal() else 0

    def _send(
        self, method: str, path: str, product: str, **request: Any
    ) -> tuple[int, Mapping[str, Any] | None]:
        """One request on a connection of its own, and its answer's status and JSON object.

        A connection from a pool may be half dead: what is written to it can be lost or done twice.
        Redirects are not followed, since that would be a second POST.
        """
        started = time.perf_counter()
        with requests.Session() as line:
            line.trust_env = False  # no proxy, and no .netrc that would replace our token
            line.mount("https://", Handshaking())
            try:
                response = line.request(
                    method,
                    self.base_url + path,
                    timeout=self.timeout,
                    allow_redirects=False,
                    **request,
                )
            except requests.RequestException as error:
                meaning = answers.of_failure(error)
                log.warning("daraja gave no answer", product=product, error_code=meaning.code)
                raise meaning from error
        seconds = round(time.perf_counter() - started, 3)
        log.info("daraja answered", product=product, status=response.status_code, seconds=seconds)
        return response.status_code, _json_object(response)

    def _password(self) -> dict[str, Any]:
        """Shortcode, password and the timestamp inside it; the one moment serves both."""
        shortcode = self.config.mpesa_shortcode
        stamp = self.clock().astimezone(NAIROBI).strftime("%Y%m%d%H%M%S")
        secret = f"{shortcode}{self.config.mpesa_passkey.get_secret_value()}{stamp}"
        password = base64.b64encode(secret.encode()).decode()
        return {"BusinessShortCode": int(shortcode), "Password": password, "Timestamp": stamp}

    def _security_credential(self) -> str:
        """The operator's password for M-PESA's eyes; made for each request and kept nowhere."""
        password = self.config.mpesa_initiator_password.get_secret_value().encode()
        key = load_pem_x509_certificate(self.config.mpesa_certificate.encode()).public_key()
        assert isinstance(key, RSAPublicKey), "M-PESA's certificate holds an RSA key"
        return base64.b64encode(key.encrypt(password, PKCS1v15())).decode()

    def _door(self, name: str) -> str:
        token = self.config.daraja_hook_token[0].get_secret_value()
        return f"{self.config.public_url.rstrip('/')}/hooks/{token}/{name}"


class Handshake(HTTPSConnection):
    """A TLS connection that fails to come about as one that never did, whatever the reason.

    Otherwise an error of the handshake looks like one in the middle of the answer, and the first
    surely sent nothing while the second may have paid.
    """

    def connect(self) -> None:
        """Open the socket and shake hands; raises NewConnectionError where either fails."""
        try:
            super().connect()
        except NewConnectionError:
            raise
        except (OSError, HTTPError) as error:
            self.close()
            raise NewConnectionError(self, f"no TLS: {type(error).__name__}") from error


class HandshakePool(HTTPSConnectionPool):
    """A pool whose connections are Handshakes."""

    ConnectionCls = Handshake


class Handshaking(HTTPAdapter):
    """Sends over Handshakes, never twice."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As its parent, with our kind of connection."""
        super().init_poolmanager(*args, **kwargs)
        known = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {**known, "https": HandshakePool}


def _conversation(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ids under which the result will come."""
    return {
        "receipt": answer["ConversationID"],
        "conversation_id": str(answer["ConversationID"]),
        "originator_conversation_id": str(answer.get("OriginatorConversationID") or ""),
    }


def _shillings(cents: int) -> int:
    shillings, rest = divmod(cents, 100)
    assert rest == 0, f"M-PESA moves whole shillings: {cents} cents"
    return shillings


def _json_object(response: requests.Response) -> Mapping[str, Any] | None:
    try:
        found = response.json()
    except ValueError:
        return None
    return found if isinstance(found, Mapping) else None
