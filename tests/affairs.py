"""What a customer can have on a statement, made in a line each."""

import uuid

from sqlalchemy import text

from core.payments import Deposit, DepositState
from tests import cashier, games, people, teller


def of(rt, amina, brian, wanjiku, kamau):
    """Amina has a line of every sort: what waits, what is done, what failed."""
    people.fund(rt, amina, 500_00)
    derby = games.derby(rt, wanjiku)
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE customer SET auto_cashout = false"))
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)
    games.placed(rt, amina, games.derby(rt, wanjiku), 1, 50)
    back, _ = (cashier.withdraw(rt, amina, shillings) for shillings in (60, 70))
    with rt.transaction() as tx:
        tx.execute(
            text("SELECT payout_release(:id, 9::smallint, '2040', 'money.why_not_on_mpesa')"),
            {"id": back},
        )
    teller.ask(rt, amina, 80)
    deposited(rt, amina, 90, "QAB1234567")
    failed(rt, amina, 95)


def deposited(rt, customer, shillings, receipt):
    """A deposit that arrived with this receipt."""
    asked = stored(rt, customer, shillings, DepositState.PROMPTED)
    with rt.transaction() as tx:
        tx.execute(
            text("""SELECT credit_receipt(:receipt, '600000', :amount, 1::smallint, :deposit,
                                          app_now(), true)"""),
            {"receipt": receipt, "amount": shillings * 100, "deposit": asked},
        )


def failed(rt, customer, shillings):
    """A deposit that the customer cancelled."""
    return stored(rt, customer, shillings, DepositState.NOT_PAID, "money.why_cancelled")


def stored(rt, customer, shillings, state, reason=None, at=None):
    with rt.transaction() as tx:
        deposit = Deposit(
            key=uuid.uuid4(), ref=f"D{uuid.uuid4().hex[:6].upper()}", customer_id=customer.id,
            phone=customer.phone, amount=shillings * 100, shortcode="600000", channel=1,
            session="test", state=state, reason=reason, created_at=at or rt.now(),
        )  # fmt: skip
        tx.add(deposit)
        tx.flush()
        return deposit.id
