"""What each proof of the books found, kept so that the alarm lasts until one is clean again."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Identity
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base
from core.verify import Finding


class LedgerProof(Base):
    """One run over all invariants; `broken` names those that did not hold."""

    __tablename__ = "ledger_proof"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    proved_at: Mapped[datetime]
    milliseconds: Mapped[int]
    broken: Mapped[list[str]] = mapped_column(JSONB)


def keep(tx: Session, findings: Sequence[Finding], *, now: datetime) -> None:
    """Write down what a proof found."""
    tx.add(
        LedgerProof(
            proved_at=now,
            milliseconds=round(1000 * sum(finding.seconds for finding in findings)),
            broken=[finding.name for finding in findings if not finding.holds],
        )
    )
