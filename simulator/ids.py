"""Identifiers in the shapes the partners give them."""

import itertools
import secrets
import string
from datetime import datetime

from simulator.clock import nairobi_now

_ALPHABET = string.ascii_uppercase + string.digits
_DAYS = "123456789ABCDEFGHIJKLMNOPQRSTUV"
_count = itertools.count(1)


def receipt() -> str:
    """Ten characters of which the first three are the year, month and day, as on real receipts."""
    now = nairobi_now()
    year = string.ascii_uppercase[(now.year - 2006) % 26]
    day = year + string.ascii_uppercase[now.month - 1] + _DAYS[now.day - 1]
    return day + "".join(secrets.choice(_ALPHABET) for _ in range(7))


def checkout_request(phone: str, now: datetime) -> str:
    return f"ws_CO_{now:%d%m%Y%H%M%S}{next(_count) % 1000:03d}{phone[-9:]}"


def conversation(now: datetime) -> str:
    return f"AG_{now:%Y%m%d}_{secrets.token_hex(10)}"


def merchant_request() -> str:
    """Also the shape of the OriginatorConversationID that M-PESA makes up itself."""
    return f"{10000 + secrets.randbelow(89999)}-{10**7 + secrets.randbelow(9 * 10**7)}-1"


def error_request() -> str:
    return f"{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(8)}"


def ussd_session() -> str:
    return f"ATUid_{secrets.token_hex(16)}"


def message() -> str:
    return f"ATXid_{secrets.token_hex(16)}"
