"""Markets on the pages: from the draft to the last shilling, by two people who see the same."""

from datetime import timedelta

import pytest

from admin.looks import typed
from core import settlement, settling
from core.markets import Status
from tests import games, teller
from tests.pages import browser


@pytest.fixture
def wanjiku(at):
    return at("wanjiku")


@pytest.fixture
def kamau(at):
    return at("kamau")


@pytest.fixture
def market(rt, wanjiku, amina, brian):
    """KES 300 on Yes by Amina, 100 on No by Brian; the betting is over."""
    market = games.derby(rt, wanjiku.person.staff)
    games.placed(rt, amina, market, 1, 300)
    games.placed(rt, brian, market, 2, 100)
    games.close(rt, market, wanjiku.person.staff)
    return market


def page_of(market):
    return f"/admin/markets/{market.id}"


def newest(rt, market):
    return rt.attempt(lambda tx: settlement.newest(tx, market.id))


def test_a_market_from_its_draft_to_the_last_shilling(rt, wanjiku, kamau, amina, brian):
    closes = rt.now() + timedelta(hours=2)
    page = wanjiku.open("/admin/markets").follow("New market")
    page.press(
        "Keep the draft", question="Will Gor beat AFC?", outcomes="Yes\nNo", category="Football",
        closes=typed(closes), largest_stake="2,000",
    )  # fmt: skip
    page.sees("101 Will Gor beat AFC?", "draft", "KES 2,000.00", "wanjiku")
    page.press("Open the market").sees("Market 101 is open.", "open")
    market = rt.attempt(lambda tx: games.markets.live(tx, 101))
    games.placed(rt, amina, market, 1, 300)
    games.placed(rt, brian, market, 2, 100)
    with rt.transaction() as tx:
        games.markets.refresh_pools(tx)
    page.open(page_of(market)).sees("KES 400.00", "75%", "25%")
    page.follow("Close the market").sees("Close market 101?", "Will Gor beat AFC?", "Bets so far 2")
    page.press("Close the market").sees("Market 101 is closed.")
    page.open("/admin/").sees("101 Will Gor beat AFC?")

    page.open(page_of(market)).follow("Result")
    page.press("Preview", **{"1_yes": True}, source="FKF match report")
    page.sees("Won: 1 Yes", "KES 400.00", "KES 20.00", "KES 380.00", "The ten largest")
    seen = page.hash
    page.press("Propose").sees("Result: proposed.", "You have proposed this")
    assert page.hash == seen
    assert "Approve" not in page.buttons()

    page = kamau.open("/admin/")
    page.sees("by wanjiku").follow("Result")
    assert page.hash == seen
    page.sees("FKF match report", "Won: 1 Yes", "KES 380.00", "Float before", "Float after")
    page.press("Approve").sees("will be settled", "approved", "kamau")

    page.open(page_of(market)).sees("Settlement", "waiting")
    run = newest(rt, market)
    assert settling.work(rt, run.id)
    page.open(page_of(market)).sees("settled", "KES 380.00", "1 of 1", "100%")
    assert teller.clean(rt)


def test_a_draft_with_a_fault_comes_back_with_what_was_typed(wanjiku, rt):
    page = wanjiku.open("/admin/markets/new")
    page.press(
        "Keep the draft", question="Ring 0712 345 678?", outcomes="Yes\nNo", category="Football",
        closes=typed(rt.now() + timedelta(hours=2)),
    )  # fmt: skip
    assert page.status == 422
    assert page.messages
    assert "Ring 0712 345 678?" in page.html
    page.press(
        "Keep the draft", question="Call 0712 345 678", outcomes="Yes", closes="2020-01-01T10:00",
        least_stake="a lot",
    )  # fmt: skip
    faults = {one.get("id"): one for one in page.root.all("small") if one.get("class") == "fault"}
    named = [one for one in page.root.all("input", "textarea") if one.get("aria-invalid")]
    assert [one.get("aria-describedby") for one in named] == list(faults)
    assert [one.get("name") for one in named] == ["question", "outcomes", "closes_at", "min_stake"]
    page.press(
        "Keep the draft", question="Will it rain?", outcomes="Yes\nNo", least_stake="",
        closes=typed(rt.now() + timedelta(hours=2)),
    ).sees("is drafted")  # fmt: skip
    page.follow("Edit the draft").press("Keep the changes", question="Will it hail?")
    page.sees("is changed", "Will it hail?", "→ Will it hail?")


