"""Levies: dated rates that two people set, taken to the cent, given back where nothing was paid."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from core import ledger, levies, payouts
from core.effects import Refused
from core.errors import Refusal
from core.ledger import AccountKind
from core.levies import PROFILES, Levy
from core.payments import Payout, PayoutState
from core.say import NAIROBI
from core.staff import Role
from tests import cashier, games, mpesa, people, teller

KENYA = PROFILES["kenya-2025"]
DAY = timedelta(days=1)
BASIS_POINTS = st.integers(0, 5_000)


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def finance(rt):
    return [people.member(rt, name, Role.FINANCE) for name in ("fatuma", "otieno")]


def taxed(rt, finance, wait, rates=KENYA):
    """The rates hold from now on."""
    proposer, approver = finance
    with rt.transaction() as tx:
        asked = levies.propose(
            tx,
            rates,
            starts=rt.now() + timedelta(hours=1),
            note="Finance Act 2025",
            by=proposer,
            now=rt.now(),
            config=rt.config,
        )
        with pytest.raises(Refusal, match=r"staff\.own_proposal"):
            levies.approve(tx, seen_hash=asked.content_hash, by=proposer, now=rt.now())
        levies.approve(tx, seen_hash=asked.content_hash, by=approver, now=rt.now())
    wait(hours=2)


def paid(rt, amount, receipt="SKL7RT61SV"):
    """M-PESA's word that the first push was paid just now."""
    told = mpesa.push_result("ws_CO_1", amount=amount, receipt=receipt)
    for item in told["Body"]["stkCallback"]["CallbackMetadata"]["Item"]:
        if item["Name"] == "TransactionDate":
            item["Value"] = int(f"{rt.now().astimezone(NAIROBI):%Y%m%d%H%M%S}")
    return mpesa.post(rt, "stk", told)


def held(rt, kind):
    with rt.transaction() as tx:
        return ledger.account_balance(tx, kind)


def test_a_deposit_is_taxed_as_it_comes(rt, amina, daraja, finance, wait):
    taxed(rt, finance, wait)
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)

    assert paid(rt, 100.0) == "credited"
    assert paid(rt, 100.0) == "duplicate"

    assert mpesa.balance(rt, amina) == 1_095_00
    assert held(rt, AccountKind.EXCISE_PAYABLE) == 5_00
    assert teller.state(rt, asked).name == "CREDITED"
    assert teller.clean(rt)


def test_what_arrives_is_what_was_typed(rt, amina, daraja, finance, wait):
    taxed(rt, finance, wait)

    sent = cashier.withdrawing(rt, amina, 100_00)

    # 100 / 0.95 is 105.263...: the cent above, so that the tax is never short
    assert (sent.amount, sent.tax, sent.balance) == (100_00, 5_27, 894_73)
    assert held(rt, AccountKind.PAYOUTS_PENDING) == 105_27
    mpesa.work(rt)
    (request,) = daraja.requests("b2c")
    assert request["amount"] == 100_00
    assert mpesa.post(rt, "b2c_result", mpesa.payout_result(request)) == "paid"
    assert held(rt, AccountKind.PAYOUTS_PENDING) == 0
    assert held(rt, AccountKind.WITHHOLDING_PAYABLE) == 5_27
    assert teller.clean(rt)


def test_a_payout_that_fails_gives_the_tax_back(rt, amina, finance, wait):
    taxed(rt, finance, wait)
    sent = cashier.withdrawing(rt, amina, 100_00)

    with rt.transaction() as tx:
        ended = "SELECT payout_release(:id, CAST(9 AS smallint), '2001', 'money.why_payout_failed')"
        assert tx.scalar(text(ended), {"id": sent.payout_ids[0]}) == "released"

    assert mpesa.balance(rt, amina) == 1_000_00
    assert held(rt, AccountKind.WITHHOLDING_PAYABLE) == 0
    assert teller.clean(rt)


def test_the_tax_must_be_there_too(rt, amina, finance, wait):
    taxed(rt, finance, wait)

    no = cashier.withdrawing(rt, amina, 951_00)

    assert isinstance(no, Refused)
    assert (no.reason, no.facts["tax"]) == ("money.withdraw_short_levy", 50_06)
    assert levies.most_net(1_000_00, 500) == 950_00
    assert cashier.withdrawing(rt, amina, 950_00).balance == 0


