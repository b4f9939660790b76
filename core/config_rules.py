"""What no start may go on with: the faults of settings that are each well written."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

from core import config_mpesa
from core.config_forms import ANYWHERE
from core.settings import Settings

PARTNER_URLS = ("at_base_url", "daraja_base_url")
NAMES = (
    "at_username",
    "at_short_code",
    "ussd_code",
    "mpesa_shortcode",
    "mpesa_b2c_shortcode",
    "mpesa_initiator_name",
    "mpesa_certificate",
)
CREDENTIALS = (
    "at_api_key",
    "mpesa_consumer_key",
    "mpesa_consumer_secret",
    "mpesa_passkey",
    "mpesa_initiator_password",
)
WORDS = ("secret_key", "metrics_token")  # secrets of free form
TOKENS = ("aggregator_hook_token", "daraja_hook_token", "c2b_hook_token")
FORBIDDEN_WORDS = ("mpesa", "safaricom", "exe", "cmd", "sql", "query")  # as Safaricom documents
DEMO_MARKS = (b"demo", b"test", b"example", b"change")  # what our development secrets contain
VARIETY = 8  # different bytes: sixteen random ones have that many but once in millions
TEXT_SECRET = 32
ADULT = 18
LEAST_PAYOUT = 10_00  # cents: M-PESA sends no less, and the database keeps no payout below it


def unsafe(config: Settings) -> Iterator[str]:
    """What this environment may not start with, a sentence for each."""
    yield from _crossed(config)
    yield from config_mpesa.unsafe(config)
    if config.app_env in ("demo", "test"):
        yield from _real_partners(config)
    else:
        yield from _missing_credentials(config)
        yield from _careless_doors(config)
    if config.app_env == "production":
        yield from _weak_secrets(config)
        yield from _unsafe_addresses(config)
        yield from _unsafe_switches(config)


def _crossed(config: Settings) -> Iterator[str]:
    """Limits that leave nothing between them."""
    for low, high in (
        ("deposit_min", "deposit_max"),
        ("stake_min", "stake_max"),
        ("payout_min_amount", "payout_max_amount"),
    ):
        if getattr(config, low) > getattr(config, high):
            yield f"{low.upper()}: above {high.upper()}"
    if config.payout_min_amount < LEAST_PAYOUT:
        yield "PAYOUT_MIN_AMOUNT: under 10 shillings, which M-PESA does not send"
    if config.payout_max_amount < 2 * config.payout_min_amount:
        yield "PAYOUT_MAX_AMOUNT: under twice PAYOUT_MIN_AMOUNT; a part could be too small to send"


def _real_partners(config: Settings) -> Iterator[str]:
    """A demo or a test that could touch a real phone or a real shilling."""
    for name in PARTNER_URLS:
        if not _is_near(getattr(config, name)):
            yield f"{name.upper()}: {config.app_env} speaks to a simulator on this machine only"
    if config.app_env == "demo":
        for name in CREDENTIALS:
            if (value := _text(config, name)) and not _is_pretended(value):
                yield f"{name.upper()}: looks real; a demo value has 'demo' or 'test' in it"


def _missing_credentials(config: Settings) -> Iterator[str]:
    """Partners cannot be reached without these."""
    for name in (*NAMES, *CREDENTIALS):
        if not _text(config, name):
            yield f"{name.upper()}: missing, and {config.app_env} needs it"


def _careless_doors(config: Settings) -> Iterator[str]:
    """Doors that admit whoever knows another door, or nobody."""
    tokens = [token.get_secret_value() for name in TOKENS for token in getattr(config, name)]
    if len(set(tokens)) < len(tokens):
        yield f"{', '.join(name.upper() for name in TOKENS)}: one token serves several doors"
    for name in ("aggregator_allowed_ips", "daraja_allowed_ips"):
        if not getattr(config, name):
            yield f"{name.upper()}: empty; list the partner's addresses, or say any"
    for word in FORBIDDEN_WORDS:
        if word in config.public_url.lower():
            yield f"PUBLIC_URL: Daraja calls no address with {word!r} in it"


def _weak_secrets(config: Settings) -> Iterator[str]:
    """Secrets that are short, that come from the demo, or that serve twice."""
    for name in WORDS:  # the form of the others demands their length already
        if len(_text(config, name)) < TEXT_SECRET:
            yield f"{name.upper()}: under {TEXT_SECRET} characters (openssl rand -hex 32)"
    secrets = {
        "pin_pepper": [config.pin_pepper],
        "code_key": [config.code_key],
        "key_key": [config.key_key],
        "data_keys": [*config.data_keys.keys.values()],
        **{name: [_raw(_text(config, name))] for name in WORDS},
        **{name: [_raw(t.get_secret_value()) for t in getattr(config, name)] for name in TOKENS},
    }
    for name, values in secrets.items():
        if any(_is_guessable(value) for value in values):
            yield f"{name.upper()}: repetitive, or the value of a demo"
    everything = [value for values in secrets.values() for value in values]
    if len(set(everything)) < len(everything):
        yield f"{', '.join(name.upper() for name in secrets)}: one secret serves two purposes"


def _unsafe_addresses(config: Settings) -> Iterator[str]:
    """Plain HTTP, simulators, and names of this machine."""
    for name in ("public_url", *PARTNER_URLS):
        url = getattr(config, name)
        if urlsplit(url).scheme != "https":
            yield f"{name.upper()}: must be https"
        if _is_near(url) or "simulat" in url:
            yield f"{name.upper()}: a simulator, or an address of this machine"
        if "sandbox" in url:
            yield f"{name.upper()}: a sandbox"
    if set(ANYWHERE) & set(config.trusted_proxies):
        yield "TRUSTED_PROXIES: any would let every caller name his own address"
    if config.database_url == config.migration_database_url:
        yield "DATABASE_URL: the role that migrates may write the ledger; give the house its own"


def _unsafe_switches(config: Settings) -> Iterator[str]:
    if config.debug:
        yield "DEBUG: never in production"
    if config.min_age < ADULT:
        yield f"MIN_AGE: under {ADULT}"
    if config.at_username == "sandbox":
        yield "AT_USERNAME: a sandbox"


def _is_near(url: str) -> bool:
    """Whether an address is on this machine or in its own network."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith(".localhost") or "." not in host


def _is_pretended(value: str) -> bool:
    return any(mark in value.lower() for mark in ("demo", "test", "simulat"))


def _is_guessable(secret: bytes) -> bool:
    return len(set(secret)) < VARIETY or any(mark in secret.lower() for mark in DEMO_MARKS)


def _raw(secret: str) -> bytes:
    """The bytes of a secret that is written in hex, or in any other characters."""
    try:
        return bytes.fromhex(secret)
    except ValueError:
        return secret.encode()


def _text(config: Settings, name: str) -> str:
    value: str | SecretStr = getattr(config, name)
    return value.get_secret_value() if isinstance(value, SecretStr) else value
