"""Payouts tried again over the API: paid anew where they failed, asked about where they may not."""

import pytest
from sqlalchemy import func, select

from core import audit, payout_retries
from core.errors import Refusal
from core.payments import HeldFor, Payout, PayoutState
from core.staff import Role
from core.status_queries import StatusQuery
from tests import cashier, mpesa, people, teller
from tests.api.programs import refused


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


def fail(rt, customer, daraja, shillings=300):
    number = cashier.sent(rt, customer, shillings)
    request = daraja.requests("b2c")[-1]
    mpesa.post(rt, "b2c_result", mpesa.payout_result(request, 2040))
    assert cashier.state(rt, number) == PayoutState.FAILED
    return number


def questions(rt):
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(StatusQuery))


def test_a_failed_payout_is_paid_anew_once(rt, amina, daraja, ann):
    number = fail(rt, amina, daraja)

    answer = ann.post(f"/payouts/{number}/retry")

    assert answer.status_code == 201
    told = answer.get_json()
    assert told == {"payout": number, "asked": False, "payouts": [number + 1]}
    mpesa.work(rt)
    assert cashier.state(rt, number + 1) == PayoutState.ACCEPTED
    refused(ann.post(f"/payouts/{number}/retry"), 409, "staff.payout_retried")
    assert cashier.count(rt) == 2
    assert mpesa.balance(rt, amina) == 700_00
    assert teller.clean(rt)


@pytest.mark.parametrize(
    ("hours", "state"),
    [(0, PayoutState.ACCEPTED), (1, PayoutState.IN_DOUBT), (30, PayoutState.NEEDS_HUMAN)],
)
def test_what_may_have_arrived_is_asked_about_and_never_paid(
    rt, amina, daraja, ann, wait, hours, state
):
    number = cashier.sent(rt, amina, 300)
    for _ in range(hours):
        wait(hours=1)
        mpesa.sweep(rt)
    wait(minutes=3)  # the sweep may have asked a moment ago
    assert cashier.state(rt, number) == state
    asked = len(daraja.requests("status_query"))

    answer = ann.post(f"/payouts/{number}/retry", {})

    assert answer.status_code == 202
    assert answer.get_json() == {"payout": number, "asked": True, "payouts": []}
    refused(ann.post(f"/payouts/{number}/retry"), 409, "staff.payout_just_asked")
    mpesa.work(rt)
    assert len(daraja.requests("status_query")) == asked + 1
    assert len(daraja.requests("b2c")) == 1
    assert cashier.count(rt) == 1

    sent = daraja.requests("status_query")[-1]
    assert sent["ocid"] == str(mpesa.payout(rt, number).ocid)
    told = mpesa.status_result(conversation(rt), receipt="SKP1PAYOUT", amount=300,
                               payer="600986 - HOUSE", payee="254712000001 - AMINA")  # fmt: skip
    mpesa.post(rt, "status_result", told)
    assert cashier.state(rt, number) == PayoutState.PAID
    assert teller.clean(rt)


def test_what_waits_for_float_is_asked_about_and_a_dead_attempt_makes_way_for_the_next(
    rt, amina, daraja, ann, wait
):
    number = cashier.sent(rt, amina, 300)
    mpesa.post(rt, "b2c_result", mpesa.payout_result(daraja.requests("b2c")[-1], 1))
    assert mpesa.payout(rt, number).held_for == HeldFor.FLOAT

    assert ann.post(f"/payouts/{number}/retry").status_code == 202

    mpesa.work(rt)
    assert (mpesa.payout(rt, number).attempt, len(daraja.requests("b2c"))) == (1, 1)
    told = mpesa.status_result(conversation(rt), "Cancelled", receipt="")
    mpesa.post(rt, "status_result", told)
    assert mpesa.payout(rt, number).attempt == 2
    assert teller.clean(rt)


def conversation(rt):
    """M-PESA's id of the last question."""
    with rt.transaction() as tx:
        last = select(StatusQuery.conversation_id).order_by(StatusQuery.id.desc()).limit(1)
        return tx.scalar(last)


def test_after_a_while_it_may_be_asked_again(rt, amina, daraja, ann, wait):
    number = cashier.sent(rt, amina, 300)
    for _ in range(3):
        assert ann.post(f"/payouts/{number}/retry").status_code == 202
        wait(seconds=121)
    assert questions(rt) == 3


