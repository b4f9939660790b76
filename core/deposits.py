"""Deposits by STK push, as the customer meets them: asking for one, and how the last one stands."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import breakers, customers, effects, limits, outbox
from core.config import Config
from core.customers import Customer
from core.effects import Channel, Refused
from core.errors import Refusal
from core.money import Cents
from core.payments import WAITING, Deposit, DepositState
from core.receipts import MpesaReceipt
from core.runtime import current

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that are taken for each other on a keypad
REF_LETTERS = 6
SPREAD = 662_608_517  # odd, so that n * SPREAD mod 2^30 takes every value once
PROMPT_LIFE = timedelta(minutes=5)  # M-PESA takes a prompt from the phone after one or two
SAME_AMOUNT = timedelta(minutes=2)  # M-PESA refuses the same payment twice within it (17)


@dataclass(frozen=True)
class Asked:
    """A prompt is on its way. `again` says that this key had asked for it before."""

    deposit_id: int
    ref: str
    amount: Cents
    again: bool


@dataclass(frozen=True)
class DepositLine:
    """A deposit as its owner reads it; `reason` is a sentence's key where it failed.

    `code` is M-PESA's or ours, `order` a bet that was to follow.
    """

    ref: str
    amount: Cents
    state: Literal["waiting", "checking", "paid", "failed"]
    reason: str | None
    code: str | None
    order: int | None
    receipt: str | None
    at: datetime


def ask(
    tx: Session,
    *,
    key: uuid.UUID,
    customer: Customer,
    amount: int,
    channel: Channel,
    session: str,
    now: datetime,
    config: Config,
) -> Asked | Refused:
    """Have M-PESA prompt the customer for `amount` cents, at most once per `key`.

    The first answer, yes or no, is the answer for ever; the same key with another amount is a
    fault. The push goes out a little later: a phone in a USSD session cannot show a prompt.
    """
    down = breakers.open_for(current().redis, "stk", now=now)  # asked before anything is locked
    customers.hold(tx, customer)  # two askings at once: the second sees the first
    if answered := _answered(tx, key, customer, amount):
        return answered
    refused = _refuses(tx, customer, amount, now=now, config=config)
    if refused is None and down:
        refused = Refused("money.why_mpesa_busy")  # a prompt would only be waited for in vain
    if refused is not None:
        effects.record(
            tx, key=key, channel=channel, session=session, customer_id=customer.id, verb="deposit",
            verdict="refused", reason=refused.reason, facts=effects.written(refused.facts),
            args={"amount": amount}, now=now,
        )  # fmt: skip
        return refused
    deposit = _created(tx, key, customer, amount, channel, session, now=now, config=config)
    outbox.promise(
        tx, "stk", {"deposit_id": deposit.id}, key=uuid.uuid5(key, "stk"), now=now,
        due_at=now + config.stk_delay, customer_id=customer.id,
    )  # fmt: skip
    return Asked(deposit.id, deposit.ref, Cents(amount), again=False)


def unasked(
    tx: Session,
    *,
    key: uuid.UUID,
    customer: Customer,
    amount: int,
    channel: Channel,
    session: str,
    now: datetime,
    config: Config,
) -> Deposit:
    """The row of a payment that no push of ours asked for; it is CONFIRMING until it is booked."""
    deposit = _created(tx, key, customer, amount, channel, session, now=now, config=config)
    deposit.state = DepositState.CONFIRMING
    tx.flush()
    return deposit


def last(tx: Session, customer_id: int) -> DepositLine | None:
    """The customer's newest deposit."""
    newest = select(Deposit).where(Deposit.customer_id == customer_id)
    found = tx.scalar(newest.order_by(Deposit.id.desc()).limit(1))
    return None if found is None else _line(tx, found)


def by_ref(tx: Session, customer_id: int, ref: str) -> DepositLine | None:
    """The customer's deposit of that reference, however it was typed."""
    named = select(Deposit).where(
        Deposit.customer_id == customer_id, Deposit.ref == ref.strip().upper()
    )
    found = tx.scalar(named)
    return None if found is None else _line(tx, found)


def _answered(
    tx: Session, key: uuid.UUID, customer: Customer, amount: int
) -> Asked | Refused | None:
    """What this key was answered before."""
    if known := tx.scalar(select(Deposit).where(Deposit.key == key)):
        same = (known.customer_id, known.amount) == (customer.id, amount)
        assert same, f"deposit key {key} was used for another deposit"
        return Asked(known.id, known.ref, Cents(known.amount), again=True)
    if kept := tx.get(effects.Effect, key):
        asked = (kept.verb, kept.customer_id, kept.args)
        same = asked == ("deposit", customer.id, {"amount": amount})
        assert same, f"deposit key {key} was used for something else"
        return Refused(kept.reason or "", effects.read(kept.facts))
    return None


