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

from core import notices, orphans, payout_incidents, payout_states, payouts, status_queries
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
        payout_states.doubt(tx, payout, "queue_timeout", ask_at=ask_at)
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
        return "new attempt" if payouts.new_attempt(tx, payout, now=now) else "late"
    if payout_states.place(payout) not in payout_states.SENT:
        return _too_late(payout, status)
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
    _match_orphans(tx, now=now, config=config)


def _match_orphans(tx: Session, *, now: datetime, config: Config) -> None:
    """Results that came before we knew M-PESA's id of them; what nobody knows in a day is told."""
    for orphan in orphans.known(tx, orphans.PAYOUT, Payout.conversation_id):
        found = _named(tx, None, orphan.correlation)
        assert found is not None, "its conversation id is in the table"
        notice = PayoutNotice.from_kept(orphan.notice)
        orphans.match(orphan, _take(tx, found, notice, now=now, config=config), now=now)
    for orphan in orphans.known(tx, orphans.PAYOUT, PayoutAttempt.conversation_id):
        notice = PayoutNotice.from_kept(orphan.notice)
        verdict = _of_dead_attempt(tx, notice, now=now, config=config)
        orphans.match(orphan, verdict or "unmatched", now=now)
    for orphan in orphans.due(tx, orphans.PAYOUT, now=now):
        if orphans.last_look(orphan):
            log.error("result of no known payout", ids=[orphan.id])
            orphans.match(orphan, "unmatched", now=now)


def _take(
    tx: Session, payout: Payout, notice: PayoutNotice, *, now: datetime, config: Config
) -> str:
    if notice.code == OK:
        if notice.receipt is None or not _agrees(payout, notice.amount, notice.payee):
            return _mismatched(tx, payout, now=now)
        return _paid(tx, payout, notice, source=Source.B2C, now=now, config=config)
    if payout_states.place(payout) not in payout_states.SENT:
        return _too_late(payout, notice.code)
    reason = of_payout(notice.code)
    if reason.act is Act.DOUBT:
        return _doubted(tx, payout, notice.code, now=now, config=config)
    if reason.act is Act.TOP_UP:
        payout_states.step(tx, payout, "no float", code=notice.code, asked=0, ask_at=now)
        payouts.pause(tx, notice.code, reason.meaning, now=now)
        return "out of float"
    return payouts.release(tx, payout, notice.code, reason, now=now)


def _doubted(tx: Session, payout: Payout, code: str, *, now: datetime, config: Config) -> str:
    """A code that proves nothing. Where a person has been called it changes nothing either."""
    if payout.state == PayoutState.NEEDS_HUMAN:
        return "open"
    ask_at = _next_ask(payout, now=now, config=config)
    payout_states.doubt(tx, payout, code, ask_at=ask_at)
    return "in doubt"


def _too_late(payout: Payout, told: str) -> str:
    """A failure of what has ended, or is on its way anew: noted, and for the statement to judge."""
    state = PayoutState(payout.state).name
    log.warning("failure came too late", payout_id=payout.id, result_code=told, state=state)
    return "late"


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
    elif verdict == "incident":
        payout_incidents.announce(tx, payout, str(notice.receipt), now=now)
    elif verdict == "conflict":
        # The receipt is another payment's: nobody knows what M-PESA means.
        log.error("payout conflict", payout_id=payout.id)
        payouts.pause(tx, verdict, f"payout {payout.id}: {notice.receipt}", now=now)
    return verdict


def _mismatched(tx: Session, payout: Payout, *, now: datetime) -> str:
    """Success, of another amount or to another phone: nothing is booked before M-PESA is asked."""
    log.error("result does not fit its payout", payout_id=payout.id)
    if payout_states.place(payout) in payout_states.STEPS["doubt"].of:
        payout_states.doubt(tx, payout, "mismatch", ask_at=now)
    return "mismatch"


def _of_dead_attempt(
    tx: Session, notice: PayoutNotice, *, now: datetime, config: Config
) -> str | None:
    """A late word on an id that was given up as proved dead; None if it is none of ours."""
    dead = None if notice.ocid is None else tx.get(PayoutAttempt, notice.ocid)
    if dead is None and notice.correlation:
        named = select(PayoutAttempt).where(PayoutAttempt.conversation_id == notice.correlation)
        dead = tx.scalar(named.limit(1))
    if dead is None:
        return None
    payout = tx.get_one(Payout, dead.payout_id, with_for_update=True)
    if notice.code != OK:
        return _too_late(payout, notice.code)
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
    """M-PESA paid what it had called dead: stop everything, and book it as what it is.

    Where the payout is still open it is paid by this, and never sent again. Should the next
    attempt, which may be on its way, be paid as well, then that is the one too many.
    """
    log.error("dead attempt was paid", payout_id=payout.id)
    verdict = "mismatch"
    if notice.receipt and _agrees(payout, notice.amount, notice.payee):
        verdict = _paid(tx, payout, notice, source=source, now=now, config=config)
    if verdict not in ("duplicate", "known"):  # told again, it is no news
        payouts.pause(tx, "incident", f"payout {payout.id}: a dead attempt was paid", now=now)
    return "incident"


def _ask(tx: Session, payout: Payout, *, now: datetime, config: Config) -> None:
    """One status query, and when the next is due; after the last a person has to look."""
    if payout.state == PayoutState.ACCEPTED:  # no result in its time
        payout_states.doubt(tx, payout, "no_result", ask_at=now)
    if payout.asked >= len(config.status_retry):
        log.error("payout needs a person", payout_id=payout.id)
        if payout_states.step(tx, payout, "call a person", ask_at=None):
            payouts.tell(tx, payout, "money.payout_checking", {}, now=now)
        return
    if payout.state == PayoutState.IN_DOUBT:
        _tell_of_doubt(tx, payout, now=now, config=config)
    status_queries.ask_about_payout(tx, payout, now=now)
    payout.asked += 1
    payout.ask_at = _next_ask(payout, now=now, config=config)


def _tell_of_doubt(tx: Session, payout: Payout, *, now: datetime, config: Config) -> None:
    """One text to whoever has waited long; what M-PESA answers in its usual time needs none."""
    if payout.sending_at is not None and payout.sending_at + config.payout_doubt_told <= now:
        payouts.tell(tx, payout, "money.payout_checking", {}, now=now)


def _next_ask(payout: Payout, *, now: datetime, config: Config) -> datetime:
    """The next moment of the schedule, which counts from the sending; soon, if it has passed."""
    waits = (*config.status_retry, ASKED_FOR)
    due = (payout.sending_at or now) + waits[min(payout.asked, len(waits) - 1)]
    return max(due, now + waits[0])


def _send_held(tx: Session, *, now: datetime) -> None:
    """Payouts whose turn came in a pause; those of settlements and withdrawals side by side."""
    held = (
        select(Payout)
        .where(Payout.state == PayoutState.HELD, Payout.held_for == HeldFor.PAUSE)
        .order_by(Payout.id)
        .limit(BATCH // 2)
        .with_for_update(skip_locked=True)
    )
    for part in (Payout.settlement_id.is_(None), Payout.settlement_id.is_not(None)):
        for payout in tx.scalars(held.where(part)):
            payouts.queue(tx, payout, now=now)


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
