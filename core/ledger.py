"""The ledger: double entry in immutable transfers, where money moves by database functions only."""

import uuid
from datetime import date, datetime
from enum import IntEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Numeric,
    UniqueConstraint,
    false,
    func,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base, Small, Xid8
from core.money import Cents


class AccountKind(IntEnum):
    """The chart of accounts. House accounts are one each (per market, customer or shortcode)."""

    WALLET = 1
    POOL = 2
    MPESA_UTILITY = 10
    MPESA_WORKING = 11
    BANK = 12
    PAYOUTS_PENDING = 20
    FEES = 21
    TIPS_HOUSE = 22
    EXCISE_PAYABLE = 23
    WITHHOLDING_PAYABLE = 24
    SUSPENSE = 25
    REFUND_DUE = 26
    DISPUTED = 27  # payouts M-PESA paid after they were given back, until two people say so
    RECEIVABLE = 30
    MPESA_CHARGES = 31
    ADJUSTMENTS = 32


GROWS_BY_DEBIT = frozenset(
    {
        AccountKind.MPESA_UTILITY,
        AccountKind.MPESA_WORKING,
        AccountKind.BANK,
        AccountKind.RECEIVABLE,
        AccountKind.MPESA_CHARGES,
    }
)
"""Assets and expenses; every other account grows by credit."""


class TransferKind(IntEnum):
    """Why money moved."""

    DEPOSIT = 1
    STAKE = 2
    WON = 3
    REFUND = 4
    FEE = 5
    RESERVE = 6
    PAID = 7
    RELEASE = 8
    EXCISE = 9
    WITHHOLDING = 10
    ADJUSTMENT = 11
    REVERSAL = 12  # what a settlement gave, taken back
    REPAYMENT = 13  # wallet -> receivable
    OWING = 14  # receivable -> pool: taken back beyond what the wallet had
    TREASURY = 15
    CHARGE = 16  # M-PESA's tariff
    REFUNDED = 17  # suspense or refund due -> M-PESA
    ATTACHED = 18  # suspense -> whose it turned out to be
    REVERSED = 19  # M-PESA took a deposit back
    FROZEN = 20  # wallet or receivable -> disputed
    THAWED = 21  # disputed -> wallet
    PAID_LATE = 22  # disputed -> M-PESA
    RESTORED = 23  # M-PESA proved a payment that had been taken back as never made


class Account(Base):
    """One pocket of the house, a market or a customer."""

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint(
            "kind",
            "customer_id",
            "market_id",
            "shortcode",
            name="uq_account_owner",
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    kind: Mapped[int] = mapped_column(Small)
    customer_id: Mapped[int | None]
    market_id: Mapped[int | None]
    shortcode: Mapped[str | None]


class Wallet(Base):
    """A customer's money, with the only balance that is kept rather than summed."""

    __tablename__ = "wallet"
    __table_args__ = (
        CheckConstraint("balance >= 0", name="not_overdrawn"),
        CheckConstraint("owed >= 0", name="owed"),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), unique=True)
    balance: Mapped[int] = mapped_column(server_default="0")
    seq: Mapped[int] = mapped_column(server_default="0")
    day: Mapped[date] = mapped_column(server_default="1970-01-01")
    day_stake: Mapped[int] = mapped_column(server_default="0")
    day_no_pin: Mapped[int] = mapped_column(server_default="0")
    owed: Mapped[int] = mapped_column(server_default="0")
    limited: Mapped[bool] = mapped_column(server_default=false())


