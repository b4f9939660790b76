"""A customer's newest withdrawal or cash-out as its owner reads it, in however many parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.money import Cents
from core.payments import Payout, PayoutState

Standing: TypeAlias = Literal["waiting", "held", "checking", "paid", "failed", "partly"]
"""`held` waits for us, `waiting` for M-PESA, and of `partly` some came back."""

DOUBTED = (PayoutState.IN_DOUBT, PayoutState.NEEDS_HUMAN)


@dataclass(frozen=True)
class PayoutLine:
    """A payout of one decision; `arrived` is the part of `amount` that has reached M-PESA."""

    payout_id: int  # of its first part
    amount: Cents
    arrived: Cents
    state: Standing
    reason: str | None  # a sentence's key, where some of it failed
    receipt: str | None  # of the only or the first part
    at: datetime


def payout(tx: Session, customer_id: int) -> PayoutLine | None:
    """The customer's newest payout."""
    newest = select(Payout.request).where(Payout.customer_id == customer_id)
    request = tx.scalar(newest.order_by(Payout.id.desc()).limit(1))
    if request is None:
        return None
    parts = tx.scalars(select(Payout).where(Payout.request == request).order_by(Payout.id)).all()
    paid = [part for part in parts if part.state == PayoutState.PAID]
    return PayoutLine(
        payout_id=parts[0].id,
        amount=Cents(sum(part.amount for part in parts)),
        arrived=Cents(sum(part.amount for part in paid)),
        state=_state(parts),
        reason=next((part.failure for part in parts if part.failure), None),
        receipt=next((part.receipt for part in paid), None),
        at=max(part.ended_at or part.created_at for part in parts),
    )


def standing(tx: Session, payout_id: int) -> Standing:
    """How one payout stands, be it a part of more."""
    return _state([tx.get_one(Payout, payout_id)])


def in_doubt(tx: Session, customer_id: int) -> Cents:
    """What has left for the customer's M-PESA, and M-PESA has not said whether it came."""
    doubted = select(func.sum(Payout.amount)).where(
        Payout.customer_id == customer_id, Payout.state.in_([int(state) for state in DOUBTED])
    )
    return Cents(int(tx.scalar(doubted) or 0))


def _state(parts: Sequence[Payout]) -> Standing:
    states = {part.state for part in parts}
    if states & set(DOUBTED):
        return "checking"
    if PayoutState.HELD in states:
        return "held"
    if any(state < PayoutState.PAID for state in states):
        return "waiting"
    if PayoutState.PAID not in states:
        return "failed"
    return "paid" if len(states) == 1 else "partly"
