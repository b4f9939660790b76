"""Four eyes on the pages: nobody alone, nothing unseen, nothing stale, whoever presses what."""

import pytest
from sqlalchemy import text

import wsgi
from core import audit, proposals, treasury
from core.errors import Unknown
from core.money import Cents
from core.proposals import Proposal, ProposalState
from core.say import NAIROBI
from core.staff import Role
from tests import cashier, games, mpesa, paybill, people
from tests.ground import config_for
from tests.pages import browser

RECEIPT = "SKP1PAYOUT"
WRONG = {
    "result": Role.FINANCE, "void": Role.SUPPORT, "correction": Role.AUDITOR, "end": Role.TRADER,
    "release": Role.VIEWER, "staff": Role.FINANCE,
}  # fmt: skip
RIGHT = {"end": Role.FINANCE, "release": Role.FINANCE, "staff": Role.ADMIN}


@pytest.fixture
def config(urls):
    return config_for(urls, PAYOUT_HOLD_OVER="200")


@pytest.fixture(params=sorted(WRONG))
def act(request):
    """What two people do."""
    return request.param


@pytest.fixture
def put(rt, at, act, amina, brian, wait):
    """Somebody has proposed it on the pages, a moment ago: their browser, on its page."""
    one = at("wambui", RIGHT.get(act, Role.TRADER))
    PROPOSE[act](rt, one, amina, brian, wait)
    assert "proposed" in one.text.lower()
    assert one.path.startswith("/admin/approvals/")
    return one


@pytest.fixture
def second(rt, at, act, put):
    """Somebody else who could say yes, on the same page."""
    return at("otieno", RIGHT.get(act, Role.TRADER)).open(put.path)


def test_two_people_who_see_the_same_do_it(rt, put, second):
    assert second.hash == put.hash
    assert state(rt, put) == ProposalState.PENDING
    second.press("Approve")
    assert second.status == 200
    assert state(rt, put) == ProposalState.APPROVED


def test_nobody_approves_their_own(rt, put, second):
    assert "Approve" not in put.buttons()
    refused(put, approval(second), "themselves", hash=put.hash)
    assert state(rt, put) == ProposalState.PENDING


def test_nobody_approves_what_they_have_not_seen(rt, put, second):
    where = approval(second)
    for seen in ("", "0" * 64, "not a hash", put.hash.upper()):
        refused(second, where, "not what you saw", hash=seen)
        assert state(rt, put) == ProposalState.PENDING


def test_nobody_approves_what_has_changed_since(rt, act, put, second):
    """The thing behind it has become another: what is done would not be what was seen."""
    with rt.transaction() as tx:
        for statement in CHANGED[act]:
            tx.execute(text(statement))
    refused(second, approval(second), "", hash=second.hash)
    assert state(rt, put) == ProposalState.PENDING


def test_why_somebody_said_no_is_kept(rt, put, second):
    number = int(second.path.rpartition("/")[2])
    second.press("Refuse", reason="not what 0712000001 told me")
    assert state(rt, put) == ProposalState.REFUSED
    with rt.transaction() as tx:
        (line,) = audit.lines(tx, action="refuse", subject=f"proposal:{number}", limit=9)
    assert (line.staff_id, line.channel) == (second.person.staff.id, "page")
    assert line.facts == {"reason": "not what 2547*****001 told me"}


def test_nobody_approves_what_has_lapsed(rt, put, second, wait):
    hash_ = second.hash
    wait(hours=25)
    browser.enter(rt, second)
    second.open(put.path).sees("Lapsed")
    assert "Approve" not in second.buttons()
    refused(second, approval_of(put), "", hash=hash_)
    assert state(rt, put) != ProposalState.APPROVED


def test_nobody_approves_with_a_stale_factor(rt, put, second, wait):
    wait(minutes=6)
    second.open(put.path)
    page = second.press("Approve")
    assert page.title == "Your code again"
    assert state(rt, put) == ProposalState.PENDING
    page.press("Go on", code=second.person.code())
    assert page.path == put.path
    page.press("Approve")
    assert state(rt, put) == ProposalState.APPROVED


