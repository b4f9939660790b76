"""The registry of M-PESA's receipts: each is credited once, and believed once M-PESA says it twice.

A credit is a receipt, a ledger transfer and a deposit's new state, in one database function. A
claim is what a notice said of a receipt: M-PESA is asked about each, and until it agrees the money
may be played and not withdrawn. What is too large, or does not fit the deposit, is claimed only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Literal

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    UniqueConstraint,
    cast,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base, Small
from core.ledger import Wallet
from core.money import Cents
from core.notices import NAIROBI
from core.payments import Deposit


class Direction(IntEnum):
    """Whose money came."""

    IN = 1
    OUT = 2


class Source(IntEnum):
    """The channel that told of a receipt."""

    STK = 1
    C2B = 2
    STATUS = 3
    PULL = 4
    B2C = 5
    STATEMENT = 6  # two people, by the organisation statement
    REVERSAL = 7
    STAFF = 8


ASKED = (Source.STATUS, Source.PULL)
"""Channels on which M-PESA answers us; on the others it speaks, or somebody in its name."""


class ClaimState(IntEnum):
    """What M-PESA says, when asked, of a receipt that somebody told us of."""

    WAITING = 1
    CONFIRMED = 2
    DENIED = 3  # the payment did not complete
    MISMATCH = 4  # it did, between other parties or with another amount: a person must look
    NEEDS_HUMAN = 5  # it never answered


OPEN = (ClaimState.WAITING, ClaimState.DENIED, ClaimState.MISMATCH, ClaimState.NEEDS_HUMAN)
"""What a later word of M-PESA's, or two people, still end."""


class MpesaReceipt(Base):
    """One receipt of M-PESA's and what it moved. Written by database functions only."""

    __tablename__ = "mpesa_receipt"
    __table_args__ = (
        CheckConstraint("receipt ~ '^[A-Z0-9]{6,20}$'", name="written"),
        CheckConstraint("amount > 0", name="positive"),
        CheckConstraint(
            "direction = 1 AND payout_id IS NULL OR direction = 2 AND deposit_id IS NULL",
            name="direction",
        ),
        CheckConstraint(
            "reversed_at IS NULL OR (direction = 1 AND reversed_by IS NOT NULL)", name="reversed"
        ),
        CheckConstraint("restored_id IS NULL OR unmade_at IS NOT NULL", name="restored"),
        Index("ix_mpesa_receipt_deposit_id", "deposit_id"),
        Index(
            "ix_mpesa_receipt_reversed", "customer_id", postgresql_where="reversed_at IS NOT NULL"
        ),
        Index("ix_mpesa_receipt_account_id", "account_id"),
        Index(
            "ix_mpesa_receipt_unconfirmed",
            "customer_id",
            "created_at",
            postgresql_where="confirmed_at IS NULL",
        ),
    )

    receipt: Mapped[str] = mapped_column(primary_key=True)
    direction: Mapped[int] = mapped_column(Small)
    shortcode: Mapped[str]
    amount: Mapped[int]
    source: Mapped[int] = mapped_column(Small)
    customer_id: Mapped[int | None]
    deposit_id: Mapped[int | None] = mapped_column(ForeignKey("deposit.id"))
    payout_id: Mapped[int | None] = mapped_column(ForeignKey("payout.id"), unique=True)
    account_id: Mapped[int | None]  # where its money is, or was until it went back
    transfer_id: Mapped[int | None] = mapped_column(unique=True)
    attached_id: Mapped[int | None] = mapped_column(unique=True)  # by which it left suspense
    payer: Mapped[str | None]  # as M-PESA showed the number
    bill_ref: Mapped[str | None]  # what was typed as the account
    event_at: Mapped[datetime]
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[int | None] = mapped_column(Small)
    reversed_at: Mapped[datetime | None]  # M-PESA took it back
    reversed_by: Mapped[int | None] = mapped_column(Small)
    reversal: Mapped[str | None] = mapped_column(unique=True)  # the reversal's own receipt
    unmade_at: Mapped[datetime | None]  # two people ruled that there was no such payment
    restored_id: Mapped[int | None] = mapped_column(unique=True)  # by which it came all the same

    @property
    def is_unmade(self) -> bool:
        """Whether its money was taken back as never paid, and nothing has proved it since."""
        return self.reversed_at is not None and self.unmade_at is not None and not self.restored_id


