"""The aggregator's doors for SMS: a text in, a delivery report, an opt-out."""

import json

import structlog
from flask import Blueprint, Response, request

from core import doors, inbox, messages, runtime
from core.errors import Refusal
from sms import reception
from sms.reception import Arrived

log = structlog.get_logger(__name__)

LONGEST_ID, LONGEST_PHONE, LONGEST_TEXT = 100, 20, 2_000  # characters; a text of 13 parts has 2,000

bp = Blueprint("sms", __name__, url_prefix="/hooks/<token>")


@bp.before_request
def guard() -> Response | None:
    """Let nobody in but the aggregator; the token goes no further than this."""
    token = (request.view_args or {}).pop("token", "")
    door = doors.aggregator(runtime.current().config)
    turned = doors.knock(door, request.environ, token)
    if turned is None:
        return None
    log.warning("turned away", door="sms", reason=turned.reason, status=turned.status)
    return _plain(turned.status)


@bp.post("/sms")
def text() -> Response:
    """A text from a customer. The answer is a text too, so this one is empty."""
    arrived = Arrived(
        message_id=_field("id"),
        sender=_field("from"),
        text=request.form.get("text", "")[:LONGEST_TEXT],
        short_code=_field("to") or None,
        network=_field("networkCode") or None,
    )
    if (
        not 0 < len(arrived.message_id) <= LONGEST_ID
        or not 0 < len(arrived.sender) <= LONGEST_PHONE
    ):
        return _plain(400)
    reception.take(runtime.current(), arrived)
    return _plain(200)


@bp.post("/sms/delivery")
def delivery() -> Response:
    """What became of a message: kept now, acted on by a job."""
    rt, now = runtime.current(), runtime.current().now()
    report = {name: _clean(value) for name, value in request.form.items()}
    body, keys = json.dumps(report).encode(), rt.config.data_keys
    rt.attempt(lambda tx: inbox.keep(tx, "sms_delivery", body, keys=keys, now=now))
    return _plain(200)


@bp.post("/sms/optout")
def optout() -> Response:
    """A subscriber told the network: no more news from this sender."""
    phone = reception.read_phone(_field("phoneNumber"))
    if isinstance(phone, Refusal):
        return _plain(400)
    rt = runtime.current()
    rt.attempt(lambda tx: messages.opt_out(tx, phone, source="network", now=rt.now()))
    return _plain(200)


def _field(name: str) -> str:
    return _clean(request.form.get(name, "")).strip()


def _clean(value: str) -> str:
    """Without what Postgres cannot keep."""
    return value.encode("utf-8", "replace").decode().replace("\x00", "")


def _plain(status: int) -> Response:
    return Response("", status=status, mimetype="text/plain")
