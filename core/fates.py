"""What became of a payment: M-PESA's answers to our questions, and when we ask about claims."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from core import (
    c2b,
    claims,
    landings,
    notices,
    orphans,
    payout_results,
    receipts,
    refund_results,
    status_queries,
)
from core.code_claims import CodeClaim
from core.config import Config
from core.notices import OK, StatusNotice
from core.receipts import ClaimState, ReceiptClaim, Source
from core.refund_rows import Refund
from core.runtime import current
from core.status_queries import QueryState, StatusQuery

log = structlog.get_logger(__name__)

ASKED_FOR = timedelta(hours=24)  # then a person takes over
BATCH = 100  # claims looked at in one sweep


def take_result(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """The answer to a status query, found by the query's own id: M-PESA may echo the payment's."""
    notice = notices.status(payload)
    if notice is None:
        return "unreadable"
    query = _named(tx, notice.correlation)
    if query is None:
        return orphans.keep(tx, orphans.STATUS, notice, now=now)
    return _answer(tx, query, notice, now=now, config=current().config)


def take_timeout(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """The query timed out in M-PESA's queue: it is no answer, and the schedule asks again."""
    query = _named(tx, notices.timed_out(payload)[0])
    if query is None:
        return "unmatched"
    if query.state == QueryState.ASKED:
        query.state = QueryState.LOST
    return "not final"


def sweep(tx: Session, now: datetime, config: Config) -> None:
    """Ask about every claim whose time has come, and match answers that came before their query."""
    due = (
        select(ReceiptClaim)
        .where(ReceiptClaim.ask_at <= now)
        .order_by(ReceiptClaim.ask_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    for claim in tx.scalars(due):
        _ask(tx, claim, now=now, config=config)
    claims.sweep(tx, now, config)
    for orphan in orphans.known(tx, orphans.STATUS, StatusQuery.conversation_id):
        query = _named(tx, orphan.correlation)
        assert query is not None, "its conversation id is in the table"
        notice = StatusNotice.from_kept(orphan.notice)
        verdict = _answer(tx, query, notice, now=now, config=config)
        orphans.match(orphan, verdict, now=now)


def _answer(
    tx: Session, query: StatusQuery, notice: StatusNotice, *, now: datetime, config: Config
) -> str:
    query.state, query.answered_at = QueryState.ANSWERED, now
    query.code, query.status = notice.code, notice.status
    if query.claim_id is not None:
        claim = tx.get_one(ReceiptClaim, query.claim_id)
        verdict = _about(tx, claim, notice, now=now, config=config)
    elif query.refund_id is not None:
        refund = tx.get_one(Refund, query.refund_id, with_for_update=True)
        verdict = refund_results.take_status(tx, refund, notice, now=now, config=config)
    elif query.code_claim_id is not None:
        code = tx.get_one(CodeClaim, query.code_claim_id)
        verdict = claims.take_status(tx, code, notice, now=now, config=config)
    else:
        verdict = payout_results.take_status(tx, query, notice, now=now, config=config)
    query.verdict = verdict
    return verdict


def _about(
    tx: Session, claim: ReceiptClaim, notice: StatusNotice, *, now: datetime, config: Config
) -> str:
    """The answer about a claimed receipt, of a deposit or of nobody we know."""
    if notice.code == OK and refund_results.says_reversed(notice):
        if (notice.receipt or claim.receipt, notice.amount or claim.amount) != (
            claim.receipt,
            claim.amount,
        ):
            log.error("reversal told of another payment", claim_id=claim.id)
            return "mismatch"
        verdict = refund_results.take_reversal(
            tx, claim.receipt, source=Source.STATUS, reversal=None, at=notice.at or now, now=now
        )
        if verdict != "unknown":
            return verdict
        notice = replace(notice, status="cancelled")  # taken back before it was ever booked
    take = c2b.take_status if claim.deposit_id is None else landings.take_status
    return take(tx, claim, notice, now=now, config=config)


def _ask(tx: Session, claim: ReceiptClaim, *, now: datetime, config: Config) -> None:
    """One status query about the receipt, and when the next is due; then a person has to look."""
    waits = (config.confirm_within, *config.status_retry, ASKED_FOR)
    if claim.asked >= len(waits):
        known = receipts.find(tx, claim.receipt)
        if known is not None and (known.confirmed_at or known.reversed_at):
            receipts.close(claim, ClaimState.CONFIRMED, now=now)  # by another channel meanwhile
            return
        log.error("receipt not confirmed", claim_id=claim.id)
        receipts.close(claim, ClaimState.NEEDS_HUMAN, now=now)
        return
    status_queries.ask_about_claim(tx, claim, now=now)
    claim.ask_at = max(claim.created_at + waits[claim.asked], now + waits[0])
    claim.asked += 1


def _named(tx: Session, conversation: str) -> StatusQuery | None:
    if not conversation:
        return None
    named = select(StatusQuery).where(StatusQuery.conversation_id == conversation)
    return tx.scalar(named.with_for_update())
