"""The stamp of the database: the environment it was made for, and the clock that goes with it."""

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Literal

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Boolean, CheckConstraint, func, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base

MIGRATIONS = Path(__file__).parent.parent / "migrations"


class WrongDatabase(Exception):
    """This database was made for another environment, or for other code than this."""


class HouseStamp(Base):
    """One row, written by the first migration."""

    __tablename__ = "house_stamp"
    __table_args__ = (
        CheckConstraint("id", name="one"),
        CheckConstraint(
            "environment IN ('demo', 'test', 'sandbox', 'production')", name="environment"
        ),
    )

    id: Mapped[bool] = mapped_column(Boolean, primary_key=True, server_default=text("true"))
    environment: Mapped[str]
    stamped_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class ClockOffset(Base):
    """One row: how far `app_now()` is ahead of the machine. A trigger keeps it 0 in earnest."""

    __tablename__ = "test_clock"
    __table_args__ = (CheckConstraint("id", name="one"),)

    id: Mapped[bool] = mapped_column(Boolean, primary_key=True, server_default=text("true"))
    seconds: Mapped[int]


def environment(tx: Session) -> str:
    """What the database was made for."""
    return tx.scalars(select(HouseStamp.environment)).one()


def check(tx: Session, expected: Literal["demo", "test", "sandbox", "production"]) -> None:
    """Refuse a database made for another environment or by other code; raises WrongDatabase."""
    if not at_head(tx):
        raise WrongDatabase("this database is not at the head of the migrations: run the release")
    stamped = environment(tx)
    if stamped != expected:
        raise differs(expected, stamped)


def differs(expected: str, stamped: str) -> WrongDatabase:
    """What a process is told whose environment is not the database's."""
    return WrongDatabase(f"APP_ENV is {expected}, but this database is stamped {stamped}")


def promote(tx: Session) -> bool:
    """Make a sandbox's database one of production; False if it is none. Only the owner may."""
    restamp = (
        update(HouseStamp)
        .where(HouseStamp.environment == "sandbox")
        .values(environment="production", stamped_at=func.clock_timestamp())
        .returning(HouseStamp.id)
    )
    return tx.scalar(restamp) is not None


def at_head(tx: Session) -> bool:
    """Whether the schema is the one this code was written for."""
    return set(MigrationContext.configure(tx.connection()).get_current_heads()) == _heads()


def set_clock(tx: Session, seconds: int) -> None:
    """Move `app_now()` to `seconds` ahead of the machine's clock; refused but in demo and test."""
    tx.execute(update(ClockOffset).values(seconds=seconds))


@cache
def _heads() -> frozenset[str]:
    return frozenset(ScriptDirectory(str(MIGRATIONS)).get_heads())
