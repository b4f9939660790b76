"""API keys: by which a member of staff lets a program act in their name."""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import audit, rights
from core.base import Base
from core.config import Config
from core.errors import Refusal
from core.rights import Right
from core.staff import Staff

KEY_ID = re.compile(r"[0-9a-f]{16}")
MOST = 5  # live ones of one person: who needs more has forgotten to revoke some
LONGEST_NAME = 40
SECRET_BYTES = 32
USE = timedelta(minutes=1)  # how exactly it is known when a key was last used


class ApiKey(Base):
    """A key of one member of staff. Its secret is shown when it is made, and sealed here."""

    __tablename__ = "api_key"
    __table_args__ = (Index("ix_api_key_staff_id", "staff_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)  # public: it names the key in each request
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    name: Mapped[str]
    secret: Mapped[str]
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


def make(
    tx: Session, member: Staff, name: str, *, now: datetime, config: Config
) -> tuple[str, str]:
    """A new key of `member`, called `name`: its id and its secret, which nobody is told again."""
    rights.require(member, Right.API_KEYS)
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Refusal("staff.api_key_name", longest=LONGEST_NAME)
    tx.get_one(Staff, member.id, with_for_update=True)  # two keys at once are counted one by one
    live = select(func.count()).where(ApiKey.staff_id == member.id, ApiKey.revoked_at.is_(None))
    if tx.scalars(live).one() >= MOST:
        raise Refusal("staff.api_keys_enough", name=member.name, most=MOST)
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(SECRET_BYTES)
    sealed = config.data_keys.seal(secret.encode(), aad=_place(key_id))
    tx.add(ApiKey(id=key_id, staff_id=member.id, name=name, secret=sealed, created_at=now))
    tx.flush()
    audit.note(
        tx, "api key make", by=member.id, now=now, subject=_subject(key_id), facts={"name": name}
    )
    return key_id, secret


def find(tx: Session, key_id: str) -> ApiKey | None:
    """The key of that id, live or not."""
    return tx.get(ApiKey, key_id) if KEY_ID.fullmatch(key_id) else None


def of(tx: Session, staff_id: int) -> Sequence[ApiKey]:
    """All keys of one person, the newest first."""
    keys = select(ApiKey).where(ApiKey.staff_id == staff_id)
    return tx.scalars(keys.order_by(ApiKey.created_at.desc(), ApiKey.id)).all()


def revoke(tx: Session, key_id: str, *, by: Staff, now: datetime) -> ApiKey:
    """Let the key do nothing from now on. One's own, or anybody's by who ends others' sessions."""
    rights.require(by, Right.API_KEYS)
    key = find(tx, key_id)
    if key is not None and key.staff_id != by.id and not rights.may(by.role, Right.STAFF_SESSIONS):
        key = None  # whose keys there are is no business of others
    if key is None:
        raise Refusal("staff.no_such_key")
    tx.refresh(key, with_for_update=True)
    if key.revoked_at is None:
        key.revoked_at = now
        audit.note(tx, "api key revoke", by=by.id, now=now, subject=_subject(key_id))
    return key


def revoke_all(tx: Session, staff_id: int, *, now: datetime) -> None:
    """No key of this person does anything from now on."""
    live = update(ApiKey).where(ApiKey.staff_id == staff_id, ApiKey.revoked_at.is_(None))
    tx.execute(live.values(revoked_at=now))


def secret_of(key: ApiKey, config: Config) -> str:
    """The key's secret. Raises Unopenable where the ring has lost what seals it."""
    return config.data_keys.open(key.secret, aad=_place(key.id)).decode()


def used(key: ApiKey, *, now: datetime) -> None:
    """Note that it was used, but not more often than anybody wants to know."""
    if key.used_at is None or now - key.used_at >= USE:
        key.used_at = now


def _subject(key_id: str) -> str:
    return f"api_key:{key_id}"


def _place(key_id: str) -> str:
    return f"api_key.secret|{key_id}"