@pytest.mark.race
def test_two_who_ask_at_once_ask_once(rt, amina, daraja, ann):
    number = cashier.sent(rt, amina, 300)

    def ask(place):
        try:
            with rt.transaction() as tx:
                return payout_retries.again(
                    tx, number, by=ann.member, now=rt.now(), config=rt.config
                )
        except Refusal as refusal:
            return refusal.reason

    said = teller.at_once(4, ask)
    assert said.count("staff.payout_just_asked") == 3
    assert questions(rt) == 1


def test_what_has_not_left_or_has_arrived_is_neither(rt, amina, daraja, ann):
    waiting = cashier.withdraw(rt, amina, 300)
    refused(ann.post(f"/payouts/{waiting}/retry"), 409, "staff.payout_not_failed")
    mpesa.work(rt)
    mpesa.post(rt, "b2c_result", mpesa.payout_result(daraja.requests("b2c")[-1]))
    refused(ann.post(f"/payouts/{waiting}/retry"), 409, "staff.payout_not_failed")
    refused(ann.post("/payouts/99/retry"), 404, "staff.no_such_payout")
    refused(ann.post(f"/payouts/{waiting}/retry", {"amount": 1}), 400, "http.body")
    assert (cashier.count(rt), questions(rt)) == (1, 0)


def test_all_that_failed_are_paid_anew_each_by_its_own_rules(rt, amina, brian, daraja, ann, wait):
    old = fail(rt, amina, daraja, 100)
    wait(days=8)
    mine, his = fail(rt, amina, daraja), fail(rt, brian, daraja, 500)
    cashier.withdraw(rt, brian, 400)  # what he has left is too little now
    before = cashier.count(rt)

    told = ann.post("/payouts/retry-failed").get_json()

    assert told["tried"] == [{"payout": mine, "payouts": [before + 1]}]
    ((number, reason),) = [(one["payout"], one["reason"]) for one in told["refused"]]
    assert (number, reason) == (his, "money.withdraw_short")
    assert "KES" in told["refused"][0]["detail"]
    again = ann.post("/payouts/retry-failed").get_json()
    assert again["tried"] == []
    assert [one["payout"] for one in again["refused"]] == [his]
    with rt.transaction() as tx:
        assert tx.get_one(Payout, old).state == PayoutState.FAILED
        lines = [line for line in audit.lines(tx) if line.action.startswith("payout")]
    assert [(line.action, line.subject) for line in reversed(lines)] == [
        ("payout retry", f"payout:{mine}"), ("payouts retry-failed", ""),
        ("payouts retry-failed", ""),
    ]  # fmt: skip


def test_the_oldest_that_were_tried_do_not_stand_before_those_that_were_not(
    rt, amina, daraja, ann, monkeypatch
):
    first, second = fail(rt, amina, daraja), fail(rt, amina, daraja)
    monkeypatch.setattr(payout_retries, "MOST", 1)

    for expected in (first, second):
        told = ann.post("/payouts/retry-failed").get_json()
        assert [one["payout"] for one in told["tried"]] == [expected]
    assert ann.post("/payouts/retry-failed").get_json() == {"tried": [], "refused": []}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUPPORT, Role.TRADER, Role.AUDITOR])
def test_only_finance_and_admins_may(rt, amina, daraja, program, role):
    failed, doubted = fail(rt, amina, daraja), cashier.sent(rt, amina, 100)
    other = program("otieno", role)
    for path in (f"/payouts/{failed}/retry", "/payouts/retry-failed"):
        refused(other.post(path), 403, "staff.not_your_role")
    for number in (failed, doubted):  # nor past the door
        with rt.transaction() as tx, pytest.raises(Refusal, match=r"staff.not_your_role"):
            payout_retries.again(tx, number, by=other.member, now=rt.now(), config=rt.config)
    assert (cashier.count(rt), questions(rt)) == (2, 0)


def test_payments_are_listed_with_masked_phones(rt, amina, brian, daraja, ann):
    number = fail(rt, amina, daraja)
    people.fund(rt, brian, 1_00)
    waiting = cashier.withdraw(rt, brian, 50)

    told = ann.get("/payments").get_json()["payments"]
    failed = ann.get("/payments?kind=payout&state=failed&limit=5").get_json()["payments"]

    assert [one["ref"] for one in told] == [f"P{waiting}", f"P{number}"]
    assert [(one["ref"], one["code"], one["phone"]) for one in failed] == [
        (f"P{number}", "2040", "2547*****001")
    ]
    assert ann.get("/payments?kind=deposit").get_json() == {"payments": []}
    for query in ("limit=0", "limit=101", "limit=x", "kind=tip", "state=A", "phone=1"):
        refused(ann.get(f"/payments?{query}"), 400, "http.body")
