"""An auditor reads what was done and proves that nothing of it was changed since."""

from playwright.sync_api import expect

from core.staff import Role
from tests.browser import desk, door, stage


def test_an_auditor_finds_a_deed_and_verifies_the_chain(home, visitor):
    trader, auditor = stage.hire(home, "tumaini"), stage.hire(home, "upendo", Role.AUDITOR)
    maker = door.sign_in(visitor("tumaini"), trader)
    noted = note(maker.go("/admin/").page)
    number = desk.draft(maker, "Snow in Nairobi?", "Yes", "No")
    desk.press(maker, "Open the market")
    desk.done(maker, "open")

    visit = door.sign_in(visitor("upendo"), auditor)
    page = visit.page
    page.get_by_role("link", name="Audit", exact=True).click()
    page.get_by_label("About").fill(f"market:{number}")
    desk.press(visit, "Filter")
    row = page.get_by_role("row").filter(has_text="market open")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("tumaini")
    visit.shot("filtered")

    page.get_by_text("Verify the chain").click()
    page.get_by_label("Line that was noted").fill(noted[0])
    page.get_by_label("Its hash").fill(noted[1])
    desk.press(visit, "Verify")
    desk.done(visit, "lines are whole")
    visit.shot("verified")
    page.get_by_text("Verify the chain").click()
    page.get_by_label("Line that was noted").fill(noted[0])
    page.get_by_label("Its hash").fill("0" * 64)
    desk.press(visit, "Verify")
    desk.refused(visit, "the log was rewritten")


def note(page):
    """Where the audit stood, as Home shows it to whoever has signed in."""
    lines = page.locator(".head p").first.inner_text()
    head = page.locator("[data-hash]").get_attribute("data-hash")
    return "".join(filter(str.isdigit, lines)), head
