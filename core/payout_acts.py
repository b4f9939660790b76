"""What people do about payouts alone: a customer takes one back, staff hold, let go and try again.

Each is refused where the payout may have left: money is never given back or sent twice by hand.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, and_, cast, func, or_, select
from sqlalchemy.orm import Session

from core import effects, ledger, payout_states, payouts, rights
from core.base import Small
from core.config import Config
from core.customers import Customer
from core.effects import Channel, Refused
from core.errors import Refusal
from core.money import Cents
from core.payments import HeldFor, Payout, PayoutReason, PayoutState
from core.payout_incidents import IncidentState, PayoutIncident
from core.payouts import Reserved
from core.rights import Right
from core.staff import Staff

log = structlog.get_logger(__name__)

AT_HOME = (HeldFor.SETTLEMENT, HeldFor.PAUSE, HeldFor.APPROVAL, HeldFor.STAFF)


@dataclass(frozen=True)
class Cancelled:
    """The money is back in the wallet. `again` says that this key had asked before."""

    amount: Cents  # what would have arrived
    tax: Cents  # that would have been withheld
    balance: Cents
    again: bool


def cancellable(tx: Session, customer_id: int) -> Sequence[Payout]:
    """The customer's withdrawals of which some part has not left, the newest first.

    One payout for each decision; its `request` names them all.
    """
    found = select(Payout).where(
        Payout.customer_id == customer_id, Payout.reason == PayoutReason.WITHDRAWAL, _at_home()
    )
    firsts: dict[uuid.UUID, Payout] = {}
    for payout in tx.scalars(found.order_by(Payout.id.desc())):
        firsts[payout.request] = payout
    return list(firsts.values())


def cancel(
    tx: Session,
    *,
    key: uuid.UUID,
    customer: Customer,
    payout_id: int,
    channel: Channel,
    session: str,
    now: datetime,
) -> Cancelled | Refused:
    """Take a withdrawal back, in all its parts that surely have not left, at most once per `key`.

    Refused where none is left to take back: what M-PESA may have is never given back by wish.
    """
    parts = _parts(tx, customer, payout_id)
    if answered := _answered(tx, key, customer, payout_id):
        return answered
    amount = tax = 0
    for part in parts:
        ended = func.payout_release(part.id, cast(int(PayoutState.CANCELLED), Small), "wish", None)
        if tx.scalar(select(ended)) == "released":
            amount, tax = amount + part.amount, tax + part.tax
        tx.refresh(part)
    balance = ledger.balance(tx, customer.id)
    refused = None if amount else "money.cancel_too_late"
    effects.record(
        tx, key=key, channel=channel, session=session, customer_id=customer.id, verb="cancel",
        verdict="refused" if refused else "done", reason=refused,
        facts={} if refused else {"amount": amount, "tax": tax, "balance": balance},
        args={"payout": payout_id}, now=now,
    )  # fmt: skip
    if refused:
        return Refused(refused)
    return Cancelled(Cents(amount), Cents(tax), balance, again=False)


def hold(tx: Session, payout_id: int, *, reason: str, by: Staff, now: datetime) -> Payout:
    """Keep a payout that has not left from leaving. Raises Refusal where it may have."""
    rights.require(by, Right.PAYOUT_HOLD)
    if not reason.strip():
        raise Refusal("staff.reason_missing")
    payout = _locked(tx, payout_id)
    if not payout_states.step(tx, payout, "hold"):
        raise Refusal("staff.payout_not_here", payout=payout_id)
    log.warning("payout held", payout_id=payout_id, staff_id=by.id, reason=reason.strip())
    return payout


def let_go(tx: Session, payout_id: int, *, by: Staff, now: datetime) -> Payout:
    """Queue what staff had held. One over the limit still waits for its two people."""
    rights.require(by, Right.PAYOUT_HOLD)
    payout = _locked(tx, payout_id)
    if payout.held_for != HeldFor.STAFF or not payouts.queue(tx, payout, now=now):
        raise Refusal("staff.payout_not_held", payout=payout_id)
    log.warning("payout let go", payout_id=payout_id, staff_id=by.id)
    return payout


def retry(tx: Session, payout_id: int, *, by: Staff, now: datetime, config: Config) -> Reserved:
    """Withdraw once more what failed and went back to the wallet: a new payout, under a new id.

    Only a FAILED one, once, and by the rules of any withdrawal. Raises Refusal with what is against
    it; a refusal may be overcome, and the next try is a new decision.
    """
    rights.require(by, Right.PAYOUT_RETRY)
    payout = _locked(tx, payout_id)
    if payout.state != PayoutState.FAILED:
        raise Refusal("staff.payout_not_failed", payout=payout_id)
    if _disputed(tx, payout):
        raise Refusal("staff.payout_disputed", payout=payout_id)
    number, key = 0, retry_key(payout.key, 0)
    while kept := tx.get(effects.Effect, key):
        if kept.verdict == "done":
            raise Refusal("staff.payout_retried", payout=payout_id)
        number += 1
        key = retry_key(payout.key, number)
    answer = payouts.withdraw(
        tx,
        key=key,
        customer=tx.get_one(Customer, payout.customer_id),
        amount=payout.amount,
        channel=Channel.STAFF,
        session=f"P{payout.id} {by.name}",
        now=now,
        config=config,
    )
    if isinstance(answer, Refused):
        raise Refusal(answer.reason, **answer.facts)
    log.warning("payout tried again", payout_id=payout_id, staff_id=by.id)
    return answer


def retry_key(key: uuid.UUID, number: int) -> uuid.UUID:
    """The key of the next try of a payout; `number` counts those that were refused before it."""
    return uuid.uuid5(key, f"retry {number}")


def _answered(
    tx: Session, key: uuid.UUID, customer: Customer, payout_id: int
) -> Cancelled | Refused | None:
    """What this key was answered before."""
    kept = tx.get(effects.Effect, key)
    if kept is None:
        return None
    asked = (kept.verb, kept.customer_id, kept.args)
    same = asked == ("cancel", customer.id, {"payout": payout_id})
    assert same, f"cancel key {key} was used for something else"
    if kept.verdict == "refused":
        return Refused(kept.reason or "")
    amount, tax, balance = (Cents(int(kept.facts[name])) for name in ("amount", "tax", "balance"))
    return Cancelled(amount, tax, balance, again=True)


def _parts(tx: Session, customer: Customer, payout_id: int) -> Sequence[Payout]:
    """The customer's own payouts of the same decision that have not left, locked."""
    request = select(Payout.request).where(
        Payout.id == payout_id,
        Payout.customer_id == customer.id,
        Payout.reason == PayoutReason.WITHDRAWAL,
    )
    parts = select(Payout).where(Payout.request.in_(request), _at_home()).order_by(Payout.id)
    return tx.scalars(parts.with_for_update().execution_options(populate_existing=True)).all()


def _at_home() -> ColumnElement[bool]:
    """It surely has not left: never sent, by whatever answer."""
    return and_(
        Payout.attempt == 1,
        Payout.sending_at.is_(None),
        or_(
            Payout.state.in_((PayoutState.REQUESTED, PayoutState.QUEUED)),
            and_(Payout.state == PayoutState.HELD, Payout.held_for.in_(AT_HOME)),
        ),
    )


def _disputed(tx: Session, payout: Payout) -> bool:
    told = select(PayoutIncident.id).where(
        PayoutIncident.payout_id == payout.id, PayoutIncident.state != IncidentState.DISMISSED
    )
    return tx.scalar(told.limit(1)) is not None


def _locked(tx: Session, payout_id: int) -> Payout:
    found = tx.get(Payout, payout_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise Refusal("staff.no_such_payout", payout=payout_id)
    return found
