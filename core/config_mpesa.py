"""What no start may go on with about M-PESA: half an account, or sandbox and real money mixed."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate
from pydantic import SecretStr

from core import phone
from core.errors import Refusal
from core.settings import Settings

HOSTS = {"sandbox": "sandbox.safaricom.co.ke", "production": "api.safaricom.co.ke"}
SHORTCODES = ("mpesa_shortcode", "mpesa_till_number", "mpesa_b2c_shortcode")
SHORTCODE_DIGITS = range(5, 8)
# Printed in Safaricom's documents for everybody's first steps; they are nobody's secrets.
PUBLIC = {
    "mpesa_shortcode": ("174379",),
    "mpesa_passkey": ("bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919",),
    "mpesa_initiator_name": ("testapi", "testapiuser"),
    "mpesa_initiator_password": ("Safaricom999!*!", "Safaricom123!!"),
}
PRETENDED = ("demo-", "simulated-", "test-")  # how the secrets of a demo begin
SECRETS = (
    "mpesa_consumer_key",
    "mpesa_consumer_secret",
    "mpesa_passkey",
    "mpesa_initiator_password",
)


def unsafe(config: Settings) -> Iterator[str]:
    """What this environment may not start with, a sentence for each."""
    if config.mpesa_production != (config.app_env == "production"):
        yield f"MPESA_PRODUCTION: {config.mpesa_production} does not go with {config.app_env}"
    yield from _misshapen(config)
    if config.app_env in HOSTS:
        yield from _mixed(config)
        if (pem := config.mpesa_certificate) and not is_certificate(pem):
            yield "MPESA_CERTIFICATE: not an RSA certificate in PEM"


def _misshapen(config: Settings) -> Iterator[str]:
    """Numbers that are none; what stands in for a faulty setting is not told of again."""
    for name in SHORTCODES:
        number = getattr(config, name)
        if number and not (
            number.isascii() and number.isdigit() and len(number) in SHORTCODE_DIGITS
        ):
            yield f"{name.upper()}: a shortcode has five to seven digits"
    if number := config.mpesa_pull_number:
        try:
            phone.read(number)
        except Refusal:
            yield "MPESA_PULL_NUMBER: not a phone number of Kenya"


def _mixed(config: Settings) -> Iterator[str]:
    """The sandbox's address, numbers and secrets, and those of real money, keep apart."""
    host = (urlsplit(config.daraja_base_url).hostname or "").lower()
    for world, name in HOSTS.items():
        if host == name and world != config.app_env:
            yield f"DARAJA_BASE_URL: a {world} address does not go with {config.app_env}"
    for name in SECRETS:
        if _text(config, name).lower().startswith(PRETENDED):
            yield f"{name.upper()}: the value of a demo"
    public = [name for name, values in PUBLIC.items() if _text(config, name) in values]
    if config.app_env == "production":
        yield from (f"{name.upper()}: printed in Safaricom's sandbox documents" for name in public)
    elif ("mpesa_shortcode" in public) != ("mpesa_passkey" in public):
        yield "MPESA_PASSKEY: the sandbox's passkey and its shortcode 174379 go together"


def is_certificate(pem: str) -> bool:
    """Whether it is one that a credential can be sealed under."""
    try:
        return isinstance(load_pem_x509_certificate(pem.encode()).public_key(), RSAPublicKey)
    except ValueError:
        return False


def _text(config: Settings, name: str) -> str:
    value: str | SecretStr = getattr(config, name)
    return value.get_secret_value() if isinstance(value, SecretStr) else value
