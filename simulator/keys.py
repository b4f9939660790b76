"""The key pair behind M-PESA's certificate, which initiators encrypt their password with."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

YEARS = 10


class Keys:
    """Made at the first start; kept in a file when one is named, so that a restart changes none."""

    def __init__(self, path: str = "") -> None:
        self._key = _load(Path(path)) if path else _new_key()
        self.certificate = _certificate(self._key)

    def opened(self, credential: str) -> str | None:
        """The password in a SecurityCredential; None when it was not encrypted for this key."""
        try:
            sealed = base64.b64decode(credential, validate=True)
            return self._key.decrypt(sealed, padding.PKCS1v15()).decode()
        except (binascii.Error, ValueError):
            return None


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _load(path: Path) -> rsa.RSAPrivateKey:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(
            _new_key().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{path} holds no RSA key")
    return key


def _certificate(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Simulated M-PESA")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
