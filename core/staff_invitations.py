"""Invitations of staff: the code to enrol with goes to the colleague's own phone, and to no other.

Whoever approves is told that it was sent, and never the code: two admins could otherwise take a
third one's seat. It is derived when the text leaves, and kept nowhere.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import audit, crypto, gsm7, messages, staff, staff_access
from core import phone as phones
from core.config import Config
from core.customers import Customer
from core.errors import Refusal
from core.messages import Message
from core.say import say
from core.staff import Staff

PURPOSE = "staff"
ANY_CODE = "MMMM-MMMM-MMMM-MMMM"  # stands for a code when its text is measured
# From another phone to a new start: whoever did not want it reads of it, and objects, before two
# who do can enrol in their place. Two days, for a phone is off for a night or a journey.
PHONE_RESTS = timedelta(hours=48)


@dataclass(frozen=True)
class Invitation:
    """A text with a code is on its way: to which phone, and until when the code holds."""

    phone: str
    until: datetime


def send(tx: Session, member: Staff, *, now: datetime, config: Config) -> Invitation:
    """Invite somebody by a text to their staff phone. Raises Refusal for who has none."""
    phone, key = phone_of(member), uuid.uuid4()
    code = _code(config, key, member.id, phone)
    staff_access.invite(tx, member, now=now, config=config, code=code)
    sent = Invitation(phone, now + config.staff_invite)
    measured = _words(tx, phone, ANY_CODE, sent.until)
    messages.staff_code(
        tx, staff_id=member.id, phone=phone, purpose=PURPOSE, measured=measured, key=key, now=now
    )
    audit.note(
        tx, "staff code sent", by=None, now=now, subject=staff.subject(member.name),
        facts={"phone": phone},
    )  # fmt: skip
    return sent


def phone_of(member: Staff) -> str:
    """Their staff phone. Raises Refusal for who has none, whom no code could reach."""
    if member.phone is None:
        raise Refusal("staff.phone_none", name=member.name)
    return member.phone


def rested(member: Staff, *, now: datetime) -> None:
    """Raises Refusal where a code would go to a phone that is somebody's only since a moment."""
    since = member.phone_moved_at
    if since is not None and now < since + PHONE_RESTS:
        raise Refusal("staff.phone_rests", name=member.name, since=since + PHONE_RESTS)


def move(tx: Session, member: Staff, phone: str, *, now: datetime) -> None:
    """Another staff phone. A code on its way to the old one is void, and the old one is told.

    The first phone of somebody with no seat yet need not rest: nothing can be taken from them.
    """
    if access := staff_access.held(tx, member.id):
        access.invite = access.invite_until = None
    old, member.phone = member.phone, phone
    if old is not None or staff_access.enrolled(tx, member.id):
        member.phone_moved_at = now
    if old is not None:
        messages.text(
            tx, to=old, lang=_lang(tx, old), sentence="sms.staff_phone",
            facts={"phone": phones.mask(phone)}, key=uuid.uuid4(), now=now,
        )  # fmt: skip


def text_to_send(tx: Session, message: Message, *, now: datetime, config: Config) -> str | None:
    """The text as the sender needs it; None once its code would open nothing any more."""
    assert message.code_id is not None, f"message {message.id} is no invitation"
    member, access = tx.get(Staff, message.code_id), staff_access.held(tx, message.code_id)
    if member is None or access is None or access.invite_until is None:
        return None
    code = _code(config, message.key, member.id, message.phone)
    if not member.active or not staff_access.opens(access, code, now=now, config=config):
        return None
    return _words(tx, message.phone, code, access.invite_until)


def _words(tx: Session, phone: str, code: str, until: datetime) -> str:
    """In the language in which this phone is spoken to, if it ever chose one."""
    return gsm7.fold(say("sms.code_staff", _lang(tx, phone), code=code, until=until))


def _lang(tx: Session, phone: str) -> str:
    return tx.scalar(select(Customer.lang).where(Customer.phone == phone)) or "en"


def _code(config: Config, key: uuid.UUID, staff_id: int, phone: str) -> str:
    """Derived from the message's own key and number, so that no other message tells it."""
    derived = crypto.digest(config.key_key, "staff invitation", str(key), str(staff_id), phone)
    return staff_access.written(derived[: staff_access.CODE_BYTES])
