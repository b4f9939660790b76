"""Payouts on the pages: found, explained, held, let go, tried again, ended by two people."""

import pytest
from sqlalchemy import func, select, text

from core import audit, ledger
from core.errors import Rejected, Unknown
from core.ledger import AccountKind
from core.payments import PayoutState
from core.staff import Role
from tests import cashier, mpesa, paybill, people, teller
from tests.ground import config_for


@pytest.fixture
def config(urls):
    return config_for(urls, PAYOUT_HOLD_OVER="200")


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def akinyi(at):
    return at("akinyi", Role.FINANCE)


@pytest.fixture
def wafula(at):
    return at("wafula", Role.FINANCE)


def failed(rt, daraja, customer, shillings):
    number = cashier.withdraw(rt, customer, shillings)
    daraja.says["b2c"] = Rejected("not registered", code="2040")
    mpesa.work(rt)
    daraja.says.clear()
    assert cashier.state(rt, number) == PayoutState.FAILED
    return number


def test_one_is_held_and_let_go(rt, amina, daraja, akinyi):
    number = cashier.withdraw(rt, amina, 100)
    page = akinyi.open("/admin/payouts?list=under way").follow(f"P{number}")
    page.sees("KES 100.00", "queued", "2547*****001", "withdrawal").misses("712000001")
    page.press("Hold it", why="a call from the customer").sees(f"P{number} is held.", "for staff")
    mpesa.work(rt)
    assert cashier.state(rt, number) == PayoutState.HELD
    akinyi.open("/admin/payouts?list=held").follow(f"P{number}").press("Let it go")
    akinyi.sees("is queued").misses("Let it go")
    mpesa.work(rt)
    assert cashier.state(rt, number) == PayoutState.ACCEPTED


def test_a_failed_one_is_explained_and_tried_again_once(rt, amina, daraja, akinyi):
    number = failed(rt, daraja, amina, 100)
    page = akinyi.open("/admin/payouts").follow("Failed").follow(f"P{number}")
    page.sees("The customer is not registered.", "failed")
    page.press("Retry").sees(f"P{number} is paid anew: P{number + 1}.", "Paid anew as")
    assert "Retry" not in page.buttons()
    answer = akinyi.post(f"/admin/payouts/{number}/retry", follow=True)
    assert any("already" in one or "again" in one for one in answer.messages)
    assert cashier.count(rt) == 2


def test_all_that_failed_are_tried_again_each_by_its_own_rules(rt, amina, brian, daraja, akinyi):
    numbers = [failed(rt, daraja, one, 100) for one in (amina, brian)]
    page = akinyi.open("/admin/payouts?list=failed")
    for number in numbers:
        page.sees(f"P{number}")
    page.misses("paid anew")
    page.press("Retry all failed").sees("2 paid anew.", "failed paid anew")
    page.press("Retry all failed").sees("0 paid anew.")
    assert cashier.count(rt) == 4


def test_one_in_doubt_is_only_asked_about(rt, amina, daraja, akinyi):
    number = cashier.withdraw(rt, amina, 100)
    daraja.says["b2c"] = Unknown("read timed out", code="no_answer")
    mpesa.work(rt)
    page = akinyi.open("/admin/payouts").follow("In doubt").follow(f"P{number}")
    assert "Retry" not in page.buttons()
    page.press("Ask M-PESA again").sees("nothing is paid", "m-pesa asked")
    assert cashier.count(rt) == 1


def test_one_that_needs_a_person_is_ended_by_two(rt, amina, daraja, akinyi, wafula):
    number = cashier.withdraw(rt, amina, 100)
    daraja.says["b2c"] = Unknown("read timed out", code="no_answer")
    mpesa.work(rt)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE payout SET state = 7, ask_at = NULL"))
    page = akinyi.open("/admin/").follow(f"P{number}").follow("Propose its end")
    page.press("Propose", never_paid_send=True, what_was_seen="nothing")
    page.sees("statement").misses("Approve")
    page.press("Propose", paid=True, receipt="skp1payout", what_was_seen="the portal")
    page.sees("End of a payout: P1", "2547*****001", "SKP1PAYOUT", "KES 100.00")
    wafula.open("/admin/").follow("End of a payout").press("Approve").sees("P1 is paid.")
    wafula.open(f"/admin/payouts/{number}").sees("SKP1PAYOUT", "paid")
    assert teller.clean(rt)


