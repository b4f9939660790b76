"""Payments that two people ruled were never made, and that M-PESA proves: credited again, once."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import cast, func, select
from sqlalchemy.orm import Session

from core import messages
from core.base import Small
from core.customers import Customer
from core.receipts import MpesaReceipt, Source

log = structlog.get_logger(__name__)


def book(tx: Session, kept: MpesaReceipt, amount: int, *, source: Source, now: datetime) -> str:
    """Credit the proved payment to whom it had been taken from, and tell them.

    `amount` is what the proof says. Answers `credited`, `refund_due`, `suspense`, `again` or
    `mismatch`: only the first three move anything.
    """
    if amount != kept.amount:
        log.error("receipt told otherwise", receipt=kept.receipt, channel=source.name)
        return "mismatch"
    back = func.receipt_restore(kept.receipt, cast(int(source), Small))
    row = tx.execute(select(back.table_valued("verdict", "balance", "tax", "repaid"))).one()
    if row.verdict == "again":
        return "again"
    tx.refresh(kept)
    # Two people took it out of our books, and M-PESA has it in its own: they erred.
    log.error("payment that staff took back is told of", receipt=kept.receipt)
    if kept.customer_id is not None:
        facts = {"amount": kept.amount, "receipt": kept.receipt, "balance": row.balance}
        _tell(tx, kept, _sentence(row), facts | {"owed": row.repaid}, now=now)
    return str(row.verdict)


def _sentence(row: Any) -> str:
    if row.verdict == "refund_due":
        return "money.deposit_refund_due"
    return "money.deposit_restored_owed" if row.repaid else "money.deposit_restored"


def _tell(
    tx: Session, kept: MpesaReceipt, sentence: str, facts: Mapping[str, Any], *, now: datetime
) -> None:
    customer = tx.get_one(Customer, kept.customer_id)
    messages.text(
        tx, to=customer.phone, lang=customer.lang, sentence=sentence, facts=dict(facts),
        key=uuid.uuid5(uuid.NAMESPACE_OID, f"restored:{kept.receipt}"), now=now,
        customer_id=customer.id,
    )  # fmt: skip
