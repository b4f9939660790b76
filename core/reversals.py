"""Payments that M-PESA took back, or that never were: our books follow, and a person is called."""

from datetime import datetime

import structlog
from sqlalchemy import cast, func, select, text
from sqlalchemy.orm import Session

from core import landings, receipts
from core.base import Small
from core.payments import Deposit
from core.receipts import ClaimState, Source

log = structlog.get_logger(__name__)

# Without a debt, and with one.
TAKEN_BACK = ("money.deposit_reversed", "money.deposit_reversed_owed")
NEVER_WAS = ("money.deposit_unmade", "money.deposit_unmade_owed")


def book(
    tx: Session,
    receipt: str,
    *,
    source: Source,
    reversal: str | None,
    at: datetime,
    now: datetime,
    never: bool = False,
) -> str:
    """Take the receipt's money out of where it is; `reversal` is the reversal's own receipt.

    From a wallet as far as that reaches; the rest the customer owes, and withdraws nothing until it
    is repaid. With `never` there was no such payment in the first place. Answers `reversed`,
    `again`, `unknown`, `outgoing`, or `refund`: the house is sending it back itself, and nothing is
    moved.
    """
    took = func.receipt_reverse(receipt, reversal, cast(int(source), Small), min(at, now), never)
    row = tx.execute(select(took.table_valued("verdict", "taken", "owed"))).one()
    if row.verdict == "reversed" or (row.verdict == "again" and not never):
        for claim in receipts.claims(tx, receipt):
            receipts.close(claim, ClaimState.DENIED, now=now)
    if row.verdict == "reversed":
        sentences = NEVER_WAS if never else TAKEN_BACK
        _tell(tx, receipt, sentences[bool(row.owed)], int(row.taken), int(row.owed), now=now)
    return str(row.verdict)


def _tell(
    tx: Session, receipt: str, sentence: str, taken: int, owed: int, *, now: datetime
) -> None:
    """A person of the house is called, and the customer told whose wallet it was in."""
    kept = receipts.find(tx, receipt)
    assert kept is not None, "it was reversed"
    log.error(
        "payment reversed", receipt=receipt, customer_id=kept.customer_id, amount=kept.amount,
        owed=owed,
    )  # fmt: skip
    if kept.deposit_id is not None and _was_told(tx, receipt):
        deposit = tx.get_one(Deposit, kept.deposit_id)
        facts = {"amount": kept.amount, "receipt": receipt, "taken": taken, "owed": owed}
        landings.tell(tx, deposit, sentence, facts, part=f"reversed:{receipt}", now=now)


def _was_told(tx: Session, receipt: str) -> bool:
    """Whether it was in the customer's wallet; what was due back is not theirs to miss."""
    return bool(tx.scalar(IN_WALLET, {"receipt": receipt}))


IN_WALLET = text("""
    SELECT EXISTS (SELECT FROM mpesa_receipt r JOIN wallet w ON w.account_id = r.account_id
                    WHERE r.receipt = :receipt)
""")
