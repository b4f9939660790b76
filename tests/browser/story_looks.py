"""Every page that each role can reach: whole, legible, silent, and fit for a phone at night."""

import pytest

from core.staff import Role
from tests.browser import door, furniture, looks, stage
from tests.browser.house import until

BAD = """<html><head><title> </title></head><body><div id=a></div><div id=a></div>
<p style="color: #999; background: #fff">pale</p><input name=nameless><a href="/"></a>
<div style="width: 3000px">wide</div></body></html>"""
INJECTED = """() => {
  const script = document.createElement("script");
  script.textContent = "window.ran = true";
  document.body.append(script);
  fetch("https://elsewhere.example").catch(() => null);
}"""


def test_the_eye_sees_what_is_wrong(visitor):
    one = visitor("nobody")
    one.page.set_content(BAD)

    found = "\n".join(looks.faults(one, dark=True))

    for fault in (
        "no title", "no language", "0 main headings", "no main part", "scrolls sideways",
        "two of #a", "no label: nameless", "no name: <a", "style or script", "contrast 2.8",
        "the wrong colours",
    ):  # fmt: skip
        assert fault in found


def test_what_the_policy_stops_is_heard(visitor):
    one = visitor("mallory").go("/admin/sign-in")
    one.page.evaluate(INJECTED)

    until("it is heard", lambda: one.page.evaluate("true") and len(one.complaints) >= 2)

    heard = "\n".join(one.complaints)
    assert "policy: script-src-elem stopped inline" in heard
    assert "policy: connect-src stopped https://elsewhere.example" in heard
    assert one.page.evaluate("window.ran") is None
    one.complaints.clear()


@pytest.fixture(scope="module")
def furnished(home):
    """The house with something on every page."""
    furniture.furnish(home)
    return home


@pytest.mark.parametrize("role", Role)
def test_every_page_of_a_role_is_fit_to_be_seen_on_a_phone(furnished, visitor, role):
    """An admin, who sees most, sees it at night, and every list of it."""
    person, dark, seen = stage.hire(furnished, f"an {role}", role), role == Role.ADMIN, []
    visit = visitor(role, color_scheme="dark" if dark else "light", viewport=looks.PHONE)
    visit.go("/admin/sign-in")
    faults = looks.faults(visit, dark=dark)
    door.show_factors(visit, person)
    for path in looks.pages(visit, lists=dark):
        seen.append(looks.kind(path))
        faults += looks.faults(visit, dark=dark)
        visit.shot(looks.kind(path).strip("/").replace("/", "-"))

    assert not faults, "\n".join(faults)
    assert {"/admin/", "/admin/markets", "/admin/markets/N", "/admin/payouts"} <= set(seen)
    assert ("/admin/audit" in seen) == (role in (Role.AUDITOR, Role.ADMIN))
