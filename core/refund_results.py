"""How refunds end: M-PESA's results and status answers, reversals seen elsewhere, and two people.

Only proof moves money: a result, a status answer, or what two people found in the statement. A
refund that is in doubt keeps its receipt to itself, so that nothing is sent back twice.
"""

from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import cast, func, select
from sqlalchemy.orm import Session

from core import (
    messages,
    notices,
    orphans,
    payout_incidents,
    payout_results,
    payouts,
    receipts,
    refunds,
    reversals,
)
from core.base import Small
from core.config import Config
from core.customers import Customer
from core.notices import OK, PayoutNotice, ReversalNotice, StatusNotice, same_phone
from core.reasons import PAYOUT, Act, of_payout
from core.receipts import Source
from core.refund_rows import SENT, Method, Refund, RefundState
from core.runtime import current

log = structlog.get_logger(__name__)

COMPLETED = "completed"
ENDED = frozenset({"cancelled", "declined", "expired"})
ALREADY_REVERSED = "R000001"
NOT_REVERSED = frozenset({"R000002", "1", "11", "21", "2001", "2006", "2028", "8006"})
"""Codes of a reversal that surely moved nothing; a person looks, and may begin another."""


def take_result(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """The result of a reversal: any number of times, and before its request was answered too."""
    notice = notices.reversal(payload)
    if notice is None:
        return "unreadable"
    refund = _of_reversal(tx, notice)
    if refund is None:
        return orphans.keep(tx, orphans.REVERSAL, notice, now=now)
    return _take(tx, refund, notice, now=now, config=current().config)


def take_timeout(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """The queue time-out of a reversal: it says nothing about the money."""
    conversation, _ = notices.timed_out(payload)
    return _timed_out(_named(tx, conversation), now=now)


def take_b2c_result(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """The result of a B2C payment, where it was a refund; payouts take the others."""
    notice = notices.payout(payload)
    refund = None if notice is None else _of_payment(tx, notice)
    if notice is None or refund is None:
        return payout_results.take_result(tx, payload, now)
    config = current().config
    if notice.code == OK:
        fits = notice.receipt is not None and _agrees(refund, notice.amount, notice.payee)
        if not fits:
            return _mismatched(refund, now=now)
        return _paid(tx, refund, str(notice.receipt), Source.B2C, at=notice.at, now=now)
    return _not_paid(tx, refund, notice.code, now=now, config=config)


def take_b2c_timeout(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """The queue time-out of a B2C payment, where it was a refund."""
    conversation, ocid = notices.timed_out(payload)
    named = select(Refund).where(Refund.ocid == ocid).with_for_update()
    refund = (None if ocid is None else tx.scalar(named)) or _named(tx, conversation)
    if refund is None:
        return payout_results.take_timeout(tx, payload, now)
    return _timed_out(refund, now=now)


def take_status(
    tx: Session, refund: Refund, notice: StatusNotice, *, now: datetime, config: Config
) -> str:
    """What M-PESA answers about money that was sent back, the refund's row locked.

    A reversal is asked about by the payment it undoes: that this was completed once says nothing.
    """
    status = notice.status.lower()
    if notice.code != OK:
        return "open"
    if refund.method == Method.REVERSAL:
        if not says_reversed(notice):
            return "open"
        stand_in = f"{refund.receipt}R"  # the answer does not name the reversal's own
        return _paid(tx, refund, stand_in, Source.STATUS, at=notice.at, now=now)
    if status == COMPLETED:
        if notice.receipt is None or not _agrees(refund, notice.amount, notice.payee):
            log.error("status answer does not fit its refund", refund_id=refund.id)
            return "mismatch"
        return _paid(tx, refund, notice.receipt, Source.STATUS, at=notice.at, now=now)
    if status in ENDED and refund.state in SENT:
        refunds.fail(refund, "not_paid", now=now)
        return "failed"
    return "late" if status in ENDED else "open"


def says_reversed(notice: StatusNotice) -> bool:
    """Whether the status answer is that the payment was taken back."""
    return notice.status.lower().startswith("revers")


def take_reversal(
    tx: Session, receipt: str, *, source: Source, reversal: str | None, at: datetime, now: datetime
) -> str:
    """M-PESA took a payment back: told by status, pull or statement, or by two people.

    Where a refund of ours by reversal may be what took it, that refund is what ends (`paid`).
    """
    live = select(Refund).where(Refund.receipt == receipt, Refund.state != RefundState.FAILED)
    refund = tx.scalar(live.with_for_update())  # before its receipt, as whoever pays it does
    verdict = reversals.book(tx, receipt, source=source, reversal=reversal, at=at, now=now)
    if verdict != "refund" or refund is None:
        return verdict
    if refund.state == RefundState.QUEUED:
        refunds.fail(refund, "reversed", now=now)
        tx.flush()
        return reversals.book(tx, receipt, source=source, reversal=reversal, at=at, now=now)
    if refund.state == RefundState.PAID:
        same = refund.method == Method.REVERSAL
        if not same:
            log.error("payment reversed and refunded", receipt=receipt, refund_id=refund.id)
        return "again" if same else "refund"
    if refund.method == Method.REVERSAL:
        return _paid(tx, refund, reversal or f"{receipt}R", source, at=at, now=now)
    log.error("payment reversed while it is refunded", receipt=receipt, refund_id=refund.id)
    return verdict


def end(tx: Session, refund: Refund, *, paid: str | None, now: datetime) -> str:
    """Two people's word: paid under that receipt, or surely not paid. The row is locked."""
    if paid is not None:
        return _paid(tx, refund, paid, Source.STAFF, at=now, now=now)
    refunds.fail(refund, "by_staff", now=now)
    return "failed"


def sweep(tx: Session, now: datetime, config: Config) -> None:
    """Send back what is due, ask about what is in doubt, match results that came early."""
    refunds.sweep(tx, now, config)
    for orphan in orphans.known(tx, orphans.REVERSAL, Refund.conversation_id):
        refund = _named(tx, orphan.correlation)
        assert refund is not None, "its conversation id is in the table"
        notice = ReversalNotice.from_kept(orphan.notice)
        orphans.match(orphan, _take(tx, refund, notice, now=now, config=config), now=now)
    for orphan in orphans.due(tx, orphans.REVERSAL, now=now):
        if orphans.last_look(orphan):
            log.error("result of no known reversal", ids=[orphan.id])
            orphans.match(orphan, "unmatched", now=now)


def _take(
    tx: Session, refund: Refund, notice: ReversalNotice, *, now: datetime, config: Config
) -> str:
    if notice.code == OK:
        if notice.receipt is None or notice.amount not in (None, refund.amount):
            return _mismatched(refund, now=now)
        return _paid(tx, refund, notice.receipt, Source.REVERSAL, at=notice.at, now=now)
    if refund.state not in SENT:
        return "late"
    if notice.code == ALREADY_REVERSED:  # not by this one, which was asked for only once
        refunds.fail(refund, notice.code, now=now)
        tx.flush()
        return take_reversal(
            tx, refund.receipt, source=Source.REVERSAL, reversal=None, at=notice.at or now, now=now
        )
    if notice.code in NOT_REVERSED:
        refunds.fail(refund, notice.code, now=now)
        return "failed"
    refunds.doubt(refund, notice.code, ask_at=refunds.next_ask(refund, now=now, config=config))
    return "in doubt"


def _paid(
    tx: Session, refund: Refund, receipt: str, source: Source, *, at: datetime | None, now: datetime
) -> str:
    was, at = refund.state, min(at or now, now)
    verdict = _book(tx, refund, receipt, source, at=at)
    if verdict == "incident" and _stopped(tx, refund, now=now):
        verdict = _book(tx, refund, receipt, source, at=at)
    if verdict == "paid":
        if was == RefundState.FAILED:
            log.error("failed refund was paid", refund_id=refund.id)
        _tell(tx, refund, now=now)
    elif verdict == "incident":
        verdict = _too_late(tx, refund, receipt, source, at=at, now=now)
    if verdict in ("reversed", "conflict"):  # or under a receipt that is another payment's
        log.error("refund incident", refund_id=refund.id, verdict=verdict)
        payouts.pause(tx, "incident", f"refund {refund.id}: {verdict}", now=now)
    return verdict


def _book(tx: Session, refund: Refund, receipt: str, source: Source, *, at: datetime) -> str:
    tx.flush()
    booked = func.refund_paid(refund.id, receipt, cast(int(source), Small), at)
    verdict = str(tx.scalar(select(booked)))
    tx.refresh(refund)
    return verdict


def _stopped(tx: Session, refund: Refund, *, now: datetime) -> bool:
    """Whether another refund of the same payment waited behind this one: it is not to be sent."""
    behind = select(Refund).where(
        Refund.receipt == refund.receipt, Refund.state == RefundState.QUEUED, Refund.id != refund.id
    )
    if refund.method == Method.REVERSAL or (other := tx.scalar(behind.with_for_update())) is None:
        return False
    refunds.fail(other, "gone", now=now)
    return True


def _too_late(
    tx: Session, refund: Refund, receipt: str, source: Source, *, at: datetime, now: datetime
) -> str:
    """It had failed, and its money has gone elsewhere since: whoever has it must not have it twice.

    A reversal undoes the payment all the same; what it cannot undo is set aside for two people.
    """
    if refund.method == Method.REVERSAL:
        undone = take_reversal(tx, refund.receipt, source=source, reversal=receipt, at=at, now=now)
        if undone in ("again", "reversed"):
            return undone
    told = func.refund_disputed(refund.id, receipt, cast(int(source), Small), at)
    verdict = str(tx.scalar(select(told)))
    if verdict == "incident":
        payout_incidents.announce_refund(tx, refund, receipt, now=now)
    return verdict


def _tell(tx: Session, refund: Refund, *, now: datetime) -> None:
    """Who brought it learns that it is back, where we know them."""
    kept = receipts.find(tx, refund.receipt)
    if kept is None or kept.customer_id is None:
        return
    customer = tx.get_one(Customer, kept.customer_id)
    messages.text(
        tx, to=customer.phone, lang=customer.lang, sentence="money.refund_sent",
        facts={"amount": refund.amount, "receipt": refund.receipt}, key=refund.key, now=now,
        customer_id=customer.id,
    )  # fmt: skip


def _not_paid(tx: Session, refund: Refund, code: str, *, now: datetime, config: Config) -> str:
    if refund.state not in SENT:
        return "late"
    reason = of_payout(code)
    if reason.act in (Act.RELEASE_AND_PAUSE, Act.TOP_UP):
        payouts.pause(tx, code, reason.meaning, now=now)
    if code not in PAYOUT or reason.act in (Act.DOUBT, Act.TOP_UP):
        ask_at = refunds.next_ask(refund, now=now, config=config)
        refunds.doubt(refund, code, ask_at=ask_at)
        return "in doubt"
    refunds.fail(refund, code, now=now)
    return "failed"


def _mismatched(refund: Refund, *, now: datetime) -> str:
    """Success, of another amount or to another phone: nothing is booked before M-PESA is asked."""
    log.error("result does not fit its refund", refund_id=refund.id)
    if refund.state in SENT:
        refunds.doubt(refund, "mismatch", ask_at=now)
    return "mismatch"


def _timed_out(refund: Refund | None, *, now: datetime) -> str:
    if refund is None:
        return "unmatched"
    if refund.state == RefundState.ACCEPTED:
        ask_at = refunds.next_ask(refund, now=now, config=current().config)
        refunds.doubt(refund, "queue_timeout", ask_at=ask_at)
    return "not final"


def _of_reversal(tx: Session, notice: ReversalNotice) -> Refund | None:
    """The refund of a result, by M-PESA's id of it, else by the payment that it says it undid."""
    if (found := _named(tx, notice.correlation)) is not None:
        return found
    if notice.code != OK or notice.original is None:
        return None
    live = select(Refund).where(
        Refund.receipt == notice.original,
        Refund.method == Method.REVERSAL,
        Refund.state.in_(SENT),
        Refund.conversation_id.is_(None),
    )
    return tx.scalar(live.with_for_update())


def _of_payment(tx: Session, notice: PayoutNotice) -> Refund | None:
    if notice.ocid is not None:
        named = select(Refund).where(Refund.ocid == notice.ocid)
        if (found := tx.scalar(named.with_for_update())) is not None:
            return found
    return _named(tx, notice.correlation)


def _named(tx: Session, conversation: str) -> Refund | None:
    if not conversation:
        return None
    named = select(Refund).where(Refund.conversation_id == conversation)
    return tx.scalar(named.with_for_update())


def _agrees(refund: Refund, amount: int | None, payee: str | None) -> bool:
    return amount == refund.amount and (payee is None or same_phone(payee, refund.phone or ""))
