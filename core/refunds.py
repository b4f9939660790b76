"""Refunds: opening one, sending it at most once, and asking what became of it.

One at a time for each receipt: by reversal, which undoes the payment, or by B2C to a number that
fits the payer's. What is in doubt is never sent again, by either; `refund_results` ends it.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import cast, func, select
from sqlalchemy.orm import Session

from core import outbox, payouts, receipts, status_queries
from core.base import Small
from core.config import Config
from core.errors import NotSent, Rejected
from core.ledger import Account, AccountKind
from core.outbox import Errand, Outcome, Promise, Sent
from core.reasons import GATEWAY_TROUBLE
from core.receipts import MpesaReceipt
from core.refund_rows import Method, Refund, RefundState
from core.runtime import current

log = structlog.get_logger(__name__)

KINDS = {Method.REVERSAL: "reversal", Method.B2C: "b2c_refund"}  # of promises
OURS = (AccountKind.SUSPENSE, AccountKind.REFUND_DUE)  # where money is that may be sent back
ASKED_FOR = timedelta(hours=24)  # then a person takes over
LATER = timedelta(minutes=1)  # while payouts are paused
BATCH = 100  # refunds looked at in one sweep


def start(
    tx: Session,
    receipt: str,
    *,
    method: Method,
    phone: str | None = None,
    proposal_id: int | None = None,
    now: datetime,
    config: Config,
) -> Refund | None:
    """Begin to send a receipt's money back, in full.

    None if it is not there any more, has not been confirmed, or is being sent back already.
    """
    shortcode = config.mpesa_b2c_shortcode if method is Method.B2C else None
    started = func.refund_open(receipt, cast(int(method), Small), phone, shortcode, proposal_id)
    number = tx.scalar(select(started))
    if number is None:
        return None
    refund = tx.get_one(Refund, number)
    _promise(tx, refund, now=now)
    return refund


def due(tx: Session, *, limit: int = BATCH) -> list[MpesaReceipt]:
    """Confirmed money of customers who may not play, which nobody has begun to send back."""
    begun = select(Refund.id).where(Refund.receipt == MpesaReceipt.receipt)
    waiting = (
        select(MpesaReceipt)
        .join(Account, Account.id == MpesaReceipt.account_id)
        .where(
            Account.kind == AccountKind.REFUND_DUE,
            MpesaReceipt.direction == 1,
            MpesaReceipt.confirmed_at.is_not(None),
            MpesaReceipt.reversed_at.is_(None),
            ~begun.exists(),
        )
    )
    return list(tx.scalars(waiting.order_by(MpesaReceipt.created_at).limit(limit)))


def sweep(tx: Session, now: datetime, config: Config) -> None:
    """Send back what is due without being asked, and ask about what is in doubt.

    What a first refund could not send back, and what is above the limit, is for two people.
    """
    for receipt in due(tx):
        # M-PESA sends whole shillings: what it cannot send must not look as if it had been.
        if receipt.amount <= config.refund_hold_over and receipt.amount % 100 == 0:
            start(tx, receipt.receipt, method=Method.REVERSAL, now=now, config=config)
    asks = (
        select(Refund)
        .where(Refund.ask_at <= now)
        .order_by(Refund.ask_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    for refund in tx.scalars(asks):
        if refund.state == RefundState.QUEUED:
            _promise(tx, refund, now=now)
        else:
            _ask(tx, refund, now=now, config=config)


def doubt(refund: Refund, code: str | None, *, ask_at: datetime) -> None:
    """It may have been sent back: only M-PESA's word, or two people, end it now."""
    refund.state, refund.code, refund.ask_at = RefundState.IN_DOUBT, code, ask_at


def fail(refund: Refund, code: str | None, *, now: datetime) -> None:
    """It was surely not sent back: the money is where it was, and another may be begun."""
    log.error("refund failed", refund_id=refund.id, result_code=code)
    refund.state, refund.code = RefundState.FAILED, code
    refund.ask_at, refund.ended_at = None, now


def _promise(tx: Session, refund: Refund, *, now: datetime) -> None:
    refund.ask_at = None
    kind = KINDS[Method(refund.method)]
    outbox.promise(tx, kind, {"refund_id": refund.id}, key=uuid.uuid4(), now=now)


def _begin(tx: Session, promise: Promise, now: datetime) -> dict[str, Any] | None:
    """Committed before the call: from here on it is sent back, or in doubt."""
    refund = _held(tx, promise)
    if refund.state != RefundState.QUEUED:
        return None
    if not _is_there(tx, refund):
        fail(refund, "gone", now=now)
        return None
    if payouts.paused(tx) is not None:  # then no money leaves, whatever way it goes
        refund.ask_at = now + LATER
        return None
    refund.state, refund.sending_at, refund.ask_at = RefundState.SENDING, now, None
    if refund.method == Method.REVERSAL:
        asked = {"receipt": refund.receipt}
    else:
        asked = {"phone": str(refund.phone), "ocid": str(refund.ocid)}
    return {**asked, "amount": refund.amount, "shortcode": refund.shortcode}


def _finish(tx: Session, promise: Promise, outcome: Outcome, now: datetime) -> None:
    refund = _held(tx, promise)
    config = current().config
    if isinstance(outcome, Sent):
        refund.conversation_id = outcome.answer["conversation_id"]
        if refund.state == RefundState.SENDING:
            refund.state, refund.ask_at = RefundState.ACCEPTED, now + config.payout_result_wait
    elif refund.state != RefundState.SENDING:
        log.warning("refund ended before its answer", refund_id=refund.id)
    elif isinstance(outcome.error, NotSent):
        refund.state = RefundState.QUEUED  # the same promise brings it back, with the same id
        if refund.method == Method.B2C and outcome.error.code in GATEWAY_TROUBLE:
            payouts.pause(tx, str(outcome.error.code), outcome.error.detail, now=now)
    elif isinstance(outcome.error, Rejected):
        fail(refund, outcome.error.code or "field", now=now)
    else:
        doubt(refund, outcome.error.code, ask_at=now + config.status_retry[0])


REVERSE = Errand("reversal", outbox.MONEY, _begin, _finish, when_lost="unknown")
PAY_BACK = Errand("b2c_refund", outbox.MONEY, _begin, _finish, when_lost="unknown")


def _ask(tx: Session, refund: Refund, *, now: datetime, config: Config) -> None:
    """One status query, and when the next is due; after the last a person has to look."""
    if refund.state == RefundState.ACCEPTED:  # no result in its time
        doubt(refund, "no_result", ask_at=now)
    if refund.asked >= len(config.status_retry):
        log.error("refund needs a person", refund_id=refund.id)
        refund.state, refund.ask_at = RefundState.NEEDS_HUMAN, None
        return
    status_queries.ask_about_refund(tx, refund, now=now)
    refund.asked += 1
    refund.ask_at = next_ask(refund, now=now, config=config)


def next_ask(refund: Refund, *, now: datetime, config: Config) -> datetime:
    """The next moment of the schedule, which counts from the sending; soon, if it has passed."""
    waits = (*config.status_retry, ASKED_FOR)
    at = (refund.sending_at or now) + waits[min(refund.asked, len(waits) - 1)]
    return max(at, now + waits[0])


def _is_there(tx: Session, refund: Refund) -> bool:
    kept = receipts.find(tx, refund.receipt)
    if kept is None or kept.reversed_at is not None:
        return False
    held = tx.scalar(select(Account.kind).where(Account.id == kept.account_id))
    return held in OURS


def _held(tx: Session, promise: Promise) -> Refund:
    return tx.get_one(Refund, promise.payload["refund_id"], with_for_update=True)