def test_the_betting_is_paused_moved_and_goes_on(wanjiku, rt):
    market = games.derby(rt, wanjiku.person.staff)
    page = wanjiku.open(page_of(market)).press("Pause the betting", why="a goal")
    page.sees("takes no bets for now", "suspended", "a goal")
    page.press("Take bets again").sees("takes bets again")
    later = typed(rt.now() + timedelta(hours=5))
    page.press("Move it, and tell its backers", new_closing_time=later, why="rain")
    page.sees("closes at another time", later.replace("T", " "))
    page.press("Move it, and tell its backers", new_closing_time="2020-01-01T10:00", why="rain")
    page.sees("closing time")


def test_the_second_person_says_no(wanjiku, kamau, market, rt):
    proposed(wanjiku, market)
    page = kamau.open("/admin/approvals").follow("Result")
    page.press("Refuse", reason="it was a draw").sees("Refused.", "refused")
    page.sees("Refused by", "Won: 1 Yes", "KES 380.00", "The ten largest")
    page.open(page_of(market)).sees("refuse result", "it was a draw")
    assert status(rt, market) == Status.CLOSED


def test_the_proposer_takes_it_back(wanjiku, market, rt):
    proposed(wanjiku, market).press("Take it back").sees("Refused.")
    assert status(rt, market) == Status.CLOSED


def test_a_void_and_its_second_yes(wanjiku, kamau, market, rt):
    page = wanjiku.open(page_of(market)).follow("Void")
    page.press("Preview", source="abandoned").sees("Void: every stake goes back", "KES 400.00")
    page.press("Propose")
    kamau.open(page.path).sees("Void: every stake goes back").press("Approve").sees("settled from")
    run = newest(rt, market)
    assert (run.void, run.winners) == (True, [])


def test_an_early_close_is_told_wherever_the_result_is(wanjiku, kamau, rt, amina, brian, wait):
    market = games.derby(rt, wanjiku.person.staff)
    games.placed(rt, amina, market, 1, 300)
    games.placed(rt, brian, market, 2, 100)
    wait(minutes=3)
    cut = typed(rt.now())
    wait(minutes=3)
    games.placed(rt, amina, market, 1, 50)
    games.close(rt, market, wanjiku.person.staff)
    browser.enter(rt, wanjiku)
    when = cut.replace("T", " ")
    page = wanjiku.open(page_of(market)).follow("Result")
    page.press("Preview", **{"1_yes": True}, source="FKF", bets_after_this_moment=cut)
    page.press("Propose").sees(f"Bets after {when} came too late")
    put = page.path
    page.open(page_of(market)).sees(f"Bets after {when} would come too late")
    browser.enter(rt, kamau)
    kamau.open(put).press("Approve").sees(f"Bets after {when} came too late")
    assert settling.work(rt, newest(rt, market).id)
    kamau.open(page_of(market)).sees(f"counts as closed at {when}", "KES 50.00 in all")
    # What was decided is told as it was before, but for what moves by itself.
    told = ("Won: 1 Yes", "KES 450.00", "KES 20.00", "KES 380.00", "The ten largest", "Approved by")
    kamau.open(put).sees(*told, f"Bets after {when} came too late").misses("Float")
    kamau.open(f"{page_of(market)}/closing").sees("nothing to close")
    assert "Close the market" not in kamau.buttons()