def test_nobody_proposes_with_a_stale_factor(rt, at, act, amina, brian, wait):
    one = at("wambui", RIGHT.get(act, Role.TRADER))
    wait(minutes=6)
    pages = {"staff": "/admin/staff/new", "end": "/admin/payouts/1/end"}
    pages["release"] = "/admin/payouts/1/release"
    assert one.open(pages.get(act, f"/admin/markets/1/{act}")).title == "Your code again"


def test_the_wrong_role_neither_proposes_nor_approves(rt, at, act, put, second):
    other = at("mutua", WRONG[act]).open(put.path)
    assert {"Approve", "Refuse", "Take it back"}.isdisjoint(other.buttons())
    answer = other.post(approval(second), hash=put.hash)
    assert answer.status_code == 403
    assert state(rt, put) == ProposalState.PENDING


def test_it_is_decided_once(rt, put, second):
    where, hash_ = approval(second), second.hash
    second.press("Approve")
    second.open(put.path)
    refused(second, where, "", hash=hash_)
    refused(second, f"{where.removesuffix('approval')}refusal", "")
    assert state(rt, put) == ProposalState.APPROVED


def test_an_approval_is_asked_where_its_right_is(rt, at, put, second):
    """The address of another family wants another right: it must not open this one."""
    where, admin = approval(second), at("naliaka", Role.ADMIN).open(put.path)
    family = where.split("/")[3]
    for other in {"results", "payouts", "staff", "treasury"} - {family}:
        answer = admin.post(where.replace(f"/{family}/", f"/{other}/"), hash=put.hash)
        assert answer.status_code == 404
    assert state(rt, put) == ProposalState.PENDING


def test_a_no_is_said_to_what_is_on_the_page_though_its_code_is_anothers_now(rt, at, amina, brian):
    """Codes come back after a month: a correction of the old market waits, and a result."""
    wambui, otieno = at("wambui"), at("otieno")
    _correction(rt, wambui, amina, brian, None)
    old = wambui.path
    market = games.derby(rt, wambui.person.staff, question="Who wins the cup?")
    games.close(rt, market, wambui.person.staff)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE market SET code = 101"))
    wambui.open("/admin/markets/2/result?winners=1&source=FKF").press("Propose")
    otieno.open(old).press("Refuse", reason="it was right")
    assert [state(rt, one) for one in (otieno, wambui)] == [
        ProposalState.REFUSED, ProposalState.PENDING,
    ]  # fmt: skip


def test_nobody_reads_a_whole_phone_number_in_what_waits(rt, at, amina):
    """What a payer typed as the account is often one, too."""
    daraja = mpesa.Daraja(rt)
    assert paybill.confirmed(rt, daraja, "0733000009") == "suspense"
    paybill.propose(rt, "attach", to="0712000001")
    page = at("viola", Role.VIEWER).open("/admin/approvals").follow("Money in suspense")
    page.sees("2547*****001", "2547*****009").misses("712000001", "733000009")
    page.open("/admin/approvals").misses("712000001", "733000009")


def test_an_adjustment_is_typed_by_one_and_approved_on_its_page_by_another(rt, at, amina):
    akinyi, wafula = at("akinyi", Role.FINANCE), at("wafula", Role.FINANCE)
    type_ = wsgi.create_app(rt).test_cli_runner().invoke
    wishes = ("credit", "0712000001", "80", "--note", "an outage", "--as", "akinyi")
    assert "proposed: " in type_(args=["adjust", "propose", *wishes]).output
    assert "2547*****001" in type_(args=["adjust", "list"]).output
    akinyi.open("/admin/approvals").follow("Adjustment of a customer: credit")
    assert "Approve" not in akinyi.buttons()
    akinyi.press("Take it back")
    assert "proposed: " in type_(args=["adjust", "propose", *wishes]).output
    page = wafula.open("/admin/approvals").follow("Adjustment of a customer: credit")
    page.sees("2547*****001", "KES 80", "an outage").misses("712000001")
    page.press("Approve").sees("The adjustment of 2547*****001 is posted.")
    assert mpesa.balance(rt, amina) == 1_080_00
    again = type_(args=["adjust", "approve", "0712000001", "0" * 64, "--as", "wafula"])
    assert (again.exit_code, "Nothing is proposed" in again.output) == (1, True)


