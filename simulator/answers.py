"""An answer over HTTP: the right kinds, and the unreadable ones."""

import json
import socket
from dataclasses import dataclass
from typing import Any

from flask import Response, request

TYPES = {"json": "application/json", "html": "text/html", "text": "text/plain"}

PAGE = (
    "<!DOCTYPE html><html><head><title>Service Unavailable</title></head>"
    "<body><h1>Service Unavailable</h1><p>The server is temporarily unable to service your"
    " request.</p></body></html>"
)


@dataclass(frozen=True)
class Answer:
    """What goes back. A dropped one closes the connection without a byte."""

    status: int = 200
    body: Any = None
    kind: str = "json"  # json, html, text, dropped

    @property
    def text(self) -> str:
        return json.dumps(self.body) if self.kind == "json" else str(self.body or "")


DROPPED = Answer(status=0, kind="dropped")


def html(status: int) -> Answer:
    return Answer(status, PAGE, "html")


def words(status: int, text: str = "") -> Answer:
    return Answer(status, text, "text")


def respond(answer: Answer) -> Response:
    if answer.kind == "dropped":
        return _cut()
    return Response(answer.text, answer.status, content_type=TYPES[answer.kind])


def _cut() -> Response:
    """Closes the connection under the answer, which then has nowhere to go."""
    connection = request.environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
    return Response("", 502)
