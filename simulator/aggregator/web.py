"""The aggregator's one route that the house calls: sending texts."""

import time

from flask import Blueprint, Response, current_app, request

from simulator import wire
from simulator.aggregator import sms
from simulator.answers import DROPPED, Answer, html, respond, words
from simulator.faults import Plan
from simulator.handsets import number_of
from simulator.world import World

bp = Blueprint("aggregator", __name__)


@bp.post("/version1/messaging")
def messaging() -> Response:
    started = time.monotonic()
    world: World = current_app.extensions["world"]
    asked = request.form.to_dict()
    to = [number.strip() for number in asked.get("to", "").split(",") if number.strip()]
    with world.lock:
        plan = world.faults.take("sms", phone=_first(to))
    answer = _before(plan) or _refusal(world, asked, to) or _send(world, asked, to, plan)
    answer = _after(plan, answer)
    with world.lock:
        shown = asked | {"message": wire.without_codes(asked.get("message", ""))}
        world.wire.add(
            sender="house", receiver="aggregator", kind="sms", url=request.path,
            request=wire.safe_form(shown), response=answer.text, status=answer.status,
            millis=int((time.monotonic() - started) * 1000),
        )  # fmt: skip
        world.stir()
    return respond(answer)


def _send(world: World, asked: dict[str, str], to: list[str], plan: Plan) -> Answer:
    sender = asked.get("from", "")
    sent = sms.send(world, to=to, words=asked["message"], sender=sender, plan=plan)
    return Answer(201, sent)


def _refusal(world: World, asked: dict[str, str], to: list[str]) -> Answer | None:
    """The aggregator refuses in plain words, not in JSON."""
    told = world.settings
    if told.at_api_key and request.headers.get("apiKey") != told.at_api_key:
        return words(401, "The supplied authentication is invalid")
    if told.at_username and asked.get("username") != told.at_username:
        return words(401, "The supplied authentication is invalid")
    if not to:
        return words(400, "Request is missing required form field 'to'")
    if not asked.get("message"):
        return words(400, "Request is missing required form field 'message'")
    return None


def _before(plan: Plan) -> Answer | None:
    if plan.has("dropConnectionBeforeProcessing"):
        return DROPPED
    if plan.has("rejectsSync"):
        return words(plan.number("rejectsSync", "status", 400), "Bad Request")
    if plan.has("spikeArrest429"):
        return words(429, "Too Many Requests")
    return None


def _after(plan: Plan, answer: Answer) -> Answer:
    if plan.has("slow"):
        time.sleep(float(plan.param("slow", "seconds", 5)))
    if plan.has("losesSync", "dropConnectionAfterProcessing"):
        return DROPPED
    if plan.has("http500AfterExecuting"):
        return words(500, "Internal Server Error")
    if plan.has("htmlBody"):
        return html(plan.number("htmlBody", "status", 200))
    return answer


def _first(to: list[str]) -> str | None:
    try:
        return number_of(to[0])
    except (IndexError, ValueError):
        return None
