"""Levies: what the state takes of deposits and withdrawals, by dated rates that two people set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    UniqueConstraint,
    cast,
    func,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import proposals, rights
from core.base import Base, Small
from core.config import Config
from core.errors import Refusal
from core.money import Cents
from core.proposals import Proposal
from core.rights import Right
from core.staff import Staff

BASIS = 10_000
MOST_BP = 5_000  # half: whatever is more is a slip of the hand


class Levy(IntEnum):
    """What is taxed."""

    EXCISE = 1  # deposits, as they come
    WITHHOLDING = 2  # withdrawals and cash-outs, as they go


PROFILES: Mapping[str, Mapping[Levy, int]] = {
    # Finance Act 2025: both 5%, on money put into and taken out of a betting wallet.
    "kenya-2025": {Levy.EXCISE: 500, Levy.WITHHOLDING: 500},
    "none": {Levy.EXCISE: 0, Levy.WITHHOLDING: 0},
}
SUBJECT = "levies"


class LevyRate(Base):
    """A rate in basis points, from a moment on until the next one."""

    __tablename__ = "levy_rate"
    __table_args__ = (
        UniqueConstraint("proposal_id", "kind"),
        CheckConstraint("kind IN (1, 2)", name="kind"),
        CheckConstraint("rate_bp BETWEEN 0 AND 5000", name="rate"),
        Index("ix_levy_rate_kind", "kind", "from_at"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[int] = mapped_column(Small)
    rate_bp: Mapped[int] = mapped_column(Integer)
    from_at: Mapped[datetime]
    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposal.id"))


@dataclass(frozen=True)
class FilingLine:
    """One levy on one Nairobi day: how often, on how much, and what is due, in cents."""

    day: date
    levy: Levy
    number: int
    base: Cents
    tax: Cents


def rate(tx: Session, levy: Levy, *, at: datetime) -> int:
    """The rate in basis points at a moment; 0 where there is none."""
    return tx.scalar(select(func.levy_bp(cast(int(levy), Small), at))) or 0


def excise(amount: int, bp: int) -> Cents:
    """Of a deposit of `amount` cents, down to the cent."""
    return Cents(amount * bp // BASIS)


def gross(net: int, bp: int) -> Cents:
    """What leaves the wallet so that `net` cents arrive: never a cent too little for the tax."""
    return Cents(-(-net * BASIS // (BASIS - bp)))


def to_land(net: int, bp: int) -> Cents:
    """The least whole shillings, in cents, of which `net` cents are left after excise."""
    whole = -(-gross(net, bp) // 100) * 100
    less = whole - 100
    return Cents(less if less - excise(less, bp) >= net else whole)


def most_net(held: int, bp: int) -> Cents:
    """The most whole shillings, in cents, that can arrive from `held` cents."""
    return Cents(held * (BASIS - bp) // BASIS // 100 * 100)


def propose(
    tx: Session, rates: Mapping[Levy, int], *, starts: datetime, note: str, by: Staff,
    now: datetime, config: Config,
) -> Proposal:  # fmt: skip
    """Put new rates before a second person; they begin in the future, never in the past."""
    rights.require(by, Right.LEVY_PROPOSE)
    if starts <= now:
        raise Refusal("staff.levy_starts")
    if not rates or not all(0 <= bp <= MOST_BP for bp in rates.values()):
        raise Refusal("staff.levy_rate", most=MOST_BP)
    return proposals.propose(
        tx,
        act="levy.rates",
        subject=SUBJECT,
        content=_content(rates, starts),
        note=note,
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def approve(tx: Session, *, seen_hash: str, by: Staff, now: datetime) -> Sequence[LevyRate]:
    """The second yes, before the rates begin."""
    rights.require(by, Right.LEVY_APPROVE)
    waiting = proposals.pending(tx, SUBJECT)
    if waiting is None:
        raise Refusal("staff.levy_none_proposed")
    starts = datetime.fromisoformat(waiting.content["from"])
    if starts <= now:
        raise Refusal("staff.levy_starts")
    proposals.approve(tx, waiting, seen_hash=seen_hash, content=waiting.content, by=by.id, now=now)
    rows = [
        LevyRate(kind=int(kind), rate_bp=bp, from_at=starts, proposal_id=waiting.id)
        for kind, bp in waiting.content["rates"].items()
    ]
    tx.add_all(rows)
    tx.flush()
    return rows


def history(tx: Session) -> Sequence[LevyRate]:
    """Every rate there was and will be, the newest first."""
    return tx.scalars(select(LevyRate).order_by(LevyRate.from_at.desc(), LevyRate.id.desc())).all()


def filing(tx: Session, *, since: date, until: date) -> Sequence[FilingLine]:
    """What is due by Nairobi day, from the ledger's own rows; both days included."""
    rows = tx.execute(FILING, {"since": since, "until": until})
    return [
        FilingLine(row.day, Levy(row.levy), row.number, Cents(int(row.base)), Cents(int(row.tax)))
        for row in rows
    ]


def _content(rates: Mapping[Levy, int], starts: datetime) -> dict[str, Any]:
    return {"rates": {str(int(levy)): bp for levy, bp in rates.items()}, "from": starts.isoformat()}


# The base of excise is what came with a deposit, less what M-PESA took back; that of withholding
# what left the wallet.
FILING = text("""
    SELECT (t.event_at AT TIME ZONE 'Africa/Nairobi')::date AS day,
           CASE t.kind WHEN 10 THEN 2 ELSE 1 END AS levy, count(*) AS number,
           sum(coalesce(e.amount, d.amount, p.amount + p.tax, -r.amount)) AS base,
           sum(CASE t.kind WHEN 19 THEN -t.amount ELSE t.amount END) AS tax
      FROM transfer t
      LEFT JOIN deposit d ON t.kind = 9 AND d.id = t.ref
      LEFT JOIN mpesa_receipt e ON e.deposit_id = d.id
                                AND t.key IN (ledger_key(d.key, 'excise:' || e.receipt),
                                              ledger_key(ledger_row_key(23, e.transfer_id, 0),
                                                         'excise'))
      LEFT JOIN payout p ON t.kind = 10 AND p.id = t.ref
      LEFT JOIN mpesa_receipt r ON t.kind = 19 AND t.ref IN (r.transfer_id, r.restored_id)
     WHERE (t.kind IN (9, 10)
            OR (t.kind = 19 AND t.debit_account IN (SELECT id FROM account WHERE kind = 23)))
       AND (t.event_at AT TIME ZONE 'Africa/Nairobi')::date BETWEEN :since AND :until
     GROUP BY 1, 2 ORDER BY 1, 2
""")
