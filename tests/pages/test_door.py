"""Coming in: the whole story of a new person, and every way in which the door stays shut."""

from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select

from core import audit, staff_access, staff_sessions
from core.staff import Role
from core.staff_sessions import StaffSession
from tests import people, staff_people
from tests.ground import config_for
from tests.pages import browser

PASSWORD = "purple giraffe eats 17 lemons"


@pytest.fixture
def ada(rt):
    return staff_people.enrolled(rt, "ada", Role.FINANCE)


def enter(browser, person, **changes):
    typed = {"name": person.name, "password": PASSWORD, "code": person.code()} | changes
    return browser.open("/admin/sign-in").press("Sign in", **typed)


def test_whoever_is_invited_enrols_signs_in_and_goes(rt, stranger):
    member = people.member(rt, "njoki", Role.TRADER)
    with rt.transaction() as tx:
        code = staff_access.invite(tx, member, now=rt.now(), config=rt.config)

    page = stranger.open("/admin/enrol").press("Go on", name="njoki", enrolment_code=code)
    assert page.title == "Enrol, njoki"
    assert any(page.root.all("svg"))
    secret = next(one.text for one in page.root.all("code") if one.get("class") == "secret")
    totp = pyotp.TOTP(secret.replace(" ", ""))
    step = int(rt.now().timestamp()) // 30

    page.press("Enrol", password=PASSWORD, password_once_more="another", code="000000")
    assert page.status == 422
    page.sees("not the same")
    typed = {"password": PASSWORD, "password_once_more": PASSWORD, "code": totp.at(step * 30)}
    page.press("Enrol", **typed)
    codes = [one.text for one in page.root.all("code")]
    assert page.title == "Recovery codes"
    assert len(codes) == 10

    page.follow("I have them")
    page.press("Sign in", name="njoki", password=PASSWORD, code=codes[0])
    assert (page.title, page.path) == ("Home", "/admin/")
    page.sees("njoki", "trader")

    page.press("Sign out")
    assert page.title == "Sign in"
    assert page.open("/admin/markets").title == "Sign in"


def test_whoever_began_with_somebody_elses_code_does_not_know_their_seed(rt, app, stranger):
    member = people.member(rt, "njoki", Role.ADMIN)
    with rt.transaction() as tx:
        code = staff_access.invite(tx, member, now=rt.now(), config=rt.config)
    thief = browser.Browser(app)
    for one in (thief, stranger):
        one.open("/admin/enrol").press("Go on", name="njoki", enrolment_code=code)
    known, hers = (seed_on(one) for one in (thief, stranger))
    assert known != hers
    typed = {"password": PASSWORD, "password_once_more": PASSWORD}
    page = thief.press("Enrol", **typed, code=pyotp.TOTP(known).at(rt.now()))
    assert (page.title, page.messages[0][:27]) == ("Enrol", "Somebody began this enrolme")
    assert hers not in page.html
    page = stranger.press("Enrol", **typed, code=pyotp.TOTP(hers).at(rt.now()))
    assert page.title == "Recovery codes"


def seed_on(page):
    secret = next(one.text for one in page.root.all("code") if one.get("class") == "secret")
    return secret.replace(" ", "")


def test_the_door_says_one_thing_whatever_was_wrong(rt, stranger, ada):
    said = set()
    for wrong in ({"name": "nobody"}, {"password": "other"}, {"code": ada.wrong_code()}):
        page = enter(stranger, ada, **wrong)
        assert page.title == "Sign in"
        said.add(tuple(page.messages))
    assert len(said) == 1
    assert rt.attempt(lambda tx: tx.scalars(select(StaffSession)).all()) == []


def test_after_signing_in_one_is_where_one_wanted_to_be(stranger, ada):
    page = stranger.open("/admin/payouts?list=failed")
    assert page.title == "Sign in"
    page.press("Sign in", name="ada", password=PASSWORD, code=ada.code())
    assert page.path == "/admin/payouts?list=failed"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)",
     "/admin//../hooks", "/admin/api/markets", "/readyz", "/admin/\r\nSet-Cookie: a=b"],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(stranger, ada, elsewhere):
    stranger.open("/admin/sign-in")
    answer = stranger.post(
        "/admin/sign-in", name="ada", password=PASSWORD, code=ada.code(), next=elsewhere
    )
    assert answer.status_code == 303
    assert answer.location.startswith("/admin/")
    assert not answer.location.startswith("/admin/api")


@pytest.mark.parametrize(
    "path", ["/admin", "/admin//markets?x=1", "//admin//staff", "//evil//admin"]
)
def test_no_redirect_names_a_host_that_a_stranger_gave(stranger, path):
    answer = stranger.client.get(path, headers={"Host": "evil.example"})
    if answer.status_code in range(300, 400):
        assert answer.headers["Location"].startswith("/")
        assert not answer.headers["Location"].startswith("//")
    assert "evil.example" not in str(answer.headers)


