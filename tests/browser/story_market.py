"""Two people at two browsers take a market from its draft to the last payment, by four eyes."""

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import func, select

from core import ledger
from core.markets import Market
from core.payments import Payout, PayoutState
from core.proposals import Proposal, ProposalState
from core.say import say
from core.staff import Role
from tests import games
from tests.browser import desk, door, stage
from tests.browser.house import until

CUSTOMERS = ("Amina Wanjiru", "Brian Otieno")
NOT_REGISTERED = 2040  # how M-PESA says that nobody has this number
SOURCE = "FKF match report"
STAKE, AGAINST, WON = 100, 200, 285_00  # of 300 the house keeps five in a hundred


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_two_people_take_a_market_from_draft_to_the_last_payment(home, visitor, script):
    names = ("wanjiku", "kamau") if script else ("wafula", "kiprono")
    one, two = stage.hire(home, names[0]), stage.hire(home, names[1], Role.ADMIN)
    amina, brian = (stage.customer(home, name, shillings=500) for name in CUSTOMERS)
    refuse_payment(home, amina)
    maker, checker = (visitor(name, java_script_enabled=script) for name in names)
    door.sign_in(maker, one)
    question = f"Will Gor beat AFC for {names[0]}?"
    number = desk.draft(maker, question, "Gor wins", "AFC or a draw")
    desk.press(maker, "Open the market")
    desk.done(maker, "open")
    bet(home, number, (amina, 1, STAKE), (brian, 2, AGAINST))

    shown = close_and_propose(maker, number)
    door.sign_in(checker, two)
    checker.shot("home")
    checker.page.get_by_role("link", name=re.compile(f"Result.*{re.escape(question)}")).click()
    assert desk.seen_hash(checker) == shown
    with home.resting("default"):  # whoever settles waits until somebody watches
        approve_with_a_fresh_code(checker, two, shown)
        checker.go(f"/admin/markets/{number}")
        expect(desk.state(checker)).to_have_text("approved")
        expect(desk.bar(checker)).to_have_attribute("value", "0")
        checker.shot("to-be-settled")
    watch_to_the_end(checker, script=script)

    until("M-PESA refuses", lambda: payouts(home, amina) == [(PayoutState.FAILED, WON)])
    retry(checker, payout_number(home, amina))
    until("amina is paid", lambda: payouts(home, amina)[-1] == (PayoutState.PAID, WON))
    with home.rt.transaction() as tx:
        assert ledger.balance(tx, amina.id) == (500 - STAKE) * 100
        assert ledger.balance(tx, brian.id) == (500 - AGAINST) * 100
    assert home.broken() == []


def test_nobody_approves_their_own_whatever_their_browser_sends(home, visitor):
    njeri, number = stage.hire(home, "njeri", Role.ADMIN), closed_market(home, "otieno")
    visit = door.sign_in(visitor("njeri"), njeri)
    visit.go(f"/admin/markets/{number}")
    desk.preview(visit, "Yes", SOURCE)
    desk.press(visit, "Propose")
    proposal = desk.number_in(visit)
    visit.shot("own")
    expect(visit.page.get_by_text("somebody else says yes")).to_be_visible()

    form = {
        "csrf_token": visit.page.locator("[name=csrf_token]").first.get_attribute("value"),
        "hash": desk.seen_hash(visit),
    }
    sent = visit.context.request.post(
        f"{home.url}/admin/approvals/results/{proposal}/approval",
        form=form, headers={"Referer": visit.page.url},
    )  # fmt: skip

    assert say("staff.own_proposal", "en") in sent.text()
    with home.rt.transaction() as tx:
        assert tx.get_one(Proposal, proposal).state == ProposalState.PENDING
        assert tx.get_one(Proposal, proposal).decided_by is None
    desk.press(visit, "Take it back")
    desk.done(visit, "Refused")


