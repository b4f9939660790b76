"""How payouts end: M-PESA's results and status answers, and the doubt in between.

Money set aside is given back only on proof that it was not paid, and marked as paid only on proof
that it was. Everything else is doubt: the sweep takes it to M-PESA and, after a day, to a person.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import cast, func, select
from sqlalchemy.orm import Session

from core import notices, orphans, payouts, status_queries
from core.base import Small
from core.config import Config
from core.notices import OK, PayoutNotice, StatusNotice, same_phone
from core.payments import HeldFor, Payout, PayoutAttempt, PayoutState
from core.reasons import PAYOUT, Act, of_payout
from core.receipts import Source
from core.runtime import current
from core.status_queries import StatusQuery

log = structlog.get_logger(__name__)

COMPLETED = "completed"
ENDED = frozenset({"cancelled", "declined", "expired"})
ASKED_FOR = timedelta(hours=24)  # then a person takes over
BATCH = 100  # payouts looked at in one sweep
SENT = (
    PayoutState.SENDING,
    PayoutState.ACCEPTED,
    PayoutState.IN_DOUBT,
    PayoutState.NEEDS_HUMAN,
)
"""M-PESA may have it: its word moves the payout on."""


def take_result(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """The B2C result callback: any number of times, and before the request was answered too."""
    notice = notices.payout(payload)
    if notice is None:
        return "unreadable"
    payout = _named(tx, notice.ocid, notice.correlation)
    if payout is None:
        dead = _of_dead_attempt(tx, notice, now=now, config=current().config)
        return dead or orphans.keep(tx, orphans.PAYOUT, notice, now=now)
    return _take(tx, payout, notice, now=now, config=current().config)


def take_timeout(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """The queue time-out callback, in either of its shapes: it says nothing about the money."""
    conversation, ocid = notices.timed_out(payload)
    payout = _named(tx, ocid, conversation)
    if payout is None:
        return "unmatched"
    if payout.state == PayoutState.ACCEPTED:
        ask_at = _next_ask(payout, now=now, config=current().config)
        payouts.doubt(payout, "queue_timeout", ask_at=ask_at)
    return "not final"


def take_status(
    tx: Session, query: StatusQuery, notice: StatusNotice, *, now: datetime, config: Config
) -> str:
    """What M-PESA answers about an attempt. A question that failed proves nothing."""
    payout = tx.get_one(Payout, query.payout_id, with_for_update=True)
    status = notice.status.lower()
    if notice.code != OK or status not in (COMPLETED, *ENDED):
        return "open"
    if query.ocid != payout.ocid:
        if status != COMPLETED:
            return "late"
        return _dead_was_paid(tx, payout, notice, source=Source.STATUS, now=now, config=config)
    if status == COMPLETED:
        if notice.receipt is None or not _agrees(payout, notice.amount, notice.payee):
            log.error("status answer does not fit its payout", payout_id=payout.id)
            return "mismatch"
        return _paid(tx, payout, notice, source=Source.STATUS, now=now, config=config)
    if payout.held_for == HeldFor.FLOAT:
        return _new_attempt(tx, payout, now=now)
    if payout.state not in SENT:
        return "late"
    return payouts.release(tx, payout, "not_paid", PAYOUT["not_paid"], now=now)


def sweep(tx: Session, now: datetime, config: Config) -> None:
    """Ask about what is in doubt, send what a pause held up, match results that came early."""
    is_paused = payouts.paused(tx) is not None
    due = (
        select(Payout)
        .where(Payout.ask_at <= now)
        .order_by(Payout.ask_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    if is_paused:
        due = due.where(Payout.state != PayoutState.HELD)
    for payout in tx.scalars(due):
        _ask(tx, payout, now=now, config=config)
    if not is_paused:
        _send_held(tx, now=now)
    for orphan in orphans.known(tx, orphans.PAYOUT, Payout.conversation_id):
        notice = PayoutNotice.from_kept(orphan.notice)
        found = _named(tx, None, orphan.correlation)
        assert found is not None, "its conversation id is in the table"
        verdict = _take(tx, found, notice, now=now, config=config)
        orphans.match(orphan, verdict, now=now)


def _take(
    tx: Session, payout: Payout, notice: PayoutNotice, *, now: datetime, config: Config
) -> str:
    if notice.code == OK:
        if notice.receipt is None or not _agrees(payout, notice.amount, notice.payee):
            return _mismatched(payout, now=now)
        return _paid(tx, payout, notice, source=Source.B2C, now=now, config=config)
    if payout.state not in SENT:
        log.warning(
            "failure of a payout that has ended", payout_id=payout.id, result_code=notice.code
        )
        return "late"
    reason = of_payout(notice.code)
    if reason.act is Act.DOUBT:
        ask_at = _next_ask(payout, now=now, config=config)
        payouts.doubt(payout, notice.code, ask_at=ask_at)
        return "in doubt"
    if reason.act is Act.TOP_UP:
        payout.state, payout.held_for = PayoutState.HELD, HeldFor.FLOAT
        payout.code, payout.asked, payout.ask_at = notice.code, 0, now
        payouts.pause(tx, notice.code, reason.meaning, now=now)
        return "out of float"
    return payouts.release(tx, payout, notice.code, reason, now=now)


def _paid(
    tx: Session,
    payout: Payout,
    notice: PayoutNotice | StatusNotice,
    *,
    source: Source,
    now: datetime,
    config: Config,
) -> str:
    booked = func.payout_paid(
        payout.id,
        notice.receipt,
        payout.shortcode or config.mpesa_b2c_shortcode,
        payout.amount,
        cast(int(source), Small),
        notice.at or now,
    )
    verdict = str(tx.scalar(select(booked)))
    tx.refresh(payout)
    if verdict == "paid":
        sentence = "money.payout_sent_levy" if payout.tax else "money.payout_sent"
        facts = {"receipt": notice.receipt, "tax": payout.tax}
        payouts.tell(tx, payout, sentence, facts, now=now)
    elif verdict != "duplicate":
        # Paid after it was given back, or with a receipt that is another payment's.
        log.error("payout incident", payout_id=payout.id, verdict=verdict)
        payouts.pause(tx, verdict, f"payout {payout.id}: {verdict}", now=now)
    return verdict


def _mismatched(payout: Payout, *, now: datetime) -> str:
    """Success, of another amount or to another phone: nothing is booked before M-PESA is asked."""
    log.error("result does not fit its payout", payout_id=payout.id)
    if payout.state in SENT:
        payouts.doubt(payout, "mismatch", ask_at=now)
    return "mismatch"


def _new_attempt(tx: Session, payout: Payout, *, now: datetime) -> str:
    """The attempt for which we had no money is proved dead: only now may there be another id."""
    tx.add(
        PayoutAttempt(
            ocid=payout.ocid,
            payout_id=payout.id,
            attempt=payout.attempt,
            conversation_id=payout.conversation_id,
            code=payout.code or "",
            closed_at=now,
        )
    )
    payout.ocid, payout.attempt = uuid.uuid4(), payout.attempt + 1
    payout.conversation_id = payout.sending_at = payout.ask_at = payout.code = None
    payout.asked = 0
    payouts.promise_again(tx, payout, now=now)
    return "new attempt"


def _of_dead_attempt(
    tx: Session, notice: PayoutNotice, *, now: datetime, config: Config
) -> str | None:
    """A late word on an id that was given up as proved dead; None if it is none of ours."""
    dead = None if notice.ocid is None else tx.get(PayoutAttempt, notice.ocid)
    if dead is None:
        return None
    if notice.code != OK:
        return "late"
    payout = tx.get_one(Payout, dead.payout_id, with_for_update=True)
    return _dead_was_paid(tx, payout, notice, source=Source.B2C, now=now, config=config)


def _dead_was_paid(
    tx: Session,
    payout: Payout,
    notice: PayoutNotice | StatusNotice,
    *,
    source: Source,
    now: datetime,
    config: Config,
) -> str:
    """M-PESA paid what it had called dead: stop, and book it if the next attempt has not left.

    Else whoever lets payouts go again would have it paid a second time.
    """
    log.error("dead attempt was paid", payout_id=payout.id)
    payouts.pause(tx, "incident", f"payout {payout.id}: a dead attempt was paid", now=now)
    here = payout.state == PayoutState.QUEUED or payout.held_for == HeldFor.PAUSE
    if here and notice.receipt and _agrees(payout, notice.amount, notice.payee):
        _paid(tx, payout, notice, source=source, now=now, config=config)
    return "incident"


def _ask(tx: Session, payout: Payout, *, now: datetime, config: Config) -> None:
    """One status query, and when the next is due; after the last a person has to look."""
    if payout.state == PayoutState.ACCEPTED:  # no result in its time
        payouts.doubt(payout, "no_result", ask_at=now)
    if payout.asked >= len(config.status_retry):
        log.error("payout needs a person", payout_id=payout.id)
        payout.state, payout.held_for, payout.ask_at = PayoutState.NEEDS_HUMAN, None, None
        payouts.tell(tx, payout, "money.payout_checking", {}, now=now)
        return
    status_queries.ask_about_payout(tx, payout, now=now)
    payout.asked += 1
    payout.ask_at = _next_ask(payout, now=now, config=config)


def _next_ask(payout: Payout, *, now: datetime, config: Config) -> datetime:
    """The next moment of the schedule, which counts from the sending; soon, if it has passed."""
    waits = (*config.status_retry, ASKED_FOR)
    due = (payout.sending_at or now) + waits[min(payout.asked, len(waits) - 1)]
    return max(due, now + waits[0])


def _send_held(tx: Session, *, now: datetime) -> None:
    """Payouts whose turn came while payouts were paused."""
    held = (
        select(Payout)
        .where(Payout.state == PayoutState.HELD, Payout.held_for == HeldFor.PAUSE)
        .order_by(Payout.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    for payout in tx.scalars(held):
        payouts.promise_again(tx, payout, now=now)


def _named(tx: Session, ocid: uuid.UUID | None, conversation: str) -> Payout | None:
    """The payout of our id, else of M-PESA's, its row locked."""
    for column, name in ((Payout.ocid, ocid), (Payout.conversation_id, conversation)):
        if name:
            found = tx.scalar(select(Payout).where(column == name).with_for_update())
            if found is not None:
                return found
    return None


def _agrees(payout: Payout, amount: int | None, payee: str | None) -> bool:
    return amount == payout.amount and (payee is None or same_phone(payee, payout.phone))
