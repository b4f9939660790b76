"""Whoever has no mouse gets everywhere."""

from playwright.sync_api import expect

from tests.browser import door, stage


def test_the_keyboard_alone_signs_in_and_searches(home, visitor):
    imani = stage.hire(home, "imani")
    visit = visitor("imani").go("/admin/markets")
    keys, page = visit.page.keyboard, visit.page
    expect(page.get_by_label("Name")).to_be_focused()  # a busy browser does so after it has loaded
    for typed in (imani.name, imani.password, imani.authenticator.code()):
        keys.type(typed)
        keys.press("Tab")
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Markets", exact=True)).to_be_visible()

    keys.press("/")
    search = page.get_by_label("Search markets, payouts and customers")
    expect(search).to_be_focused()
    expect(search).to_have_value("")
    keys.type("a/b")  # a slash that is typed is a slash
    expect(search).to_have_value("a/b")
    keys.press("Enter")
    expect(page.get_by_text("Nothing was found for “a/b”.")).to_be_visible()
    visit.shot("found-nothing")


def test_the_first_tab_skips_to_the_content(home, visitor):
    visit = door.sign_in(visitor("jabali"), stage.hire(home, "jabali")).go("/admin/markets")
    skip = visit.page.get_by_role("link", name="Skip to the content")
    visit.page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport(ratio=1)
    visit.shot("skip-link")
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("main")).to_be_focused()


def test_a_search_goes_on_while_one_types(home, visitor):
    visit = door.sign_in(visitor("kerubo"), stage.hire(home, "kerubo")).go("/admin/search")
    box = visit.page.get_by_role("main").get_by_role("searchbox")
    box.press_sequentially("P999999")
    expect(visit.page.locator("#found")).to_contain_text("Nothing was found for “P999999”.")
    assert visit.page.url.endswith("/admin/search")
