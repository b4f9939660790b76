"""Payouts by B2C: setting the money aside, sending it at most once, and pausing when it fails."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import cast, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import ledger, messages, outbox, payout_states, rights
from core.base import Small
from core.config import Config
from core.customers import Customer
from core.effects import Channel, Refused
from core.errors import NotSent, Refusal, Rejected
from core.money import Cents
from core.outbox import Errand, Outcome, Promise, Sent
from core.payments import Payout, PayoutAttempt, PayoutPause, PayoutState
from core.reasons import GATEWAY_TROUBLE, PAYOUT, Act, PayoutReason
from core.rights import Right
from core.runtime import current
from core.say import say
from core.staff import Staff

log = structlog.get_logger(__name__)

REFUND_INCIDENT = text("SELECT EXISTS (SELECT FROM payout_incident WHERE state = 1 AND kind = 3)")


@dataclass(frozen=True)
class Reserved:
    """The money is set aside and on its way. `again` says that this key had asked before."""

    payout_ids: tuple[int, ...]
    amount: Cents  # what will arrive
    tax: Cents  # withheld beside it
    balance: Cents
    again: bool


def withdraw(
    tx: Session,
    *,
    key: uuid.UUID,
    customer: Customer,
    amount: int,
    channel: Channel,
    session: str,
    now: datetime,
    config: Config,
) -> Reserved | Refused:
    """Have `amount` cents arrive on the customer's own M-PESA, in parts where it is over the limit.

    The first answer to a `key` is its answer for ever; the same key with another amount is a fault.
    The caller has checked the PIN.
    """
    row = tx.execute(
        WITHDRAW,
        {
            "key": key,
            "customer": customer.id,
            "amount": amount,
            "least": config.payout_min_amount,
            "most": config.payout_max_amount,
            "reset_hold": config.pin_reset_hold,
            "channel": int(channel),
            "session": session,
            "now": now,
        },
    ).one()
    if row.verdict == "refused":
        return Refused(row.reason, _read(row.facts))
    for promise_id in row.promises or ():
        tx.info.setdefault("promised", []).append((outbox.MONEY, promise_id))
    return _reserved(row)


def paused(tx: Session) -> PayoutPause | None:
    """Why nothing is paid out now; None when payouts go."""
    return tx.scalar(select(PayoutPause).where(PayoutPause.resumed_at.is_(None)))


def pause(tx: Session, reason: str, detail: str, *, now: datetime) -> None:
    """Pay nothing out until a person resumes it. A pause that is on stays as it is."""
    log.error("payouts paused", result_code=reason, reason=detail)
    row = insert(PayoutPause).values(reason=reason, detail=detail, paused_at=now)
    tx.execute(row.on_conflict_do_nothing())


def resume(tx: Session, *, by: Staff, now: datetime) -> bool:
    """Let payouts go again; the sweep sends what was held. False if they were not paused.

    Raises Refusal while money that was sent back too late is nobody's to answer for.
    """
    rights.require(by, Right.PAYOUTS_RESUME)
    live = select(PayoutPause).where(PayoutPause.resumed_at.is_(None)).with_for_update()
    found = tx.scalar(live)
    if found is None:
        return False
    if tx.scalar(REFUND_INCIDENT):
        raise Refusal("staff.resume_incident")
    found.resumed_at, found.resumed_by = now, by.id
    return True


def queue(tx: Session, payout: Payout, *, now: datetime) -> bool:
    """Let a payout go that was kept from going; its id stays the same. False if it was not kept."""
    moved = payout_states.step(tx, payout, "queue")
    if moved:
        _promise(tx, payout, now=now)
    return moved


def new_attempt(tx: Session, payout: Payout, *, now: datetime) -> bool:
    """Have it sent under a new id, now that the old one is proved dead. False if it moved on."""
    dead = PayoutAttempt(
        ocid=payout.ocid,
        payout_id=payout.id,
        attempt=payout.attempt,
        conversation_id=payout.conversation_id,
        code=payout.code or "",
        closed_at=now,
    )
    moved = payout_states.step(
        tx, payout, "anew", ocid=uuid.uuid4(), attempt=payout.attempt + 1, asked=0,
        conversation_id=None, sending_at=None, ask_at=None, code=None,
    )  # fmt: skip
    if moved:
        tx.add(dead)
        _promise(tx, payout, now=now)
    return moved


def release(tx: Session, payout: Payout, code: str, reason: PayoutReason, *, now: datetime) -> str:
    """It was surely not paid: the money goes back to the wallet, and the customer learns why."""
    owed = ledger.owed(tx, payout.customer_id)
    failed = cast(int(PayoutState.FAILED), Small)
    ended = func.payout_release(payout.id, failed, code, reason.sentence)
    verdict = str(tx.scalar(select(ended)))
    tx.refresh(payout)
    if reason.act in (Act.RELEASE_AND_PAUSE, Act.TOP_UP):
        pause(tx, code, reason.meaning, now=now)
    if verdict == "released":
        log.warning("payout failed", payout_id=payout.id, result_code=code)
        customer = tx.get_one(Customer, payout.customer_id)
        kept = owed - ledger.owed(tx, payout.customer_id)
        facts = {
            "why": say(reason.sentence, customer.lang),
            "amount": payout.amount + payout.tax,
            "kept": kept,
        }
        sentence = "money.payout_returned_kept" if kept else "money.payout_returned"
        tell(tx, payout, sentence, facts, now=now)
    return verdict


def asked_for(tx: Session, payout: Payout) -> Cents:
    """What the decision that this payout is part of wanted to arrive in all, in cents."""
    parts = select(func.sum(Payout.amount)).where(Payout.request == payout.request)
    return Cents(int(tx.scalar(parts) or 0))


def tell(
    tx: Session,
    payout: Payout,
    sentence: str,
    facts: Mapping[str, Any],
    *,
    now: datetime,
    once: uuid.UUID | None = None,
) -> None:
    """One text about the payout, once for each sentence (and `once`, where there may be several).

    Amount and balance are in all of them.
    """
    customer = tx.get_one(Customer, payout.customer_id)
    balance = ledger.balance(tx, customer.id)
    messages.text(
        tx,
        to=customer.phone,
        lang=customer.lang,
        sentence=sentence,
        facts={"amount": payout.amount, "balance": balance, **facts},
        key=uuid.uuid5(once or payout.key, sentence),
        now=now,
        customer_id=customer.id,
    )


def _promise(tx: Session, payout: Payout, *, now: datetime) -> None:
    outbox.promise(
        tx,
        "b2c",
        {"payout_id": payout.id, "attempt": payout.attempt},
        key=uuid.uuid4(),
        now=now,
        customer_id=payout.customer_id,
    )


def _begin(tx: Session, promise: Promise, now: datetime) -> dict[str, Any] | None:
    """Committed before the call: from here on the payout is sent, or in doubt."""
    payout, config = _held(tx, promise), current().config
    if _attempt(promise) != payout.attempt:
        return None
    if payout_states.place(payout) not in payout_states.BEFORE:
        return None
    if tx.scalar(OVERTAKEN, {"settlement": payout.settlement_id}):
        cancelled = cast(int(PayoutState.CANCELLED), Small)
        tx.execute(select(func.payout_release(payout.id, cancelled, "corrected", None)))
        tx.expire(payout)
        return None
    if _wants_approval(tx, payout, config):
        payout_states.step(tx, payout, "ask approval")
        tell(tx, payout, "money.payout_held", {"amount": asked_for(tx, payout)}, now=now,
             once=payout.request)  # fmt: skip
        return None
    if paused(tx) is not None:
        payout_states.step(tx, payout, "pause")
        return None
    shortcode = config.mpesa_b2c_shortcode
    if not payout_states.step(tx, payout, "send", sending_at=now, shortcode=shortcode):
        return None
    asked = {"ocid": str(payout.ocid), "phone": payout.phone, "amount": payout.amount}
    return {**asked, "shortcode": shortcode}


def _finish(tx: Session, promise: Promise, outcome: Outcome, now: datetime) -> None:
    payout = _held(tx, promise)
    if _attempt(promise) != payout.attempt:
        _note_dead(tx, payout, promise, outcome)
        return
    config = current().config
    if isinstance(outcome, Sent):
        payout.conversation_id = outcome.answer["conversation_id"]
        if payout.state == PayoutState.SENDING:
            payout_states.step(tx, payout, "accept", ask_at=now + config.payout_result_wait)
    elif payout.state != PayoutState.SENDING:
        log.warning("payout ended before its answer", payout_id=payout.id)
    elif isinstance(outcome.error, NotSent):
        # The same promise brings it back, with the same id.
        payout_states.step(tx, payout, "never left", sending_at=None)
        if outcome.error.code in GATEWAY_TROUBLE:
            pause(tx, str(outcome.error.code), outcome.error.detail, now=now)
    elif isinstance(outcome.error, Rejected):
        code = outcome.error.code or "field"
        release(tx, payout, code, PAYOUT.get(code, PAYOUT["field"]), now=now)
    else:
        ask_at = now + config.status_retry[0]
        payout_states.doubt(tx, payout, outcome.error.code, ask_at=ask_at)


PAY = Errand("b2c", outbox.MONEY, _begin, _finish, when_lost="unknown")


def _note_dead(tx: Session, payout: Payout, promise: Promise, outcome: Outcome) -> None:
    """A worker woke up with the answer to an attempt that was given up as proved dead.

    M-PESA's id of it belongs to that attempt: a late word on it must never look like the new one's.
    """
    log.error("answer to a dead attempt", payout_id=payout.id, attempt=_attempt(promise))
    if isinstance(outcome, Sent):
        tx.execute(
            update(PayoutAttempt)
            .where(
                PayoutAttempt.payout_id == payout.id,
                PayoutAttempt.attempt == _attempt(promise),
                PayoutAttempt.conversation_id.is_(None),
            )
            .values(conversation_id=outcome.answer["conversation_id"])
        )


def _attempt(promise: Promise) -> int:
    """Which attempt the promise is of; those that were promised with the payout are the first."""
    return int(promise.payload.get("attempt", 1))


def _wants_approval(tx: Session, payout: Payout, config: Config) -> bool:
    """The whole of what was asked for counts, so that to split it is no way around."""
    return payout.approved_at is None and asked_for(tx, payout) > config.payout_hold_over


def _held(tx: Session, promise: Promise) -> Payout:
    return tx.get_one(Payout, promise.payload["payout_id"], with_for_update=True)


def _reserved(row: Any) -> Reserved:
    return Reserved(
        payout_ids=tuple(row.facts["payouts"]),
        amount=Cents(row.facts["amount"]),
        tax=Cents(row.facts["tax"]),
        balance=Cents(row.facts["balance"]),
        again=row.again,
    )


def _read(facts: dict[str, Any]) -> dict[str, Any]:
    """A refusal's facts, with the moments in them made moments again."""
    if "until" in facts:
        return facts | {"until": datetime.fromisoformat(facts["until"])}
    return facts


# The result that was won by has been corrected: what has not been sent is not theirs any more.
OVERTAKEN = text("SELECT EXISTS (SELECT FROM settlement WHERE corrects = :settlement)")

WITHDRAW = text(
    "SELECT * FROM withdraw(:key, :customer, :amount, :least, :most, :reset_hold,"
    " CAST(:channel AS smallint), :session, :now)"
)
