"""Signing in: both factors, every try counted before anything is looked at, one sentence for a no.

None of these may be called inside a transaction. A try is booked as a wrong one and committed
first, so that no crash forgives one, and of fifty at once no more are looked at than the lock lets.
At the door anybody may try a name, so what is locked there is not locked for who is in already.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import audit, staff, staff_access, staff_sessions
from core.config import Config
from core.errors import Refusal
from core.runtime import Runtime
from core.staff import Staff
from core.staff_access import StaffAccess, Tries
from core.staff_sessions import Visit

log = structlog.get_logger(__name__)

TRIES = 5  # wrong in a row, and the door is shut for the next of `STAFF_LOCKS`; the last repeats


@dataclass(frozen=True)
class SignedIn:
    """A session has begun; whoever shows the token is this person."""

    token: str = field(repr=False)
    staff_id: int


@dataclass(frozen=True)
class Try:
    """One try that was booked: whose, the how manieth, and whether it may be looked at."""

    staff_id: int | None
    number: int
    open: bool
    inside: bool = False  # in a session, for a key or a command, and not at the door
    password: str | None = field(default=None, repr=False)  # what was kept of it then


def sign_in(
    rt: Runtime, name: str, password: str, code: str, *, address: str, agent: str
) -> SignedIn:
    """A session for whoever has the password and a TOTP or recovery code. Raises Refusal.

    An unknown name, a locked one and every wrong factor get the same sentence after the same work.
    """
    now = rt.now()
    booked = _book(rt, name, now)
    right = staff_access.fits(booked.password, password)  # slow, and holds no connection
    seen = {"address": address, "agent": agent[: staff_sessions.LONGEST_AGENT]}

    def look(tx: Session) -> SignedIn | None:
        found = _spent(tx, booked, code, right, now=now, config=rt.config)
        told = seen | {"outcome": "in" if found else "refused", "locked": not booked.open}
        audit.note(tx, "sign in", by=booked.staff_id, now=now, facts=told, channel="page")
        if found is None:
            return None
        token = staff_sessions.begin(tx, found.id, address=address, agent=agent, now=now)
        return SignedIn(token, found.id)

    signed_in = rt.attempt(look)
    if signed_in is None:
        log.warning("sign in refused", staff_id=booked.staff_id, address=address)
        raise Refusal("staff.sign_in")
    return signed_in


def freshen(rt: Runtime, visit: Visit, code: str) -> None:
    """Have the session's dangerous acts allowed for a while, by a TOTP or recovery code."""
    _prove(
        rt, visit.staff.name, code, channel="page",
        then=lambda tx, now: staff_sessions.freshened(tx, visit.id, now=now),
    )  # fmt: skip


def prove(rt: Runtime, name: str, code: str, *, channel: str = "command") -> Staff:
    """Who gives a command, or calls the API, by a TOTP or recovery code. Raises Refusal."""
    return _prove(rt, name, code, channel=channel)


def change_password(rt: Runtime, visit: Visit, old: str, new: str) -> None:
    """Another password for whoever knows the old one; their other sessions end. Raises Refusal."""
    now, member = rt.now(), visit.staff
    chosen = staff_access.choose(new, member.name)
    booked = _book(rt, member.name, now, inside=True)
    right = staff_access.fits(booked.password, old)

    def change(tx: Session) -> bool:
        access = _looked_at(tx, booked)
        outcome = "changed" if right and access else "refused"
        audit.note(
            tx, "change password", by=member.id, now=now, facts={"outcome": outcome}, channel="page"
        )
        if access is None or not right:
            return False
        _forgive(tx, access, booked)
        access.password = chosen
        staff_sessions.end_all(tx, member.id, now=now, but=visit.id)
        return True

    if not rt.attempt(change):
        raise Refusal("staff.password_wrong")


def _prove(
    rt: Runtime,
    name: str,
    code: str,
    *,
    channel: str,
    then: Callable[[Session, datetime], None] = lambda tx, now: None,
) -> Staff:
    now = rt.now()
    booked = _book(rt, name, now, inside=True)

    def look(tx: Session) -> Staff | None:
        found = _spent(tx, booked, code, True, now=now, config=rt.config)
        told = {"outcome": "right" if found else "refused", "locked": not booked.open}
        audit.note(tx, "second factor", by=booked.staff_id, now=now, facts=told, channel=channel)
        if found is not None:
            then(tx, now)
        return found

    found = rt.attempt(look)
    if found is None:
        raise Refusal("staff.factor_wrong")
    return found


def _book(rt: Runtime, name: str, now: datetime, *, inside: bool = False) -> Try:
    """Count a try as a wrong one, and commit that."""
    return rt.attempt(lambda tx: _count(tx, name, inside, now=now, config=rt.config))


def _count(tx: Session, name: str, inside: bool, *, now: datetime, config: Config) -> Try:
    member = staff.find(tx, name)
    access = staff_access.held(tx, member.id if member else 0)
    tries = None if access is None else _tries(tx, access, inside)
    if access is None or tries is None or access.enrolled_at is None or _locked(tries, now):
        # A commit that writes waits for the disk, and one that does not tells that by its speed.
        tx.execute(select(func.pg_logical_emit_message(True, "sign in", "")))
        return Try(member.id if member else None, 0, open=False)
    tries.tried += 1
    wrong, locks = tries.tried - tries.forgiven, config.staff_locks
    if wrong % TRIES == 0:
        tries.locked_until = now + locks[min(wrong // TRIES, len(locks)) - 1]
    return Try(access.staff_id, tries.tried, open=True, inside=inside, password=access.password)


def _tries(tx: Session, access: StaffAccess, inside: bool) -> Tries:
    return staff_access.again(tx, access) if inside else access


def _locked(tries: Tries, now: datetime) -> bool:
    return tries.locked_until is not None and now < tries.locked_until


def _looked_at(tx: Session, booked: Try) -> StaffAccess | None:
    """What the try is held against, locked; nothing where it may not be looked at.

    Nor where the factors were replaced since it was booked.
    """
    access = staff_access.held(tx, booked.staff_id if booked.open and booked.staff_id else 0)
    same = access is not None and access.enrolled_at and access.password == booked.password
    return access if same else None


def _spent(
    tx: Session, booked: Try, code: str, right: bool, *, now: datetime, config: Config
) -> Staff | None:
    """Whoever both factors are of; the code is used up with that, and the tries are forgiven.

    A code is looked at even when the password was wrong, and kept for the next try.
    """
    access = _looked_at(tx, booked)
    if access is None:
        staff_access.matched(STRANGERS_SEED, code, now=now)
        return None
    if not right:
        staff_access.matched(staff_access.seed_of(access, config), code, now=now)
        return None
    if not staff_access.spend(tx, access, code, now=now, config=config):
        return None
    _forgive(tx, access, booked)
    member = tx.get_one(Staff, access.staff_id, populate_existing=True)
    return member if member.active else None


def _forgive(tx: Session, access: StaffAccess, booked: Try) -> None:
    """Forget the wrong tries up to this right one; a later one, already booked, stays."""
    tries = _tries(tx, access, booked.inside)
    tries.forgiven = max(tries.forgiven, booked.number)
    if tries.tried - tries.forgiven < TRIES:
        tries.locked_until = None


STRANGERS_SEED = "A" * 32
