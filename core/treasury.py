"""Treasury: the house's own moves of money, each posted once, by two people."""

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from sqlalchemy import CheckConstraint, ForeignKey, Identity, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import days, ledger, proposals, rights
from core.base import Base
from core.config import Config
from core.errors import Refusal
from core.ledger import GROWS_BY_DEBIT, AccountKind, TransferKind
from core.money import Cents
from core.proposals import Proposal
from core.rights import Right
from core.say import NAIROBI
from core.staff import Staff

LOCKS = 7  # the class of the advisory lock behind which sums are taken and spent
PENDING = "treasury:"  # subjects of proposals; one waits for each reference
REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./-]{0,39}")


class Sides(NamedTuple):
    """What an act debits and what it credits."""

    debit: AccountKind
    credit: AccountKind


ACTS: Mapping[str, Sides] = {
    "owner in": Sides(AccountKind.BANK, AccountKind.ADJUSTMENTS),
    "owner out": Sides(AccountKind.ADJUSTMENTS, AccountKind.BANK),
    "top up": Sides(AccountKind.MPESA_UTILITY, AccountKind.BANK),
    "top up working": Sides(AccountKind.MPESA_WORKING, AccountKind.BANK),
    "utility to working": Sides(AccountKind.MPESA_WORKING, AccountKind.MPESA_UTILITY),
    "working to utility": Sides(AccountKind.MPESA_UTILITY, AccountKind.MPESA_WORKING),
    "utility to bank": Sides(AccountKind.BANK, AccountKind.MPESA_UTILITY),
    "working to bank": Sides(AccountKind.BANK, AccountKind.MPESA_WORKING),
    "sweep fees": Sides(AccountKind.FEES, AccountKind.BANK),
    "sweep tips": Sides(AccountKind.TIPS_HOUSE, AccountKind.BANK),
    "remit excise": Sides(AccountKind.EXCISE_PAYABLE, AccountKind.BANK),
    "remit withholding": Sides(AccountKind.WITHHOLDING_PAYABLE, AccountKind.BANK),
    "charge": Sides(AccountKind.MPESA_CHARGES, AccountKind.MPESA_UTILITY),
    "charge working": Sides(AccountKind.MPESA_CHARGES, AccountKind.MPESA_WORKING),
}
OF_MPESA = frozenset({AccountKind.MPESA_UTILITY, AccountKind.MPESA_WORKING})
BOTTOMLESS = frozenset({AccountKind.ADJUSTMENTS, AccountKind.MPESA_CHARGES})


