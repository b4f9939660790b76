"""The staff themselves on the pages: who comes and goes, my account, the audit, search and Home."""

import pytest

from core import audit, staff_access
from core.staff import Role
from tests import cashier, games, mpesa, people, staff_people
from tests.pages import browser


@pytest.fixture
def njeri(at):
    return at("njeri", Role.ADMIN)


@pytest.fixture
def chebet(at):
    return at("chebet", Role.ADMIN)


def test_two_admins_bring_somebody_in_who_enrols(rt, njeri, chebet, stranger):
    page = (
        njeri.open("/admin/staff")
        .follow("Somebody new")
        .press("Propose", name="halima", role="support", phone="0722 000 111", why="night shift")
    )
    page.sees("New member of staff: halima", "support", "2547*****111").misses("722000111")
    page = chebet.open("/admin/staff").follow("A change of halima").press("Approve")
    page.sees("A code to enrol with is on its way to 2547*****111; it holds until")
    code = staff_people.texted(rt, "+254722000111")
    assert code not in page.html
    chebet.open("/admin/staff").sees("halima", "not enrolled")
    stranger.open("/admin/enrol").press("Go on", name="halima", enrolment_code=code)
    assert stranger.title == "Enrol, halima"


def test_a_role_is_changed_a_factor_reset_and_somebody_leaves(rt, njeri, chebet, at):
    akinyi = at("akinyi", Role.SUPPORT)
    number = akinyi.person.staff.id
    page = njeri.open(f"/admin/staff/{number}").follow("Another role")
    page.press("Propose", role="finance", why="promoted").sees("Another role: akinyi")
    chebet.open(page.path).press("Approve").sees("The change of akinyi is done.")
    assert akinyi.open("/admin/").title == "Sign in"
    page = njeri.open(f"/admin/staff/{number}").sees("finance").follow("New password and factor")
    page.press("Propose", why="a lost phone")
    chebet.open(page.path).press("Approve").sees("on its way to 2547")
    page = njeri.open(f"/admin/staff/{number}").sees("not enrolled")
    page.sees("Send another enrolment code").follow("Leaves")
    page.press("Propose", why="a new job")
    chebet.open(page.path).press("Approve")
    njeri.open("/admin/staff").sees("has left")
    assert not rt.attempt(lambda tx: staff_access.enrolled(tx, number))


def test_a_staff_phone_is_changed_by_two(rt, njeri, chebet, at):
    akinyi = at("akinyi", Role.SUPPORT).person.staff
    page = njeri.open(f"/admin/staff/{akinyi.id}").follow("Another phone")
    page.press("Propose", phone="0722 000 111", why="a new one")
    page.sees("Another staff phone: akinyi", "2547*****111").misses("722000111", akinyi.phone[1:])
    chebet.open(page.path).press("Approve").sees("The change of akinyi is done.")
    njeri.open(f"/admin/staff/{akinyi.id}").sees("2547*****111")


def test_somebody_is_shown_out_everywhere(njeri, at):
    kamau = at("kamau")
    page = njeri.open(f"/admin/staff/{kamau.person.staff.id}").sees("a test")
    page.press("End all sessions").sees("All sessions of kamau have ended.", "No session is open.")
    assert kamau.open("/admin/").title == "Sign in"


def test_sessions_of_others_are_no_business_of_a_trader(at, njeri):
    page = at("kamau").open(f"/admin/staff/{njeri.person.staff.id}")
    page.misses("a test", "127.0.0.1", "Sessions")


def test_i_end_my_other_sessions(rt, njeri):
    other = browser.Browser(njeri.client.application, "njeri")
    other.person = njeri.person
    browser.enter(rt, other)
    page = njeri.open("/admin/account").sees("this one")
    page.press("End").sees("The session has ended.")
    assert other.open("/admin/").title == "Sign in"
    assert njeri.open("/admin/").title == "Home"


def test_nobody_ends_sessions_of_others_by_their_number(rt, njeri, at):
    kamau = at("kamau").open("/admin/account")
    kamau.post("/admin/account/sessions/1/end")
    assert njeri.open("/admin/").title == "Home"


def test_i_change_my_password(njeri, rt):
    page = njeri.open("/admin/account").follow("Change my password")
    new = "seven violins under the mango tree"
    page.press("Change it", old_password="wrong", new_password=new, new_password_once_more=new)
    page.sees("The old password is wrong")
    old = staff_people.PASSWORD
    page.press("Change it", old_password=old, new_password=new, new_password_once_more="other")
    page.sees("not the same")
    page.press("Change it", old_password=old, new_password=new, new_password_once_more=new)
    page.sees("Your password is changed")
    assert njeri.person.sign_in(password=new)


