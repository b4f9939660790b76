"""What a house says to Daraja, written by hand from Safaricom's documents."""

import base64
import uuid
from datetime import timedelta
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from requests import Response

from simulator.clock import nairobi_now
from simulator.driver import Network
from simulator.settings import Settings

TOLD = Settings()
TIMESTAMP = "20261120143000"
PHONE = 254712000001


class Merchant:
    def __init__(self, base: str, callbacks: str) -> None:
        self.base, self.callbacks = base, callbacks
        self.certificate = Network(base).certificate()
        self.token = ""

    def mint(self) -> str:
        answer = requests.get(
            f"{self.base}/oauth/v1/generate?grant_type=client_credentials",
            auth=(TOLD.consumer_key, TOLD.consumer_secret), timeout=20,
        )  # fmt: skip
        self.token = answer.json()["access_token"]
        return self.token

    def post(self, path: str, body: Any, token: str | None = None) -> Response:
        self.token = self.token or self.mint()
        return requests.post(
            self.base + path, json=body, timeout=20,
            headers={"Authorization": f"Bearer {token or self.token}"},
        )  # fmt: skip

    def stk(self, amount: Any = 100, **more: Any) -> Response:
        body = {
            "BusinessShortCode": int(TOLD.shortcode),
            "Password": password(),
            "Timestamp": TIMESTAMP,
            "TransactionType": "CustomerPayBillOnline",
            "Amount": amount,
            "PartyA": PHONE,
            "PartyB": int(TOLD.shortcode),
            "PhoneNumber": PHONE,
            "CallBackURL": f"{self.callbacks}/stk",
            "AccountReference": "7Q2MXA",
            "TransactionDesc": "Deposit",
        }
        return self.post("/mpesa/stkpush/v1/processrequest", body | more)

    def query(self, checkout_id: str) -> Response:
        body = {
            "BusinessShortCode": int(TOLD.shortcode),
            "Password": password(),
            "Timestamp": TIMESTAMP,
            "CheckoutRequestID": checkout_id,
        }
        return self.post("/mpesa/stkpushquery/v1/query", body)

    def b2c(self, amount: Any = 100, ocid: str = "", **more: Any) -> Response:
        body = {
            "OriginatorConversationID": ocid or str(uuid.uuid4()),
            "InitiatorName": TOLD.initiator_name,
            "SecurityCredential": self.credential(),
            "CommandID": "BusinessPayment",
            "Amount": amount,
            "PartyA": TOLD.b2c_shortcode,
            "PartyB": PHONE,
            "Remarks": "Winnings",
            "QueueTimeOutURL": f"{self.callbacks}/b2c/timeout",
            "ResultURL": f"{self.callbacks}/b2c/result",
            "Occassion": "",
        }
        return self.post("/mpesa/b2c/v3/paymentrequest", body | more)

    def status(self, **about: Any) -> Response:
        body = {
            "Initiator": TOLD.initiator_name,
            "SecurityCredential": self.credential(),
            "CommandID": "TransactionStatusQuery",
            "PartyA": TOLD.shortcode,
            "IdentifierType": "4",
            "ResultURL": f"{self.callbacks}/status/result",
            "QueueTimeOutURL": f"{self.callbacks}/status/timeout",
            "Remarks": "Check",
            "Occasion": "",
        }
        return self.post("/mpesa/transactionstatus/v1/query", body | about)

    def balance(self, **more: Any) -> Response:
        body = self._question("AccountBalance", "balance") | {
            "PartyA": TOLD.shortcode,
            "IdentifierType": "4",
        }
        return self.post("/mpesa/accountbalance/v1/query", body | more)

    def reverse(self, receipt: str, amount: Any, **more: Any) -> Response:
        body = self._question("TransactionReversal", "reversal") | {
            "TransactionID": receipt,
            "Amount": amount,
            "ReceiverParty": TOLD.shortcode,
            "RecieverIdentifierType": "11",
            "Occasion": "",
        }
        return self.post("/mpesa/reversal/v1/request", body | more)

    def pull(self, **more: Any) -> Response:
        """What came today and yesterday."""
        now = nairobi_now()
        body = {
            "ShortCode": TOLD.shortcode,
            "StartDate": f"{now - timedelta(days=1):%Y-%m-%d %H:%M:%S}",
            "EndDate": f"{now + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}",
            "OffSetValue": "0",
        }
        return self.post("/pulltransactions/v1/query", body | more)

    def register(self, version: str = "v2", **more: Any) -> Response:
        body = {
            "ShortCode": TOLD.shortcode,
            "ResponseType": "Completed",
            "ConfirmationURL": f"{self.callbacks}/paid",
            "ValidationURL": f"{self.callbacks}/may",
        }
        return self.post(f"/mpesa/c2b/{version}/registerurl", body | more)

    def _question(self, command: str, door: str) -> dict[str, Any]:
        return {
            "Initiator": TOLD.initiator_name,
            "SecurityCredential": self.credential(),
            "CommandID": command,
            "ResultURL": f"{self.callbacks}/{door}/result",
            "QueueTimeOutURL": f"{self.callbacks}/{door}/timeout",
            "Remarks": "Check",
        }

    def credential(self, secret: str = TOLD.initiator_password) -> str:
        key = x509.load_pem_x509_certificate(self.certificate.encode()).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        return base64.b64encode(key.encrypt(secret.encode(), padding.PKCS1v15())).decode()


def password(passkey: str = TOLD.passkey) -> str:
    return base64.b64encode(f"{TOLD.shortcode}{passkey}{TIMESTAMP}".encode()).decode()


def error(answer: Response) -> tuple[int, str, str]:
    body = answer.json()
    assert set(body) == {"requestId", "errorCode", "errorMessage"}
    return answer.status_code, body["errorCode"], body["errorMessage"]


def parameters(payload: dict[str, Any]) -> list[tuple[str, Any]]:
    """Key and value of each result parameter; a missing value is told apart from an empty one."""
    found = payload["Result"]["ResultParameters"]["ResultParameter"]
    return [(item["Key"], item.get("Value", "(no value)")) for item in found]
