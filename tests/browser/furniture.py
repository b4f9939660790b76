"""A house in the midst of its work: something of everything that its pages can show."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from core import decisions, drafts, payout_ends, staff_changes
from core.customers import Customer
from core.markets import Market, Status
from core.payments import Payout, PayoutState
from core.staff import Role, Staff
from tests import cashier, games, people
from tests.browser import stage
from tests.browser.house import House, until

NOT_REGISTERED = 2040
HEADS = (("zahara", Role.FINANCE), ("zola", Role.ADMIN))
LONG = "Will Harambee Stars reach the semi-finals of the next AFCON?"


def furnish(house: House) -> None:
    """Markets in each state, payouts that went well and badly, and proposals that wait."""
    rt = house.rt
    trader, second = (people.member(rt, name) for name in ("zawadi", "zuri"))
    finance, admin = (people.member(rt, *who) for who in HEADS)
    rich = stage.customer(house, "Zainab Ali", shillings=500_000)
    draft_one(house, trader)
    games.derby(rt, trader, "Yes, for certain", "No", question=LONG)
    halted, closed, waiting, settled, void = (
        games.derby(rt, trader, question=f"Gor v {name}?")
        for name in ("AFC", "Tusker", "Bandari", "Ulinzi", "Sofapaka")
    )
    for market in (halted, closed, waiting, settled, void):
        for outcome, shillings in ((1, 500), (2, 1_500)):
            games.placed(rt, rich, market, outcome, shillings)
    games.suspend(rt, halted, trader)
    for market in (closed, waiting, settled, void):
        games.close(rt, market, trader)
    told: dict[str, Any] = {"now": rt.now(), "config": rt.config}
    with rt.transaction() as tx:
        decisions.propose(
            tx, waiting.code, winners=(1,), source="FKF match report", by=trader, **told
        )
    games.decide(rt, settled, 1, proposer=trader, approver=second)
    games.decide(rt, void, None, proposer=trader, approver=second)
    pay(house, rich, finance)
    until("they are settled", lambda: all(over(house, market) for market in (settled, void)))
    with rt.transaction() as tx:
        staff_changes.propose_new(
            tx, "zena", Role.VIEWER, phone="0712999888", note="from 1 December", by=admin, **told
        )


def draft_one(house: House, trader: Staff) -> None:
    """A market that nobody may bet on yet."""
    rt = house.rt
    now = rt.now()
    with rt.transaction() as tx:
        drafts.create(
            tx, question="Rain in Nairobi on Sunday?", outcomes=("Yes", "No"), category="Weather",
            opens_at=now, closes_at=now + timedelta(days=2), by=trader, now=now, config=rt.config,
        )  # fmt: skip


def pay(house: House, customer: Customer, finance: Staff) -> None:
    """One payout that arrived, one that failed, and a large one that waits for two people."""
    rt = house.rt
    cashier.withdraw(rt, customer, 150)
    house.network.fault("resultCode", "b2c", phone=customer.phone, amount=160, code=NOT_REGISTERED)
    cashier.withdraw(rt, customer, 160)
    large = cashier.withdraw(rt, customer, 60_000)
    until("payouts end", lambda: ended(house, customer) >= 2)
    told: dict[str, Any] = {"now": rt.now(), "config": rt.config}
    with rt.transaction() as tx:
        payout_ends.propose_release(tx, large, note="ID was seen", by=finance, **told)


def over(house: House, market: Market) -> bool:
    """Whether nothing more will be done to it."""
    with house.rt.transaction() as tx:
        return tx.get_one(Market, market.id).status >= Status.SETTLED


def ended(house: House, customer: Customer) -> int:
    """How many of the customer's payouts have arrived or failed."""
    over = Payout.state.in_((PayoutState.PAID, PayoutState.FAILED))
    with house.rt.transaction() as tx:
        mine = select(Payout.id).where(Payout.customer_id == customer.id, over)
        return len(tx.scalars(mine).all())