def test_i_make_new_recovery_codes(rt, njeri):
    page = njeri.open("/admin/account").sees("10 recovery codes are left")
    page.press("Make new recovery codes")
    codes = [one.text for one in page.root.all("code")]
    assert len(codes) == 10
    assert not set(codes) & set(njeri.person.recovery)
    assert codes[0] not in njeri.open("/admin/account").html
    assert njeri.person.sign_in(code=codes[0])


def test_i_make_a_key_that_is_shown_once(njeri):
    page = njeri.open("/admin/account").press("Make a key", name="night report")
    secret = next(one.text for one in page.root.all("code") if one.get("class") == "secret")
    page = njeri.open("/admin/account").sees("night report")
    assert secret not in page.html
    page.press("Make void").sees("The key is void.", "void since")


def test_the_audit_is_read_filtered_and_verified(rt, njeri, at):
    auditor = at("odhiambo", Role.AUDITOR)
    market = games.derby(rt, njeri.person.staff)
    njeri.open(f"/admin/markets/{market.id}").follow("Close").press("Close the market")
    called = f"market {market.code} Gor Mahia v AFC Leopards"
    page = auditor.open("/admin/audit").sees("market close", "njeri", "page", called)
    for about in (f"market {market.code}", f"{market.code}", f"market:{market.id}"):
        page.press("Filter", what="market", about=about).sees("market close", called)
        page.misses("staff enrol")
    page.press("Verify").sees("are whole; the head is")
    lines, head = rt.attempt(audit.head)
    page.press("Verify", line=str(lines), its_hash=head).sees("are whole")
    page.press("Verify", line=str(lines), its_hash="0" * 64)
    assert any("rewritten" in one for one in page.messages)


def test_what_was_refused_is_in_the_audit(rt, at):
    kamau = at("kamau")
    market = games.derby(rt, kamau.person.staff)
    kamau.open(f"/admin/markets/{market.id}")
    kamau.post(f"/admin/markets/{market.id}/suspension", reason="")
    line = rt.attempt(lambda tx: audit.lines(tx, limit=1))[0]
    assert (line.action, line.channel) == ("page refused", "page")
    assert line.facts["reason"] == "staff.reason_missing"


def test_search_finds_markets_payouts_and_wallets(rt, amina, njeri):
    mpesa.Daraja(rt)
    market = games.derby(rt, njeri.person.staff, question="Will it rain in Nairobi?")
    number = cashier.withdraw(rt, amina, 100)
    found = njeri.open("/admin/search")
    for sought in (str(market.code), "rain", "NAIROBI"):
        found.open(f"/admin/search?q={sought}").sees("Will it rain in Nairobi?")
    found.open(f"/admin/search?q=p{number}").sees(f"P{number} KES 100.00")
    for sought in ("0712000001", "%2B254712000001", "0712 000 001"):
        page = found.open(f"/admin/search?q={sought}")
        page.sees("2547*****001", "KES 900.00 in the wallet")
        assert people.AMINA not in page.text
    page.follow("Their payouts").sees(f"P{number}", "Of one customer")
    found.open("/admin/search?q=%25").sees("Nothing was found")
    part = njeri.client.get("/admin/search?q=rain", headers={"HX-Request": "true"})
    assert "<html" not in part.get_data(as_text=True)
    assert "Will it rain" in part.get_data(as_text=True)


def test_home_shows_what_there_is_to_do_and_today(rt, amina, njeri, at):
    market = games.derby(rt, njeri.person.staff)
    games.placed(rt, amina, market, 1, 250)
    page = at("vera", Role.VIEWER).open("/admin/")
    page.sees("Nothing waits for your second yes.", "Stakes KES 250.00", "Gor Mahia v AFC Leopards")
    page.sees("In customers' wallets KES 750.00")


def test_a_refused_form_comes_back_as_it_was_typed(at):
    njeri = at("njeri", Role.ADMIN)
    typed = {"name": "njeri", "role": "support", "phone": "0712000099", "note": "for the desk"}

    why = typed.pop("note")
    page = njeri.open("/admin/staff/new").press("Propose", why=why, **typed)

    assert (page.status, page.title) == (422, "Somebody new")
    assert page.messages
    fields = dict(browser.fill(page.forms()[-1], {}))
    assert {name: fields[name] for name in fields if name in (*typed, "note")} == {
        **typed, "note": why,
    }  # fmt: skip