def test_cookies_are_for_this_house_alone(stranger, ada):
    stranger.open("/admin/sign-in")
    form = stranger.answer.headers.getlist("Set-Cookie")
    answer = stranger.post("/admin/sign-in", name="ada", password=PASSWORD, code=ada.code())
    cookies = [*form, *answer.headers.getlist("Set-Cookie")]
    assert {one.partition("=")[0] for one in cookies} >= {"staff", "form"}
    for cookie in cookies:
        parts = {part.strip() for part in cookie.split(";")[1:]}
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= parts, cookie
        assert not any(part.startswith("Domain") for part in parts)


def test_the_session_is_in_no_page_and_not_in_the_database(rt, stranger, ada):
    page = enter(stranger, ada)
    token = stranger.client.get_cookie("staff").value
    assert len(token) >= 43
    assert token not in page.html
    kept = rt.attempt(lambda tx: tx.scalars(select(StaffSession)).one())
    assert token.encode() not in kept.token


def test_a_session_ends_when_nobody_uses_it(stranger, ada, rt, wait):
    page = enter(stranger, ada)
    wait(minutes=29)
    assert page.open("/admin/markets").title == "Markets"
    wait(minutes=29)
    assert page.open("/admin/markets").title == "Markets"
    wait(minutes=31)
    assert page.open("/admin/markets").title == "Sign in"


def test_a_session_ends_after_twelve_hours(stranger, ada, wait):
    page = enter(stranger, ada)
    for _ in range(25):
        wait(minutes=29)
        page.open("/admin/markets")
    assert page.title == "Sign in"


def test_whoever_is_shown_out_is_out_at_once(rt, stranger, ada):
    page = enter(stranger, ada)
    with rt.transaction() as tx:
        staff_sessions.end_all(tx, ada.staff.id, now=rt.now())
    assert page.open("/admin/").title == "Sign in"


@pytest.mark.parametrize("token", ["", "wrong", "x" * 5000])
def test_a_form_without_its_token_is_refused(stranger, ada, token):
    stranger.open("/admin/sign-in")
    data = {"name": "ada", "password": PASSWORD, "code": ada.code(), "csrf_token": token}
    answer = stranger.client.post("/admin/sign-in", data=data)
    assert answer.status_code == 400
    assert "staff=" not in str(answer.headers)


def test_a_token_of_another_browser_is_no_good(app, at):
    ada, ben = at("ada"), at("ben")
    theirs = ben.open("/admin/").csrf()
    ada.open("/admin/")
    assert ada.client.post("/admin/sign-out", data={"csrf_token": theirs}).status_code == 400
    assert ada.open("/admin/").title == "Home"


def test_signing_in_makes_the_tokens_of_before_void(stranger, ada):
    stranger.open("/admin/sign-in")
    planted = stranger.csrf()
    enter(stranger, ada)
    assert stranger.client.post("/admin/sign-out", data={"csrf_token": planted}).status_code == 400


def test_the_head_of_the_audit_is_shown_behind_the_door_only(rt, stranger, ada):
    lines, head = rt.attempt(audit.head)
    page = stranger.open("/admin/sign-in").misses("audit")
    assert head not in page.html
    page = enter(stranger, ada)
    lines, head = rt.attempt(audit.head)
    assert page.hash == head
    page.sees(f"{lines} lines")


def test_what_is_dangerous_wants_the_code_again(rt, at, wait):
    njeri = at("njeri", Role.ADMIN)
    assert njeri.open("/admin/staff/new").title == "Somebody new"
    wait(minutes=6)
    page = njeri.open("/admin/staff/new")
    assert page.title == "Your code again"
    page.press("Go on", code=njeri.person.wrong_code())
    assert page.title == "Your code again"
    assert page.messages
    page.press("Go on", code=njeri.person.code())
    assert page.title == "Somebody new"


@pytest.mark.parametrize("address", ["127.0.0.1", "2001:db8:7::{:x}"])
def test_one_address_cannot_keep_the_door_busy(stranger, rt, address):
    """Nor one household, which has as many addresses of IPv6 as it likes."""
    stranger.open("/admin/sign-in")
    now = rt.now()
    rt.clock = lambda: now
    answers = []
    for knock in range(41):
        stranger.client.environ_base["REMOTE_ADDR"] = address.format(knock + 1)
        answers.append(stranger.post("/admin/enrol", name="x", invitation="y").status_code)
    assert answers[0] == 303
    assert answers[-1] == 429
    rt.clock = lambda: now + timedelta(minutes=1)
    assert stranger.post("/admin/enrol", name="x", invitation="y").status_code == 303


def test_in_earnest_browsers_are_held_to_https(urls):
    from admin import frame  # noqa: PLC0415

    config = config_for(urls).model_copy(update={"app_env": "production"})
    assert frame.cookie(config) == "__Host-staff"
    assert frame.is_earnest(config)
