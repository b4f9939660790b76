"""PINs and codes in texts, looked at before the work begins: counted, committed, then compared."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from core import codes, keys, pins
from core.codes import Purpose, RightCode
from core.customers import Customer
from core.errors import Refusal
from core.pins import RightPin
from core.runtime import Runtime
from sms import meanings as m
from sms.visit import Proof, Reply


@dataclass(frozen=True)
class Sender:
    """Who sent a text, as far as proving it needs to know."""

    phone: str
    customer_id: int | None
    has_pin: bool

    @classmethod
    def of(cls, customer: Customer | None, phone: str) -> Self:
        """The sender behind `phone`."""
        if customer is None:
            return cls(phone, None, has_pin=False)
        return cls(phone, customer.id, customer.pin_hash is not None)


def prove(
    rt: Runtime, sender: Sender, meaning: m.Meaning, message_id: str, text: str, *, now: datetime
) -> Proof | None:
    """What came of the PIN or code in a text; None where there is none, or nobody to ask for it.

    Copies of a text are one try: its key is made of all of it, so that another text under the
    same id, which only a forger sends, is a try of its own.
    """
    if sender.customer_id is None:
        return None
    once = keys.derive(rt.config.key_key, "sms proof", sender.phone, message_id, text)
    try:
        return _prove(rt, sender, sender.customer_id, meaning, once, now)
    except Refusal as refusal:
        return Proof(denied=Reply(refusal.reason, refusal.facts))


def _prove(
    rt: Runtime,
    sender: Sender,
    customer_id: int,
    meaning: m.Meaning,
    once: uuid.UUID,
    now: datetime,
) -> Proof | None:
    if isinstance(meaning, m.Verify):
        return _of(
            codes.check(
                rt,
                phone=sender.phone,
                purpose=Purpose.KYC,
                digits=meaning.code,
                now=now,
                once=once,
            )
        )
    if not sender.has_pin:
        return None
    if isinstance(meaning, m.Reset):
        return _reset(rt, sender.phone, customer_id, meaning, once, now)
    if isinstance(meaning, m.Pin):
        return _change(rt, customer_id, meaning, once, now)
    typed = getattr(meaning, "pin", None)
    if typed is None:
        return None
    return _of(pins.check(rt, customer_id, typed, now=now, once=once))


def _change(
    rt: Runtime, customer_id: int, asked: m.Pin, once: uuid.UUID, now: datetime
) -> Proof | None:
    with rt.transaction() as tx:
        joined = tx.get_one(Customer, customer_id).kyc_verified_at is not None
    if not joined and asked.first == asked.second:
        return None  # the choice of a PIN sent once more: sign-up goes on where it is
    return _of(pins.change(rt, customer_id, asked.first, asked.second, now=now, once=once))


def _reset(
    rt: Runtime, phone: str, customer_id: int, asked: m.Reset, once: uuid.UUID, now: datetime
) -> Proof | None:
    if asked.code is None or asked.pin is None or asked.name is None:
        return None
    with rt.transaction() as tx:
        chosen = pins.choose(rt.config, tx.get_one(Customer, customer_id), asked.pin)
    return _of(
        codes.reset(
            rt,
            phone=phone,
            digits=asked.code,
            name=asked.name,
            pin_hash=chosen,
            now=now,
            once=once,
        )
    )


def _of(verdict: pins.Verdict | codes.Verdict) -> Proof:
    if isinstance(verdict, RightPin | RightCode):
        return Proof()
    return Proof(denied=Reply(verdict.reason, verdict.facts))