def test_a_large_one_goes_with_all_its_parts_once_two_people_say_so(
    rt, amina, daraja, akinyi, wafula
):
    number = cashier.withdraw(rt, amina, 300)
    mpesa.work(rt)
    page = akinyi.open("/admin/").follow(f"P{number}").sees("for approval")
    page.follow("Propose its release").sees("KES 300.00")
    page.press("Propose", what_was_seen="an old customer")
    wafula.open(page.path).press("Approve").sees(f"P{number} will be sent.")
    mpesa.work(rt)
    assert cashier.state(rt, number) == PayoutState.ACCEPTED


def test_an_incident_is_ended_by_two(rt, amina, daraja, akinyi, wafula):
    number = failed(rt, daraja, amina, 100)
    request = daraja.requests("b2c")[-1]
    mpesa.post(rt, "b2c_result", mpesa.payout_result(request, receipt="SKP9LATE99"))
    page = akinyi.open("/admin/payouts").follow("1 incidents").sees(f"P{number}", "SKP9LATE99")
    page.press("Propose", what_is_true="correct", what_was_seen="the statement")
    page.sees("End of an incident", "after release")
    wafula.open("/admin/incidents").follow("What akinyi has proposed").press("Approve")
    wafula.sees("The incident of P1 has ended.")
    with rt.transaction() as tx:
        assert ledger.account_balance(tx, AccountKind.DISPUTED) == 0
    assert teller.clean(rt)


def test_the_incident_of_a_refund_is_ended_by_two_too(rt, amina, daraja, akinyi, wafula):
    paybill.confirmed(rt, daraja, "rent")
    paybill.decide(rt, "refund", method="b2c", to="0712000001")
    mpesa.work(rt)
    (request,) = daraja.requests("b2c_refund")
    mpesa.post(rt, "b2c_result", mpesa.payout_result(request, 2040))
    paybill.decide(rt, "attach", to="0712000001")
    mpesa.post(rt, "b2c_result", mpesa.payout_result(request))
    akinyi.open("/admin/payouts").press("Let payouts go again").sees("End its incident first")
    akinyi.open("/admin/incidents").sees("Sent back: refund 1", "KES 100")
    akinyi.press("Propose", what_is_true="dismiss", what_was_seen="the statement")
    wafula.open("/admin/incidents").follow("What akinyi has proposed").press("Approve")
    wafula.sees("The incident of refund 1 has ended.")
    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.clean(rt)


def test_payouts_that_are_paused_go_again(rt, amina, daraja, akinyi):
    cashier.withdraw(rt, amina, 100)
    daraja.says["b2c"] = Rejected("locked", code="8006")
    mpesa.work(rt)
    akinyi.open("/admin/").sees("Nothing is paid out since", "locked")
    akinyi.open("/admin/payouts").press("Let payouts go again").sees("Payouts go again.")
    assert not cashier.is_paused(rt)
    akinyi.open("/admin/").misses("Nothing is paid out")


def test_a_phone_number_is_shown_by_a_click_that_is_written_down(rt, amina, daraja, akinyi, at):
    number = cashier.withdraw(rt, amina, 100)
    page = akinyi.open(f"/admin/payouts/{number}").misses(people.AMINA)
    page.press("Show the number").sees(people.AMINA)
    line = rt.attempt(lambda tx: audit.lines(tx, action="read phone"))[0]
    assert (line.subject, line.staff_id) == (f"payout:{number}", akinyi.person.staff.id)
    assert line.channel == "page"
    assert people.AMINA not in line.body
    trader = at("kamau", Role.TRADER).open(f"/admin/payouts/{number}")
    assert "Show the number" not in trader.buttons()


def test_traders_see_and_do_nothing_about_payouts(rt, amina, daraja, at):
    number = failed(rt, daraja, amina, 100)
    trader = at("kamau", Role.TRADER).open(f"/admin/payouts/{number}").sees("failed")
    assert set(trader.buttons()) <= {"Sign out", ""}
    assert trader.post(f"/admin/payouts/{number}/retry").status_code == 403
    assert rt.attempt(lambda tx: tx.scalar(select(func.count()).select_from(text("payout")))) == 1