def _refuses(
    tx: Session, customer: Customer, amount: int, *, now: datetime, config: Config
) -> Refused | None:
    try:
        customers.refuse_play(customer, now=now)
    except Refusal as refusal:
        return Refused(refusal.reason, refusal.facts)
    if amount < config.deposit_min:
        return Refused("money.deposit_low", {"min": config.deposit_min})
    if amount > config.deposit_max:
        return Refused("money.deposit_high", {"max": config.deposit_max})
    if amount % 100:
        return Refused("money.whole_shillings")
    if _live(tx, customer.id, now - config.stk_pause):
        return Refused("money.deposit_waiting")
    if _paid_lately(tx, customer.id, amount, now):
        return Refused("money.why_same_amount")
    return limits.refuse_deposit(tx, customer.id, amount, now=now)


def _created(
    tx: Session,
    key: uuid.UUID,
    customer: Customer,
    amount: int,
    channel: Channel,
    session: str,
    *,
    now: datetime,
    config: Config,
) -> Deposit:
    number = tx.scalars(select(func.nextval(func.pg_get_serial_sequence("deposit", "id")))).one()
    deposit = Deposit(
        id=number,
        key=key,
        ref=_ref(number),
        customer_id=customer.id,
        phone=customer.phone,
        amount=amount,
        shortcode=config.mpesa_shortcode,
        channel=channel,
        session=session,
        state=DepositState.CREATED,
        created_at=now,
    )
    tx.add(deposit)
    return deposit


def _live(tx: Session, customer_id: int, since: datetime) -> bool:
    """Whether a prompt may be on the phone, or on its way: a second would collide with it."""
    live = select(Deposit.id).where(
        Deposit.customer_id == customer_id,
        Deposit.state.in_((DepositState.CREATED, *WAITING)),
        Deposit.created_at > since,
    )
    return tx.scalar(live.limit(1)) is not None


def _paid_lately(tx: Session, customer_id: int, amount: int, now: datetime) -> bool:
    paid = (DepositState.AWAITING_RECEIPT, DepositState.CONFIRMING, DepositState.CREDITED)
    same = select(Deposit.id).where(
        Deposit.customer_id == customer_id,
        Deposit.amount == amount,
        Deposit.state.in_(paid),
        func.coalesce(Deposit.credited_at, Deposit.sending_at) > now - SAME_AMOUNT,
    )
    return tx.scalar(same.limit(1)) is not None


def _line(tx: Session, deposit: Deposit) -> DepositLine:
    words: dict[int, Literal["waiting", "checking", "paid", "failed"]] = {
        DepositState.CREATED: "waiting",
        DepositState.SENDING: "waiting",
        DepositState.PROMPTED: "waiting",
        DepositState.REFUSED: "failed",
        DepositState.NOT_PAID: "failed",
        DepositState.CREDITED: "paid",
    }
    state, reason = words.get(deposit.state, "checking"), deposit.reason
    if deposit.state == DepositState.SEND_UNKNOWN and _prompt_is_gone(tx, deposit):
        state, reason = "failed", "money.why_no_word"
    credited = select(MpesaReceipt.receipt).where(MpesaReceipt.deposit_id == deposit.id)
    return DepositLine(
        ref=deposit.ref,
        amount=Cents(deposit.amount),
        state=state,
        reason=reason,
        code=deposit.code,
        order=deposit.order_id,
        receipt=tx.scalar(credited.order_by(MpesaReceipt.created_at).limit(1)),
        at=deposit.credited_at or deposit.ended_at or deposit.created_at,
    )


def _prompt_is_gone(tx: Session, deposit: Deposit) -> bool:
    """Whether a prompt that may never have come has surely left the phone by now."""
    now: datetime = tx.scalars(select(func.app_now())).one()
    return now > deposit.created_at + PROMPT_LIFE


def _ref(number: int) -> str:
    """`D` and six letters: short enough to type as a paybill account, and never given twice."""
    spread = number * SPREAD % 32**REF_LETTERS
    return "D" + "".join(LETTERS[spread >> 5 * place & 31] for place in range(REF_LETTERS))
