"""Four eyes on the staff themselves: who comes, who may do more, who begins anew, who leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import audit, proposals, rights, staff, staff_access, staff_invitations, staff_sessions
from core.config import Config
from core.errors import Refusal
from core.proposals import Proposal, ProposalState
from core.rights import Right
from core.staff import Role, Staff
from core.staff_invitations import Invitation

NEW, ROLE, RESET, LEAVE = "staff new", "staff role", "staff reset", "staff leave"
PHONE = "staff phone"
ACTS = (NEW, ROLE, RESET, PHONE, LEAVE)


@dataclass(frozen=True)
class Outcome:
    """Whom it was about, and how they are to enrol if they are to.

    `invitation`: a text to their own phone. `code`: the first admins', while nobody has enrolled
    who could have it sent; it is told here only.
    """

    member: Staff
    code: str = field(default="", repr=False)
    invitation: Invitation | None = None


def propose_new(
    tx: Session, name: str, role: Role, *, phone: str, note: str, by: Staff, now: datetime,
    config: Config,
) -> Proposal:  # fmt: skip
    """Put somebody new before a second admin."""
    rights.require(by, Right.STAFF_PROPOSE)
    return _put(tx, NEW, _new(tx, name, role, phone), note, by=by, now=now, config=config)


def propose_role(
    tx: Session, name: str, role: Role, *, note: str, by: Staff, now: datetime, config: Config
) -> Proposal:
    """Put another role of somebody before a second admin."""
    rights.require(by, Right.STAFF_PROPOSE)
    member = staff.named(tx, name)
    if member.role == role:
        raise Refusal("staff.role_same", name=member.name, role=role)
    content = _about(member) | {"role": str(role)}
    return _put(tx, ROLE, content, note, by=by, now=now, config=config)


def propose_reset(
    tx: Session, name: str, *, note: str, by: Staff, now: datetime, config: Config
) -> Proposal:
    """Put a new start of somebody, with other factors, before a second admin."""
    rights.require(by, Right.STAFF_PROPOSE)
    member = staff.named(tx, name)
    content = _about(member) | {"phone": staff_invitations.phone_of(member)}
    staff_invitations.rested(member, now=now)
    return _put(tx, RESET, content, note, by=by, now=now, config=config)


def propose_phone(
    tx: Session, name: str, phone: str, *, note: str, by: Staff, now: datetime, config: Config
) -> Proposal:
    """Put another staff phone of somebody before a second admin."""
    rights.require(by, Right.STAFF_PROPOSE)
    content = _moved(tx, staff.named(tx, name), phone)
    return _put(tx, PHONE, content, note, by=by, now=now, config=config)


def propose_leave(
    tx: Session, name: str, *, note: str, by: Staff, now: datetime, config: Config
) -> Proposal:
    """Put it before a second admin that somebody works here no more."""
    rights.require(by, Right.STAFF_PROPOSE)
    content = _about(staff.named(tx, name))
    return _put(tx, LEAVE, content, note, by=by, now=now, config=config)


def approve(
    tx: Session, name: str, *, seen_hash: str, by: Staff, now: datetime, config: Config
) -> Outcome:
    """The second yes to what is proposed about somebody; it is done at once."""
    rights.require(by, Right.STAFF_APPROVE)
    proposal = _waiting(tx, name)
    fresh = _afresh(tx, proposal)
    proposals.approve(tx, proposal, seen_hash=seen_hash, content=fresh, by=by.id, now=now)
    return _do(tx, proposal, now=now, config=config)


def hire_admin(
    tx: Session, name: str, *, phone: str, by: Staff | None, now: datetime, config: Config
) -> Outcome:
    """The first two admins, before there are two people to decide: by the command line alone.

    The first by nobody, the second by the first, who is not shown the second's code either. One who
    has not enrolled yet gets another code. Raises Refusal once there are two.
    """
    standing = _admins(tx)
    known = next((one for one in standing if one.name == " ".join(name.split())), None)
    if known is not None and staff_access.enrolled(tx, known.id):
        raise Refusal("staff.name_taken", name=known.name)
    others = [one for one in standing if one is not known]
    begun = any(staff_access.enrolled(tx, one.id) for one in others)
    if begun:
        if len(others) > 1:
            raise Refusal("staff.admins_enough")
        if by is None or by.id != others[0].id:
            raise Refusal("staff.second_admin", name=others[0].name)
    member = known or _hired(tx, name, Role.ADMIN, phone, now=now)
    audit.note(
        tx, "staff first admins", by=by.id if by else None, now=now, subject=staff.subject(name)
    )
    if begun:
        return _invited(tx, member, now=now, config=config)
    return Outcome(member, code=staff_access.invite(tx, member, now=now, config=config))


def end_sessions(tx: Session, name: str, *, by: Staff, now: datetime) -> None:
    """Show somebody out wherever they have signed in: oneself, or by an admin anybody."""
    member = staff.named(tx, name)
    if member.id != by.id:
        rights.require(by, Right.STAFF_SESSIONS)
    staff_sessions.end_all(tx, member.id, now=now)
    audit.note(tx, "end sessions", by=by.id, now=now, subject=staff.subject(member.name))


def refuse(tx: Session, name: str, *, by: Staff, now: datetime) -> None:
    """A no to what is proposed about somebody, or the proposer taking it back."""
    rights.require(by, Right.STAFF_APPROVE)
    proposals.refuse(_waiting(tx, name), by=by.id, now=now)


def waiting(tx: Session, *, now: datetime) -> Sequence[Proposal]:
    """What is proposed about staff and can still be decided, the oldest first."""
    found = select(Proposal).where(
        Proposal.act.in_(ACTS), Proposal.state == ProposalState.PENDING, Proposal.expires_at > now
    )
    return tx.scalars(found.order_by(Proposal.id)).all()


def _put(
    tx: Session, act: str, content: Mapping[str, Any], note: str, *, by: Staff, now: datetime,
    config: Config,
) -> Proposal:  # fmt: skip
    if not note.strip():
        raise Refusal("staff.reason_missing")
    return proposals.propose(
        tx,
        act=act,
        subject=staff.subject(content["name"]),
        content=content,
        note=note.strip(),
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def _waiting(tx: Session, name: str) -> Proposal:
    found = proposals.pending(tx, staff.subject(name)) if name.isprintable() else None
    if found is None:
        raise Refusal("staff.no_change_proposed", name=name)
    return found


def _new(tx: Session, name: str, role: str, number: str) -> dict[str, Any]:
    if not number.strip():
        raise Refusal("staff.phone_missing")
    called, phone = staff.read(tx, name, number)
    return {"name": called, "role": str(Role(role)), "phone": phone or ""}


def _about(member: Staff) -> dict[str, Any]:
    """Who it is about, as they are now: another role meanwhile is another thing to approve."""
    return {"id": member.id, "name": member.name, "was": member.role}


def _moved(tx: Session, member: Staff, number: str) -> dict[str, Any]:
    """Their other phone, from which no bet will be taken, in the place of the one they have."""
    phone = staff.read_phone(tx, number)
    return _about(member) | {"phone": phone, "old_phone": member.phone or ""}


def _afresh(tx: Session, proposal: Proposal) -> dict[str, Any]:
    """The content of what is proposed, made anew from how things are now."""
    content = proposal.content
    if proposal.act == NEW:
        return _new(tx, content["name"], content["role"], content["phone"])
    member = staff.named(tx, content["name"])
    fresh = _about(member)
    if proposal.act == PHONE:
        return _moved(tx, member, content["phone"])
    if proposal.act == ROLE:
        return fresh | {"role": content["role"]}
    return fresh | {"phone": member.phone} if proposal.act == RESET else fresh


def _hired(tx: Session, name: str, role: Role, phone: str, *, now: datetime) -> Staff:
    if not phone.strip():
        raise Refusal("staff.phone_missing")
    return staff.add(tx, name, role, now=now, number=phone)


def _admins(tx: Session) -> Sequence[Staff]:
    """Everybody who is an admin, held so that two who ask at once are answered one by one."""
    found = select(Staff).where(Staff.role == Role.ADMIN, Staff.active)
    return tx.scalars(found.order_by(Staff.id).with_for_update()).all()


def _do(tx: Session, proposal: Proposal, *, now: datetime, config: Config) -> Outcome:
    content = proposal.content
    _admins(tx)  # held before the member, by everybody in this order; and names come one by one
    if proposal.act == NEW:
        member = _hired(tx, content["name"], Role(content["role"]), content["phone"], now=now)
        return _invited(tx, member, now=now, config=config)
    member = tx.get_one(Staff, content["id"], with_for_update=True, populate_existing=True)
    if proposal.act == RESET:
        staff_invitations.rested(member, now=now)
        return _invited(tx, member, now=now, config=config)
    if proposal.act == PHONE:
        staff_invitations.move(tx, member, content["phone"], now=now)
    elif proposal.act == ROLE:
        _keep_an_admin(tx, member, role=content["role"])
        member.role = content["role"]
        staff_sessions.end_all(tx, member.id, now=now)
    else:
        _keep_an_admin(tx, member, role="")
        member.active = False
        staff_access.void(tx, member, now=now)
    tx.flush()
    return Outcome(member)


def _invited(tx: Session, member: Staff, *, now: datetime, config: Config) -> Outcome:
    return Outcome(member, invitation=staff_invitations.send(tx, member, now=now, config=config))


def _keep_an_admin(tx: Session, member: Staff, *, role: str) -> None:
    """Without any admin nobody could change anything any more."""
    if member.role != Role.ADMIN or role == Role.ADMIN:
        return
    if all(one.id == member.id for one in _admins(tx)):
        raise Refusal("staff.last_admin")
