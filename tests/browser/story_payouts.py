"""Somebody of finance finds payments that M-PESA did not make, and has them made again."""

from playwright.sync_api import expect
from sqlalchemy import select

from core.payments import Payout, PayoutState
from core.staff import Role
from tests import cashier
from tests.browser import desk, door, stage
from tests.browser.house import until

NOT_REGISTERED = 2040


def test_a_failed_payout_is_found_explained_and_retried(home, visitor):
    akinyi = stage.hire(home, "akinyi", Role.FINANCE)
    customer = stage.customer(home, "Cherono Rotich", shillings=1_000)
    number = failed(home, customer, 300)
    visit = door.sign_in(visitor("akinyi"), akinyi)
    visit.page.get_by_role("link", name="Payouts", exact=True).click()
    visit.shot("payouts")
    visit.page.get_by_role("link", name="Failed").click()
    visit.shot("failed")
    visit.page.get_by_role("link", name=f"P{number}", exact=True).click()
    expect(visit.page.get_by_text("The customer is not registered.")).to_be_visible()
    expect(visit.page.get_by_text(customer.phone)).to_have_count(0)
    visit.shot("failed-one")
    desk.press(visit, "Show the number")
    expect(visit.page.get_by_text(customer.phone)).to_be_visible()
    visit.shot("number")

    home.wait(minutes=6)
    visit.go(f"/admin/payouts/{number}")
    desk.press(visit, "Retry")
    door.show_code(visit, akinyi)
    desk.press(visit, "Retry")

    desk.done(visit, "paid anew")
    until("it arrives", lambda: states(home, customer) == [PayoutState.FAILED, PayoutState.PAID])
    visit.go(f"/admin/payouts/{number}")
    expect(visit.page.get_by_role("button", name="Retry")).to_have_count(0)
    visit.shot("retried")


def test_all_that_failed_is_retried_at_once_and_each_only_once(home, visitor):
    adhiambo = stage.hire(home, "adhiambo", Role.FINANCE)
    customers = [
        stage.customer(home, name, shillings=500) for name in ("Dalmas Wekesa", "Esther Muthoni")
    ]
    for customer in customers:
        failed(home, customer, 100)
    visit = door.sign_in(visitor("adhiambo"), adhiambo)
    visit.go("/admin/payouts?list=failed")
    desk.press(visit, "Retry all failed")
    desk.done(visit, "paid anew")
    for customer in customers:
        until("it arrives", lambda one=customer: states(home, one)[-1] == PayoutState.PAID)
    desk.press(visit, "Retry all failed")
    desk.done(visit, "0 paid anew")
    visit.shot("all-retried")
    assert [len(states(home, customer)) for customer in customers] == [2, 2]


def failed(house, customer, shillings):
    """A withdrawal that M-PESA refuses, as it does once for each of these customers."""
    house.network.fault("resultCode", "b2c", phone=customer.phone, code=NOT_REGISTERED)
    number = cashier.withdraw(house.rt, customer, shillings)
    until("M-PESA refuses", lambda: states(house, customer) == [PayoutState.FAILED])
    return number


def states(house, customer):
    """How the customer's payouts stand, in the order in which they were asked for."""
    with house.rt.transaction() as tx:
        mine = select(Payout.state).where(Payout.customer_id == customer.id)
        return list(tx.scalars(mine.order_by(Payout.id)))
