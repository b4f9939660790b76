"""What proves to M-PESA who asks: the password of a push, and the operator's credential."""

import base64
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate

NAIROBI = ZoneInfo("Africa/Nairobi")


def password(shortcode: str, passkey: str, now: datetime) -> dict[str, Any]:
    """The three fields that prove a push or its query; the one moment serves all of them."""
    stamp = now.astimezone(NAIROBI).strftime("%Y%m%d%H%M%S")
    proof = base64.b64encode(f"{shortcode}{passkey}{stamp}".encode()).decode()
    return {"BusinessShortCode": int(shortcode), "Password": proof, "Timestamp": stamp}


def credential(operators_password: str, certificate: str) -> str:
    """The operator's password for M-PESA's eyes, under its `certificate` in PEM.

    Made for each request and kept nowhere. RSA with PKCS#1 v1.5, as Safaricom demands.
    """
    key = load_pem_x509_certificate(certificate.encode()).public_key()
    assert isinstance(key, RSAPublicKey), "M-PESA's certificate holds an RSA key"
    return base64.b64encode(key.encrypt(operators_password.encode(), PKCS1v15())).decode()
