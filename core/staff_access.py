"""How staff come in: the invitation, the password, the second factor, and the recovery codes."""

import base64
import importlib
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyotp
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    UniqueConstraint,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import api_keys, audit, crypto, hashing, staff, staff_sessions
from core.base import Base
from core.config import Config
from core.errors import Refusal
from core.staff import Staff

SHORTEST, LONGEST = 12, 128  # characters of a password
ENOUGH = 72  # of them tell how strong it is; to look at more takes seconds
STRONG = 3  # of zxcvbn's 4: more than a hundred million guesses
HOUSE_WORDS = re.compile("betting|bet|wallet|m-?pesa|safaricom|nairobi|kenya", re.IGNORECASE)
ISSUER = "House"  # what an authenticator writes above its numbers

STEP = 30  # seconds that a TOTP code lasts
AROUND = (0, -1, 1)  # steps accepted: a phone's clock may be half a minute out
RECOVERY_CODES = 10
CODE_BYTES = 10  # 80 bits: nobody guesses one, however often
TOTP = re.compile(r"[0-9]{6}")


class Tries:
    """How often it was wrong, and how long nothing is looked at for that."""

    tried: Mapped[int] = mapped_column(server_default=text("0"))
    forgiven: Mapped[int] = mapped_column(server_default=text("0"))  # tries before a right one
    locked_until: Mapped[datetime | None]


class StaffAccess(Tries, Base):
    """What one person shows to come in, and how often it was wrong at the door from anywhere."""

    __tablename__ = "staff_access"
    __table_args__ = (
        CheckConstraint("(invite IS NULL) = (invite_until IS NULL)", name="invited"),
        CheckConstraint(
            "enrolled_at IS NULL OR num_nonnulls(password, seed, last_step) = 3", name="enrolled"
        ),
        CheckConstraint("forgiven BETWEEN 0 AND tried", name="tries"),
    )

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    invite: Mapped[bytes | None]
    invite_until: Mapped[datetime | None]
    password: Mapped[str | None]
    seed: Mapped[str | None]
    last_step: Mapped[int | None]  # of TOTP codes: up to this one all are used up
    enrolled_at: Mapped[datetime | None]


class StaffDoor(Tries, Base):
    """How often it was wrong at the door from one network, and when it was last right there."""

    __tablename__ = "staff_door"
    __table_args__ = (CheckConstraint("forgiven BETWEEN 0 AND tried", name="tries"),)

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    network: Mapped[str] = mapped_column(primary_key=True)
    right_at: Mapped[datetime | None]


class StaffAgain(Tries, Base):
    """The same behind the door, in a session, for a key or a command.

    Strangers who know a name lock its door, and not this: who is at work goes on.
    """

    __tablename__ = "staff_again"
    __table_args__ = (CheckConstraint("forgiven BETWEEN 0 AND tried", name="tries"),)

    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)


