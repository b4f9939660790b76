"""Signing in: both factors, every try counted before anything is looked at, one sentence for a no.

None of these may be called inside a transaction. A try is booked as a wrong one and committed
first, so that no crash forgives one, and of fifty at once no more are looked at than the lock lets.
At the door anybody may try a name, so what is locked there is not locked for who is in already, and
it is locked for the network that was wrong. Five wrong tries in a row from one network shut it
there for a quarter of an hour, five more for an hour, and each five after these for a day; fifty
from all together shut it by the same ladder, but never where the person was right within a month.

A try is right when both factors are. Whoever has the password and a thousand addresses is let guess
about 50 codes a day, where 3 of a million are right: one chance in six thousand a day, and each try
is in the audit. Without the password there is none: that is one of a hundred million.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import audit, staff, staff_access, staff_sessions
from core.config import Config
from core.errors import Refusal
from core.runtime import Runtime
from core.staff import Staff
from core.staff_access import StaffAccess, StaffAgain, StaffDoor, Tries
from core.staff_sessions import Visit

log = structlog.get_logger(__name__)

# Wrong in a row, and it is shut for the next of `STAFF_LOCKS`; the last repeats.
TRIES = 5  # from one network, or behind the door
CEILING = 50  # from all networks together
KNOWN = timedelta(days=30)  # how long a network is known where somebody has come in
IPV6_HOME = 64  # bits: whoever has one address has all that begin so


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
    network: str = ""  # at the door; behind it, in a session, for a key or a command, none
    password: str | None = field(default=None, repr=False)  # what was kept of it then


def sign_in(
    rt: Runtime, name: str, password: str, code: str, *, address: str, agent: str
) -> SignedIn:
    """A session for whoever has the password and a TOTP or recovery code. Raises Refusal.

    An unknown name, a locked one and every wrong factor get the same sentence after the same work.
    """
    now = rt.now()
    booked = _book(rt, name, now, network=network_of(address))
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
    booked = _book(rt, member.name, now)
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
    booked = _book(rt, name, now)

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


def network_of(address: str) -> str:
    """Whoever calls from there: the address, or of IPv6 the part that one household has whole.

    One of IPv4 that a socket for both tells in the form of IPv6 is the one it is.
    """
    try:
        read = ip_address(address)
    except ValueError:
        return address
    if isinstance(read, IPv6Address):
        mapped = read.ipv4_mapped
        return str(mapped or ip_network((read, IPV6_HOME), strict=False))
    return str(read)


def _book(rt: Runtime, name: str, now: datetime, *, network: str = "") -> Try:
    """Count a try as a wrong one, and commit that."""
    return rt.attempt(lambda tx: _count(tx, name, network, now=now, config=rt.config))


def _count(tx: Session, name: str, network: str, *, now: datetime, config: Config) -> Try:
    member = staff.find(tx, name)
    access = staff_access.held(tx, member.id if member else 0)
    tries = None if access is None else _tries(tx, access, network)
    if access is None or tries is None or _shut(access, tries, now):
        # A commit that writes waits for the disk, and one that does not tells that by its speed.
        tx.execute(select(func.pg_logical_emit_message(True, "sign in", "")))
        return Try(member.id if member else None, 0, open=False)
    tx.add(tries)
    _add(tries, TRIES, now=now, config=config)
    if network:
        _add(access, CEILING, now=now, config=config)
    return Try(access.staff_id, tries.tried, open=True, network=network, password=access.password)


def _add(tries: Tries, ceiling: int, *, now: datetime, config: Config) -> None:
    tries.tried += 1
    wrong, locks = tries.tried - tries.forgiven, config.staff_locks
    if wrong % ceiling == 0:
        tries.locked_until = now + locks[min(wrong // ceiling, len(locks)) - 1]


def _tries(tx: Session, access: StaffAccess, network: str) -> StaffDoor | StaffAgain:
    return staff_access.door(tx, access, network) if network else staff_access.again(tx, access)


def _shut(access: StaffAccess, tries: StaffDoor | StaffAgain, now: datetime) -> bool:
    """Whether nothing is looked at there. Where somebody is known strangers lock nothing."""
    if access.enrolled_at is None or _locked(tries, now):
        return True
    if isinstance(tries, StaffAgain):
        return False
    known = tries.right_at is not None and now < tries.right_at + KNOWN
    return _locked(access, now) and not known


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
    if booked.network:
        staff_access.door(tx, access, booked.network).right_at = now
    member = tx.get_one(Staff, access.staff_id, populate_existing=True)
    return member if member.active else None


def _forgive(tx: Session, access: StaffAccess, booked: Try) -> None:
    """Forget the wrong tries up to this right one; a later one, already booked, stays.

    Of all networks together only those from this one: what others tried elsewhere still counts.
    """
    tries = _tries(tx, access, booked.network)
    right = max(0, booked.number - tries.forgiven)
    _take_back(tries, right, TRIES)
    if booked.network:
        _take_back(access, min(right, access.tried - access.forgiven), CEILING)


def _take_back(tries: Tries, right: int, ceiling: int) -> None:
    """Forgive so many, and undo the lock that they came to."""
    wrong = tries.tried - tries.forgiven
    tries.forgiven += right
    if (wrong - right) // ceiling < wrong // ceiling:
        tries.locked_until = None


STRANGERS_SEED = "A" * 32
