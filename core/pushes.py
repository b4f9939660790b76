"""STK pushes: sending one at most once, and every way to hear how it ended."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from core import customers, landings, notices, orphans, outbox, receipts
from core.config import Config
from core.customers import Customer
from core.errors import NotSent, Rejected
from core.notices import OK, PushNotice, same_phone
from core.outbox import Errand, Outcome, Promise, Sent
from core.payments import WAITING, Deposit, DepositState
from core.reasons import NOT_SENT
from core.reasons import PUSH as WHY
from core.runtime import current

log = structlog.get_logger(__name__)

IN_FLIGHT = "in_flight"  # an STK query that was answered: not yet
LOST = (DepositState.SEND_UNKNOWN, DepositState.CONFIRMING, DepositState.NOT_PAID)
KEPT = timedelta(hours=24)  # an orphan that nobody has matched by then is for a person
BATCH = 100  # deposits looked at in one sweep


def take_callback(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """The STK callback: any number of times, in any order, before its push was answered too."""
    notice = notices.push(payload)
    if notice is None:
        return "unreadable"
    named = select(Deposit).where(Deposit.checkout_request_id == notice.correlation)
    deposit = tx.scalar(named.with_for_update())
    if deposit is None:
        return orphans.keep(tx, orphans.PUSH, notice, now=now)
    return landings.take_push(tx, deposit, notice, now=now, config=current().config)


def sweep(tx: Session, now: datetime, config: Config) -> None:
    """Ask about silent pushes, and match the callbacks that came before their push was known."""
    _match_known(tx, now, config)
    _match_lost(tx, now, config)
    due = (
        select(Deposit)
        .where(Deposit.ask_at <= now)
        .order_by(Deposit.ask_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    for deposit in tx.scalars(due):
        if deposit.state == DepositState.AWAITING_RECEIPT:
            log.error("paid, and no receipt came", deposit_id=deposit.id)
            deposit.ask_at = None
        else:
            _query(tx, deposit, now=now, config=config)


def _begin_push(tx: Session, promise: Promise, now: datetime) -> dict[str, Any] | None:
    """Committed before the call: whatever happens then, this push is never sent again."""
    deposit = _held(tx, promise)
    if deposit.state != DepositState.CREATED:
        return None
    if now >= deposit.created_at + current().config.stk_expiry:
        landings.fail(tx, deposit, "never_sent", WHY["never_sent"], now=now)
        return None
    if not customers.may_play(tx.get_one(Customer, deposit.customer_id), now=now):
        landings.fail(
            tx, deposit, "may_not_play", WHY["may_not_play"], now=now, state=DepositState.REFUSED
        )
        return None
    deposit.state, deposit.sending_at = DepositState.SENDING, now
    asked = {"phone": deposit.phone, "amount": deposit.amount, "ref": deposit.ref}
    return {**asked, "shortcode": deposit.shortcode}


def _finish_push(tx: Session, promise: Promise, outcome: Outcome, now: datetime) -> None:
    deposit = _held(tx, promise)
    if isinstance(outcome, Sent):
        _prompted(tx, deposit, outcome.answer, now=now)
    elif deposit.state != DepositState.SENDING:
        log.warning("push answered twice", deposit_id=deposit.id)
    elif isinstance(outcome.error, NotSent | Rejected):
        # Not sent is refused too: a prompt that comes minutes late belongs to nothing any more.
        code = outcome.error.code or "refused"
        sure = isinstance(outcome.error, Rejected)
        reason = WHY.get(code, WHY["refused"]) if sure else NOT_SENT
        landings.fail(tx, deposit, code, reason, now=now, state=DepositState.REFUSED)
    else:
        deposit.state, deposit.code = DepositState.SEND_UNKNOWN, outcome.error.code
        facts = {"amount": deposit.amount}
        landings.tell(tx, deposit, "money.deposit_send_unknown", facts, part="unknown", now=now)


def _prompted(tx: Session, deposit: Deposit, answer: Mapping[str, Any], *, now: datetime) -> None:
    """M-PESA took the push, perhaps after its worker was given up; its callback may be here."""
    config = current().config
    deposit.merchant_request_id = answer["merchant_request_id"]
    deposit.checkout_request_id = answer["checkout_request_id"]
    if deposit.state in (DepositState.SENDING, DepositState.SEND_UNKNOWN):
        deposit.state, deposit.ask_at = DepositState.PROMPTED, now + config.stk_query_after
    tx.flush()
    for orphan in orphans.of(tx, orphans.PUSH, deposit.checkout_request_id or ""):
        notice = PushNotice.from_kept(orphan.notice)
        verdict = landings.take_push(tx, deposit, notice, now=now, config=config)
        orphans.match(orphan, verdict, now=now)


def _begin_query(tx: Session, promise: Promise, now: datetime) -> dict[str, Any] | None:
    deposit = _held(tx, promise)
    if deposit.state not in (*WAITING, DepositState.NOT_PAID):
        return None
    return {"checkout_request_id": deposit.checkout_request_id}


def _finish_query(tx: Session, promise: Promise, outcome: Outcome, now: datetime) -> None:
    """A query that got no answer changes nothing; the sweep asks again."""
    deposit = _held(tx, promise)
    config = current().config
    if isinstance(outcome, Sent):
        landings.take_query(tx, deposit, outcome.answer["code"], now=now, config=config)
    elif outcome.error.code == IN_FLIGHT:
        landings.take_query(tx, deposit, None, now=now, config=config)


PUSH = Errand("stk", outbox.MONEY, _begin_push, _finish_push, when_lost="unknown")
QUERY = Errand("stk_query", outbox.MONEY, _begin_query, _finish_query, when_lost="unknown")


def _query(tx: Session, deposit: Deposit, *, now: datetime, config: Config) -> None:
    """One STK query, and when the next is due; the last wait repeats until one is answered."""
    outbox.promise(
        tx, "stk_query", {"deposit_id": deposit.id},
        key=uuid.uuid5(deposit.key, f"query:{deposit.asked}"), now=now,
        customer_id=deposit.customer_id,
    )  # fmt: skip
    waits = config.stk_query_retry
    start = deposit.sending_at or now
    if deposit.asked < len(waits):
        deposit.ask_at = max(start + waits[deposit.asked], now + config.stk_query_after)
    else:
        deposit.ask_at = now + waits[-1] if deposit.state in WAITING else None
    deposit.asked += 1


def _match_known(tx: Session, now: datetime, config: Config) -> None:
    """Callbacks whose push was answered just while they were being put aside."""
    for orphan in orphans.known(tx, orphans.PUSH, Deposit.checkout_request_id):
        named = select(Deposit).where(Deposit.checkout_request_id == orphan.correlation)
        deposit = tx.scalars(named.with_for_update()).one()
        notice = PushNotice.from_kept(orphan.notice)
        verdict = landings.take_push(tx, deposit, notice, now=now, config=config)
        orphans.match(orphan, verdict, now=now)


def _match_lost(tx: Session, now: datetime, config: Config) -> None:
    """Payments of a push whose answer was lost, and with it the id that the callback names.

    The one push of that phone and amount in doubt at that time is claimed for: M-PESA's answer
    about the receipt must name this phone as the payer before anything is credited. A claim for
    it may have been a forgery, so one that is not credited yet can be claimed for again.
    """
    for orphan in orphans.due(tx, orphans.PUSH, now=now):
        notice = PushNotice.from_kept(orphan.notice)
        lost, receipt = _in_doubt(tx, notice, orphan.created_at, config), notice.receipt or ""
        if lost is not None and receipts.find(tx, receipt) is None:
            orphans.match(orphan, landings.hold(tx, lost, notice, "claimed", now=now), now=now)
        elif lost is not None and receipts.waits_in_suspense(tx, receipt):
            verdict = landings.take_push(tx, lost, notice, now=now, config=config)
            orphans.match(orphan, verdict, now=now)
        elif orphans.last_look(orphan):
            log.error("callback of no known push", ids=[orphan.id])
            orphans.match(orphan, "unmatched", now=now)


def _in_doubt(tx: Session, notice: PushNotice, came_at: datetime, config: Config) -> Deposit | None:
    if notice.code != OK or notice.receipt is None:
        return None
    doubtful = select(Deposit).where(
        Deposit.state.in_(LOST),
        Deposit.checkout_request_id.is_(None),
        Deposit.amount == notice.amount,
        Deposit.sending_at.between(came_at - KEPT, came_at),
    )
    found = [
        deposit
        for deposit in tx.scalars(doubtful.order_by(Deposit.id.desc()).with_for_update())
        if same_phone(notice.phone, deposit.phone)
    ]
    # A push that has not been claimed comes before one that has.
    found = [one for one in found if one.state == DepositState.SEND_UNKNOWN] or found
    since = came_at - config.stk_expiry
    near = [one for one in found if one.sending_at and one.sending_at >= since]
    if near:
        return near[0] if len(near) == 1 else None
    # A callback may be hours late. All that fit are the same customer's and the same amount.
    return found[0] if found else None


def _held(tx: Session, promise: Promise) -> Deposit:
    return tx.get_one(Deposit, promise.payload["deposit_id"], with_for_update=True)
