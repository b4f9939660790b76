"""What is asked now and answered later: one acknowledgement, one result, or none."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulator import ids
from simulator.answers import Answer
from simulator.clock import nairobi_now
from simulator.daraja import distortions, fields, notices, results
from simulator.faults import Plan
from simulator.world import World


@dataclass(frozen=True)
class Said:
    """How it ended: a result code, and what goes with it."""

    code: str = "0"
    desc: str = ""
    parameters: list[dict[str, Any]] | None = None
    receipt: str = ""


@dataclass(frozen=True)
class Question:
    """One request that M-PESA took in."""

    kind: str
    body: dict[str, Any]
    plan: Plan
    result_url: str
    timeout_url: str
    originator_id: str = field(default_factory=ids.merchant_request)
    conversation_id: str = field(default_factory=lambda: ids.conversation(nairobi_now()))


def read(world: World, kind: str, body: dict[str, Any], plan: Plan, command: str) -> Question:
    """The fields that all of them have."""
    strict = world.settings.strict_urls
    fields.one_of(body, "CommandID", command)
    fields.text(body, "Initiator")
    fields.text(body, "SecurityCredential", longest=2000)
    fields.text(body, "Remarks", shortest=1, longest=100)
    return Question(
        kind, body, plan,
        result_url=fields.url(body, "ResultURL", strict=strict),
        timeout_url=fields.url(body, "QueueTimeOutURL", strict=strict),
    )  # fmt: skip


def accept(world: World, question: Question, answered: Callable[[], Said]) -> Answer:
    """Acknowledges, and has it `answered` when and as the plan says."""
    plan = question.plan
    if plan.has("queueTimeoutEcho"):
        _later(world, lambda: _time_out(world, question, answered))
    elif plan.has("callbackBeforeAck"):
        _tell(world, question, answered())
    elif not plan.has("neverAnswers"):
        _later(world, lambda: _tell(world, question, answered()))
    return Answer(
        body={
            "OriginatorConversationID": question.originator_id,
            "ConversationID": question.conversation_id,
            "ResponseCode": "0",
            "ResponseDescription": "Accept the service request successfully.",
        }
    )


def operator_fault(world: World, question: Question) -> str:
    """2001 unless the operator's name and password are right."""
    told, body = world.settings, question.body
    right = (
        body["Initiator"] == told.initiator_name
        and world.keys.opened(str(body["SecurityCredential"])) == told.initiator_password
    )
    return "" if right and not question.plan.has("credentialError") else "2001"


def _later(world: World, act: Callable[[], object]) -> None:
    world.courier.later(world.settings.answer_delay, act)


def _tell(world: World, question: Question, said: Said) -> None:
    plan, originator_id = question.plan, question.originator_id
    asked_about = question.body.get("OriginalConversationID") or question.body.get(
        "OriginatorConversationID"
    )
    if plan.has("echoesPaymentId") and asked_about:
        originator_id = str(asked_about)
    payload = results.result(
        code=said.code, desc=said.desc, originator_id=originator_id,
        conversation_id=question.conversation_id,
        transaction_id=said.receipt or f"{ids.receipt()[:3]}0000000",
        parameters=said.parameters, reference={"Key": "Occasion"},
        as_strings=plan.has("stringTypes"),
    )  # fmt: skip
    notices.post_json(world, question.kind, question.result_url, payload, plan)
    for again in distortions.contradiction(payload, plan):
        notices.post_json(world, question.kind, question.result_url, again)


def _time_out(world: World, question: Question, answered: Callable[[], Said]) -> None:
    """The queue gave up, or says so: with `pays` the request is carried out all the same."""
    plan, payload = question.plan, question.body
    if distortions.yes(plan.param("queueTimeoutEcho", "pays", False)):
        answered()
    if plan.param("queueTimeoutEcho", "shape", "echo") == "result":
        payload = results.timed_out(question.originator_id, question.conversation_id)
    notices.post_json(world, f"{question.kind}_timeout", question.timeout_url, payload, plan)
