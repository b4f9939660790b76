"""The errand that carries texts: what the gateway is handed, and what came of it."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import codes, gsm7, messages, outbox, runtime, staff_invitations
from core.customers import Customer
from core.errors import Rejected, Unknown
from core.messages import Message, MessageState
from core.outbox import Errand, Outcome, Promise, Sent
from core.say import say

MOST_TRIES = 12  # with the waits between them most of a day; after that nobody wants to read it
# In doubt a text is sent again, same words and all: twice is a nuisance, never is a lost receipt.
MOST_DOUBTS, DOUBT_WAIT = 2, timedelta(seconds=30)


def begin(tx: Session, promise: Promise, now: datetime) -> Mapping[str, Any] | None:
    """What the sender needs; None for a text that has gone, or that nobody can use any more."""
    message = _message(tx, promise)
    if message.state != MessageState.WAITING:
        return None
    if promise.attempts > MOST_TRIES:
        messages.failed(tx, message.id, reason="tried too often", now=now)
        return None
    words = message.body or _code_words(tx, message, now)
    if words is None:
        messages.failed(tx, message.id, reason="code out of date", now=now)
        return None
    return {"to": message.phone, "text": words}


def finish(tx: Session, promise: Promise, outcome: Outcome, now: datetime) -> None:
    """Write down the gateway's number and price, or why there are none."""
    message = _message(tx, promise)
    if isinstance(outcome, Sent):
        answer = outcome.answer
        messages.accepted(
            tx,
            message.id,
            gateway_id=str(answer["receipt"]),
            cost_cents=answer.get("cost_cents"),
            now=now,
        )
    elif isinstance(outcome.error, Rejected):
        messages.failed(tx, message.id, reason=outcome.error.code or "rejected", now=now)
    elif isinstance(outcome.error, Unknown):
        _send_again(tx, promise, message, now)


def _message(tx: Session, promise: Promise) -> Message:
    """By its number; or by the key, where another kind of promise wrote it when its turn came."""
    known = promise.payload.get("message")
    which = Message.id == known if known is not None else Message.key == promise.key
    return tx.scalars(select(Message).where(which).with_for_update()).one()


def _code_words(tx: Session, message: Message, now: datetime) -> str | None:
    """The text of a one-time code, which exists from here to the gateway and nowhere else."""
    assert message.code_id is not None
    if message.purpose == staff_invitations.PURPOSE:
        config = runtime.current().config
        return staff_invitations.text_to_send(tx, message, now=now, config=config)
    customer = tx.get_one(Customer, message.customer_id)
    digits = codes.digits_to_send(tx, runtime.current().config, message.code_id, now=now)
    return digits and gsm7.fold(say(message.sentence, customer.lang, **messages.code_facts(digits)))


def _send_again(tx: Session, promise: Promise, message: Message, now: datetime) -> None:
    """Promise the same text once more; the promise in doubt stays what it is."""
    doubts = promise.payload.get("doubts", 0) + 1
    if doubts > MOST_DOUBTS:
        return
    outbox.promise(
        tx,
        messages.KIND,
        {"message": message.id, "doubts": doubts},
        key=uuid.uuid5(promise.key, "again"),
        now=now,
        due_at=now + DOUBT_WAIT,
        customer_id=message.customer_id,
    )


ERRAND = Errand(messages.KIND, outbox.MESSAGES, begin, finish, when_lost="again")