class StaffRecovery(Base):
    """A recovery code, in place of one TOTP code; each serves once."""

    __tablename__ = "staff_recovery"
    __table_args__ = (UniqueConstraint("staff_id", "code"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    code: Mapped[bytes]
    made_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


@dataclass(frozen=True)
class Seed:
    """What an authenticator has to know: `secret` to type, `uri` for a QR code."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


def invite(tx: Session, member: Staff, *, now: datetime, config: Config, code: str = "") -> str:
    """A code to enrol with, told here and never again. Everything that came before is void."""
    void(tx, member, now=now)
    code = code or written(secrets.token_bytes(CODE_BYTES))
    access = held(tx, member.id) or StaffAccess(staff_id=member.id)
    access.invite = _digest(config, "invite", member.id, code)
    access.invite_until = now + config.staff_invite
    tx.add(access)
    tx.flush()
    for tries in (access, again(tx, access)):
        tries.locked_until, tries.forgiven = None, tries.tried
    audit.note(tx, "staff invite", by=None, now=now, subject=staff.subject(member.name))
    return code


def void(tx: Session, member: Staff, *, now: datetime) -> None:
    """Nothing of this person's opens anything: no session, factor, code or key."""
    staff_sessions.end_all(tx, member.id, now=now)
    api_keys.revoke_all(tx, member.id, now=now)
    for kept in (StaffRecovery, StaffDoor):
        tx.execute(delete(kept).where(kept.staff_id == member.id))
    if access := held(tx, member.id):
        access.enrolled_at = None
        access.invite = access.invite_until = None
        access.password = access.seed = access.last_step = None
        tx.flush()


def opens(access: StaffAccess | None, code: str, *, now: datetime, config: Config) -> bool:
    """Whether somebody could enrol with this code now."""
    if access is None or access.invite is None or access.invite_until is None:
        return False
    right = crypto.same(access.invite, _digest(config, "invite", access.staff_id, code))
    return right and now < access.invite_until


def begin_enrolment(tx: Session, name: str, code: str, *, now: datetime, config: Config) -> Seed:
    """A new seed for the authenticator of whoever has the code; one that was shown before is void.

    Whoever had the code on its way, and looked first, knows nothing of the seed that is enrolled.
    """
    member, access = _invited(tx, name, code, now=now, config=config)
    secret = pyotp.random_base32()
    access.seed = config.data_keys.seal(secret.encode(), aad=_place(member.id))
    audit.note(tx, "staff enrol begin", by=None, now=now, subject=staff.subject(member.name))
    tx.flush()
    return _seed(member, secret)


def go_on_enrolling(
    tx: Session, name: str, code: str, secret: str, *, now: datetime, config: Config
) -> Seed:
    """The same seed once more, for whoever was shown it. Raises Refusal where it is void."""
    member, access = _invited(tx, name, code, now=now, config=config)
    if access.seed is None or not crypto.same(seed_of(access, config), secret):
        raise Refusal("staff.enrol_anew")
    return _seed(member, secret)


def enrol(
    tx: Session, name: str, code: str, *, password: str, totp: str, now: datetime, config: Config
) -> Sequence[str]:
    """Set both factors; the code is used up. Gives the recovery codes, told here and never again.

    Raises Refusal for a code that is wrong or too old, a weak password, and a wrong TOTP code.
    """
    member, access = _invited(tx, name, code, now=now, config=config)
    chosen = choose(password, member.name)
    step = None if access.seed is None else matched(seed_of(access, config), totp, now=now)
    if step is None:
        raise Refusal("staff.factor_wrong")
    access.password, access.last_step, access.enrolled_at = chosen, step, now
    access.invite = access.invite_until = None
    audit.note(tx, "staff enrol", by=member.id, now=now, subject=staff.subject(member.name))
    return _replace_codes(tx, member, now=now, config=config)


def new_recovery_codes(
    tx: Session, member: Staff, *, now: datetime, config: Config
) -> Sequence[str]:
    """Ten new ones for somebody who is signed in; the old ones are void."""
    audit.note(
        tx, "staff recovery codes", by=member.id, now=now, subject=staff.subject(member.name)
    )
    return _replace_codes(tx, member, now=now, config=config)


def codes_left(tx: Session, staff_id: int) -> int:
    """How many recovery codes this person has not used."""
    unused = StaffRecovery.staff_id == staff_id, StaffRecovery.used_at.is_(None)
    return tx.scalar(select(func.count()).where(*unused)) or 0


def enrolled(tx: Session, staff_id: int) -> bool:
    """Whether this person has a password and a second factor."""
    done = StaffAccess.staff_id == staff_id, StaffAccess.enrolled_at.is_not(None)
    return tx.scalar(select(StaffAccess.staff_id).where(*done)) is not None


def held(tx: Session, staff_id: int) -> StaffAccess | None:
    """What this person shows to come in, locked and fresh."""
    return tx.get(StaffAccess, staff_id, with_for_update=True, populate_existing=True)


def again(tx: Session, access: StaffAccess) -> StaffAgain:
    """What was tried behind the door; whoever asks holds `access`."""
    found = tx.get(StaffAgain, access.staff_id, populate_existing=True)
    if found is None:
        found = StaffAgain(staff_id=access.staff_id, tried=0, forgiven=0)
        tx.add(found)
        tx.flush()
    return found


def door(tx: Session, access: StaffAccess, network: str) -> StaffDoor:
    """What was tried from there, perhaps nothing yet; whoever asks holds `access`."""
    found = tx.get(StaffDoor, (access.staff_id, network), populate_existing=True)
    return found or StaffDoor(staff_id=access.staff_id, network=network, tried=0, forgiven=0)


def choose(password: str, name: str) -> str:
    """The hash of a new password. Raises Refusal for one that is short, or easily guessed."""
    typed = _composed(password)
    if len(typed) < SHORTEST:
        raise Refusal("staff.password_short", shortest=SHORTEST)
    if len(typed) > LONGEST:
        raise Refusal("staff.password_long", longest=LONGEST)
    folded, own = typed.casefold(), [part for part in name.casefold().split() if len(part) > 2]
    if any(part in folded for part in own):
        raise Refusal("staff.password_name")
    rest = HOUSE_WORDS.sub("", typed)  # whoever guesses begins with these
    if not rest or _score(rest[:ENOUGH]) < STRONG:
        raise Refusal("staff.password_common")
    return hashing.hashed(typed)


def fits(kept: str | None, password: str) -> bool:
    """Compare a password; with nothing to compare with, the same time is spent."""
    typed = _composed(password) if len(password) <= 4 * LONGEST else ""
    return hashing.fits(kept, typed)


def matched(secret: str, code: str, *, now: datetime) -> int | None:
    """The step whose TOTP code this is, if it is one of now or just beside it."""
    totp, this, typed = pyotp.TOTP(secret), int(now.timestamp()) // STEP, _digits(code)
    found = [this + n for n in AROUND if crypto.same(totp.generate_otp(this + n), typed)]
    return found[0] if found else None


def spend(tx: Session, access: StaffAccess, code: str, *, now: datetime, config: Config) -> bool:
    """Use a TOTP or recovery code up, if it is right and was not used before.

    `access` is held, so that of two that show the same code at once one is late.
    """
    step = matched(seed_of(access, config), code, now=now)
    if step is not None:
        fresh = access.last_step is None or step > access.last_step
        access.last_step = step if fresh else access.last_step
        return fresh
    digest = _digest(config, "recovery", access.staff_id, code)
    mine = StaffRecovery.staff_id == access.staff_id, StaffRecovery.code == digest
    used = update(StaffRecovery).where(*mine, StaffRecovery.used_at.is_(None)).values(used_at=now)
    return tx.scalar(used.returning(StaffRecovery.id)) is not None


def seed_of(access: StaffAccess, config: Config) -> str:
    """The seed of the authenticator."""
    assert access.seed is not None, f"nobody enrolled {access.staff_id}"
    return config.data_keys.open(access.seed, aad=_place(access.staff_id)).decode()


def _seed(member: Staff, secret: str) -> Seed:
    uri = pyotp.TOTP(secret).provisioning_uri(name=member.name, issuer_name=ISSUER)
    return Seed(secret, uri)


def _invited(
    tx: Session, name: str, code: str, *, now: datetime, config: Config
) -> tuple[Staff, StaffAccess]:
    """Whoever was invited with this code. One sentence for every reason why not."""
    found = staff.find(tx, name)
    access = held(tx, found.id) if found else None
    if found is None or access is None or not opens(access, code, now=now, config=config):
        raise Refusal("staff.enrol_code")
    return found, access


def _replace_codes(tx: Session, member: Staff, *, now: datetime, config: Config) -> Sequence[str]:
    tx.execute(delete(StaffRecovery).where(StaffRecovery.staff_id == member.id))
    codes = [written(secrets.token_bytes(CODE_BYTES)) for _ in range(RECOVERY_CODES)]
    tx.add_all(
        StaffRecovery(
            staff_id=member.id, code=_digest(config, "recovery", member.id, code), made_at=now
        )
        for code in codes
    )
    tx.flush()
    return codes


def written(code: bytes) -> str:
    """Sixteen letters and digits in fours, none of which is taken for another."""
    plain = base64.b32encode(code).decode()
    return "-".join(plain[at : at + 4] for at in range(0, len(plain), 4))


def _digest(config: Config, kind: str, staff_id: int, code: str) -> bytes:
    """What is kept of a code, however it was typed."""
    plain = re.sub(r"[\s-]", "", code).upper()
    return crypto.digest(config.key_key, f"staff {kind}", str(staff_id), plain)


def _digits(code: str) -> str:
    """Six digits as they were typed, with or without their space; nothing else is compared."""
    plain = "".join(code.split())
    return plain if TOTP.fullmatch(plain) else ""


def _composed(password: str) -> str:
    """The same characters whatever keyboard they came from."""
    return unicodedata.normalize("NFKC", password)


def _place(staff_id: int) -> str:
    return f"staff_access.seed|{staff_id}"


def _score(password: str) -> int:
    """From 0 to 4, by zxcvbn. Its lists of words take 13 MB, which no worker has to carry."""
    return int(importlib.import_module("zxcvbn").zxcvbn(password)["score"])
