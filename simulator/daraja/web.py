"""Daraja's routes: the token, the faults, then the product."""

import base64
import binascii
import functools
import time
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, current_app, request

from simulator.answers import DROPPED, Answer, html, respond, words
from simulator.books import Transaction
from simulator.daraja import b2c, balance, c2b, distortions, pull, refusals, reversal, status, stk
from simulator.daraja.refusals import Refused
from simulator.faults import Plan
from simulator.payments import Payout, Push
from simulator.wire import safe_json
from simulator.world import World

Product = Callable[[World, dict[str, Any], Plan], Answer]

bp = Blueprint("daraja", __name__)


def world() -> World:
    here: World = current_app.extensions["world"]
    return here


@bp.get("/oauth/v1/generate")
def oauth() -> Response:
    started = time.monotonic()
    with world().lock:
        plan = world().faults.take("oauth")
    return _send("oauth", _faulty(plan, _mint), "", started)


def _mint() -> Answer:
    if request.args.get("grant_type") != "client_credentials":
        raise Refused(400, "400.008.02", "Invalid grant type passed")
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind != "Basic":
        raise Refused(400, "400.008.01", "Invalid Authentication passed")
    told = world().settings
    try:
        pair = base64.b64decode(secret).decode()
    except (binascii.Error, UnicodeDecodeError):
        pair = ""
    if pair != f"{told.consumer_key}:{told.consumer_secret}":
        return words(400)
    with world().lock:
        token = world().tokens.mint(seconds=told.token_seconds, strict=told.strict_tokens)
    return Answer(body={"access_token": token, "expires_in": str(told.token_seconds)})


@bp.post("/mpesa/stkpush/v1/processrequest")
def stk_push() -> Response:
    return _serve("stk", stk.push)


@bp.post("/mpesa/stkpushquery/v1/query")
def stk_query() -> Response:
    return _serve("stk_query", stk.query)


@bp.post("/mpesa/b2c/v3/paymentrequest")
def b2c_pay() -> Response:
    return _serve("b2c", b2c.pay)


@bp.post("/mpesa/b2c/v1/paymentrequest")
def b2c_pay_v1() -> Response:
    return _serve("b2c", b2c.pay_v1)


@bp.post("/mpesa/transactionstatus/v1/query")
def transaction_status() -> Response:
    return _serve("status", status.ask)


@bp.post("/mpesa/accountbalance/v1/query")
def account_balance() -> Response:
    return _serve("balance", balance.ask)


@bp.post("/mpesa/reversal/v1/request")
def reverse() -> Response:
    return _serve("reversal", reversal.ask)


@bp.post("/mpesa/c2b/<any(v1, v2):version>/registerurl")
def register_urls(version: str) -> Response:
    return _serve("c2b_register", functools.partial(c2b.register, version=version))


@bp.post("/mpesa/c2b/<any(v1, v2):_version>/simulate")
def simulate_c2b(_version: str) -> Response:
    return _serve("c2b_register", c2b.simulate)


@bp.post("/pulltransactions/v1/register")
def register_pull() -> Response:
    return _serve("pull", pull.register)


@bp.route("/pulltransactions/v1/query", methods=["GET", "POST"])
def pull_transactions() -> Response:
    return _serve("pull", pull.query)


@bp.route("/mpesa/<path:_path>", methods=["GET", "POST"])
def lost(_path: str) -> Response:
    """A wrong path; or a right one with the wrong method, which Flask sends here as well."""
    started = time.monotonic()
    known = any(
        rule.rule == request.path and "POST" in (rule.methods or ())
        for rule in current_app.url_map.iter_rules()
    )
    refused = (
        Refused(405, "405.001", "GET Method Not Allowed")
        if known and request.method == "GET"
        else refusals.named_error("notFound")
    )
    return _send("lost", refused.answer, "", started)


# -- one request