def test_a_wrong_result_is_corrected(wanjiku, kamau, market, rt, wait):
    run = games.decide(rt, market, 1, proposer=wanjiku.person.staff, approver=kamau.person.staff)
    assert settling.work(rt, run.id)
    page = wanjiku.open(page_of(market)).follow("Correct the result")
    page.press("Preview", source="FKF, again").sees("Say who won")
    page.press("Preview", **{"2_no": True}, source="FKF, again")
    page.sees("Won: 2 No", "Instead of: 1 Yes", "To be taken back first: KES 400.00")
    page.press("Propose")
    kamau.open(page.path).sees("Correction", "Instead of: 1 Yes").press("Approve")
    kamau.sees("will be settled")
    again = newest(rt, market)
    assert (again.corrects, again.winners) == (run.id, [2])


def test_an_outcome_is_withdrawn(wanjiku, kamau, amina, rt):
    market = games.derby(rt, wanjiku.person.staff, "Gor", "AFC", "Draw")
    games.placed(rt, amina, market, 3, 50)
    with rt.transaction() as tx:
        games.markets.refresh_pools(tx)
    page = wanjiku.open(page_of(market)).follow("Withdraw an outcome")
    page.press("Preview", **{"3_draw": True}, source="no draws in a cup")
    page.sees("Withdrawn", "Draw", "KES 50.00").press("Propose")
    kamau.open(page.path).sees("Draw", "KES 50.00").press("Approve").sees("go back")
    kamau.open(page_of(market)).sees("Draw (withdrawn)")


def test_a_settlement_is_paused_and_goes_on(wanjiku, kamau, market, rt):
    games.decide(rt, market, 1, proposer=wanjiku.person.staff, approver=kamau.person.staff)
    page = wanjiku.open(page_of(market)).press("Pause the settlement", why="a protest")
    page.sees("The settlement is paused.", "Paused by wanjiku", "a protest")
    page.open("/admin/").sees("is paused.")
    page.open(page_of(market)).press("Resume the settlement", why="rejected")
    page.sees("goes on").misses("Paused by wanjiku")


def test_progress_is_a_part_of_the_page_for_scripts_alone(wanjiku, kamau, market, rt):
    games.decide(rt, market, 1, proposer=wanjiku.person.staff, approver=kamau.person.staff)
    assert wanjiku.open(f"{page_of(market)}/progress").path == page_of(market)
    answer = wanjiku.client.get(f"{page_of(market)}/progress", headers={"HX-Request": "true"})
    part = answer.get_data(as_text=True)
    assert "<progress" in part
    assert "<html" not in part
    assert "every 2s" in part
    wanjiku.client.delete_cookie("staff")
    answer = wanjiku.client.get(f"{page_of(market)}/progress", headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"] == "/admin/sign-in"


def test_what_was_seen_must_still_be_so_when_it_is_proposed(wanjiku, market):
    wanjiku.open(f"{page_of(market)}/result?winners=1&source=FKF")
    answer = wanjiku.post(
        f"{page_of(market)}/result", winners="2", source="FKF", hash=wanjiku.hash,
        referer=page_of(market), follow=True,
    )  # fmt: skip
    answer.sees("This is not what you saw")


def test_a_page_of_an_ended_market_does_nothing_to_the_one_that_has_its_code(
    wanjiku, kamau, rt, wait
):
    old = games.derby(rt, wanjiku.person.staff)
    games.settle(rt, old, None, proposer=wanjiku.person.staff, approver=kamau.person.staff)
    wait(days=40)
    browser.enter(rt, wanjiku)
    new = games.derby(rt, wanjiku.person.staff, question="Another question")
    assert new.code == old.code
    wanjiku.open(page_of(old)).sees("void").misses("Another question")
    answer = wanjiku.post(f"{page_of(old)}/closing")
    assert answer.status_code == 404
    assert status(rt, new) == Status.OPEN


def proposed(one, market):
    page = one.open(page_of(market)).follow("Result")
    page.press("Preview", **{"1_yes": True}, source="FKF")
    return page.press("Propose")


def status(rt, market):
    return rt.attempt(lambda tx: Status(tx.get_one(games.markets.Market, market.id).status))
