"""Codes that customers claim: "I paid, and it is not in my wallet", a row for each asking."""

import re
import uuid
from datetime import datetime
from enum import IntEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from core.base import Base, Small
from core.errors import Refusal

# Ten letters and digits, of which the first stands for the year: no PIN and no phone number.
CODE = re.compile(r"[A-Z][A-Z0-9]{9}")


class CodeState(IntEnum):
    """What came of a claimed code. Only the first is open."""

    ASKING = 1  # M-PESA is asked, again and again for an hour
    CREDITED = 2
    KNOWN = 3  # it was credited before, to whoever paid it
    NOT_PAID = 4  # M-PESA says it was cancelled, declined or expired
    NOT_THEIRS = 5  # paid from another phone, or to somebody else
    NOT_FOUND = 6  # M-PESA never told of it
    NEEDS_HUMAN = 7


class CodeClaim(Base):
    """An M-PESA code as a customer typed it, which is no proof of anything by itself."""

    __tablename__ = "code_claim"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 7", name="state"),
        CheckConstraint("(state > 1) = (ended_at IS NOT NULL)", name="ended"),
        Index("ix_code_claim_customer_id", "customer_id", "created_at"),
        Index("ix_code_claim_receipt", "receipt"),
        Index("ix_code_claim_ask_at", "ask_at", postgresql_where="ask_at IS NOT NULL"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    receipt: Mapped[str]
    shortcode: Mapped[str]  # where the money should have come
    channel: Mapped[int] = mapped_column(Small)
    session: Mapped[str]
    state: Mapped[int] = mapped_column(Small)
    deposit_id: Mapped[int | None] = mapped_column(ForeignKey("deposit.id"))
    asked: Mapped[int] = mapped_column(Small, default=0, server_default="0")
    ask_at: Mapped[datetime | None]  # when M-PESA is asked next
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


def read_code(typed: str) -> str:
    """An M-PESA code as people type it: small letters and spaces too. Raises Refusal otherwise."""
    code = "".join(typed.split()).upper()
    if not CODE.fullmatch(code):
        raise Refusal("money.claim_unreadable")
    return code
