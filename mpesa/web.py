"""The doors for what M-PESA posts: keep it raw, say thanks, act on it afterwards."""

import json
import re
from collections.abc import Callable
from typing import Any

import structlog
from flask import Blueprint, Response, jsonify, request

from core import c2b, doors, inbox, runtime, strangers

log = structlog.get_logger(__name__)

ACCEPTED = {"ResultCode": 0, "ResultDesc": "Accepted"}
# A queue time-out may send our own request back, and in it the operator's encrypted password.
CREDENTIAL = re.compile(rb'("SecurityCredential"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE)
PAYBILL = "c2b"  # the doors whose addresses are registered once, with a token of their own

bp = Blueprint("mpesa", __name__, url_prefix="/hooks/<token>")


@bp.before_request
def guard() -> Response | None:
    """Let nobody in but M-PESA; the token goes no further than this."""
    token = (request.view_args or {}).pop("token", "")
    name = str(request.endpoint).removeprefix("mpesa.")
    kind = doors.c2b if name.startswith(PAYBILL) else doors.daraja
    rt = runtime.current()
    turned = doors.knock(kind(rt.config), request.environ, token)
    if turned is None:
        return None
    address = str(doors.caller(request.environ, rt.config.trusted_proxies))
    turned = strangers.turn_away(rt.redis, "mpesa", turned, address, now=rt.now())
    return Response(status=turned.status)


@bp.post("/c2b/validate")
def c2b_validate() -> Response:
    """Say at once whether a paybill payment may come; nothing is kept of it, for it may not."""
    code = c2b.validate(_object(request.get_data()), runtime.current().config)
    log.info("paybill payment validated", result_code=code)
    accepted = str(code) == "0"
    return jsonify({"ResultCode": code, "ResultDesc": "Accepted" if accepted else "Rejected"})


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _keeps(door: str) -> Callable[[], Response]:
    """A view that keeps whatever comes: Daraja does not send again what is refused."""

    def view() -> Response:
        rt = runtime.current()
        body = CREDENTIAL.sub(rb"\1redacted", request.get_data())
        keys, now = rt.config.data_keys, rt.now()
        rt.attempt(lambda tx: inbox.keep(tx, door, body, keys=keys, now=now))
        return jsonify(ACCEPTED)

    return view


for path in (
    "stk",
    "c2b/confirm",
    *(f"{asked}/{told}" for asked in ("b2c", "status", "reversal", "balance")
      for told in ("result", "timeout")),
):  # fmt: skip
    name = path.replace("/", "_")
    bp.add_url_rule(f"/{path}", name, _keeps(name), methods=["POST"])
