"""The organisation statement's lines: each kept once, each in exactly one bucket.

A bucket says what a line is: a payment of ours, M-PESA's charge, a move of the house's own money, a
payment taken back, or something nobody has explained. Nothing here moves money.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.base import Base, Small

UTILITY, WORKING, CHARGES = "utility", "working", "charges"
ACCOUNTS = (UTILITY, WORKING, CHARGES)

CHARGE_WORDS = ("charge",)
REVERSAL_WORDS = ("reversal", "reversed", "reverse ")
TREASURY_WORDS = ("settlement", "funds", "working", "utility", "mmf", "bank")


class Bucket(IntEnum):
    """What a line is."""

    MATCHED = 1  # a receipt of ours: same way, same amount
    CHARGE = 2  # what M-PESA takes for a payment, under that payment's receipt
    TREASURY = 3  # float, bank and settlement: the house's own moves
    REVERSAL = 4  # a payment taken back
    SUSPENSE = 5  # anything else, until somebody knows


class LineState(IntEnum):
    """Whether our books have it."""

    OPEN = 1  # they do not: a person looks, unless M-PESA's word comes first
    SETTLED = 2
    CLOSED = 3  # two people said why it needs no booking


class StatementFile(Base):
    """One file, as it added up when it was read."""

    __tablename__ = "statement_file"
    __table_args__ = (
        CheckConstraint("account IN ('utility', 'working', 'charges')", name="account"),
        CheckConstraint("opening + paid_in - withdrawn = closing", name="adds_up"),
        CheckConstraint("first_at <= last_at", name="span"),
        Index("ix_statement_file_shortcode", "shortcode", "account", "first_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    shortcode: Mapped[str]
    account: Mapped[str]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    opening: Mapped[int]
    paid_in: Mapped[int]
    withdrawn: Mapped[int]
    closing: Mapped[int]
    lines: Mapped[int]
    fresh: Mapped[int]  # of them, those that no file had before
    failed: Mapped[int]  # lines that moved nothing, and were passed over
    imported_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    imported_at: Mapped[datetime]


class StatementLine(Base):
    """One movement by M-PESA's account of it. Who the other side is called is not kept."""

    __tablename__ = "statement_line"
    __table_args__ = (
        UniqueConstraint(
            "shortcode", "account", "receipt", "reason", "amount", name="uq_statement_line_key"
        ),
        UniqueConstraint("treasury_id", "account"),
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint("bucket BETWEEN 1 AND 5", name="bucket"),
        CheckConstraint("state BETWEEN 1 AND 3", name="state"),
        CheckConstraint("(state = 1) = (settled_at IS NULL)", name="settled"),
        CheckConstraint("(state = 3) = (proposal_id IS NOT NULL)", name="closed"),
        CheckConstraint("bucket <> 1 OR state = 2", name="matched"),
        CheckConstraint("bucket <> 5 OR state <> 2", name="suspense"),
        Index("uq_statement_line_matched", "receipt", unique=True, postgresql_where="bucket = 1"),
        Index("ix_statement_line_open", "id", postgresql_where="state = 1"),
        Index("ix_statement_line_receipt", "receipt"),
        Index("ix_statement_line_completed_at", "completed_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("statement_file.id"))
    shortcode: Mapped[str]
    account: Mapped[str]
    receipt: Mapped[str]
    reason: Mapped[str]
    amount: Mapped[int]  # positive for what came in
    balance: Mapped[int]
    completed_at: Mapped[datetime]
    party: Mapped[str | None]  # a number, perhaps masked
    linked: Mapped[str | None]
    bill_ref: Mapped[str | None]  # as the payer typed it
    bucket: Mapped[int] = mapped_column(Small)
    state: Mapped[int] = mapped_column(Small)
    why: Mapped[str | None]  # it is open: 'unknown', 'amount', 'second', 'unposted', 'unbooked'
    treasury_id: Mapped[int | None] = mapped_column(ForeignKey("treasury_entry.id"))
    proposal_id: Mapped[int | None] = mapped_column(ForeignKey("proposal.id"))
    asked_at: Mapped[datetime | None]  # M-PESA was asked about it
    settled_at: Mapped[datetime | None]


def sort(reason: str, account: str) -> Bucket:
    """What a line's reason makes of it; a receipt of ours outranks TREASURY and SUSPENSE.

    In the charges account everything but a move of funds is a charge.
    """
    said = f"{reason.lower()} "
    if any(word in said for word in CHARGE_WORDS):
        return Bucket.CHARGE
    if any(word in said for word in REVERSAL_WORDS):
        return Bucket.REVERSAL
    if any(word in said for word in TREASURY_WORDS):
        return Bucket.TREASURY
    return Bucket.CHARGE if account == CHARGES else Bucket.SUSPENSE


def why(bucket: Bucket) -> str | None:
    """Why a line of that bucket is open when it has just been read; None if it is not."""
    return {
        Bucket.CHARGE: None,
        Bucket.REVERSAL: "unbooked",
        Bucket.TREASURY: "unposted",
        Bucket.SUSPENSE: "unknown",
    }[bucket]


def match(tx: Session, *, now: datetime) -> Mapping[str, int]:
    """Compare every open line with our books once more; how many found their place, by kind."""
    found = {}
    for name, query in MATCHES:
        moved = tx.scalars(text(f"{query} RETURNING l.id").columns(id=BigInteger), {"now": now})
        found[name] = len(moved.all())
    tx.execute(text(REASONS))
    tx.expire_all()  # the rows have changed behind the session's back
    return found


# Of the lines of one receipt only the oldest can be the payment.
RECEIPTS = """
    UPDATE statement_line l SET bucket = 1, state = 2, why = NULL, settled_at = :now
      FROM (SELECT DISTINCT ON (l.receipt) l.id
              FROM statement_line l
              JOIN mpesa_receipt r
                ON r.receipt = l.receipt AND r.shortcode = l.shortcode
               AND r.amount = abs(l.amount)
               AND r.direction = CASE WHEN l.amount > 0 THEN 1 ELSE 2 END
               AND NOT (r.unmade_at IS NOT NULL AND r.reversed_at IS NOT NULL)
             WHERE l.state = 1 AND l.bucket IN (3, 5) AND l.account = 'utility'
               AND NOT EXISTS (SELECT FROM statement_line m
                                WHERE m.receipt = l.receipt AND m.bucket = 1)
             ORDER BY l.receipt, l.id) found
     WHERE l.id = found.id
"""

# Ours (a refund by reversal is a receipt of ours, under its original's name and an R where M-PESA
# never told its own), or one of M-PESA's that has been booked.
REVERSALS = """
    UPDATE statement_line l SET state = 2, why = NULL, settled_at = :now
     WHERE l.state = 1 AND l.bucket = 4
       AND EXISTS (
         SELECT FROM mpesa_receipt r
          WHERE (r.receipt IN (l.receipt, l.linked || 'R') AND r.shortcode = l.shortcode
                 AND r.amount = abs(l.amount)
                 AND r.direction = CASE WHEN l.amount > 0 THEN 1 ELSE 2 END)
             OR (r.reversed_at IS NOT NULL AND r.amount = -l.amount
                 AND (r.reversal = l.receipt OR (r.receipt = l.linked AND r.reversal IS NULL))))
"""

# An entry is its line's by M-PESA's receipt as its reference, and by what it moved of this account.
TREASURY = """
    UPDATE statement_line l
       SET bucket = 3, state = 2, why = NULL, settled_at = :now, treasury_id = found.entry
      FROM (SELECT DISTINCT ON (e.id, l.account) l.id, e.id AS entry
              FROM statement_line l
              JOIN treasury_entry e ON upper(e.reference) = l.receipt
               AND e.amount = abs(l.amount)
              JOIN transfer t ON t.id = e.transfer_id
              JOIN account a ON a.shortcode = l.shortcode
               AND a.kind = CASE l.account WHEN 'working' THEN 11 ELSE 10 END
               AND a.id = CASE WHEN l.amount > 0 THEN t.debit_account ELSE t.credit_account END
             WHERE l.state = 1 AND l.bucket IN (3, 5)
               AND NOT EXISTS (SELECT FROM statement_line m
                                WHERE m.treasury_id = e.id AND m.account = l.account)
             ORDER BY e.id, l.account, l.id) found
     WHERE l.id = found.id
"""

MATCHES = (("matched", RECEIPTS), ("treasury", TREASURY), ("reversal", REVERSALS))

# What the others miss: the receipt is ours with another amount, or another line has it already.
REASONS = """
    UPDATE statement_line l SET why = fresh.why
      FROM (SELECT l.id,
                   CASE WHEN m.id IS NOT NULL THEN 'second'
                        WHEN r.unmade_at IS NOT NULL AND r.reversed_at IS NOT NULL
                         AND r.amount = l.amount THEN 'unknown'
                        WHEN r.receipt IS NOT NULL THEN 'amount' ELSE 'unknown' END AS why
              FROM statement_line l
              LEFT JOIN mpesa_receipt r ON r.receipt = l.receipt
              LEFT JOIN statement_line m ON m.receipt = l.receipt AND m.bucket = 1
             WHERE l.state = 1 AND l.bucket = 5) fresh
     WHERE l.id = fresh.id AND l.why IS DISTINCT FROM fresh.why
"""
