"""A caller who was dropped and dials again: offer to go on from where the call was lost."""

import uuid
from dataclasses import replace
from typing import Any, cast

from core import effects
from ussd.calls import Call, Hop
from ussd.sessions import Sessions
from ussd.transcripts import entry
from ussd.visit import EFFECTS, STEPS, Choice, Link, Menu, Screen, Visit, link, name_of, screen


@screen
def offer(visit: Visit) -> Menu:
    """Continue, or start again."""
    return Menu(
        visit.say("ussd.dropped"),
        [
            Choice(visit.say("ussd.go_on"), link(resume, **visit.args)),
            Choice(visit.say("ussd.start_again"), link(visit.entry)),
        ],
    )


@screen
def resume(visit: Visit) -> Link:
    """To what the dropped call did on its last screen, or else to that screen."""
    for key in visit.args["keys"]:
        verdict = effects.recall(visit.tx, uuid.UUID(key))
        if verdict and verdict.verb in EFFECTS:
            to = EFFECTS[verdict.verb].then(verdict) or link(visit.entry)
            return replace(to, under=[])
    *under, (name, args) = visit.args["stack"]
    return Link(cast(Screen, STEPS[name]), args, under=under)


def dropped(
    sessions: Sessions, hop: Hop, previous: str, *, now: float, within: float
) -> Link | None:
    """The offer to make to this caller, if the call before broke off in the middle of something.

    That call is over from then on: were one of its hops still at work, it would be waited for, so
    what it did is known before anything is offered again.
    """
    if not _resumable(sessions.peek(previous), hop, now - within):
        return None
    held = sessions.take(replace(hop, session=previous))
    if held is None:
        return None
    if held.call is None or not _resumable(held.call, hop, now - within):
        sessions.let_go(held)
        return None
    sessions.put(held, replace(held.call, left=True), entry(held.call, hop, typed="", note="left"))
    return link(offer, **_place(held.call))


def _resumable(call: Call | None, hop: Hop, since: float) -> bool:
    if call is None or call.left or not call.more or call.shown.idle or call.at < since:
        return False
    same = (call.phone, call.code) == (hop.phone, hop.code)
    return same and len(_place(call)["stack"]) > 1


def _place(call: Call) -> dict[str, Any]:
    """Where a call was, never beyond a secret, and the decisions that were open on its screen."""
    if call.stack and call.stack[-1][0] == name_of(offer):  # dropped once more: same offer
        place: dict[str, Any] = call.stack[-1][1]
        return place
    stack = call.stack if call.guard is None else call.stack[: call.guard + 1]
    return {"stack": stack, "keys": [key for _, _, key in call.shown.targets.values() if key]}
