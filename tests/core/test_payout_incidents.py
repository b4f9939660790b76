"""Payments too many: the wallet is held by the amount at once, and two people post what is true."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from core import explain, ledger, levies, payout_incidents, tariffs
from core.errors import Refusal
from core.ledger import AccountKind, Wallet
from core.money import Cents
from core.payments import PayoutState
from core.payout_incidents import IncidentKind, IncidentState, PayoutIncident
from core.say import NAIROBI
from core.staff import Role
from demo.settings import B2C_SHORTCODE
from tests import cashier, mpesa, people, teller

LATE, OTHER = "SKLATE0001", "SKLATE0002"


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def finance(rt):
    return [people.member(rt, name, Role.FINANCE) for name in ("ann", "ben")]


@pytest.fixture
def number(rt, amina, daraja):
    """A payout of KES 300 that failed, by M-PESA's word, and was given back."""
    payout_id = cashier.sent(rt, amina, 300)
    assert tell(rt, daraja, 2040) == "released"
    return payout_id


def test_a_success_after_the_failure_sets_the_amount_aside_and_ends_nothing(
    rt, amina, daraja, number
):
    assert tell(rt, daraja, receipt=LATE) == "incident"

    assert cashier.state(rt, number) == PayoutState.FAILED
    assert cashier.is_paused(rt)
    assert (mpesa.balance(rt, amina), disputed(rt), utility(rt)) == (700_00, 300_00, 0)
    assert mpesa.texts(rt, amina)[-1] == "money.payout_came_late"
    assert teller.clean(rt)
    assert unexplained(rt, amina) == 0

    assert tell(rt, daraja, receipt=LATE) == "known"
    assert tell(rt, daraja, 2040) == "late"
    assert disputed(rt) == 300_00


def test_what_the_wallet_has_not_is_owed_and_later_wins_pay_it(rt, amina, daraja, number):
    cashier.withdraw(rt, amina, 900)
    assert tell(rt, daraja, receipt=LATE, request=daraja.requests("b2c")[0]) == "incident"

    assert (mpesa.balance(rt, amina), owed(rt, amina), disputed(rt)) == (0, 200_00, 300_00)
    incident = the_incident(rt)
    assert (incident.frozen, incident.owed) == (100_00, 200_00)
    assert teller.clean(rt)


def test_two_people_say_that_it_was_paid_and_it_is_booked(rt, amina, daraja, finance, number):
    tell(rt, daraja, receipt=LATE)
    incident = the_incident(rt)
    told = propose(rt, finance[0], incident.id, "correct")
    with pytest.raises(Refusal, match=r"staff.own_proposal"):
        approve(rt, finance[0], incident.id, told.content_hash)
    assert disputed(rt) == 300_00

    approve(rt, finance[1], incident.id, told.content_hash)

    assert the_incident(rt).state == IncidentState.CORRECTED
    assert cashier.state(rt, number) == PayoutState.FAILED  # what ended stays ended
    assert (mpesa.balance(rt, amina), disputed(rt), utility(rt)) == (700_00, 0, -300_00)
    assert teller.clean(rt)
    assert unexplained(rt, amina) == 0
    with pytest.raises(Refusal, match=r"staff.payout_incident_over"):
        propose(rt, finance[0], incident.id, "dismiss")
    assert tell(rt, daraja, receipt=LATE) == "known"


def test_two_people_say_that_it_was_not_and_it_comes_back(rt, amina, daraja, finance, number):
    cashier.withdraw(rt, amina, 900)
    tell(rt, daraja, receipt=LATE, request=daraja.requests("b2c")[0])
    incident = the_incident(rt)
    told = propose(rt, finance[0], incident.id, "dismiss")

    approve(rt, finance[1], incident.id, told.content_hash)

    assert (mpesa.balance(rt, amina), owed(rt, amina), disputed(rt)) == (100_00, 0, 0)
    assert mpesa.texts(rt, amina)[-1] == "money.payout_thawed"
    assert teller.clean(rt)
    assert unexplained(rt, amina) == 0


def test_a_debt_that_was_paid_meanwhile_comes_back_whole(rt, amina, daraja, finance, number):
    second = cashier.withdraw(rt, amina, 900)
    tell(rt, daraja, receipt=LATE, request=daraja.requests("b2c")[0])
    cashier.resume(rt)
    mpesa.work(rt)
    assert tell(rt, daraja, 2040) == "released"  # 900 back: 200 of it pays the debt
    assert cashier.state(rt, second) == PayoutState.FAILED
    assert (mpesa.balance(rt, amina), owed(rt, amina)) == (700_00, 0)

    incident = the_incident(rt)
    told = propose(rt, finance[0], incident.id, "dismiss")
    approve(rt, finance[1], incident.id, told.content_hash)

    assert mpesa.balance(rt, amina) == 1_000_00
    assert teller.clean(rt)


def test_a_payout_paid_twice_by_two_receipts_is_one_payment_and_one_incident(
    rt, amina, daraja, finance
):
    number = cashier.sent(rt, amina, 300)
    assert tell(rt, daraja, receipt="SKP1PAYOUT") == "paid"

    assert tell(rt, daraja, receipt=OTHER) == "incident"

    incident = the_incident(rt)
    assert incident.kind == IncidentKind.TWICE
    assert mpesa.payout(rt, number).receipt == "SKP1PAYOUT"
    assert (mpesa.balance(rt, amina), disputed(rt)) == (400_00, 300_00)
    assert mpesa.texts(rt, amina)[-1] == "money.payout_came_twice"
    told = propose(rt, finance[0], incident.id, "correct")
    approve(rt, finance[1], incident.id, told.content_hash)
    assert utility(rt) == -600_00
    assert teller.clean(rt)


