"""Withdrawals for the tests: asked for, sent and looked at in a line each."""

import uuid

from sqlalchemy import func, select

from core import ledger, payouts, staff
from core.effects import Channel
from core.ledger import AccountKind
from core.payments import Payout, PayoutState
from core.payouts import Reserved
from core.staff import Role, Staff
from tests import mpesa


def withdrawing(rt, customer, amount, *, key=None):
    """The answer to a customer who asks to withdraw `amount` cents."""
    with rt.transaction() as tx:
        return payouts.withdraw(
            tx,
            key=key or uuid.uuid4(),
            customer=customer,
            amount=amount,
            channel=Channel.USSD,
            session="test",
            now=rt.now(),
            config=rt.config,
        )


def withdraw(rt, customer, shillings, **more):
    """A withdrawal that must be taken; the number of its first payout."""
    reserved = withdrawing(rt, customer, shillings * 100, **more)
    assert isinstance(reserved, Reserved), reserved
    return reserved.payout_ids[0]


def sent(rt, customer, shillings):
    """A withdrawal that M-PESA has taken; the number of its payout."""
    payout_id = withdraw(rt, customer, shillings)
    mpesa.work(rt)
    assert state(rt, payout_id) == PayoutState.ACCEPTED
    return payout_id


def state(rt, payout_id):
    return PayoutState(mpesa.payout(rt, payout_id).state)


def pending(rt):
    """What is set aside and has not left."""
    with rt.transaction() as tx:
        return ledger.account_balance(tx, AccountKind.PAYOUTS_PENDING)


def is_paused(rt):
    with rt.transaction() as tx:
        return payouts.paused(tx) is not None


def resume(rt, name="akinyi"):
    """Somebody of finance lets payouts go again."""
    with rt.transaction() as tx:
        known = tx.scalar(select(Staff).where(Staff.name == name))
        by = known or staff.add(tx, name, Role.FINANCE, now=rt.now())
        assert payouts.resume(tx, by=by, now=rt.now())


def count(rt):
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(Payout))