class TreasuryEntry(Base):
    """An act that was posted: who asked and who agreed is with its proposal."""

    __tablename__ = "treasury_entry"
    __table_args__ = (CheckConstraint("amount > 0", name="amount"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    proposal_id: Mapped[int] = mapped_column(ForeignKey("proposal.id"), unique=True)
    transfer_id: Mapped[int] = mapped_column(unique=True)
    act: Mapped[str]
    amount: Mapped[int]
    value_date: Mapped[date]
    reference: Mapped[str]
    posted_at: Mapped[datetime]


def propose(
    tx: Session,
    act: str,
    *,
    amount: Cents,
    shortcode: str,
    value_date: date,
    reference: str,
    note: str,
    by: Staff,
    now: datetime,
    config: Config,
) -> Proposal:
    """Put a move before a second person. Raises Refusal for one that could not be posted now."""
    rights.require(by, Right.TREASURY_PROPOSE)
    content: dict[str, Any] = {
        "act": act,
        "amount": amount,
        "shortcode": shortcode.strip(),
        "value_date": value_date.isoformat(),
        "reference": reference.strip().upper(),
    }
    _check(tx, content, now=now, config=config)
    if not OF_MPESA & set(ACTS[act]):
        content["shortcode"] = ""
    return proposals.propose(
        tx,
        act="treasury",
        subject=PENDING + content["reference"],
        content=content,
        note=note,
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def approve(
    tx: Session, reference: str, *, seen_hash: str, by: Staff, now: datetime, config: Config
) -> TreasuryEntry:
    """The second yes: checked once more, behind the lock, and posted."""
    rights.require(by, Right.TREASURY_APPROVE)
    waiting = _waiting(tx, reference)
    tx.execute(select(func.pg_advisory_xact_lock(LOCKS, 0)))
    proposals.approve(tx, waiting, seen_hash=seen_hash, content=waiting.content, by=by.id, now=now)
    _check(tx, waiting.content, now=now, config=config)
    debit, credit = (_account(tx, kind, waiting.content) for kind in ACTS[waiting.content["act"]])
    value_date = date.fromisoformat(waiting.content["value_date"])
    transfer = ledger.move(
        tx,
        key=uuid.uuid5(uuid.NAMESPACE_OID, f"treasury:{waiting.id}"),
        kind=TransferKind.TREASURY,
        debit=debit,
        credit=credit,
        amount=Cents(waiting.content["amount"]),
        at=min(now, datetime.combine(value_date, time(12), NAIROBI)),
        ref=waiting.id,
    )
    entry = TreasuryEntry(
        proposal_id=waiting.id,
        transfer_id=transfer,
        act=waiting.content["act"],
        amount=waiting.content["amount"],
        value_date=value_date,
        reference=waiting.content["reference"],
        posted_at=now,
    )
    tx.add(entry)
    tx.flush()
    return entry


def refuse(tx: Session, reference: str, *, by: Staff, now: datetime) -> None:
    """A no to a proposed move."""
    rights.require(by, Right.TREASURY_APPROVE)
    proposals.refuse(_waiting(tx, reference), by=by.id, now=now)


def waiting(tx: Session) -> Sequence[Proposal]:
    """What waits for a second person."""
    found = select(Proposal).where(
        Proposal.act == "treasury", Proposal.state == proposals.ProposalState.PENDING
    )
    return tx.scalars(found.order_by(Proposal.id)).all()


def entries(tx: Session, *, limit: int = 50) -> Sequence[TreasuryEntry]:
    """What was posted, the newest first."""
    return tx.scalars(select(TreasuryEntry).order_by(TreasuryEntry.id.desc()).limit(limit)).all()


def _waiting(tx: Session, reference: str) -> Proposal:
    found = proposals.pending(tx, PENDING + reference.strip().upper())
    if found is None:
        raise Refusal("staff.treasury_none", reference=reference)
    return found


def _check(tx: Session, content: Mapping[str, Any], *, now: datetime, config: Config) -> None:
    """Whether it could be posted: known, dated in open days, and there to be moved."""
    if content["act"] not in ACTS:
        raise Refusal("staff.treasury_act")
    if not REFERENCE.fullmatch(content["reference"]):
        raise Refusal("staff.treasury_reference")
    if _posted(tx, content):
        raise Refusal("staff.treasury_posted", reference=content["reference"])
    if content["amount"] <= 0:
        raise Refusal("staff.treasury_amount")
    _check_shortcode(content, config)
    value_date, closed = date.fromisoformat(content["value_date"]), days.last_closed(tx)
    if value_date > now.astimezone(NAIROBI).date() or (closed and value_date <= closed):
        raise Refusal("staff.treasury_date")
    holds = _least_held(tx, content)
    if holds is not None and holds < content["amount"]:
        raise Refusal("staff.treasury_short", holds=holds)


def _posted(tx: Session, content: Mapping[str, Any]) -> bool:
    """The bank's paper was posted as this very act before: money that moved once."""
    same = (TreasuryEntry.reference == content["reference"], TreasuryEntry.act == content["act"])
    return tx.scalar(select(TreasuryEntry.id).where(*same).limit(1)) is not None


def _check_shortcode(content: Mapping[str, Any], config: Config) -> None:
    """M-PESA's money lies under one of our shortcodes; a move of it has to name which."""
    ours = {config.mpesa_shortcode, config.mpesa_b2c_shortcode} - {""}
    named = content["shortcode"]
    if named not in ours and (named or OF_MPESA & set(ACTS[content["act"]])):
        raise Refusal("staff.treasury_shortcode", ours=", ".join(sorted(ours)))


def _least_held(tx: Session, content: Mapping[str, Any]) -> Cents | None:
    """What the act may spend: an asset is spent by a credit, what is owed by a debit."""
    sides = ACTS[content["act"]]
    spent = [side for side in (sides.credit,) if side in GROWS_BY_DEBIT]
    spent += [side for side in (sides.debit,) if side not in GROWS_BY_DEBIT]
    held = [
        ledger.account_balance(tx, kind, shortcode=_shortcode(kind, content))
        for kind in spent
        if kind not in BOTTOMLESS
    ]
    return min(held) if held else None


def _shortcode(kind: AccountKind, content: Mapping[str, Any]) -> str | None:
    return content["shortcode"] if kind in OF_MPESA else None


def _account(tx: Session, kind: AccountKind, content: Mapping[str, Any]) -> int:
    return ledger.account(tx, kind, shortcode=_shortcode(kind, content))