def _serve(name: str, product: Product) -> Response:
    started = time.monotonic()
    body = request.get_json(force=True, silent=True)

    def read() -> Answer:
        _check_token(name)
        if not isinstance(body, dict):
            raise Refused(400, "400.002.05", "Invalid Request Payload")
        plan = _plan(name, body)
        return _faulty(plan, lambda: product(world(), body, plan), name)

    try:
        answer = read()
    except Refused as refused:
        answer = refused.answer
    return _send(name, answer, safe_json(body), started)


def _check_token(name: str) -> None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind != "Bearer":
        raise Refused(404, "404.001.04", "Invalid Authentication Header")
    with world().lock:
        if not world().tokens.alive(token):
            raise refusals.invalid_token(name, token)


def _plan(name: str, body: dict[str, Any]) -> Plan:
    """By the phone and the amount of the request, or of the payment it is about."""
    here = world()
    with here.lock:
        about = _payment(here, name, body)
        if about is not None:
            return here.faults.take(name, phone=about.phone, amount=about.amount)
        phone, amount = body.get("PhoneNumber") or body.get("PartyB"), str(body.get("Amount", ""))
        return here.faults.take(
            name, phone=str(phone), amount=int(amount) if amount.isdecimal() else None
        )


def _payment(here: World, name: str, body: dict[str, Any]) -> Transaction | Payout | Push | None:
    if name == "stk_query":
        return here.pushes.get(str(body.get("CheckoutRequestID")))
    return status.line_of(here, body) if name in ("status", "reversal") else None


def _faulty(plan: Plan, act: Callable[[], Answer], name: str = "") -> Answer:
    """The act, unless a fault forbids it; then its answer, unless a fault hides it."""
    try:
        return _before(plan, name) or _after(plan, act())
    except Refused as refused:
        return refused.answer


def _before(plan: Plan, name: str) -> Answer | None:
    if plan.has("slow") and _slow_before(plan):
        time.sleep(float(plan.param("slow", "seconds", 5)))
    if plan.has("dropConnectionBeforeProcessing"):
        return DROPPED
    if plan.has("spikeArrest429"):
        return refusals.SPIKE_ARREST
    if plan.has("tokenInvalidated"):
        with world().lock:
            world().tokens.kill()
        raise refusals.invalid_token(name or "stk", "killed")
    if plan.has("refusesV3"):
        raise refusals.named_error("refusesV3")
    if plan.has("rejectsSync"):
        raise _rejection(plan)
    return None


def _slow_before(plan: Plan) -> bool:
    return distortions.yes(plan.param("slow", "before", False))


def _rejection(plan: Plan) -> Refused:
    code = plan.param("rejectsSync", "code", "")
    if code:
        status_code = plan.number("rejectsSync", "status", 400)
        return Refused(status_code, str(code), str(plan.param("rejectsSync", "message", "Refused")))
    return refusals.named_error(str(plan.param("rejectsSync", "error", "invalidField")))


def _after(plan: Plan, answer: Answer) -> Answer:
    if plan.has("slow") and not _slow_before(plan):
        time.sleep(float(plan.param("slow", "seconds", 5)))
    if plan.has("losesSync", "dropConnectionAfterProcessing"):
        return DROPPED
    if plan.has("http500AfterExecuting"):
        raise refusals.named_error("internal")
    if plan.has("htmlBody"):
        return html(plan.number("htmlBody", "status", 200))
    if plan.has("emptyBody"):
        return words(plan.number("emptyBody", "status", 200))
    return answer


def _send(name: str, answer: Answer, shown: str, started: float) -> Response:
    here = world()
    masked = safe_json(answer.body) if answer.kind == "json" else answer.text
    with here.lock:
        here.wire.add(
            sender="house", receiver="daraja", kind=name, method=request.method,
            url=request.path, request=shown, response=masked,
            status=answer.status,
            millis=int((time.monotonic() - started) * 1000),
        )  # fmt: skip
        here.stir()
    return respond(answer)
