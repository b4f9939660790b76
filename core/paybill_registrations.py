"""When M-PESA was told our paybill addresses: it takes them once, and cannot be asked."""

from datetime import datetime

from sqlalchemy import Identity, LargeBinary, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import crypto
from core.base import Base
from core.config import Config


class PaybillRegistration(Base):
    """One registration. The addresses hold a token, so only their keyed digest is kept."""

    __tablename__ = "paybill_registration"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    shortcode: Mapped[str]
    addresses: Mapped[bytes] = mapped_column(LargeBinary)
    stood: Mapped[bool]  # M-PESA had addresses already, and did not say which
    registered_at: Mapped[datetime]


def note(tx: Session, config: Config, *, stood: bool, now: datetime) -> None:
    """Write down that M-PESA took our addresses, or has had some before."""
    tx.add(
        PaybillRegistration(
            shortcode=config.mpesa_shortcode,
            addresses=_addresses(config),
            stood=stood,
            registered_at=now,
        )
    )


def latest(tx: Session, config: Config) -> PaybillRegistration | None:
    """The newest registration of the shortcode in force under our present address and token."""
    found = select(PaybillRegistration).where(
        PaybillRegistration.shortcode == config.mpesa_shortcode,
        PaybillRegistration.addresses == _addresses(config),
    )
    return tx.scalar(found.order_by(PaybillRegistration.id.desc()).limit(1))


def _addresses(config: Config) -> bytes:
    token = config.c2b_hook_token[0].get_secret_value()
    return crypto.digest(config.key_key, "paybill_registration", config.public_url, token)