class ReceiptClaim(Base):
    """What a notice said: this receipt, this amount, for this deposit, or for nobody we know."""

    __tablename__ = "receipt_claim"
    __table_args__ = (
        UniqueConstraint("receipt", "deposit_id", postgresql_nulls_not_distinct=True),
        CheckConstraint("state BETWEEN 1 AND 5", name="state"),
        Index("ix_receipt_claim_open", "state", postgresql_where="state IN (1, 3, 4, 5)"),
        Index("ix_receipt_claim_ask_at", "ask_at", postgresql_where="ask_at IS NOT NULL"),
        Index("ix_receipt_claim_deposit_id", "deposit_id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    receipt: Mapped[str]
    deposit_id: Mapped[int | None] = mapped_column(ForeignKey("deposit.id"))
    source: Mapped[int] = mapped_column(Small)
    shortcode: Mapped[str]
    amount: Mapped[int]
    phone: Mapped[str | None]  # as M-PESA showed it
    bill_ref: Mapped[str | None]
    event_at: Mapped[datetime]
    state: Mapped[int] = mapped_column(Small)
    asked: Mapped[int] = mapped_column(Small, default=0, server_default="0")
    ask_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


@dataclass(frozen=True)
class Credit:
    """What crediting a receipt came to; `balance` is the wallet's afterwards, `tax` the excise."""

    verdict: Literal["credited", "refund_due", "duplicate", "conflict"]
    balance: Cents
    tax: Cents


def credit(
    tx: Session,
    deposit: Deposit,
    *,
    receipt: str,
    amount: int,
    source: Source,
    at: datetime,
    confirmed: bool,
    attach: bool = False,
) -> Credit:
    """Book one receipt for `deposit`, at most once over all channels, whatever its state.

    With `attach` money that waits in suspense under this receipt is the deposit's.
    """
    row = tx.execute(
        CREDIT,
        {
            "receipt": receipt,
            "shortcode": deposit.shortcode,
            "amount": amount,
            "source": int(source),
            "deposit": deposit.id,
            "at": at,
            "confirmed": confirmed,
            "attach": attach,
        },
    ).one()
    tx.refresh(deposit)  # the function has changed the row behind the session's back
    return Credit(row.verdict, Cents(row.balance or 0), Cents(row.tax or 0))


def confirm(tx: Session, *, receipt: str, shortcode: str, amount: int, source: Source) -> str:
    """A second channel agrees: `confirmed`, `again`, `mismatch` or `unknown`."""
    said = func.confirm_receipt(receipt, shortcode, amount, cast(int(source), Small))
    return str(tx.scalar(select(said)))


def agree(tx: Session, *, receipt: str, shortcode: str, amount: int, source: Source) -> str:
    """As `confirm`, for a channel that nobody asked: `denied` where M-PESA's answer was another."""
    doubt = select(ReceiptClaim.id).where(
        ReceiptClaim.receipt == receipt,
        ReceiptClaim.state.in_((ClaimState.DENIED, ClaimState.MISMATCH)),
    )
    if tx.scalar(doubt.limit(1)) is not None:
        return "denied"
    return confirm(tx, receipt=receipt, shortcode=shortcode, amount=amount, source=source)


def enrich(tx: Session, receipt: str, *, payer: str | None, bill_ref: str | None = None) -> None:
    """Add who paid and for what account to a registered receipt, where that was not known."""
    tx.execute(select(func.enrich_receipt(receipt, payer, bill_ref or None)))


def find(tx: Session, receipt: str) -> MpesaReceipt | None:
    """The registered receipt of that name, read afresh."""
    return tx.get(MpesaReceipt, receipt, populate_existing=True)


def waits_in_suspense(tx: Session, receipt: str) -> bool:
    """Whether the receipt's money has no owner yet, and nothing is being done with it."""
    return bool(tx.scalar(select(func.receipt_in_suspense(receipt))))


def claim(
    tx: Session,
    deposit: Deposit | None,
    *,
    receipt: str,
    amount: int,
    phone: str | None,
    source: Source,
    at: datetime,
    now: datetime,
    shortcode: str = "",
    bill_ref: str | None = None,
) -> ReceiptClaim | None:
    """Note what a notice said, to be asked of M-PESA at once; None if it was noted before.

    Of money that is nobody's there is no deposit, and the notice's `shortcode` is needed.
    """
    row = (
        insert(ReceiptClaim)
        .values(
            receipt=receipt,
            deposit_id=None if deposit is None else deposit.id,
            source=source,
            shortcode=shortcode if deposit is None else deposit.shortcode,
            amount=amount,
            phone=phone,
            bill_ref=bill_ref,
            event_at=at,
            state=ClaimState.WAITING,
            ask_at=now,
            created_at=now,
        )
        .on_conflict_do_nothing(constraint="uq_receipt_claim_receipt_deposit_id")
        .returning(ReceiptClaim)
    )
    return tx.scalars(row).one_or_none()


def claims(tx: Session, receipt: str) -> Sequence[ReceiptClaim]:
    """What was claimed of a receipt and is not settled, locked, the oldest first."""
    still = select(ReceiptClaim).where(
        ReceiptClaim.receipt == receipt, ReceiptClaim.state.in_(OPEN)
    )
    return tx.scalars(still.order_by(ReceiptClaim.id).with_for_update()).all()


def close(claim: ReceiptClaim, state: ClaimState, *, now: datetime) -> None:
    """Ask no more about a claim."""
    claim.state, claim.ask_at, claim.ended_at = state, None, now


def ask_again(tx: Session, known: MpesaReceipt, *, now: datetime) -> None:
    """Have M-PESA asked anew about a registered receipt, unless it is being asked."""
    same = select(ReceiptClaim).where(
        ReceiptClaim.receipt == known.receipt,
        ReceiptClaim.deposit_id.is_not_distinct_from(known.deposit_id),
    )
    noted = tx.scalar(same.with_for_update())
    if noted is None:
        deposit = None if known.deposit_id is None else tx.get_one(Deposit, known.deposit_id)
        claim(
            tx, deposit, receipt=known.receipt, amount=known.amount, phone=known.payer,
            source=Source(known.source), at=known.event_at, now=now, shortcode=known.shortcode,
            bill_ref=known.bill_ref,
        )  # fmt: skip
    elif noted.state != ClaimState.WAITING:
        noted.state, noted.ask_at, noted.ended_at, noted.asked = ClaimState.WAITING, now, None, 0


def unconfirmed(tx: Session, customer_id: int) -> Cents:
    """What the customer's wallet got that M-PESA has said only once; it may not be withdrawn."""
    waiting = (
        select(func.coalesce(func.sum(MpesaReceipt.amount), 0))
        .join(Wallet, Wallet.account_id == MpesaReceipt.account_id)
        .where(
            MpesaReceipt.customer_id == customer_id,
            MpesaReceipt.confirmed_at.is_(None),
            MpesaReceipt.reversed_at.is_(None),
        )
    )
    return Cents(int(tx.scalar(waiting) or 0))


def unconfirmed_today(tx: Session, customer_id: int | None, *, now: datetime) -> Cents:
    """What of it came today, by Nairobi's calendar; of the whole house without a customer."""
    midnight = now.astimezone(NAIROBI).replace(hour=0, minute=0, second=0, microsecond=0)
    today = select(func.coalesce(func.sum(MpesaReceipt.amount), 0)).where(
        MpesaReceipt.confirmed_at.is_(None), MpesaReceipt.created_at >= midnight
    )
    if customer_id is not None:
        today = today.where(MpesaReceipt.customer_id == customer_id)
    return Cents(int(tx.scalar(today) or 0))


def market_unconfirmed(tx: Session, market_id: int) -> bool:
    """Whether stakes of the market may be money that never came.

    A bet can only hold an unconfirmed receipt's money if its stake left the wallet after that had
    come into it: by the wallet's own count, for a bet's moment is read before it waits its turn.
    """
    return bool(tx.scalar(MARKET_UNCONFIRMED, {"market": market_id}))


CREDIT = text(
    "SELECT * FROM credit_receipt(:receipt, :shortcode, :amount, CAST(:source AS smallint),"
    " :deposit, :at, :confirmed, :attach)"
)
MARKET_UNCONFIRMED = text("""
    SELECT EXISTS (SELECT FROM mpesa_receipt r
                     JOIN wallet w ON w.account_id = r.account_id
                     JOIN transfer came ON came.id = coalesce(r.attached_id, r.transfer_id)
                     JOIN bet b ON b.customer_id = w.customer_id
                     JOIN transfer staked ON staked.key = ledger_row_key(2, b.id, 0)
                                         AND staked.debit_seq > came.credit_seq
                    WHERE r.confirmed_at IS NULL AND r.reversed_at IS NULL AND r.direction = 1
                      AND b.market_id = :market)
""")
