"""What every page is: headers, no style or script inside, labels, one heading, in its own frame."""

import re
from collections import Counter
from hashlib import sha256

import pytest

from admin import layout
from core.staff import Role
from tests.pages import browser, stage
from tests.pages.browser import Reader

POLICY = {
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
    "connect-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'",
}  # fmt: skip
NUMBER = re.compile(r"\d+")
VENDOR = layout.STATIC / "vendor"


@pytest.fixture
def house(rt, amina, brian):
    return stage.furnish(rt, amina, brian)


def crawl(one, start="/admin/"):
    """Every page that links lead to; of pages that differ by a number only, two."""
    waiting, known, kinds = [start], {start}, Counter()
    while waiting:
        path = waiting.pop(0)
        kind = NUMBER.sub("N", path)
        if kinds[kind] == 2:
            continue
        kinds[kind] += 1
        yield one.open(path)
        for link in one.links():
            if link.startswith("/admin") and link not in known:
                known.add(link)
                waiting.append(link)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.SUPPORT])
def test_every_page_is_whole(at, house, role):
    one = at("ada", role)
    opened = 0
    for page in crawl(one):
        opened += 1
        assert page.status == 200, page.path
        whole(page)
    assert opened > (25 if role == Role.ADMIN else 12)


@pytest.mark.parametrize("path", ["/admin/sign-in", "/admin/enrol"])
def test_the_pages_of_the_door_are_whole(stranger, path):
    whole(stranger.open(path))


def whole(page):
    """A page is what every page is."""
    answer, root = page.answer, page.root
    policy = {part.strip() for part in answer.headers["Content-Security-Policy"].split(";")}
    assert policy == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in answer.headers
    assert len(list(root.all("h1"))) == 1, page.path
    assert next(root.all("title")).text.endswith("- House")
    assert page.text.startswith("Skip to the content TEST")
    everything = list(root.all(*TAGS))
    for one in root.all("script", "style"):
        assert one.tag == "script", f"{page.path}: a style inside"
        assert one.get("src").startswith("/admin/static/"), page.path
        assert not one.text
    for one in everything:
        loud = [name for name in one.attributes if name.startswith("on") or name == "style"]
        assert not loud, (page.path, one.tag, loud)
    for one in root.all("input", "select", "textarea"):
        if one.get("type") != "hidden":
            assert labelled(root, one), (page.path, one.get("name"))
    for form in page.forms():
        if form.get("method") == "post":
            assert any(one.get("name") == "csrf_token" for one in form.all("input")), page.path


def labelled(root, one):
    above = one.above
    while above is not None:
        if above.tag == "label":
            return above.text
        above = above.above
    named = {label.get("for") for label in root.all("label")}
    return one.get("aria-label") or one.get("id") in named


TAGS = (
    "html", "body", "main", "a", "p", "div", "span", "form", "input", "button", "label", "table",
    "td", "th", "tr", "svg", "path", "progress", "meter", "section", "nav", "ul", "li", "dl", "dd",
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/admin/nothing", 404, "There is no such page"),
        ("GET", "/admin/markets/999", 404, "There is no such page"),
        ("GET", "/admin/markets/99999999999999999999999", 404, "There is no such page"),
        ("GET", "/admin/markets?list=none", 404, "There is no such page"),
        ("DELETE", "/admin/markets", 405, "not asked in this way"),
        ("POST", "/admin/sign-out", 400, "too old, or not one of ours"),
        ("GET", "/admin/staff/new", 403, "Your role does not allow this"),
        ("GET", "/admin/audit", 403, "Your role does not allow this"),
    ],
)
def test_what_goes_wrong_is_said_in_the_frame(at, method, path, status, words):
    one = at("wanjiku", Role.TRADER)
    answer = one.client.open(path, method=method)
    page = one._take(answer)
    assert page.status == status
    page.sees(words, "wanjiku", "Markets")
    whole(page)
    assert method != "DELETE" or "GET" in answer.headers["Allow"]


def test_a_form_that_is_too_large_is_refused_in_the_frame(at):
    one = at("wanjiku")
    one.open("/admin/markets/new")
    answer = one.post("/admin/markets/new", question="x" * 20_000)
    assert one._take(answer).status == 413
    one.sees("larger than any form of ours")


def test_a_fault_of_ours_is_said_in_the_frame_and_tells_nothing(at, rt, monkeypatch):
    from admin import queries  # noqa: PLC0415

    one = at("wanjiku")
    monkeypatch.delattr(queries, "waiting")
    page = one._take(one.client.get("/admin/approvals"))
    assert page.status == 500
    page.sees("Our fault").misses("waiting", "Traceback")


def test_what_others_wrote_is_as_they_published_it():
    lines = [line.split() for line in (layout.STATIC / "vendor.txt").read_text().splitlines()[1:]]
    listed = {name: digest for name, *_, digest in lines}
    assert {f"vendor/{path.name}" for path in VENDOR.iterdir()} == set(listed)
    for name, digest in listed.items():
        assert sha256((layout.STATIC / name).read_bytes()).hexdigest() == digest, name


def test_static_files_are_kept_by_browsers_under_their_own_address(stranger):
    page = stranger.open("/admin/sign-in")
    addresses = [one.get("src") for one in page.root.all("script")]
    addresses += [one.get("href") for one in page.root.all("link")]
    assert len(addresses) == 5
    for address in addresses:
        answer = stranger.client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        bare = stranger.client.get(address.partition("?")[0])
        assert bare.headers["Cache-Control"] == "no-cache"
    for name in ("../layout.py", "vendor", "..%2flayout.py", "nothing.css"):
        assert stranger.client.get(f"/admin/static/{name}").status_code == 404


def test_the_environment_is_the_first_line_and_red_in_production(at, rt, app):
    one = at("wanjiku")
    line = next(one.open("/admin/").root.all("p"))
    assert (line.get("class"), line.text) == ("environment test", "TEST: no real money")
    object.__setattr__(rt.config, "app_env", "production")
    page = Reader(one.client.get("/admin/nothing").get_data(as_text=True)).root
    line = next(page.all("p"))
    assert (line.get("class"), line.text) == ("environment production", "PRODUCTION")
    css = (layout.STATIC / "house.css").read_text()
    assert ".environment.production { background: #b00020" in css


def test_in_production_browsers_keep_to_https(at, rt):
    one = at("wanjiku")
    object.__setattr__(rt.config, "app_env", "production")
    answer = one.client.get("/admin/sign-in")
    assert "max-age=" in answer.headers["Strict-Transport-Security"]


def test_the_navigation_is_by_role(at):
    for role, audit in ((Role.TRADER, False), (Role.AUDITOR, True)):
        one = at(f"a{role.value}", role).open("/admin/")
        assert ("/admin/audit" in one.links()) is audit


def test_other_doors_speak_as_they_did(stranger):
    answer = stranger.client.get("/nothing")
    assert answer.mimetype == "text/plain"
    assert "Content-Security-Policy" not in answer.headers
    assert browser  # the driver itself is no page
