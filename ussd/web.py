"""The aggregator's doors for USSD: its form in, `CON` or `END` out."""

import re
import secrets

import structlog
from flask import Blueprint, Response, current_app, request
from structlog.contextvars import get_contextvars

from core import doors, gsm7, phone, runtime
from core.errors import Refusal
from core.say import languages, say
from ussd import ended
from ussd.calls import Hop, Reply
from ussd.engine import Switchboard
from ussd.pages import LIMIT
from ussd.screens.entry import entry

log = structlog.get_logger(__name__)

LONGEST = {"sessionId": 128, "serviceCode": 32, "networkCode": 16}  # characters
LONGEST_TEXT = 2_000  # of all that is typed in three minutes
UNSEEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # nobody types it, and Postgres keeps no NUL
REF_LETTERS = 8

bp = Blueprint("ussd", __name__, url_prefix="/hooks/<token>")


@bp.before_request
def guard() -> Response | None:
    """Let nobody in but the aggregator; the token goes no further than this."""
    token = (request.view_args or {}).pop("token", "")
    door = doors.aggregator(runtime.current().config)
    turned = doors.knock(door, request.environ, token)
    if turned is None:
        return None
    log.warning("turned away", door="ussd", reason=turned.reason, status=turned.status)
    return Response("", status=turned.status, mimetype="text/plain")


@bp.post("/ussd")
def hop() -> Response:
    """One hop. Behind the door every answer is a screen: anything else is shown by the network."""
    try:
        return _screen(_board().answer(_hop()))
    except Refusal as refusal:
        return _screen(Reply(False, _in_both(refusal.reason, **refusal.facts)))
    except Exception as error:
        trace = get_contextvars().get("trace") or secrets.token_hex()
        log.error("hop failed", exc_info=error, session=_field("sessionId"))
        return _screen(Reply(False, _in_both("ussd.failed", ref=trace[:REF_LETTERS])))


@bp.post("/ussd/end")
def end() -> Response:
    """A session is over."""
    try:
        number = phone.read(_phone())
    except Refusal:
        number = ""
    notice = ended.Notice(
        session=_field("sessionId"),
        phone=number,
        code=_field("serviceCode"),
        network=_field("networkCode"),
        fields={name: _clean(value) for name, value in request.form.items()},
    )
    rt = runtime.current()
    if 0 < len(notice.session) <= LONGEST["sessionId"]:
        call = _board().sessions.peek(notice.session)
        rt.attempt(lambda tx: ended.keep(tx, notice, call, now=rt.now()))
    return Response("", mimetype="text/plain")


def _hop() -> Hop:
    """The hop of this request; raises Refusal for one that nobody can answer."""
    fields = {name: _field(name) for name in LONGEST}
    text = _clean(request.form.get("text", ""))
    lost = not fields["sessionId"] or not fields["serviceCode"] or len(text) > LONGEST_TEXT
    if lost or any(len(fields[name]) > longest for name, longest in LONGEST.items()):
        raise Refusal("ussd.unreadable")
    number = phone.read(_phone())
    return Hop(fields["sessionId"], fields["serviceCode"], number, fields["networkCode"], text)


def _phone() -> str:
    """The caller's number. A `+` that was not escaped arrives as a space, and is lost with it."""
    return _field("phoneNumber")


def _board() -> Switchboard:
    """The switchboard of this application."""
    rt = runtime.current()
    board: Switchboard | None = current_app.extensions.get("ussd")
    if board is None or board.rt is not rt:
        board = current_app.extensions["ussd"] = Switchboard(rt, entry)
    return board


def _screen(reply: Reply) -> Response:
    word = "CON" if reply.more else "END"
    return Response(f"{word} {reply.text}", mimetype="text/plain")


def _in_both(key: str, **facts: str) -> str:
    """A sentence for a caller nobody knows: in both languages, or in English if both are long."""
    sentences = [say(key, lang, **facts) for lang in languages]
    both = "\n".join(sentences)
    return both if gsm7.fits(both, LIMIT) else sentences[0]


def _field(name: str) -> str:
    return _clean(request.form.get(name, "")).strip()


def _clean(value: str) -> str:
    return UNSEEN.sub("", value)