def test_a_stale_factor_is_asked_again_and_a_wrong_one_does_nothing(home, visitor):
    number = closed_market(home, "mutua")
    makena, _ = stage.hire(home, "makena"), stage.hire(home, "nekesa")
    visit = door.sign_in(visitor("makena"), makena)
    visit.go(f"/admin/markets/{number}")
    home.wait(minutes=6)

    visit.page.get_by_role("button", name="Result", exact=True).click()
    expect(visit.page.get_by_role("heading", name="Your code again")).to_be_visible()
    visit.shot("again")
    visit.page.get_by_label("Code").fill("000000")
    desk.press(visit, "Go on")
    desk.refused(visit, "code")
    door.show_code(visit, makena)

    expect(visit.page.get_by_role("heading", name="Result")).to_be_visible()
    visit.page.get_by_label("Yes").check()
    visit.page.get_by_label("Source").fill(SOURCE)
    desk.press(visit, "Preview")
    home.wait(minutes=6)
    desk.press(visit, "Propose")
    expect(visit.page.get_by_role("heading", name="Your code again")).to_be_visible()
    with home.rt.transaction() as tx:
        subject = Proposal.content["market"].as_integer() == number
        assert tx.scalar(select(Proposal.id).where(subject)) is None


def close_and_propose(visit, market_id):
    """No more bets, and what the result would do put before a second person; the hash of it."""
    visit.go(f"/admin/markets/{market_id}").shot("open")
    desk.press(visit, "Close the market")
    expect(visit.page.get_by_role("heading", name="Close market")).to_be_visible()
    visit.shot("closing")
    desk.press(visit, "Close the market")
    expect(desk.state(visit)).to_have_text("closed")
    shown = desk.preview(visit, "Gor wins", SOURCE)
    desk.press(visit, "Propose")
    desk.done(visit, "proposed")
    assert desk.seen_hash(visit) == shown
    expect(visit.page.get_by_role("button", name="Approve")).to_have_count(0)
    return shown


def approve_with_a_fresh_code(visit, person, shown):
    """Say yes: the code of minutes ago does not do, and nothing is done before the fresh one."""
    expect(visit.page.get_by_text("Won: 1 Gor wins")).to_be_visible()
    visit.shot("approval")
    visit.house.wait(minutes=6)
    desk.press(visit, "Approve")
    door.show_code(visit, person)
    assert desk.seen_hash(visit) == shown
    desk.press(visit, "Approve")
    desk.done(visit, "will be settled")


def retry(visit, payout_id):
    """Find it among those that failed, and have it paid anew."""
    visit.go("/admin/payouts?list=failed")
    visit.page.get_by_role("link", name=f"P{payout_id}", exact=True).click()
    desk.press(visit, "Retry")
    desk.done(visit, "paid anew")
    visit.shot("retried")


def refuse_payment(house, customer):
    """M-PESA will refuse the next payment to this customer."""
    house.network.fault("resultCode", "b2c", phone=customer.phone, code=NOT_REGISTERED)


def bet(house, market_id, *bets):
    """What customers do meanwhile, on their phones."""
    with house.rt.transaction() as tx:
        market = tx.get_one(Market, market_id)
    for customer, outcome, shillings in bets:
        games.placed(house.rt, customer, market, outcome, shillings)


def watch_to_the_end(visit, *, script):
    """The bar reaches its end: by itself where there is script, else by asking again."""
    if not script:
        until("it is settled", lambda: visit.page.reload() and ended(visit))
    expect(desk.state(visit)).to_have_text("settled", timeout=desk.SETTLED)
    expect(desk.bar(visit)).to_have_attribute("value", "100")
    visit.shot("settled")


def ended(visit):
    """Whether the heading says so."""
    return desk.state(visit).inner_text() == "settled"


def closed_market(house, name):
    """A market that waits for its result, by a trader who is not in the story."""
    trader = stage.hire(house, name).staff
    market = games.derby(house.rt, trader)
    games.close(house.rt, market, trader)
    return market.id


def payouts(house, customer):
    """How the customer's payouts stand, and their amounts, in the order in which they were made."""
    mine = Payout.customer_id == customer.id
    with house.rt.transaction() as tx:
        found = tx.scalars(select(Payout).where(mine).order_by(Payout.id))
        return [(payout.state, payout.amount) for payout in found]


def payout_number(house, customer):
    """The number of the customer's first payout."""
    with house.rt.transaction() as tx:
        return tx.scalar(select(func.min(Payout.id)).where(Payout.customer_id == customer.id))