class Transfer(Base):
    """Money that moved, once and for ever: from the debited to the credited account."""

    __tablename__ = "transfer"
    __table_args__ = (
        CheckConstraint("amount > 0", name="positive"),
        CheckConstraint("debit_account <> credit_account", name="two_accounts"),
        # A wallet's lines in their order; a house account has no numbers: its lines by transaction.
        *(
            Index(
                f"ix_transfer_{side}_account",
                f"{side}_account",
                f"{side}_seq",
                "xact_id",
                postgresql_include=["amount"],
            )
            for side in ("debit", "credit")
        ),
        # A bet's stake and dividend are found by their keys; the rest by the event they belong to.
        Index("ix_transfer_created_at", "created_at", postgresql_using="brin"),
        Index("ix_transfer_event_id", "event_id", postgresql_where="kind NOT IN (2, 3, 4)"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    kind: Mapped[int] = mapped_column(Small)
    debit_account: Mapped[int]
    credit_account: Mapped[int]
    amount: Mapped[int]
    debit_balance_after: Mapped[int | None]
    debit_seq: Mapped[int | None]
    credit_balance_after: Mapped[int | None]
    credit_seq: Mapped[int | None]
    event_id: Mapped[uuid.UUID]
    ref: Mapped[int | None]
    event_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=text("app_now()"))
    xact_id: Mapped[str] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))


class Checkpoint(Base):
    """A house account's sum below a transaction number, so that reading it stays short."""

    __tablename__ = "checkpoint"

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    below: Mapped[str] = mapped_column(Xid8)
    balance: Mapped[int] = mapped_column(Numeric)
    cluster: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[datetime]


def open_wallet(tx: Session, customer_id: int) -> int:
    """The account of the customer's wallet, opened if this is the first time."""
    return _number(tx.scalar(select(func.ledger_open_wallet(customer_id))))


def account(
    tx: Session,
    kind: AccountKind,
    *,
    customer_id: int | None = None,
    market_id: int | None = None,
    shortcode: str | None = None,
) -> int:
    """The account of that kind and owner, opened if this is the first time."""
    found = func.ledger_account(text(f"{int(kind)}::smallint"), customer_id, market_id, shortcode)
    return _number(tx.scalar(select(found)))


def move(
    tx: Session,
    *,
    key: uuid.UUID,
    kind: TransferKind,
    debit: int,
    credit: int,
    amount: Cents,
    at: datetime,
    event: uuid.UUID | None = None,
    ref: int | None = None,
) -> int:
    """Move `amount` cents between two accounts, once per `key`; the transfer's id.

    For rules that have checked their grounds: a wallet that cannot pay is a fault here (HL002), and
    so is a key used for something else (HL001).
    """
    moved = func.ledger_move(
        key, text(f"{int(kind)}::smallint"), debit, credit, amount, event or key, ref, at
    )
    return _number(tx.scalar(select(moved)))


def balance(tx: Session, customer_id: int) -> Cents:
    """What the customer's wallet holds now."""
    held = tx.scalar(select(Wallet.balance).where(Wallet.customer_id == customer_id))
    return Cents(held or 0)


def owed(tx: Session, customer_id: int) -> Cents:
    """What the customer owes the house after a correction, in cents."""
    debt = tx.scalar(select(Wallet.owed).where(Wallet.customer_id == customer_id))
    return Cents(debt or 0)


def account_balance(
    tx: Session,
    kind: AccountKind,
    *,
    customer_id: int | None = None,
    market_id: int | None = None,
    shortcode: str | None = None,
) -> Cents:
    """What an account holds, positive on its natural side."""
    number = account(tx, kind, customer_id=customer_id, market_id=market_id, shortcode=shortcode)
    total = int(tx.scalar(select(func.ledger_sum(number))) or 0)
    return Cents(-total if kind in GROWS_BY_DEBIT else total)


def total(tx: Session, kind: AccountKind) -> Cents:
    """What all accounts of a kind hold together, positive on their natural side."""
    sums = select(func.sum(func.ledger_sum(Account.id))).where(Account.kind == kind)
    held = int(tx.scalar(sums) or 0)
    return Cents(-held if kind in GROWS_BY_DEBIT else held)


def checkpoint(tx: Session, account_id: int) -> None:
    """Fold the finished past of an account, so that its sum starts from here."""
    tx.execute(select(func.ledger_checkpoint(account_id)))


def _number(value: int | None) -> int:
    assert value is not None, "a ledger function answered nothing"
    return value