def test_a_number_in_a_title_or_a_note_is_masked(rt, at):
    akinyi, now = at("akinyi", Role.FINANCE), rt.now()
    with rt.transaction() as tx:
        treasury.propose(
            tx, "owner in", amount=Cents(500_00), shortcode="600986", note="rang 0712000001",
            value_date=now.astimezone(NAIROBI).date(), reference="TO 0712000001",
            by=akinyi.person.staff, now=now, config=rt.config,
        )  # fmt: skip
    wafula = at("wafula", Role.FINANCE)
    for path in ("/admin", "/admin/approvals", "/admin/approvals/1"):
        wafula.open(path).sees("TO 2547*****001").misses("0712000001")


def approval(one):
    """Where the page sends its yes."""
    return next(
        form.get("action") for form in one.forms() if form.get("action").endswith("/approval")
    )


def approval_of(put):
    """Where it would be sent, for a page that does not offer it any more."""
    refusal = next(f.get("action") for f in put.forms() if f.get("action").endswith("/refusal"))
    return refusal.removesuffix("refusal") + "approval"


def refused(one, where, words, **values):
    """The page comes back and says no."""
    page = one.post(where, referer=one.path, follow=True, **values)
    assert page.status == 200
    said = " ".join(page.messages)
    assert said
    assert words in said


def state(rt, put):
    number = int(put.path.rpartition("/")[2])
    return rt.attempt(lambda tx: ProposalState(tx.get_one(Proposal, number).state))


OTHER_BOOK = ("UPDATE market SET closed_at = closed_at + interval '1 second'",)
OTHER_PAYOUT = ("UPDATE payout SET tax = tax + 100",)
TAKEN = ("UPDATE staff SET phone = '+254722000111' WHERE name = 'otieno'",)
CHANGED = {
    "result": OTHER_BOOK, "void": OTHER_BOOK, "correction": OTHER_BOOK,
    "end": OTHER_PAYOUT, "release": OTHER_PAYOUT, "staff": TAKEN,
}  # fmt: skip


def _result(rt, one, amina, brian, wait):
    _closed(rt, one, amina, brian)
    one.open("/admin/markets/1/result?winners=1&source=FKF").press("Propose")


def _void(rt, one, amina, brian, wait):
    _closed(rt, one, amina, brian)
    one.open("/admin/markets/1/void?source=FKF").press("Propose")


def _correction(rt, one, amina, brian, wait):
    market = _closed(rt, one, amina, brian, close=False)
    juma = people.member(rt, "juma", Role.TRADER)
    games.settle(rt, market, 1, proposer=one.person.staff, approver=juma)
    one.open("/admin/markets/1/correction?winners=2&source=FKF").press("Propose")


def _end(rt, one, amina, brian, wait):
    daraja = mpesa.Daraja(rt)
    cashier.withdraw(rt, amina, 100)
    daraja.says["b2c"] = Unknown("read timed out", code="no_answer")
    mpesa.work(rt)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE payout SET state = 7, ask_at = NULL"))
    one.open("/admin/payouts/1").follow("Propose its end")
    one.press("Propose", paid=True, receipt=RECEIPT, what_was_seen="the portal")


def _release(rt, one, amina, brian, wait):
    mpesa.Daraja(rt)
    cashier.withdraw(rt, amina, 300)
    mpesa.work(rt)
    one.open("/admin/payouts/1").sees("for approval").follow("Propose its release")
    one.press("Propose", what_was_seen="their history")


def _staff(rt, one, amina, brian, wait):
    one.open("/admin/staff").follow("Somebody new").press(
        "Propose", name="halima", role="support", phone="0722 000 111", why="nights"
    )


def _closed(rt, one, amina, brian, *, close=True):
    market = games.derby(rt, one.person.staff)
    games.placed(rt, amina, market, 1, 300)
    games.placed(rt, brian, market, 2, 100)
    if close:
        games.close(rt, market, one.person.staff)
    return market


PROPOSE = {
    "result": _result, "void": _void, "correction": _correction, "end": _end, "release": _release,
    "staff": _staff,
}  # fmt: skip


def test_the_hash_is_of_what_is_shown(rt, put):
    number = int(put.path.rpartition("/")[2])
    found = rt.attempt(lambda tx: tx.get_one(Proposal, number))
    assert put.hash == proposals.content_hash(found.content) == found.content_hash
