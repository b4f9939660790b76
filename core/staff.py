"""Staff: the people who run the house, by name and role."""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Identity, Index, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import phone as phones
from core.base import Base
from core.errors import Refusal

LONGEST = 40  # characters of a name
# On any keyboard, and seen as it is.
TYPED = re.compile(r"[A-Za-z](?:[A-Za-z0-9 .'-]*[A-Za-z0-9])?")
# What eyes take for one another once it is in small letters, in this order; b is 8 in capitals.
# The wide is written as the narrow pair it is taken for, so that no pair is cut differently.
ALIKE = (
    ("rn", "nn"), ("m", "nn"), ("w", "vv"), ("v", "u"), ("d", "cl"), ("i", "1"), ("l", "1"),
    ("o", "0"), ("s", "5"), ("z", "2"), ("8", "b"), ("6", "b"), ("9", "g"),
)  # fmt: skip
UNSEEN = re.compile(r"[ .'-]")


class Role(StrEnum):
    """What a member of staff is there for."""

    VIEWER = "viewer"
    SUPPORT = "support"
    TRADER = "trader"
    FINANCE = "finance"
    ADMIN = "admin"
    AUDITOR = "auditor"


class Staff(Base):
    """One member of staff."""

    __tablename__ = "staff"
    __table_args__ = (
        CheckConstraint(
            "role IN ('viewer', 'support', 'trader', 'finance', 'admin', 'auditor')", name="role"
        ),
        Index("uq_staff_phone", "phone", unique=True, postgresql_where="active"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime]
    phone: Mapped[str | None]  # from which no bet is taken while they work here
    phone_moved_at: Mapped[datetime | None]  # since when it is another one than they came with


def add(tx: Session, name: str, role: Role, *, now: datetime, number: str = "") -> Staff:
    """A new member of staff. Raises Refusal if the name is empty, taken or no name."""
    name, phone = read(tx, name, number)
    member = Staff(name=name, role=role, created_at=now, phone=phone)
    tx.add(member)
    tx.flush()
    return member


def read(tx: Session, name: str, number: str) -> tuple[str, str | None]:
    """Name and phone as a new member would have them; raises Refusal where they would not do.

    Two names that look alike would be one to whoever reads an approval or the audit, so those of
    everybody who ever worked here are looked at.
    """
    name = " ".join(name.split())
    if not name:
        raise Refusal("staff.name_missing")
    if len(name) > LONGEST:
        raise Refusal("staff.name_long", longest=LONGEST)
    if not TYPED.fullmatch(name):
        raise Refusal("staff.name_letters")
    for other in tx.scalars(select(Staff.name).order_by(Staff.id)):
        if other.lower() == name.lower():
            raise Refusal("staff.name_taken", name=name)
        if _seen(other) == _seen(name):
            raise Refusal("staff.name_alike", name=name, other=other)
    return name, read_phone(tx, number) if number.strip() else None


def read_phone(tx: Session, number: str) -> str:
    """A staff phone as it is kept. Raises Refusal where it is none, or somebody's already."""
    phone = phones.read(number)
    if works_here(tx, phone):
        raise Refusal("staff.phone_taken")
    return phone


def works_here(tx: Session, phone: str) -> bool:
    """Whether this is the staff phone of anybody who works here."""
    return tx.scalar(select(Staff.id).where(Staff.phone == phone, Staff.active)) is not None


def admins(tx: Session) -> int:
    """How many active admins there are."""
    found = select(func.count()).where(Staff.role == Role.ADMIN, Staff.active)
    return int(tx.scalar(found) or 0)


def named(tx: Session, name: str) -> Staff:
    """The active member of staff of that name. Raises Refusal if there is none."""
    member = find(tx, name)
    if member is None:
        raise Refusal("staff.unknown", name=name)
    return member


def find(tx: Session, name: str) -> Staff | None:
    """The active member of staff of that name, if there is one; whatever was typed."""
    if not name.isprintable():
        return None
    return tx.scalar(select(Staff).where(Staff.name == name.strip(), Staff.active))


def names(tx: Session) -> Mapping[int, str]:
    """What everybody is called, those who have left with them."""
    return {row.id: row.name for row in tx.execute(select(Staff.id, Staff.name))}


def _seen(name: str) -> str:
    """What is left of a name for eyes in a hurry."""
    seen = UNSEEN.sub("", name.lower())
    for one, other in ALIKE:
        seen = seen.replace(one, other)
    return seen


def subject(name: str) -> str:
    """What proposals and the audit call somebody, who may not be there yet."""
    return f"staff:{' '.join(name.split()).lower()}"
