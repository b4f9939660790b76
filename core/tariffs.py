"""Tariffs: what M-PESA charges for a payout, in dated bands that two people set."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import proposals, rights
from core.base import Base
from core.config import Config
from core.errors import Refusal
from core.money import Cents
from core.proposals import Proposal
from core.rights import Right
from core.staff import Staff

SUBJECT = "tariff"


class TariffBand(Base):
    """From a moment on, a payout of at most `upto` cents costs `charge` cents."""

    __tablename__ = "tariff"
    __table_args__ = (CheckConstraint("upto > 0 AND charge >= 0", name="charge"),)

    from_at: Mapped[datetime] = mapped_column(primary_key=True)
    upto: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    charge: Mapped[int]
    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposal.id"))


def propose(
    tx: Session,
    bands: Mapping[Cents, Cents],
    *,
    starts: datetime,
    note: str,
    by: Staff,
    now: datetime,
    config: Config,
) -> Proposal:
    """Put bands (up to so many cents: the charge) before a second person, from a future moment."""
    rights.require(by, Right.LEVY_PROPOSE)
    if starts <= now or not bands or any(upto <= 0 or cost < 0 for upto, cost in bands.items()):
        raise Refusal("staff.tariff_bands")
    content: dict[str, Any] = {
        "from": starts.isoformat(),
        "bands": [[upto, bands[upto]] for upto in sorted(bands)],
    }
    return proposals.propose(
        tx,
        act="tariff",
        subject=SUBJECT,
        content=content,
        note=note,
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def approve(tx: Session, *, seen_hash: str, by: Staff, now: datetime) -> Sequence[TariffBand]:
    """The second yes, before the bands begin."""
    rights.require(by, Right.LEVY_APPROVE)
    waiting = proposals.pending(tx, SUBJECT)
    if waiting is None:
        raise Refusal("staff.tariff_none_proposed")
    starts = datetime.fromisoformat(waiting.content["from"])
    if starts <= now:
        raise Refusal("staff.tariff_bands")
    proposals.approve(tx, waiting, seen_hash=seen_hash, content=waiting.content, by=by.id, now=now)
    rows = [
        TariffBand(from_at=starts, upto=upto, charge=charge, proposal_id=waiting.id)
        for upto, charge in waiting.content["bands"]
    ]
    tx.add_all(rows)
    tx.flush()
    return rows


def bands(tx: Session) -> Sequence[TariffBand]:
    """Every band there was and will be, the newest first."""
    return tx.scalars(select(TariffBand).order_by(TariffBand.from_at.desc(), TariffBand.upto)).all()
