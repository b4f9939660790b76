"""The API's door: a signed request of somebody's key, who may do this, and not too often."""

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import structlog
from flask import Blueprint, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from admin.api import acts, problems
from admin.api.bodies import Unfit
from admin.guard import declares, right_of
from core import doors, rates, rights, runtime, sign_in, signatures
from core.errors import Refusal
from core.rates import Rate
from core.rights import Right
from core.runtime import Runtime
from core.signatures import Signed

View = TypeVar("View", bound=Callable[..., Any])

log = structlog.get_logger(__name__)

OPENAPI = Path(__file__).with_name("openapi.json")
AWAY = ("", "53", "57")  # classes of SQLSTATE: no connection, no room, an engine that stops
STRANGERS = 4  # times the rate of a key is what one address may ask, whoever it says it is
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}

bp = Blueprint("api", __name__, url_prefix="/admin/api")


class Market(BaseConverter):
    """A market's code in a path. What no code can be is a path that nobody serves."""

    regex = "[1-9][0-9]{0,8}"

    def to_python(self, value: str) -> int:
        """The code."""
        return int(value)


class Payout(Market):
    """A payout's number in a path."""

    regex = "[1-9][0-9]{0,17}"


class Proposal(Payout):
    """A proposal's number in a path."""


class Phone(BaseConverter):
    """A phone number in a path, whole."""

    regex = "[+]?[0-9]{9,15}"


@bp.record_once
def know_paths(state: BlueprintSetupState) -> None:
    """Teach the application what these paths hold."""
    state.app.url_map.converters |= {
        "market": Market, "payout": Payout, "proposal": Proposal, "phone": Phone,
    }  # fmt: skip


def view(method: str, rule: str, right: Right | None) -> Callable[[View], View]:
    """Put a view behind the door, which asks for `right`; None is open to everybody.

    It answers this method alone, not even the OPTIONS that Flask would add.
    """

    def put(view: View) -> View:
        bp.add_url_rule(
            rule,
            view_func=declares(right)(view),
            methods=[method],
            provide_automatic_options=False,
        )
        return view

    return put


@bp.before_request
def guard() -> None:
    """Let in who signed, may do what the route declares, and proved it anew where that is wanted.

    What is refused before it is known whose request it is goes to the log, the rest to the audit.
    """
    wanted = right_of(current_app, request.endpoint or "")
    if wanted is None:
        return
    rt, signed = runtime.current(), _signed()
    _not_too_often(rt, f"address:{sign_in.network_of(str(_address(rt)))}", STRANGERS)
    g.key, g.member = rt.attempt(
        lambda tx: signatures.admit(tx, signed, now=rt.now(), config=rt.config)
    )
    _not_too_often(rt, f"key:{signed.key_id}")
    rights.require(g.member, wanted)
    if wanted in rights.FRESH:
        if not signed.totp:
            raise Refusal("staff.totp_missing")
        sign_in.prove(rt, g.member.name, signed.totp, channel=acts.CHANNEL)


@bp.after_request
def close(response: Response) -> Response:
    """Every request to do something is in the audit, and nothing is kept by whoever is between."""
    acts.note_refused(response)
    response.headers.update(HEADERS)
    return response


@bp.errorhandler(Refusal)
def refuse(refusal: Refusal) -> Response:
    """A rule said no."""
    if refusal.reason == "staff.api_denied":
        log.warning("turned away", door="api", reason=refusal.facts["why"], status=401)
    return problems.of_refusal(refusal)


@bp.errorhandler(Unfit)
def unfit(fault: Unfit) -> Response:
    """A body that is not of its form."""
    return problems.problem(400, "http.body", fault.detail)


@bp.errorhandler(HTTPException)
def unread(error: HTTPException) -> Response:
    """A request that Flask could not read."""
    return problems.of_http(error)


@bp.errorhandler(Exception)
def fail(error: Exception) -> Response:
    """A bug; or the database is away, or others were in the way too long."""
    log.error("request failed", exc_info=error)
    if not _away(error):
        return problems.problem(500, "http.fault", "That did not work, and it is in the log.")
    detail = "The house is busy. See what became of it, then sign it anew."
    return problems.problem(503, "http.busy", detail, **{"Retry-After": "2"})


@view("GET", "/openapi.json", None)
def openapi() -> Response:
    """What there is and how it is asked: no secret, and tools read it before they can sign."""
    return Response(_openapi(), mimetype="application/json")


def _away(error: Exception) -> bool:
    """Whether it may go well in a moment."""
    if isinstance(error, DBAPIError):
        state = str(getattr(error.orig, "pgcode", None) or "")
        return runtime.in_the_way(error) or state[:2] in AWAY
    return isinstance(error, PoolTimeout)


@cache
def _openapi() -> str:
    return OPENAPI.read_text()


def _signed() -> Signed:
    """The request as its sender says to have signed it."""
    query = request.query_string.decode("latin-1")
    return Signed(
        key_id=request.headers.get("X-Key", ""),
        timestamp=request.headers.get("X-Timestamp", ""),
        nonce=request.headers.get("X-Nonce", ""),
        signature=request.headers.get("X-Signature", ""),
        method=request.method,
        path=f"{request.path}?{query}" if query else request.path,
        body=request.get_data(),
        totp=request.headers.get("X-TOTP", ""),
    )


def _address(rt: Runtime) -> Any:
    return doors.caller(request.environ, rt.config.trusted_proxies)


def _not_too_often(rt: Runtime, who: str, times: int = 1) -> None:
    rate = rt.config.api_rate
    most = Rate(rate.per_second * times, rate.at_once * times)
    turn = rates.take(rt.redis, f"api:{who}", most, now=rt.now())
    if not turn.granted:
        seconds = math.ceil(turn.wait / timedelta(seconds=1))
        raise Refusal("staff.api_too_often", seconds=max(1, seconds))
