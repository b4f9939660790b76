"""Who may knock: a decision over a WSGI environ, before anything of a request is believed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from core import crypto
from core.config_forms import Network
from core.settings import Settings

BODY_LIMIT = 16 * 1024  # bytes; partners send a few hundred
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

Environ = Mapping[str, Any]
Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Door:
    """What one partner's doors demand. `tokens` are live together while the partner changes over.

    `verify_signature` is for a partner that signs; none does today.
    """

    tokens: tuple[str, ...] = field(repr=False)
    admitted: tuple[Network, ...]
    trusted_proxies: tuple[Network, ...]
    content_type: str
    verify_signature: Callable[[Environ], bool] | None = None


@dataclass(frozen=True)
class Turned:
    """Turned away: the HTTP status, and the reason for the log and the metric."""

    status: int
    reason: str


def aggregator(config: Settings) -> Door:
    """The doors of the SMS and USSD aggregator."""
    admitted = config.aggregator_allowed_ips
    return _door(config, config.aggregator_hook_token, admitted=admitted, content_type=FORM)


def daraja(config: Settings) -> Door:
    """The doors for results of what we asked M-PESA."""
    admitted = config.daraja_allowed_ips
    return _door(config, config.daraja_hook_token, admitted=admitted, content_type=JSON)


def c2b(config: Settings) -> Door:
    """The doors for paybill money, with a token of their own: their URLs are hard to change."""
    admitted = config.daraja_allowed_ips
    return _door(config, config.c2b_hook_token, admitted=admitted, content_type=JSON)


def knock(door: Door, environ: Environ, token: str) -> Turned | None:
    """None for a caller that may come in, with `token` from the path.

    A wrong token is answered like a page that does not exist.
    """
    address = caller(environ, door.trusted_proxies)
    if not _knows_token(door, token):
        return Turned(404, "token")
    if address is None or not _within(address, door.admitted):
        return Turned(403, "address")
    if turned := _unfit_body(door, environ):
        return turned
    if door.verify_signature and not door.verify_signature(environ):
        return Turned(403, "signature")
    return None


def caller(environ: Environ, trusted_proxies: Iterable[Network]) -> Address | None:
    """The address that called, as far as it can be believed; None where it cannot be read.

    X-Forwarded-For is written from left to right, so the walk starts at its end and goes on only
    while the one who wrote the entry is a proxy of ours.
    """
    proxies = tuple(trusted_proxies)
    address = _read(environ.get("REMOTE_ADDR", ""))
    hops = [hop for hop in environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    while hops and address is not None and _within(address, proxies):
        address = _read(hops.pop())
    return address


def _door(config: Settings, tokens: Iterable[Any], **demands: Any) -> Door:
    return Door(
        tokens=tuple(token.get_secret_value() for token in tokens),
        trusted_proxies=config.trusted_proxies,
        **demands,
    )


def _knows_token(door: Door, token: str) -> bool:
    """Compare with every live token, whichever matches, in the same time."""
    presented = token.encode(errors="replace")
    return sum(crypto.same(presented, live) for live in door.tokens) > 0


def _unfit_body(door: Door, environ: Environ) -> Turned | None:
    length = environ.get("CONTENT_LENGTH") or "0"
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return Turned(411, "length")
    if not (length.isascii() and length.isdigit()):
        return Turned(400, "length")
    if len(length) > len(str(BODY_LIMIT)) or int(length) > BODY_LIMIT:
        return Turned(413, "body")
    content_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    return None if content_type == door.content_type else Turned(415, "content_type")


def _read(text: str) -> Address | None:
    """An address; one of IPv4 that came dressed as IPv6 is undressed."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
