"""The doors for what M-PESA posts: keep it raw, say thanks, act on it afterwards."""

import re
from collections.abc import Callable

import structlog
from flask import Blueprint, Response, jsonify, request

from core import doors, inbox, runtime

log = structlog.get_logger(__name__)

ACCEPTED = {"ResultCode": 0, "ResultDesc": "Accepted"}
# A queue time-out may send our own request back, and in it the operator's encrypted password.
CREDENTIAL = re.compile(rb'("SecurityCredential"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE)

bp = Blueprint("mpesa", __name__, url_prefix="/hooks/<token>")


@bp.before_request
def guard() -> Response | None:
    """Let nobody in but M-PESA; the token goes no further than this."""
    token = (request.view_args or {}).pop("token", "")
    turned = doors.knock(doors.daraja(runtime.current().config), request.environ, token)
    if turned is None:
        return None
    log.warning("turned away", door="mpesa", reason=turned.reason, status=turned.status)
    return Response(status=turned.status)


def _keeps(door: str) -> Callable[[], Response]:
    """A view that keeps whatever comes: Daraja does not send again what is refused."""

    def view() -> Response:
        rt = runtime.current()
        body = CREDENTIAL.sub(rb"\1redacted", request.get_data())
        keys, now = rt.config.data_keys, rt.now()
        rt.attempt(lambda tx: inbox.keep(tx, door, body, keys=keys, now=now))
        return jsonify(ACCEPTED)

    return view


for path in ("stk", "b2c/result", "b2c/timeout", "status/result", "status/timeout"):
    name = path.replace("/", "_")
    bp.add_url_rule(f"/{path}", name, _keeps(name), methods=["POST"])
