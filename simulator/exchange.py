"""One HTTP request, one answer, no connection kept: what the network and the driver speak with."""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    status: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def send(
    method: str,
    url: str,
    body: bytes = b"",
    *,
    content_type: str = "application/json",
    timeout: float = 15.0,
) -> Reply:
    """Raises OSError or http.client.HTTPException when no answer comes."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(
            method, path or "/", body, {"Content-Type": content_type, "Connection": "close"}
        )
        answer = connection.getresponse()
        return Reply(answer.status, answer.read().decode("utf-8", "replace"))
    finally:
        connection.close()
