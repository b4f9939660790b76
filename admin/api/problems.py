"""What the API answers when the answer is no: problem details, one shape for every cause."""

import json
from http import HTTPStatus
from typing import Any

from flask import Response
from werkzeug.exceptions import HTTPException

from core.errors import Refusal
from core.say import say

MEDIA = "application/problem+json"
# A rule says no to what was well asked: 409, but for these.
STATUS = {
    "staff.api_denied": 401,
    "staff.not_your_role": 403,
    "staff.own_proposal": 403,
    "staff.totp_missing": 403,
    "staff.factor_wrong": 403,
    "staff.no_such_market": 404,
    "staff.no_such_payout": 404,
    "staff.nothing_proposed": 404,
    "staff.api_too_often": 429,
}


def problem(status: int, reason: str, detail: str, **headers: str) -> Response:
    """`reason` is for programs, `detail` a sentence for whoever reads their logs."""
    told = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "reason": reason,
    }
    return Response(json.dumps(told), status, headers, mimetype=MEDIA)


def of_refusal(refusal: Refusal) -> Response:
    """A rule's no, in its own words."""
    status = STATUS.get(refusal.reason, 409)
    headers: dict[str, Any] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Signature"
    if status == 429:
        headers["Retry-After"] = str(refusal.facts["seconds"])
    return problem(status, refusal.reason, say(refusal.reason, "en", **refusal.facts), **headers)


def of_http(error: HTTPException) -> Response:
    """What Flask itself refuses: a path nobody serves, a method, a body over the limit."""
    code = error.code if error.code is not None and error.code >= 400 else 404
    phrase = HTTPStatus(code).phrase
    allowed = [value for name, value in error.get_headers() if name == "Allow"]
    headers = {"Allow": allowed[0]} if allowed else {}
    return problem(code, f"http.{phrase.lower().replace(' ', '_')}", f"{phrase}.", **headers)
