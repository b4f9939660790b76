"""How Daraja reads a request: each field that does not fit is refused by its name."""

import re
from typing import Any
from urllib.parse import urlsplit

from simulator.daraja.refusals import invalid

FORBIDDEN_IN_URLS = ("mpesa", "safaricom", "exe", "exec", "cmd", "sql", "query")


def text(body: dict[str, Any], name: str, *, shortest: int = 1, longest: int = 200) -> str:
    """Numbers are taken as text, as Daraja does."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise invalid(name)
    if not shortest <= len(str(value)) <= longest:
        raise invalid(name)
    return str(value)


def optional(body: dict[str, Any], name: str, *, longest: int) -> str:
    """A null is as good as nothing."""
    return "" if body.get(name) is None else text(body, name, shortest=0, longest=longest)


def matching(body: dict[str, Any], name: str, pattern: str) -> str:
    value = text(body, name)
    if not re.fullmatch(pattern, value):
        raise invalid(name)
    return value


def phone(body: dict[str, Any], name: str) -> str:
    return matching(body, name, "254[17][0-9]{8}")


def shortcode(body: dict[str, Any], name: str) -> str:
    return matching(body, name, "[0-9]{5,7}")


def amount(body: dict[str, Any], name: str = "Amount") -> int:
    """Whole shillings from one up; how much is too much is decided later, as a result code."""
    return int(matching(body, name, "[1-9][0-9]{0,11}"))


def url(body: dict[str, Any], name: str, *, strict: bool) -> str:
    value = text(body, name, longest=400)
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise invalid(name)
    if strict and any(word in value.lower() for word in FORBIDDEN_IN_URLS):
        raise invalid(name)
    return value


def one_of(body: dict[str, Any], name: str, *choices: str) -> str:
    value = text(body, name)
    if value not in choices:
        raise invalid(name)
    return value
