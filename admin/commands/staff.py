"""`flask staff`: the people who run the house, and how they come in."""

from collections.abc import Callable, Mapping
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from admin import looks
from admin.commands.common import acting, as_json, by, done, opened, pretending, show, when
from core import phone as phones
from core import staff as people
from core import staff_access, staff_changes, staff_sessions
from core.proposals import Proposal
from core.staff import Role, Staff
from core.staff_changes import Outcome

who = click.argument("who", metavar="NAME")
note = click.option("--note", required=True, help="Why; it is kept.")
ROLES = click.Choice([role.value for role in Role])


@click.group()
def staff() -> None:
    """The people who run the house."""


@staff.command()
@who
@click.option("--role", type=ROLES, required=True)
@click.option("--phone", default="", help="Theirs: no bet is taken from it.")
@click.option("--as", "name", metavar="NAME", help="The first admin, who adds the second.")
@as_json
def add(who: str, role: str, phone: str, name: str | None, as_json: bool) -> None:
    """Add the first admin called NAME, or the second; in demo and test anybody.

    The first is shown the code to enrol with, this once; the second gets it by a text.
    """
    rt = opened()

    def work(tx: Session) -> Outcome:
        if pretending(rt):
            member = people.add(tx, who, Role(role), now=rt.now(), number=phone)
            code = staff_access.invite(tx, member, now=rt.now(), config=rt.config)
            return Outcome(member, code)
        if role != Role.ADMIN:
            raise click.ClickException("Only admins are added here; they propose all others.")
        adder = acting(rt, tx, name) if name else None
        return staff_changes.hire_admin(
            tx, who, phone=phone, by=adder, now=rt.now(), config=rt.config
        )

    show(_told(done(rt, work)), as_json, _said)


@staff.command("list")
@as_json
def list_all(as_json: bool) -> None:
    """List everybody, those who have left with them."""
    rows = done(opened(), lambda tx: [_row(tx, one) for one in tx.scalars(EVERYBODY)])
    show(rows, as_json, lambda one: "{name:20} {role:8} {state}  {phone}".format(**one))


@staff.command("propose-new")
@who
@click.option("--role", type=ROLES, required=True)
@click.option("--phone", required=True, help="Theirs: no bet is taken from it.")
@note
@by
def propose_new(who: str, role: str, phone: str, note: str, name: str) -> None:
    """Propose somebody new called NAME."""
    _propose(staff_changes.propose_new, who, Role(role), phone=phone, note=note, name=name)


@staff.command("propose-role")
@who
@click.argument("role", type=ROLES)
@note
@by
def propose_role(who: str, role: str, note: str, name: str) -> None:
    """Propose another ROLE of NAME."""
    _propose(staff_changes.propose_role, who, Role(role), note=note, name=name)


@staff.command("propose-reset")
@who
@note
@by
def propose_reset(who: str, note: str, name: str) -> None:
    """Propose that NAME enrols anew, with another password and another second factor."""
    _propose(staff_changes.propose_reset, who, note=note, name=name)


@staff.command("propose-phone")
@who
@click.argument("phone")
@note
@by
def propose_phone(who: str, phone: str, note: str, name: str) -> None:
    """Propose another staff PHONE of NAME: codes go there, and no bet is taken from it."""
    _propose(staff_changes.propose_phone, who, phone, note=note, name=name)


@staff.command("propose-leave")
@who
@note
@by
def propose_leave(who: str, note: str, name: str) -> None:
    """Propose that NAME works here no more."""
    _propose(staff_changes.propose_leave, who, note=note, name=name)


@staff.command()
@who
@click.argument("seen_hash")
@by
@as_json
def approve(who: str, seen_hash: str, name: str, as_json: bool) -> None:
    """Give the second yes to what is proposed about NAME."""
    rt = opened()
    outcome = done(
        rt,
        lambda tx: staff_changes.approve(
            tx, who, seen_hash=seen_hash, by=acting(rt, tx, name), now=rt.now(), config=rt.config
        ),
    )
    show(_told(outcome), as_json, _said)


@staff.command()
@who
@by
def refuse(who: str, name: str) -> None:
    """Say no to what is proposed about NAME, or take it back."""
    rt = opened()
    done(rt, lambda tx: staff_changes.refuse(tx, who, by=acting(rt, tx, name), now=rt.now()))
    click.echo("refused")


