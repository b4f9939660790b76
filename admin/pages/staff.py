"""Staff: who works here, what is proposed about them, and the sessions they have open."""

from collections.abc import Callable
from typing import Any

from flask import Response, abort, make_response, render_template, request
from sqlalchemy.orm import Session

from admin import fields, frame, queries
from admin.frame import NUMBER, page
from core import rights, runtime, staff_access, staff_changes, staff_sessions
from core import staff as people
from core.errors import Refusal
from core.proposals import Proposal
from core.rights import Right
from core.staff import Role, Staff

MEMBER = f"/staff/<{NUMBER}:staff_id>"
ROLES = tuple(role.value for role in Role)


@page("/staff", Right.READ)
def everybody() -> str:
    """Who works here, in which role, and whether they have enrolled."""
    now = runtime.current().now()

    def work(tx: Session) -> dict[str, Any]:
        return {
            "members": [
                (one, staff_access.enrolled(tx, one.id) if one.active else False)
                for one in queries.everybody(tx)
            ],
            "waiting": staff_changes.waiting(tx, now=now),
        }

    return render_template("everybody.html", **frame.read(work))


@page(MEMBER, Right.READ)
def show(staff_id: int) -> str:
    """One of them; their sessions are shown to whoever may end them."""
    return render_template("member.html", **frame.read(lambda tx: _facts(tx, staff_id)))


@page("/staff/new", Right.STAFF_PROPOSE)
def new() -> str:
    """Ask who is to come."""
    return render_template("new_staff.html", roles=ROLES, typed={})


@page("/staff/new", Right.STAFF_PROPOSE, methods=("POST",))
def propose_new() -> Response:
    """Put somebody new before a second admin; a form that was refused comes back as typed."""
    rt, role = runtime.current(), _role()

    def work(tx: Session, member: Staff) -> Proposal:
        return staff_changes.propose_new(
            tx, fields.text("name", longest=100), role, phone=fields.text("phone", longest=40),
            note=fields.text("note"), by=member, now=rt.now(), config=rt.config,
        )  # fmt: skip

    try:
        return _proposed(frame.act(work))
    except Refusal as refusal:  # the whole transaction was undone with it
        frame.refused(refusal)
        again = render_template("new_staff.html", roles=ROLES, typed=request.form)
        return make_response(again, 422)


@page(f"{MEMBER}/<any(role, reset, phone, leave):change>", Right.STAFF_PROPOSE)
def change_form(staff_id: int, change: str) -> str:
    """Ask why somebody is to have another role or phone, to begin anew, or to leave."""
    facts = frame.read(lambda tx: _facts(tx, staff_id))
    return render_template("change.html", change=change, roles=ROLES, **facts)


@page(f"{MEMBER}/role", Right.STAFF_PROPOSE, methods=("POST",))
def propose_role(staff_id: int) -> Response:
    """Put another role before a second admin."""
    return _propose(staff_id, staff_changes.propose_role, _role())


@page(f"{MEMBER}/reset", Right.STAFF_PROPOSE, methods=("POST",))
def propose_reset(staff_id: int) -> Response:
    """Put a new start, with other factors, before a second admin."""
    return _propose(staff_id, staff_changes.propose_reset)


@page(f"{MEMBER}/phone", Right.STAFF_PROPOSE, methods=("POST",))
def propose_phone(staff_id: int) -> Response:
    """Put another staff phone before a second admin."""
    return _propose(staff_id, staff_changes.propose_phone, fields.text("phone", longest=40))


@page(f"{MEMBER}/leave", Right.STAFF_PROPOSE, methods=("POST",))
def propose_leave(staff_id: int) -> Response:
    """Put it before a second admin that somebody works here no more."""
    return _propose(staff_id, staff_changes.propose_leave)


@page(f"{MEMBER}/sessions/end", Right.STAFF_SESSIONS, methods=("POST",))
def end_sessions(staff_id: int) -> Response:
    """Show somebody out everywhere."""
    now = runtime.current().now()

    def work(tx: Session, member: Staff) -> str:
        name = _member(tx, staff_id).name
        staff_changes.end_sessions(tx, name, by=member, now=now)
        return name

    name = frame.act(work)
    return frame.done(f"All sessions of {name} have ended.", "staff_show", staff_id=staff_id)


def _role() -> Role:
    """The role that was chosen. Raises Refusal for what is none."""
    chosen = fields.text("role")
    if chosen not in ROLES:
        raise Refusal("staff.no_such_role", roles=", ".join(ROLES))
    return Role(chosen)


def _member(tx: Session, staff_id: int) -> Staff:
    found = tx.get(Staff, staff_id)
    if found is None or not found.active:
        abort(404)
    return found


def _facts(tx: Session, staff_id: int) -> dict[str, Any]:
    found = tx.get(Staff, staff_id)
    if found is None:
        abort(404)
    rt = runtime.current()
    allowed = rights.may(frame.me().staff.role, Right.STAFF_SESSIONS)
    return {
        "member": found,
        "enrolled": staff_access.enrolled(tx, found.id),
        "rights": [right.value for right in Right if rights.may(found.role, right)],
        "waiting": queries.about(tx, people.subject(found.name), now=rt.now()),
        "sessions": (
            staff_sessions.of(tx, found.id, now=rt.now(), config=rt.config) if allowed else None
        ),
    }


def _propose(staff_id: int, put: Callable[..., Proposal], *what: str) -> Response:
    rt, note = runtime.current(), fields.text("note")

    def work(tx: Session, member: Staff) -> Proposal:
        name = _member(tx, staff_id).name
        return put(tx, name, *what, note=note, by=member, now=rt.now(), config=rt.config)

    return _proposed(frame.act(work))


def _proposed(put: Proposal) -> Response:
    return frame.done("Proposed.", "approvals_show", proposal_id=put.id)
