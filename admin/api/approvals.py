"""What waits for a second person over the API, whatever it is about, and the yes or no to it."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, abort, g, jsonify
from sqlalchemy.orm import Session

from admin import looks, queries, second_yes
from admin.api import acts, bodies
from admin.api.door import view
from admin.queries import Waiting
from admin.second_yes import Came
from core import audit, rights, runtime
from core.proposals import ProposalState
from core.rights import Right
from core.staff import Staff

PROPOSAL = "<proposal:proposal>"
Answer = tuple[Response, int]


@view("GET", "/approvals", Right.READ)
def waits() -> Response:
    """Everything that waits, what lapses first before the rest."""
    now = runtime.current().now()

    def look(tx: Session) -> Mapping[str, Any]:
        found = queries.waiting(tx, now=now)
        shown = [_told(tx, one) for one in found[: queries.MOST_WAITING]]
        return {"approvals": shown, "more": len(found) > len(shown)}

    return jsonify(acts.read(look))


@view("GET", f"/approvals/{PROPOSAL}", Right.READ)
def proposal(proposal: int) -> Response:
    """One of them, decided or not."""
    now = runtime.current().now()

    def look(tx: Session) -> Mapping[str, Any]:
        found = queries.proposal(tx, proposal, now=now)
        return abort(404) if found is None else _told(tx, found)

    return jsonify(acts.read(look))


def _approve(family: str, proposal: int) -> Answer:
    asked = bodies.read(bodies.APPROVAL)

    def work(tx: Session, by: Staff) -> Came:
        return second_yes.approve(tx, proposal, family, seen_hash=asked.hash, by=by)

    came = acts.act("approve", _subject(proposal), work, lambda _: {"hash": asked.hash})
    return jsonify(proposal=proposal, state="approved", told=came.sentence), 201


def _refuse(family: str, proposal: int) -> Answer:
    asked = bodies.read(bodies.WHY)

    def work(tx: Session, by: Staff) -> None:
        second_yes.refuse(tx, proposal, family, reason=asked.reason, by=by)

    acts.act("refuse", _subject(proposal), work, lambda _: {"reason": asked.reason})
    return jsonify(proposal=proposal, state="refused", told="Refused."), 201


def _put(family: str, right: Right, noun: str, decide: Callable[[str, int], Answer]) -> None:
    """A yes or a no for one family, so that each route wants the one right it is about."""

    def decided(family: str, proposal: int) -> Answer:
        return decide(family, proposal)

    decided.__name__ = f"{noun}_{family}"
    view("POST", f"/approvals/<any({family}):family>/{PROPOSAL}/{noun}", right)(decided)


for _family, _first in second_yes.FAMILIES.items():
    _put(_family, rights.second(_first), "approval", _approve)
    _put(_family, _first, "refusal", _refuse)  # the core knows whether it is theirs to say


def _subject(proposal: int) -> str:
    return f"proposal:{proposal}"


def _told(tx: Session, found: Waiting) -> Mapping[str, Any]:
    """All that two people agree on, phones masked, and whether whoever asks could be the second."""
    one, act = found.proposal, second_yes.find(found.proposal)
    return {
        "proposal": one.id,
        "act": one.act,
        "family": act.family,
        "title": second_yes.title(found),
        "market": found.market and found.market.code,
        "hash": one.content_hash,
        "note": audit.masked(one.note),
        "by": found.by,
        "at": one.proposed_at.isoformat(),
        "expires_at": one.expires_at.isoformat(),
        "lapsed": found.lapsed,
        "state": ProposalState(one.state).name.lower(),
        "decided_by": one.decided_by and queries.name_of(tx, one.decided_by),
        "facts": [{"name": name, "told": told} for name, told in looks.facts(one.content)],
        "yours": second_yes.may_approve(found, g.member) and one.state == ProposalState.PENDING,
    }
