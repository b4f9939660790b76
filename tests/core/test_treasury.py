"""Treasury: the house's own money moves once, by two people, and only what is there."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from core import days, ledger, proposals, tariffs, treasury
from core.errors import Refusal
from core.ledger import AccountKind
from core.staff import Role
from demo.settings import B2C_SHORTCODE, PAYBILL
from tests import cashier, mpesa, people, teller
from tests.core.sign_up import at_once


@pytest.fixture
def finance(rt):
    return [people.member(rt, name, Role.FINANCE) for name in ("fatuma", "otieno")]


def asked(rt, who, act, shillings, reference="R1", *, shortcode=PAYBILL, on=None):
    now = rt.now()
    with rt.transaction() as tx:
        return treasury.propose(
            tx,
            act,
            amount=shillings * 100,
            shortcode=shortcode,
            value_date=on or now.astimezone(treasury.NAIROBI).date(),
            reference=reference,
            note="as the bank says",
            by=who,
            now=now,
            config=rt.config,
        )


def agreed(rt, who, proposal, reference="R1"):
    with rt.transaction() as tx:
        return treasury.approve(
            tx,
            reference,
            seen_hash=proposal.content_hash,
            by=who,
            now=rt.now(),
            config=rt.config,
        )


def posted(rt, finance, act, shillings, reference="R1", **more):
    return agreed(
        rt, finance[1], asked(rt, finance[0], act, shillings, reference, **more), reference
    )


def held(rt, kind, shortcode=None):
    with rt.transaction() as tx:
        return ledger.account_balance(tx, kind, shortcode=shortcode)


def test_money_goes_from_the_owner_by_the_bank_to_the_float(rt, finance):
    posted(rt, finance, "owner in", 1_000, "B1")
    posted(rt, finance, "top up", 600, "B2", shortcode=B2C_SHORTCODE)
    posted(rt, finance, "utility to working", 100, "B3", shortcode=B2C_SHORTCODE)

    assert held(rt, AccountKind.BANK) == 400_00
    assert held(rt, AccountKind.MPESA_UTILITY, B2C_SHORTCODE) == 500_00
    assert held(rt, AccountKind.MPESA_WORKING, B2C_SHORTCODE) == 100_00
    assert teller.clean(rt)


def test_two_people_and_the_same_thing_seen(rt, finance, wanjiku):
    proposal = asked(rt, finance[0], "owner in", 100)
    with pytest.raises(Refusal, match=r"staff\.own_proposal"):
        agreed(rt, finance[0], proposal)
    with pytest.raises(Refusal, match=r"staff\.not_your_role"):
        agreed(rt, wanjiku, proposal)
    agreed(rt, finance[1], proposal)
    with pytest.raises(Refusal, match=r"staff\.treasury_none"):
        agreed(rt, finance[1], proposal)
    assert held(rt, AccountKind.ADJUSTMENTS) == 100_00


@pytest.mark.parametrize(
    ("act", "shillings", "changes", "reason"),
    [
        ("make gold", 1, {}, "staff.treasury_act"),
        ("owner in", 0, {}, "staff.treasury_amount"),
        ("owner in", -5, {}, "staff.treasury_amount"),
        ("owner in", 1, {"reference": "<b>"}, "staff.treasury_reference"),
        ("top up", 1, {"shortcode": "999999"}, "staff.treasury_shortcode"),
        ("owner in", 1, {"shortcode": "999999"}, "staff.treasury_shortcode"),
        ("top up", 1, {}, "staff.treasury_short"),
        ("sweep fees", 1, {}, "staff.treasury_short"),
        ("remit excise", 1, {}, "staff.treasury_short"),
        ("utility to bank", 1, {}, "staff.treasury_short"),
    ],
)
def test_what_cannot_be_posted_is_refused(rt, finance, act, shillings, changes, reason):
    with pytest.raises(Refusal) as refusal:
        asked(rt, finance[0], act, shillings, **changes)
    assert refusal.value.reason == reason


OF_MPESA = [act for act, sides in treasury.ACTS.items() if treasury.OF_MPESA & set(sides)]


@pytest.mark.parametrize("act", OF_MPESA)
@pytest.mark.parametrize("nothing", ["", " "])
def test_a_move_of_mpesa_money_names_the_shortcode(rt, finance, act, nothing):
    with pytest.raises(Refusal, match=r"staff\.treasury_shortcode") as refusal:
        asked(rt, finance[0], act, 1, shortcode=nothing)
    assert PAYBILL in refusal.value.facts["ours"]
    assert B2C_SHORTCODE in refusal.value.facts["ours"]


def test_what_was_proposed_without_its_shortcode_is_not_posted(rt, finance):
    posted(rt, finance, "owner in", 100, "B1")
    proposal = asked(rt, finance[0], "top up", 60)
    with rt.transaction() as tx:
        old = tx.get_one(proposals.Proposal, proposal.id)
        old.content = {**old.content, "shortcode": ""}
        old.content_hash = proposals.content_hash(old.content)
        tx.flush()
    with pytest.raises(Refusal, match=r"staff\.treasury_shortcode"):
        agreed(rt, finance[1], old)


@pytest.mark.race
def test_the_same_paper_is_posted_once(rt, finance):
    posted(rt, finance, "owner in", 100, "fp-17")

    with pytest.raises(Refusal) as refused:
        posted(rt, finance, "owner in", 100, " FP-17 ")

    assert refused.value.reason == "staff.treasury_posted"
    posted(rt, finance, "top up", 100, "FP-17")
    assert teller.clean(rt)


def test_two_approvals_at_once_do_not_spend_the_same_money(rt, finance):
    posted(rt, finance, "owner in", 100, "B0")
    waiting = [asked(rt, finance[0], "owner out", 80, f"B{n}") for n in range(1, 5)]

    def act(number):
        try:
            return agreed(rt, finance[1], waiting[number], f"B{number + 1}").act
        except Refusal as refusal:
            return refusal.reason

    came = at_once(4, act)

    assert sorted(came) == ["owner out", *["staff.treasury_short"] * 3]
    assert held(rt, AccountKind.BANK) == 20_00
    assert teller.clean(rt)


def test_a_payout_costs_what_the_tariff_says(rt, amina, finance, wait):
    daraja = mpesa.Daraja(rt)
    now = rt.now()
    with rt.transaction() as tx:
        bands = tariffs.propose(
            tx,
            {100_00: 0, 1_500_00: 5_00, 5_000_00: 7_00},
            starts=now + timedelta(hours=1),
            note="M-PESA's list",
            by=finance[0],
            now=now,
            config=rt.config,
        )
        tariffs.approve(tx, seen_hash=bands.content_hash, by=finance[1], now=now)
    wait(hours=2)
    for amount, receipt in ((100_00, "SKP1SMALL"), (200_00, "SKP1LARGE")):
        cashier.withdrawing(rt, amina, amount)
        mpesa.work(rt)
        told = mpesa.payout_result(daraja.requests("b2c")[-1], receipt=receipt)
        for item in told["Result"]["ResultParameters"]["ResultParameter"]:
            if item["Key"] == "TransactionCompletedDateTime":
                item["Value"] = f"{rt.now().astimezone(treasury.NAIROBI):%d.%m.%Y %H:%M:%S}"
        assert mpesa.post(rt, "b2c_result", told) == "paid"

    assert held(rt, AccountKind.MPESA_CHARGES) == 5_00
    assert teller.clean(rt)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(treasury.ACTS)), st.integers(1, 500)), max_size=12)
)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_posted_the_books_balance(rt, moves):
    with rt.transaction() as tx:
        number = tx.scalars(text("SELECT count(*) FROM staff").columns()).one()
    pair = [people.member(rt, f"finance {number + n:b}", Role.FINANCE) for n in range(2)]
    for place, (act, shillings) in enumerate([("owner in", 1_000), *moves]):
        try:
            posted(rt, pair, act, shillings, f"N{number}-{place}")
        except Refusal as refusal:
            assert refusal.reason == "staff.treasury_short"  # noqa: PT017
    with rt.transaction() as tx:
        lines = days.trial_balance(tx, before=rt.now() + timedelta(days=1))
    assert sum(line.debits for line in lines) == sum(line.credits for line in lines) > 0
    assert teller.clean(rt)
