"""What staff do at their desks: the buttons they press, and the words they look for."""

import re
from datetime import timedelta

from playwright.sync_api import Locator, expect

from core.say import NAIROBI
from tests.browser.visit import Visit

SETTLED = 60_000  # milliseconds at the most, from the second yes to the last text


def press(visit: Visit, name: str) -> None:
    """Press the one button of that name."""
    visit.page.get_by_role("button", name=name, exact=True).click()


def done(visit: Visit, words: str) -> None:
    """The page says that it was done."""
    expect(visit.page.get_by_role("status")).to_contain_text(words)


def refused(visit: Visit, words: str) -> None:
    """The page says why not."""
    expect(visit.page.get_by_role("alert").filter(has_text=words)).to_be_visible()


def state(visit: Visit) -> Locator:
    """What the heading says of how it stands."""
    return visit.page.locator("h1 .state")


def bar(visit: Visit) -> Locator:
    """The progress of the settlement."""
    return visit.page.get_by_role("progressbar", name="How far the settlement is")


def draft(visit: Visit, question: str, *outcomes: str) -> int:
    """A new market that closes in two hours; its number."""
    closes = visit.house.rt.now().astimezone(NAIROBI) + timedelta(hours=2)
    page = visit.go("/admin/markets").page
    page.get_by_role("button", name="New market").click()
    page.get_by_label("Question").fill(question)
    page.get_by_label("Outcomes").fill("\n".join(outcomes))
    page.get_by_label("Category").select_option("Football")
    page.get_by_label("Closes").fill(f"{closes:%Y-%m-%dT%H:%M}")
    visit.shot("new-market")
    press(visit, "Keep the draft")
    expect(state(visit)).to_have_text("draft")
    visit.shot("draft")
    return number_in(visit)


def preview(visit: Visit, winner: str, source: str) -> str:
    """Say who won, and see what that would do; the hash of it."""
    visit.page.get_by_role("button", name="Result", exact=True).click()
    visit.page.get_by_label(winner).check()
    visit.page.get_by_label("Source").fill(source)
    press(visit, "Preview")
    visit.shot("preview")
    return seen_hash(visit)


def seen_hash(visit: Visit) -> str:
    """The hash on the page."""
    return str(visit.page.locator("[data-hash]").get_attribute("data-hash"))


def number_in(visit: Visit) -> int:
    """The number of what the page is about."""
    found = re.search(r"/(\d+)(?:\?|$)", visit.page.url)
    assert found, visit.page.url
    return int(found[1])