def test_the_taxes_of_the_parts_are_the_tax_of_the_whole(rt, amina, finance, wait):
    taxed(rt, finance, wait)
    rt.config = rt.config.model_copy(update={"payout_max_amount": 33_00})

    sent = cashier.withdrawing(rt, amina, 101_00)

    with rt.transaction() as tx:
        parts = tx.scalars(select(Payout).order_by(Payout.id)).all()
        assert sum(part.amount for part in parts) == 101_00
        assert sum(part.tax for part in parts) == sent.tax == levies.gross(101_00, 500) - 101_00
    assert len(parts) == 4
    assert teller.clean(rt)


def test_a_rate_holds_from_its_day_and_the_reserved_tax_stays(rt, amina, daraja, finance, wait):
    early = cashier.withdrawing(rt, amina, 100_00)
    taxed(rt, finance, wait)
    assert early.tax == 0
    mpesa.work(rt)
    (request,) = daraja.requests("b2c")

    assert mpesa.post(rt, "b2c_result", mpesa.payout_result(request)) == "paid"

    assert held(rt, AccountKind.WITHHOLDING_PAYABLE) == 0
    assert teller.clean(rt)


def test_a_win_goes_to_mpesa_less_its_tax(rt, amina, brian, finance, wanjiku, kamau, wait):
    taxed(rt, finance, wait)
    derby = games.derby(rt, wanjiku)
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)

    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    with rt.transaction() as tx:
        (win,) = tx.scalars(select(Payout)).all()
        assert (win.amount, win.tax) == (270_00, 14_22)  # of 285.00
        assert ledger.balance(tx, amina.id) == 900_00 + 78
        assert win.state == PayoutState.HELD
    assert teller.clean(rt)


def test_rates_begin_in_the_future_and_stay_written(rt, finance, wait):
    proposer, approver = finance
    now = rt.now()
    told = {"note": "x", "by": proposer, "now": now, "config": rt.config}
    with rt.transaction() as tx:
        with pytest.raises(Refusal, match=r"staff\.levy_starts"):
            levies.propose(tx, KENYA, starts=now, **told)
        with pytest.raises(Refusal, match=r"staff\.levy_rate"):
            levies.propose(tx, {Levy.EXCISE: 5_001}, starts=now + timedelta(hours=1), **told)
        asked = levies.propose(tx, KENYA, starts=now + timedelta(hours=1), **told)
    wait(hours=2)
    with rt.transaction() as tx, pytest.raises(Refusal, match=r"staff\.levy_starts"):
        levies.approve(tx, seen_hash=asked.content_hash, by=approver, now=rt.now())


def test_what_is_filed_is_what_was_taken(rt, amina, daraja, finance, wait):
    taxed(rt, finance, wait)
    teller.ask(rt, amina, 200)
    teller.push(rt, wait)
    paid(rt, 200.0)
    today = rt.now().date()

    with rt.transaction() as tx:
        lines = levies.filing(tx, since=today - DAY, until=today + DAY)

    assert [(line.levy, line.number, line.base, line.tax) for line in lines] == [
        (Levy.EXCISE, 1, 200_00, 10_00)
    ]


@given(st.integers(10, 250_000), BASIS_POINTS)
def test_the_gross_is_the_least_from_which_the_net_arrives(shillings, bp):
    net = shillings * 100
    gross = levies.gross(net, bp)
    assert (gross - net) * 10_000 >= gross * bp  # the state never gets less than its share
    assert (gross - 1 - net) * 10_000 < (gross - 1) * bp  # and the customer pays no cent more
    assert levies.most_net(gross, bp) == net


@given(st.integers(0, 10**12), BASIS_POINTS)
def test_the_most_that_can_arrive_fits(held_cents, bp):
    most = levies.most_net(held_cents, bp)
    assert levies.gross(most, bp) <= held_cents < levies.gross(most + 100, bp)


@pytest.mark.parametrize(("net", "bp"), [(1_000, 500), (100_00, 500), (999_900, 333), (10**9, 1)])
def test_sql_says_the_same(rt, net, bp):
    with rt.transaction() as tx:
        both = tx.execute(
            text("SELECT levy_gross(:n, :r), levy_net(levy_gross(:n, :r), :r)"), {"n": net, "r": bp}
        ).one()
    assert tuple(both) == (levies.gross(net, bp), net)


def test_without_rates_nothing_is_taken(rt, amina):
    assert cashier.withdrawing(rt, amina, 100_00).tax == 0
    with rt.transaction() as tx:
        assert levies.rate(tx, Levy.EXCISE, at=rt.now()) == 0
        assert payouts.paused(tx) is None