@staff.command()
@as_json
def proposals(as_json: bool) -> None:
    """List what is proposed about staff, with the hashes to approve it by."""
    rt = opened()
    found = done(rt, lambda tx: [_proposal(one) for one in staff_changes.waiting(tx, now=rt.now())])
    show(found, as_json, lambda one: "  ".join(str(fact) for fact in one.values()))


@staff.command()
@who
@as_json
def sessions(who: str, as_json: bool) -> None:
    """List where NAME is signed in."""
    rt = opened()

    def work(tx: Session) -> list[dict[str, Any]]:
        member = people.named(tx, who)
        found = staff_sessions.of(tx, member.id, now=rt.now(), config=rt.config)
        return [_session(one) for one in found]

    show(done(rt, work), as_json, lambda one: "{since}  {seen}  {address}  {agent}".format(**one))


@staff.command("end-sessions")
@who
@by
def end_sessions(who: str, name: str) -> None:
    """Show NAME out wherever they are signed in."""
    rt = opened()
    done(rt, lambda tx: staff_changes.end_sessions(tx, who, by=acting(rt, tx, name), now=rt.now()))
    click.echo(f"{who} is signed in nowhere.")


@staff.command()
@who
def enrol(who: str) -> None:
    """Set the password and the second factor of NAME, who has an enrolment code."""
    rt = opened()
    code = click.prompt("Enrolment code", hide_input=True)
    begin = staff_access.begin_enrolment
    seed = done(rt, lambda tx: begin(tx, who, code, now=rt.now(), config=rt.config))
    click.echo(f"Give this to your authenticator: {seed.uri}")
    click.echo(f"Or type it there: {seed.secret}")
    password = click.prompt("A new password", hide_input=True, confirmation_prompt=True)
    totp = click.prompt("The code that the authenticator shows", hide_input=True)
    codes = done(
        rt,
        lambda tx: staff_access.enrol(
            tx, who, code, password=password, totp=totp, now=rt.now(), config=rt.config
        ),
    )
    click.echo("Keep these on paper. Each stands in once for a code of the authenticator:")
    for one in codes:
        click.echo(f"  {one}")


EVERYBODY = select(Staff).order_by(Staff.id)


def _propose(put: Callable[..., Proposal], *what: str, name: str, **more: str) -> None:
    """Put a change before a second admin as NAME, and show what both have to see."""
    rt = opened()
    proposal = done(
        rt,
        lambda tx: put(tx, *what, by=acting(rt, tx, name), now=rt.now(), config=rt.config, **more),
    )
    show(_proposal(proposal), False, _lines)


def _proposal(proposal: Proposal) -> dict[str, Any]:
    content = dict(proposal.content)
    for number in ("phone", "old_phone"):
        if content.get(number):
            content[number] = phones.mask(content[number])
    return {
        "act": proposal.act,
        **content,
        "note": proposal.note,
        "until": when(proposal.expires_at),
        "hash": proposal.content_hash,
    }


def _lines(one: Mapping[str, Any]) -> str:
    return "\n".join(f"{name:9} {fact}" for name, fact in one.items())


def _told(outcome: Outcome) -> dict[str, Any]:
    member = outcome.member
    told = {"id": member.id, "name": member.name, "role": member.role, "active": member.active}
    if outcome.code:
        told["enrolment_code"] = outcome.code
    if outcome.invitation:
        told["sent"] = looks.sent(outcome.invitation)
    return told


def _said(one: Mapping[str, Any]) -> str:
    said = f"{one['name']} is {one['role'] if one['active'] else 'of the staff no more'}."
    if code := one.get("enrolment_code"):
        return f"{said} Enrolment code, shown this once: {code}"
    return f"{said} {one['sent']}" if "sent" in one else said


def _row(tx: Session, one: Staff) -> dict[str, Any]:
    state = "enrolled" if staff_access.enrolled(tx, one.id) else "not enrolled"
    return {
        "id": one.id,
        "name": one.name,
        "role": one.role,
        "state": state if one.active else "left",
        "phone": phones.mask(one.phone) if one.phone else "",
    }


def _session(one: staff_sessions.StaffSession) -> dict[str, Any]:
    return {
        "id": one.id,
        "since": when(one.created_at),
        "seen": when(one.seen_at),
        "address": one.address,
        "agent": one.agent,
    }
