"""Dead heats and bets that came too late, and the arithmetic of both against a plain model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from core import previews
from core.errors import Refusal
from core.verify import verify
from tests import exact, games, people
from tests.tote import Slip, divide

FEES = st.sampled_from([0, 1, 500, 1_234, 5_000])


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 10**12)), max_size=12),
    st.sets(st.integers(1, 4)),
    FEES,
)
def test_the_shares_are_those_of_plain_arithmetic(bets, winners, fee_bp):
    staked = {}
    for outcome, stake in bets:
        staked[outcome] = staked.get(outcome, 0) + stake
    shares = previews.share_out(staked, winners, fee_bp)
    slips = [Slip(number, *bet) for number, bet in enumerate(bets)]
    plain = divide(slips, winners, fee_bp)

    assert shares.fee == plain.fee
    assert shares.refunding == (not plain.won)
    side_of = {slip.id: slip.outcome for slip in slips}
    paid = dict.fromkeys(shares.nets, 0)
    for bet, cents in plain.given.items():
        paid[side_of[bet]] += cents
    assert shares.nets == paid
    assert sum(paid.values()) + shares.fee == sum(staked.values())
    assert shares.refunding or all(paid[number] >= staked[number] for number in paid)


@pytest.mark.parametrize(
    ("stakes", "fee", "back"),
    [
        ((100, 300, 100), 2_500, (137_50, 337_50)),  # 475.00 less the stakes, halved
        ((100, 300, 0), 0, (100_00, 300_00)),  # nothing to split: the fee gives way
        ((100, 300, 20), 20_00, (100_00, 300_00)),  # 5% of 420.00 is 21.00: it gives way
        ((100, 0, 100), 1_000, (190_00, 0)),  # of the tied only one was backed
    ],
)
def test_a_dead_heat(rt, amina, wanjiku, kamau, stakes, fee, back):
    keep_in_wallets(rt)
    derby = games.derby(rt, wanjiku, "1", "X", "2")
    people.fund(rt, amina, 1_000_00)
    for outcome, stake in enumerate(stakes, 1):
        if stake:
            games.placed(rt, amina, derby, outcome, stake)

    run = games.settle(rt, derby, (1, 2), proposer=wanjiku, approver=kamau)

    with rt.transaction() as tx:
        given = dict(tx.execute(text(BY_OUTCOME), {"run": run.id}).all())
        kept = tx.scalar(text("SELECT fee FROM settlement WHERE id = :run"), {"run": run.id})
    assert (given.get(1, 0), given.get(2, 0)) == back
    assert kept == sum(stakes) * 100 - sum(back)
    assert kept <= max(fee, sum(stakes) * 5)
    exact.recount(rt, run.id)
    assert clean(rt)


def test_odd_cents_of_a_dead_heat_go_in_outcome_order(rt, amina, brian, wanjiku, kamau):
    keep_in_wallets(rt)
    derby = games.derby(rt, wanjiku, "1", "X", "2")
    for outcome in (1, 2):
        games.placed(rt, amina, derby, outcome, 20)
    games.placed(rt, brian, derby, 3, 20.01)

    run = games.settle(rt, derby, (2, 1), proposer=wanjiku, approver=kamau)

    with rt.transaction() as tx:  # 60.01 - 3.00 - 40.00 = 17.01
        assert tx.execute(text(BY_OUTCOME), {"run": run.id}).all() == [(1, 28_51), (2, 28_50)]
    assert clean(rt)


def test_bets_after_the_effective_close_go_back(rt, amina, brian, wanjiku, kamau, wait):
    keep_in_wallets(rt)
    derby = games.derby(rt, wanjiku)
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    wait(minutes=10)
    goal = rt.now()
    wait(minutes=10)
    late = [games.placed(rt, amina, derby, 1, 300).bet_id, games.placed(rt, brian, derby, 2, 50)]

    run = games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau, effective_close=goal)

    with rt.transaction() as tx:
        shares = tx.execute(text(SHARES), {"run": run.id}).all()
        assert shares == [
            (1, 1, False, False, 100_00, 285_00),
            (3, 1, True, True, 300_00, 300_00),
            (4, 2, True, True, 50_00, 50_00),
        ]
        back = tx.execute(
            text("SELECT amount, refund FROM dividend WHERE bet_id = :bet"), {"bet": late[0]}
        ).one()
        assert tuple(back) == (300_00, True)
    assert wallets(rt, amina, brian) == [1_000_00 - 100_00 + 285_00, 300_00]
    assert clean(rt)


def test_the_late_are_part_of_what_is_approved(rt, amina, wanjiku, kamau, wait):
    derby = games.derby(rt, wanjiku)
    games.placed(rt, amina, derby, 1, 100)
    wait(minutes=10)
    with rt.transaction() as tx:
        seen, cut = (
            previews.preview(tx, derby, winners=(1,), source="FKF", effective_close=moment)
            for moment in (None, rt.now() - games.HOUR)
        )
    assert (seen.late, cut.late) == (0, 100_00)
    assert seen.hash != cut.hash


def test_an_effective_close_lies_behind_us(rt, wanjiku, kamau):
    derby = games.derby(rt, wanjiku)
    games.close(rt, derby, wanjiku)
    for winner, moment in ((1, rt.now() + games.HOUR), (None, rt.now())):
        with pytest.raises(Refusal, match=r"staff\.effective_close"):
            games.decide(
                rt, derby, winner, proposer=wanjiku, approver=kamau, effective_close=moment
            )


def keep_in_wallets(rt):
    with rt.transaction() as tx:
        tx.execute(text("UPDATE customer SET auto_cashout = false"))


def wallets(rt, *whose):
    with rt.transaction() as tx:
        held = dict(tx.execute(text("SELECT customer_id, balance FROM wallet")).all())
    return [held[customer.id] for customer in whose]


def clean(rt):
    broken = [finding for finding in verify(rt) if not finding.holds]
    assert not broken, broken
    return True


BY_OUTCOME = """
    SELECT b.outcome, sum(d.amount)::bigint FROM dividend d JOIN bet b ON b.id = d.bet_id
     WHERE d.settlement_id = :run GROUP BY b.outcome ORDER BY b.outcome
"""
SHARES = """
    SELECT place, outcome, late, refund, staked, net FROM settlement_share
     WHERE settlement_id = :run ORDER BY place
"""
