"""The forms in which settings are written: lists, keys, tokens, shillings, seconds."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr

from core import crypto
from core.rates import Rate

Network = IPv4Network | IPv6Network
ANYWHERE: tuple[Network, ...] = (ip_network("0.0.0.0/0"), ip_network("::/0"))  # written `any`
TOKEN_DIGITS = 32  # 128 bits
HEX = frozenset("0123456789abcdef")
DARAJA_PRODUCTS = (
    "oauth", "stk", "stk_query", "b2c", "status_query", "reversal", "balance", "pull",
    "pull_register", "c2b_register",
)  # fmt: skip


def _words(value: object) -> object:
    """The entries of a comma-separated list."""
    return [w.strip() for w in value.split(",") if w.strip()] if isinstance(value, str) else value


def _networks(value: object) -> object:
    """`any`, or addresses and networks."""
    words = ANYWHERE if value == "any" else _words(value)
    try:
        return [ip_network(word) for word in words] if isinstance(words, list) else words
    except ValueError as error:
        raise ValueError("addresses like 10.0.0.7, networks like 10.0.0.0/24, or any") from error


def _tokens(value: object) -> object:
    """One token, or two while the partner is being told the new one."""
    words = _words(value)
    if not isinstance(words, list):
        return value
    if not 1 <= len(words) <= 2:
        raise ValueError("one token, or two during a rotation")
    if not all(len(word) >= TOKEN_DIGITS and HEX.issuperset(word) for word in words):
        raise ValueError(f"{TOKEN_DIGITS} or more hex digits (openssl rand -hex 32)")
    return words


def _bytes(value: object) -> object:
    """A key of at least 32 bytes, in base64."""
    if not isinstance(value, str):
        return value
    raw = crypto.key_bytes(value)
    if len(raw) < crypto.KEY_BYTES:
        raise ValueError(f"at least {crypto.KEY_BYTES} bytes in base64 (openssl rand -base64 32)")
    return raw


def _ring(value: object) -> object:
    """`id:base64,id:base64`, the current key first."""
    return crypto.KeyRing.from_text(value) if isinstance(value, str) else value


def _cents(value: object) -> object:
    """Shillings where they are written, cents in the house."""
    if not isinstance(value, str):
        return value
    try:
        cents = Decimal(value) * 100
        whole = int(cents)
    except (ArithmeticError, ValueError) as error:
        raise ValueError("not an amount of shillings") from error
    if cents != whole:
        raise ValueError("shillings have two decimals at most")
    return whole


def _seconds(value: object) -> object:
    """Seconds, fractions allowed."""
    if not isinstance(value, str):
        return value
    try:
        seconds = timedelta(seconds=float(value))
    except (ArithmeticError, ValueError) as error:
        raise ValueError("not a number of seconds") from error
    if seconds < timedelta(0):
        raise ValueError("a wait is not negative")
    return seconds


def _rates(value: object) -> object:
    """`stk=25/100`: so many a second, and so many at once after a rest."""
    words = _words(value)
    if not isinstance(words, list):
        return value
    rates = {}
    for word in words:
        product, _, rate = word.partition("=")
        if product not in DARAJA_PRODUCTS:
            raise ValueError(f"products of Daraja only: {', '.join(DARAJA_PRODUCTS)}")
        rates[product] = _rate(rate)
    return rates


def _one_rate(value: object) -> object:
    """`5/20`: so many a second, and so many at once after a rest."""
    return _rate(value) if isinstance(value, str) else value


def _rate(text: str) -> Rate:
    per_second, _, at_once = text.partition("/")
    try:
        rate = Rate(float(per_second), int(at_once))
    except ValueError as error:
        raise ValueError("a rate is 25/100: so many a second, and so many at once") from error
    if not (0 < rate.per_second < float("inf") and rate.at_once >= 1):
        raise ValueError("a rate is above nothing and below everything")
    return rate


def _database(value: object) -> object:
    """Name the driver: a bare `postgresql://` means another one to SQLAlchemy 2.1."""
    if not isinstance(value, str) or not value:
        return value
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in ("postgres", "postgresql", "postgresql+psycopg2"):
        raise ValueError("a postgresql:// address")
    return f"postgresql+psycopg2://{rest}"


def _url(value: object) -> object:
    """An http or https address, without the slash at its end."""
    if not isinstance(value, str):
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address with http:// or https://")
    return value.rstrip("/")


Hidden = Field(repr=False)
Bytes = Annotated[bytes, BeforeValidator(_bytes), Hidden]
Count = Annotated[int, Field(ge=1)]
DatabaseUrl = Annotated[str, BeforeValidator(_database), Hidden]
HiddenUrl = Annotated[str, Hidden]
KeyRing = Annotated[crypto.KeyRing, BeforeValidator(_ring), Hidden]
Money = Annotated[int, BeforeValidator(_cents), Field(ge=0)]
Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks)]
OneRate = Annotated[Rate, BeforeValidator(_one_rate)]
Percent = Annotated[Decimal, Field(ge=0, le=100, decimal_places=2)]
Rates = Annotated[Mapping[str, Rate], BeforeValidator(_rates)]
Tokens = Annotated[tuple[SecretStr, ...], BeforeValidator(_tokens)]
Url = Annotated[str, BeforeValidator(_url)]
Wait = Annotated[timedelta, BeforeValidator(_seconds)]
Waits = Annotated[tuple[Wait, ...], BeforeValidator(_words), Field(min_length=1)]
