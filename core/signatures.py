"""Signed requests: who sent one, that it came unchanged and in time, and that it came once."""

import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import structlog
from sqlalchemy import ForeignKey, Index, delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import api_keys, crypto
from core.api_keys import ApiKey
from core.base import Base
from core.config import Config
from core.crypto import Unopenable
from core.errors import Refusal
from core.staff import Staff

log = structlog.get_logger(__name__)

WINDOW = timedelta(seconds=300)  # by which a sender's clock may differ from ours, either way
SLACK = WINDOW  # by which clocks of our own machines may differ
# With these forms no two requests make one message, whatever their paths hold.
FORMS = {
    "key_id": api_keys.KEY_ID,
    "timestamp": re.compile(r"[0-9]{1,11}"),
    "nonce": re.compile(r"[A-Za-z0-9_-]{16,64}"),
    "totp": re.compile(r"([0-9]{6})?"),
}


class ApiNonce(Base):
    """A request that was taken: for as long as it would be in time it is not taken again."""

    __tablename__ = "api_nonce"
    __table_args__ = (Index("ix_api_nonce_signed_at", "signed_at"),)

    key_id: Mapped[str] = mapped_column(ForeignKey("api_key.id"), primary_key=True)
    nonce: Mapped[str] = mapped_column(primary_key=True)
    signed_at: Mapped[datetime]


@dataclass(frozen=True)
class Signed:
    """A request as it came: what its sender says of it, and what was sent."""

    key_id: str
    timestamp: str
    nonce: str
    signature: str = field(repr=False)
    method: str
    path: str  # with its query
    body: bytes = field(repr=False)
    totp: str = field(default="", repr=False)


def sign(
    secret: str, *, method: str, path: str, timestamp: str, nonce: str, body: bytes, totp: str = ""
) -> str:
    """The signature of a request: HMAC-SHA256 over its parts, in hex."""
    parts = [method, path, timestamp, nonce, sha256(body).hexdigest(), *([totp] if totp else [])]
    return hmac.new(secret.encode(), "|".join(parts).encode(), sha256).hexdigest()


def admit(tx: Session, signed: Signed, *, now: datetime, config: Config) -> tuple[ApiKey, Staff]:
    """The key and the person behind a request, which is marked as taken.

    To be committed before anything is done for it, so that no rollback lets it come again. Raises
    Refusal, the same to the caller whatever the cause; `why` is for the log.
    """
    if not all(form.fullmatch(getattr(signed, name)) for name, form in FORMS.items()):
        raise _denied("form")
    key = api_keys.find(tx, signed.key_id)
    member = None if key is None else tx.get(Staff, key.staff_id)
    right = crypto.same(_expected(key, signed, config), signed.signature)
    if key is None or member is None:
        raise _denied("key")
    if not right:
        raise _denied("signature")
    if key.revoked_at is not None or not member.active:
        raise _denied("revoked")
    signed_at = datetime.fromtimestamp(int(signed.timestamp), UTC)
    if abs(now - signed_at) > WINDOW:
        raise _denied("time")
    if not _first(tx, signed, signed_at):
        raise _denied("replay")
    api_keys.used(key, now=now)
    return key, member


def sweep(tx: Session, now: datetime, config: Config) -> None:
    """Forget requests that are too old to be sent again, by whichever of our clocks."""
    tx.execute(delete(ApiNonce).where(ApiNonce.signed_at < now - WINDOW - SLACK))


def _expected(key: ApiKey | None, signed: Signed, config: Config) -> str:
    """The signature this request should have; with nothing to sign by, the same time is spent."""
    return sign(
        _secret(key, config),
        method=signed.method,
        path=signed.path,
        timestamp=signed.timestamp,
        nonce=signed.nonce,
        body=signed.body,
        totp=signed.totp,
    )


def _secret(key: ApiKey | None, config: Config) -> str:
    if key is not None:
        try:
            return api_keys.secret_of(key, config)
        except Unopenable:
            log.error("api key cannot be opened", staff_id=key.staff_id)
    return secrets.token_urlsafe(api_keys.SECRET_BYTES)


def _first(tx: Session, signed: Signed, signed_at: datetime) -> bool:
    """Whether it comes for the first time: of many at once one finds no row of another's."""
    row = insert(ApiNonce).values(key_id=signed.key_id, nonce=signed.nonce, signed_at=signed_at)
    taken = tx.execute(row.on_conflict_do_nothing().returning(ApiNonce.nonce))
    return taken.one_or_none() is not None


def _denied(why: str) -> Refusal:
    return Refusal("staff.api_denied", why=why)
