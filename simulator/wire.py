"""The log of what went over the wire, with secrets taken out."""

import itertools
import json
import re
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from simulator.clock import nairobi_now

KEPT = 600  # lines
MASK = "****"

_SECRET_FIELDS = {"SecurityCredential", "Password", "access_token", "InitiatorPassword"}
_PIN = re.compile(r"(?<!\d)(?:\d{4}|\d{6})(?!\d)")
_CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")
_TOKEN = re.compile(r"(?<=/)[0-9a-fA-F]{16,}(?=/|$)")


@dataclass(frozen=True)
class Line:
    id: int
    at: str
    sender: str
    receiver: str
    kind: str
    method: str
    path: str
    request: str
    status: int  # 0: no answer
    response: str
    millis: int
    callback: int  # which callback it was, 0 for none: that one can be sent again

    def shown(self) -> dict[str, Any]:
        return asdict(self)


class Wire:
    """The last lines. The world's lock guards it."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=KEPT)
        self._ids = itertools.count(1)

    def add(
        self,
        *,
        sender: str,
        receiver: str,
        kind: str,
        method: str = "POST",
        url: str,
        request: str,
        status: int,
        response: str,
        millis: int,
        callback: int = 0,
    ) -> Line:
        """Bodies come in already redacted: only their senders know what is secret in them."""
        line = Line(
            next(self._ids), f"{nairobi_now():%H:%M:%S.%f}"[:-3], sender, receiver, kind, method,
            safe_path(url), request, status, response, millis,
            callback,
        )  # fmt: skip
        self._lines.append(line)
        return line

    def clear(self) -> None:
        """Forgets the lines, not the count: who read up to a line still knows where to go on."""
        self._lines.clear()

    def since(self, line_id: int) -> list[Line]:
        return [line for line in self._lines if line.id > line_id]


def safe_path(url: str) -> str:
    """The path with door tokens masked."""
    return _TOKEN.sub(MASK, urlsplit(url).path)


def safe_json(body: Any) -> str:
    return json.dumps(_masked(body), ensure_ascii=False)


def _masked(body: Any) -> Any:
    if isinstance(body, dict):
        return {
            key: MASK if key in _SECRET_FIELDS else _masked(value) for key, value in body.items()
        }
    if isinstance(body, list):
        return [_masked(item) for item in body]
    return body


def safe_form(fields: dict[str, str]) -> str:
    """Readable, not sendable: nothing is percent-encoded."""
    return "&".join(f"{key}={value}" for key, value in fields.items())


def without_pins(text: str) -> str:
    """Four or six digits alone may be a PIN or a code; an amount may be lost with them."""
    return _PIN.sub(MASK, text)


def without_codes(text: str) -> str:
    return _CODE.sub(MASK, text)


def form(fields: dict[str, str]) -> bytes:
    return urlencode(fields).encode()
