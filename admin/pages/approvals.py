"""Approvals: everything that waits for a second person, and the yes or no to one of them."""

from typing import Any

from flask import Response, abort, render_template
from sqlalchemy.orm import Session

from admin import fields, frame, looks, queries, second_yes
from admin.commands import verdicts
from admin.frame import NUMBER, page
from admin.second_yes import Came
from core import proposed, rights, runtime, withdrawn_outcomes
from core.errors import Refusal
from core.markets import Market
from core.proposals import Proposal, ProposalState
from core.rights import Right
from core.staff import Staff

PROPOSAL = f"<{NUMBER}:proposal_id>"


@page("/approvals", Right.READ)
def waiting() -> str:
    """Everything that waits, whoever may decide it."""
    here, now = frame.me(), runtime.current().now()
    found = frame.read(lambda tx: queries.waiting(tx, now=now))
    lines = [(one, second_yes.title(one), second_yes.may_approve(one, here.staff)) for one in found]
    return render_template("approvals.html", lines=lines)


@page(f"/approvals/{PROPOSAL}", Right.READ)
def show(proposal_id: int) -> str:
    """All that both people agree on, what it would do now, and the hash of it."""
    here = frame.me()
    facts = frame.read(lambda tx: _shown(tx, proposal_id))
    found = facts["waiting"]
    facts["may_approve"] = second_yes.may_approve(found, here.staff)
    facts["own"] = found.proposal.proposed_by == here.staff.id
    return render_template("approval.html", **facts)


def _approve(family: str, proposal_id: int) -> Response:
    seen = fields.text("hash", longest=64)

    def work(tx: Session, member: Staff) -> Came:
        return second_yes.approve(tx, proposal_id, family, seen_hash=seen, by=member)

    return frame.done(frame.act(work).sentence, "approvals_show", proposal_id=proposal_id)


def _refuse(family: str, proposal_id: int) -> Response:
    reason = fields.text("reason", longest=200)

    def work(tx: Session, member: Staff) -> None:
        second_yes.refuse(tx, proposal_id, family, reason=reason, by=member)

    frame.act(work, "refuse", f"proposal:{proposal_id}", reason=reason)
    return frame.done("Refused.", "approvals_show", proposal_id=proposal_id)


def _put(family: str, first: Right) -> None:
    """A yes and a no for each family, so that each route wants the one right it is about.

    Whoever may propose may ask for a no: the core knows whether it is theirs to say.
    """

    def approve(proposal_id: int) -> Response:
        return _approve(family, proposal_id)

    def refuse(proposal_id: int) -> Response:
        return _refuse(family, proposal_id)

    for view in (approve, refuse):
        noun = "approval" if view is approve else "refusal"
        view.__name__ = f"{noun}_{family}"
        right = rights.second(first) if view is approve else first
        page(f"/approvals/{family}/{PROPOSAL}/{noun}", right, methods=("POST",))(view)


for _family, _first in second_yes.FAMILIES.items():
    _put(_family, _first)


def _shown(tx: Session, proposal_id: int) -> dict[str, Any]:
    now = runtime.current().now()
    found = queries.proposal(tx, proposal_id, now=now)
    if found is None:
        abort(404)
    proposal = found.proposal
    act = second_yes.find(proposal)
    facts: dict[str, Any] = {
        "waiting": found,
        "title": second_yes.title(found),
        "family": act.family,
        "pending": proposal.state == ProposalState.PENDING,
        "state": ProposalState(proposal.state).name,
        "decided_by": proposal.decided_by and queries.name_of(tx, proposal.decided_by),
        "facts": looks.facts(proposal.content),
        "seen": None,
        "market": None,
        "changed": False,
        "won": None,
    }
    if act.family == "results":
        facts |= _about_market(tx, proposal)
    return facts


def _about_market(tx: Session, proposal: Proposal) -> dict[str, Any]:
    """What a result does to the book: counted afresh to decide on, and as it was decided later.

    Of a book that is another by now only what was proposed can be told.
    """
    market = tx.get_one(Market, proposal.content["market"])
    pending = proposal.state == ProposalState.PENDING
    try:
        seen = verdicts.counted(tx, market, proposal.content)
    except Refusal:  # an outcome has gone meanwhile: it can only be refused
        seen = None
    changed = seen is None or seen["hash"] != proposal.content_hash
    facts: dict[str, Any] = {"market": market, "changed": changed and pending}
    facts["seen"] = seen if pending or not changed else None
    if proposal.act != withdrawn_outcomes.ACT:
        facts["won"] = proposed.verdict(tx, proposal.content).won
    return facts