def test_the_dead_attempt_and_the_new_one_both_paid_are_a_payment_and_an_incident(
    rt, amina, daraja
):
    number = cashier.sent(rt, amina, 300)
    tell(rt, daraja, 1)
    cashier.resume(rt)
    mpesa.sweep(rt)
    place = max(n for n, (kind, _) in enumerate(daraja.asked, 1) if kind == "status_query")
    dead = mpesa.status_result(f"AG_{place}", "Cancelled", amount=300)
    assert mpesa.post(rt, "status_result", dead) == "new attempt"
    mpesa.work(rt)
    first, second = daraja.requests("b2c")

    assert tell(rt, daraja, receipt=LATE, request=first) == "incident"
    assert cashier.state(rt, number) == PayoutState.PAID  # by the first word of a payment
    assert (mpesa.balance(rt, amina), disputed(rt)) == (700_00, 0)

    assert tell(rt, daraja, receipt=OTHER, request=second) == "incident"
    assert (mpesa.balance(rt, amina), disputed(rt)) == (400_00, 300_00)
    assert teller.clean(rt)


@pytest.mark.parametrize("end", ["correct", "dismiss"])
def test_tax_and_tariff_go_with_what_was_paid(rt, amina, daraja, finance, wait, end):
    ann, ben = finance
    with rt.transaction() as tx:
        now, config = rt.now(), rt.config
        soon = now + timedelta(hours=1)
        rates = levies.propose(
            tx, levies.PROFILES["kenya-2025"], starts=soon, note="act", by=ann, now=now,
            config=config,
        )  # fmt: skip
        levies.approve(tx, seen_hash=rates.content_hash, by=ben, now=now)
        bands = tariffs.propose(
            tx, {Cents(1_500_00): Cents(5_00)}, starts=soon, note="form", by=ann, now=now,
            config=config,
        )  # fmt: skip
        tariffs.approve(tx, seen_hash=bands.content_hash, by=ben, now=now)
    wait(hours=2)
    number = cashier.sent(rt, amina, 95)
    tell(rt, daraja, 2040)
    late = mpesa.payout_result(daraja.requests("b2c")[-1], receipt=LATE)
    late["Result"]["ResultParameters"]["ResultParameter"][-1]["Value"] = (
        f"{rt.now().astimezone(NAIROBI):%d.%m.%Y %H:%M:%S}"
    )
    assert mpesa.post(rt, "b2c_result", late) == "incident"
    assert (disputed(rt), mpesa.payout(rt, number).tax) == (100_00, 5_00)

    told = propose(rt, ann, the_incident(rt).id, end)
    approve(rt, ben, the_incident(rt).id, told.content_hash)

    with rt.transaction() as tx:
        tax = ledger.account_balance(tx, AccountKind.WITHHOLDING_PAYABLE)
        charged = ledger.account_balance(tx, AccountKind.MPESA_CHARGES)
    paid = end == "correct"
    assert (tax, charged) == ((5_00, 5_00) if paid else (0, 0))
    assert utility(rt) == (-100_00 if paid else 0)
    assert mpesa.balance(rt, amina) == (900_00 if paid else 1_000_00)
    assert teller.clean(rt)
    assert unexplained(rt, amina) == 0


def test_a_receipt_of_something_else_moves_nothing(rt, amina, daraja, number):
    cashier.sent(rt, amina, 100)
    assert tell(rt, daraja, receipt="SKTAKEN001") == "paid"

    first = daraja.requests("b2c")[0]
    assert tell(rt, daraja, receipt="SKTAKEN001", request=first) == "conflict"

    assert disputed(rt) == 0
    assert cashier.is_paused(rt)


@pytest.mark.race
def test_the_late_success_told_by_many_at_once_is_one_incident(rt, amina, daraja, number):
    said = teller.at_once(8, lambda _: tell(rt, daraja, receipt=LATE))

    assert sorted(said) == ["incident", *["known"] * 7]
    assert disputed(rt) == 300_00
    assert teller.clean(rt)


def tell(rt, daraja, code=0, *, request=None, **odd):
    request = request or daraja.requests("b2c")[-1]
    return mpesa.post(rt, "b2c_result", mpesa.payout_result(request, code, **odd))


def the_incident(rt):
    with rt.transaction() as tx:
        return tx.scalars(select(PayoutIncident)).one()


def disputed(rt):
    with rt.transaction() as tx:
        return ledger.account_balance(tx, AccountKind.DISPUTED)


def utility(rt):
    with rt.transaction() as tx:
        return ledger.account_balance(tx, AccountKind.MPESA_UTILITY, shortcode=B2C_SHORTCODE)


def owed(rt, customer):
    with rt.transaction() as tx:
        return tx.scalar(select(Wallet.owed).where(Wallet.customer_id == customer.id))


def unexplained(rt, customer):
    """Lines of the customer's wallet that nobody can explain; the test's own gift is one."""
    with rt.transaction() as tx:
        told = explain.Explanation(tx, customer.id)
        lines = [line for line in told.lines() if line.kind != "adjustment"]
        return sum(bool(line.problems) for line in lines) + len(told.faults)


def propose(rt, by, incident_id, end):
    with rt.transaction() as tx:
        return payout_incidents.propose(
            tx, incident_id, end, note="seen in the portal", by=by, now=rt.now(), config=rt.config
        )


def approve(rt, by, incident_id, seen):
    with rt.transaction() as tx:
        return payout_incidents.approve(tx, incident_id, seen_hash=seen, by=by, now=rt.now())
