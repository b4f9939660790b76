"""Staff: the people who run the house, by name and role."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Identity, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base
from core.errors import Refusal


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
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime]


def add(tx: Session, name: str, role: Role, *, now: datetime) -> Staff:
    """A new member of staff. Raises Refusal if the name is empty or taken."""
    name = name.strip()
    if not name:
        raise Refusal("staff.name_missing")
    if tx.scalar(select(Staff.id).where(Staff.name == name)):
        raise Refusal("staff.name_taken", name=name)
    member = Staff(name=name, role=role, created_at=now)
    tx.add(member)
    tx.flush()
    return member


def named(tx: Session, name: str) -> Staff:
    """The active member of staff of that name. Raises Refusal if there is none."""
    member = tx.scalar(select(Staff).where(Staff.name == name, Staff.active))
    if member is None:
        raise Refusal("staff.unknown", name=name)
    return member


def require(member: Staff, *roles: Role) -> None:
    """Refuse whoever has none of the roles."""
    if member.role not in roles:
        raise Refusal(
            "staff.not_your_role", name=member.name, role=member.role, roles=", ".join(roles)
        )
