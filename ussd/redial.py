"""A caller who was dropped and dials again: offer to go on from where the call was lost."""

import uuid
from dataclasses import replace
from typing import Any, cast

from core import effects
from ussd.calls import Call, Hop, Place
from ussd.sessions import Sessions
from ussd.transcripts import entry
from ussd.visit import EFFECTS, STEPS, Choice, Link, Menu, Screen, Visit, link, name_of, screen


@screen
def offer(visit: Visit) -> Menu:
    """Continue, or start again."""
    return Menu(
        visit.say("ussd.dropped"),
        [
            Choice(visit.say("ussd.go_on"), link(resume, session=visit.args["session"])),
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
    if not visit.args["stack"]:
        return link(visit.entry)
    *under, (name, args) = visit.args["stack"]
    return Link(cast(Screen, STEPS[name]), args, under=under)


def dropped(sessions: Sessions, hop: Hop, previous: str, *, since: float) -> Link | None:
    """The offer to make to this caller, if the call before broke off in the middle of something."""
    call = sessions.peek(previous)
    if call and call.stack and call.stack[-1][0] == name_of(offer):  # dropped once more: same offer
        previous = call.stack[-1][1]["session"]
        call = sessions.peek(previous)
    if call is None or not _resumable(call, hop) or call.shown.idle or call.at < since:
        return None
    return link(offer, session=previous)


def picked_up(sessions: Sessions, hop: Hop, place: Place) -> Place:
    """Where the dropped call was, for `resume`; that call is over from then on.

    A hop of it that is still at work is waited for, so what it did is known before anything is
    offered again. Other places are left as they are.
    """
    name, args = place
    if name != name_of(resume):
        return place
    held = sessions.take(replace(hop, session=args["session"]))
    if held is None:
        return [name, {"stack": [], "keys": []}]
    if held.call is None or not _resumable(held.call, hop):
        sessions.let_go(held)
        return [name, {"stack": [], "keys": []}]
    sessions.put(held, replace(held.call, left=True), entry(held.call, hop, typed="", note="left"))
    return [name, _left_at(held.call)]


def _resumable(call: Call, hop: Hop) -> bool:
    """Whether the call was this caller's, and left before its end and beyond its beginning."""
    same = (call.phone, call.code) == (hop.phone, hop.code)
    return same and call.more and not call.left and len(_left_at(call)["stack"]) > 1


def _left_at(call: Call) -> dict[str, Any]:
    """Where a call was, never beyond a secret, and the decisions that were open on its screen."""
    stack = call.stack if call.guard is None else call.stack[: call.guard + 1]
    return {"stack": stack, "keys": [key for _, _, key in call.shown.targets.values() if key]}
