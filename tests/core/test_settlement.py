"""Settling by function call: two people, every cent accounted for, and safe to break off."""

import pytest
from sqlalchemy import select, text

from core import decisions, ledger, market_history, settlement, settling, under_way
from core.errors import Refusal
from core.ledger import AccountKind
from core.markets import Market, Status
from core.settlement import Settlement
from core.verify import verify
from tests import games, people


@pytest.fixture
def derby(rt, wanjiku):
    return games.derby(rt, wanjiku)


@pytest.fixture
def stakes(rt, amina, brian, derby):
    """100 on Yes, 200 on No."""
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    keep_in_wallets(rt)


def test_a_hundred_and_two_hundred_at_five_percent(rt, amina, brian, derby, stakes, wanjiku, kamau):
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    assert balances(rt, amina, brian) == [900_00 + 285_00, 300_00]
    assert fees(rt) == 15_00
    assert clean(rt)


def test_a_void_market_gives_every_stake_back(rt, amina, brian, derby, stakes, wanjiku, kamau):
    games.settle(rt, derby, None, proposer=wanjiku, approver=kamau)

    assert balances(rt, amina, brian) == [1_000_00, 500_00]
    assert fees(rt) == 0
    assert status(rt, derby) == Status.VOID
    assert clean(rt)


def test_when_nobody_won_everybody_is_refunded(rt, amina, brian, wanjiku, kamau):
    derby = games.derby(rt, wanjiku, "1", "X", "2")
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 3, 200)
    keep_in_wallets(rt)

    games.settle(rt, derby, 2, proposer=wanjiku, approver=kamau)

    assert balances(rt, amina, brian) == [1_000_00, 500_00]
    assert status(rt, derby) == Status.SETTLED
    assert clean(rt)


def test_the_fee_gives_way_before_a_winner_gets_less_than_the_stake(
    rt, amina, brian, derby, wanjiku, kamau
):
    games.placed(rt, amina, derby, 1, 500)
    games.placed(rt, brian, derby, 2, 20)
    keep_in_wallets(rt)

    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    assert balances(rt, amina, brian) == [1_000_00, 480_00]  # 520 less 5% would be 494
    assert fees(rt) == 20_00
    assert clean(rt)


def test_a_market_nobody_bet_on_settles_too(rt, derby, wanjiku, kamau):
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    assert status(rt, derby) == Status.SETTLED
    assert clean(rt)


def test_odd_cents_go_to_somebody_and_chunks_change_nothing(rt, derby, wanjiku, kamau):
    crowd = [
        people.customer(rt, f"+2547120001{n:02}", "Some One", money=1_000_00) for n in range(7)
    ]
    keep_in_wallets(rt)
    for number, person in enumerate(crowd):
        games.placed(rt, person, derby, 1, 20 + number * 7)
        games.placed(rt, person, derby, 1 + number % 2, 33)
    rt.config = rt.config.model_copy(update={"settle_chunk": 3})
    run = games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    with rt.transaction() as tx:
        done = tx.get_one(Settlement, run.id)
        assert done.paid + done.fee == done.pool
        assert done.paid == done.net
    assert clean(rt)


def test_nobody_approves_their_own_result(rt, derby, stakes, wanjiku):
    games.close(rt, derby, wanjiku)

    with pytest.raises(Refusal, match=r"staff\.own_proposal"):
        games.decide(rt, derby, 1, proposer=wanjiku, approver=wanjiku)


def test_a_result_is_proposed_for_a_closed_market_only(rt, derby, wanjiku, kamau):
    with pytest.raises(Refusal, match=r"staff\.market_not_closed"):
        games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau)


def test_the_approver_signs_what_they_saw(rt, derby, stakes, wanjiku, kamau):
    games.close(rt, derby, wanjiku)
    with rt.transaction() as tx:
        propose(tx, rt, derby, wanjiku)

    with pytest.raises(Refusal, match=r"staff\.content_changed"), rt.transaction() as tx:
        decisions.approve(
            tx, derby.code, seen_hash="0" * 64, by=kamau, now=rt.now(), config=rt.config
        )
    assert status(rt, derby) == Status.PROPOSED


def test_one_proposal_waits_at_a_time_and_lapses_after_a_day(rt, derby, wanjiku, kamau, wait):
    games.close(rt, derby, wanjiku)
    with rt.transaction() as tx:
        _, seen = propose(tx, rt, derby, wanjiku)
    with pytest.raises(Refusal, match=r"staff\.market_proposed"), rt.transaction() as tx:
        propose(tx, rt, derby, kamau)

    wait(hours=24)

    with pytest.raises(Refusal, match=r"staff\.proposal_over"), rt.transaction() as tx:
        decisions.approve(
            tx, derby.code, seen_hash=seen.hash, by=kamau, now=rt.now(), config=rt.config
        )
    with rt.transaction() as tx:
        propose(tx, rt, derby, kamau)


def test_a_refused_result_leaves_the_market_closed_for_another(rt, derby, wanjiku, kamau):
    games.close(rt, derby, wanjiku)
    with rt.transaction() as tx:
        propose(tx, rt, derby, wanjiku)
    with rt.transaction() as tx:
        decisions.refuse(tx, derby.code, by=kamau, now=rt.now(), reason="it was a draw")

    assert status(rt, derby) == Status.CLOSED
    with rt.transaction() as tx:
        kept = [(one.what, one.by, one.reason) for one in market_history.of_market(tx, derby.id)]
    assert kept[-2:] == [
        ("propose result", "wanjiku", "FKF"),
        ("refuse result", "kamau", "it was a draw"),
    ]


def test_the_dispute_window_is_waited_for(rt, amina, derby, stakes, wanjiku, kamau, wait):
    rt.config = rt.config.model_copy(update={"dispute_window": games.HOUR})
    games.close(rt, derby, wanjiku)
    run = games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau)
    assert not settling.work(rt, run.id)

    wait(hours=1)

    assert settling.work(rt, run.id)
    assert balances(rt, amina) == [1_185_00]


def test_a_settlement_broken_off_anywhere_goes_on_where_it_was(
    rt, amina, brian, derby, wanjiku, kamau
):
    for _ in range(6):
        games.placed(rt, amina, derby, 1, 50)
        games.placed(rt, brian, derby, 2, 50)
    keep_in_wallets(rt)
    games.close(rt, derby, wanjiku)
    run = games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau)
    with rt.transaction() as tx:
        settlement.start(tx, run.id, now=rt.now())
    twos = rt.config.model_copy(update={"settle_chunk": 2})
    for _ in range(2):  # and then the worker dies
        with rt.transaction() as tx:
            assert settlement.step(tx, run.id, config=twos) == 2
    with rt.transaction() as tx:
        assert not settlement.finish(tx, run.id)

    assert settling.work(rt, run.id)
    assert settling.work(rt, run.id)  # a second bell for the same settlement

    assert balances(rt, amina, brian) == [700_00 + 570_00, 200_00]
    assert clean(rt)


def test_wins_go_to_mpesa_at_once_for_those_who_want_it(rt, amina, brian, derby, wanjiku, kamau):
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 201)

    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    assert balances(rt, amina, brian) == [900_95, 299_00]  # 285.95 won, whole shillings sent
    with rt.transaction() as tx:
        assert ledger.account_balance(tx, AccountKind.PAYOUTS_PENDING) == 285_00
        held = tx.execute(
            text("SELECT kind, count(*) FROM promise WHERE settlement_id IS NOT NULL GROUP BY kind")
        )
        assert dict(held.all()) == {"b2c": 1, "result": 1}
        assert tx.scalar(text("SELECT count(*) FROM promise_release")) == 1
    assert clean(rt)


@pytest.mark.parametrize("stage", ["proposed", "approved", "refused", "paused"])
def test_a_market_can_be_voided_until_the_first_bet_is_paid(
    rt, amina, brian, derby, stakes, wanjiku, kamau, stage
):
    games.close(rt, derby, wanjiku)
    if stage == "proposed":
        with rt.transaction() as tx:
            propose(tx, rt, derby, wanjiku)
    else:
        run = games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau)
    if stage == "paused":
        with rt.transaction() as tx:
            assert settlement.start(tx, run.id, now=rt.now())
            under_way.pause(tx, derby.code, reason="look", by=kamau)
    if stage == "refused":
        with rt.transaction() as tx:
            propose(tx, rt, derby, wanjiku, winners=())
        assert not settling.work(rt, run.id)
        with rt.transaction() as tx:
            decisions.refuse(tx, derby.code, by=kamau, now=rt.now())
        assert status(rt, derby) == Status.APPROVED

    void = games.decide(rt, derby, None, proposer=wanjiku, approver=kamau)
    if stage != "proposed":
        assert not settling.work(rt, run.id)
    assert settling.work(rt, void.id)

    assert balances(rt, amina, brian) == [1_000_00, 500_00]
    assert status(rt, derby) == Status.VOID
    assert clean(rt)


def test_once_somebody_is_paid_there_is_no_void(rt, derby, stakes, wanjiku, kamau):
    games.close(rt, derby, wanjiku)
    run = games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau)
    with rt.transaction() as tx:
        settlement.start(tx, run.id, now=rt.now())
        settlement.step(tx, run.id, config=rt.config)

    with pytest.raises(Refusal, match=r"staff\.settling_begun"):
        games.decide(rt, derby, None, proposer=wanjiku, approver=kamau)
    assert settling.work(rt, run.id)


def test_a_void_nobody_decides_on_holds_the_result_up_for_a_day(
    rt, derby, stakes, wanjiku, kamau, wait
):
    games.close(rt, derby, wanjiku)
    run = games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau)
    with rt.transaction() as tx:
        propose(tx, rt, derby, wanjiku, winners=())
    assert not settling.work(rt, run.id)

    wait(hours=24)

    assert settling.work(rt, run.id)
    assert clean(rt)


def test_it_is_paused_between_any_two_chunks_and_tells_how_far_it_is(
    rt, amina, brian, derby, wanjiku, kamau
):
    for _ in range(3):
        games.placed(rt, amina, derby, 1, 50)
        games.placed(rt, brian, derby, 1, 50)
    games.close(rt, derby, wanjiku)
    run = games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau)
    rt.config = rt.config.model_copy(update={"settle_chunk": 1})
    seen = []
    with rt.transaction() as tx:
        settlement.start(tx, run.id, now=rt.now())
    for chunk in range(8):
        with rt.transaction() as tx:
            under_way.pause(tx, derby.code, reason="look", by=kamau)
        assert not settling.work(rt, run.id)
        with rt.transaction() as tx:
            assert run.id not in settlement.due(tx, now=rt.now())
            assert settlement.step(tx, run.id, config=rt.config) == 0
            under_way.resume(tx, derby.code, reason="fine", by=wanjiku)
            assert settlement.step(tx, run.id, config=rt.config) == 1
            far = under_way.progress(tx, derby.code)
        seen.append((far.stage, far.bets_done, far.people_done))
        assert (far.bets, far.pool) == (6, 300_00)
        assert far.paid == 50_00 * min(chunk + 1, 6)
    assert seen[:5] == [("paying", paid, 0) for paid in range(1, 6)]
    assert seen[5:] == [("telling", 6, 0), ("telling", 6, 1), ("telling", 6, 2)]

    assert settling.work(rt, run.id)
    with rt.transaction() as tx:
        assert under_way.progress(tx, derby.code).stage == "settled"
        with pytest.raises(Refusal, match=r"staff\.no_settlement"):
            under_way.pause(tx, derby.code, reason="look", by=kamau)
    assert clean(rt)


def test_another_book_than_was_approved_is_not_settled(rt, derby, stakes, wanjiku, kamau):
    games.close(rt, derby, wanjiku)
    run = games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE market SET fee_bp = 0"))

    assert not settling.work(rt, run.id)

    with rt.transaction() as tx:
        stopped = under_way.progress(tx, derby.code)
        assert (stopped.stage, stopped.paused_by) == ("waiting", None)
        assert stopped.paused_at is not None
        assert settlement.due(tx, now=rt.now()) == []
        tx.execute(text("UPDATE market SET fee_bp = 500"))
        under_way.resume(tx, derby.code, reason="fine", by=kamau)
    assert settling.work(rt, run.id)
    assert clean(rt)


def keep_in_wallets(rt):
    """Nobody here has auto cash-out on."""
    with rt.transaction() as tx:
        tx.execute(text("UPDATE customer SET auto_cashout = false"))


def propose(tx, rt, market, by, winners=(1,)):
    return decisions.propose(
        tx, market.code, winners=winners, source="FKF", by=by, now=rt.now(), config=rt.config
    )


def balances(rt, *customers):
    with rt.transaction() as tx:
        return [ledger.balance(tx, customer.id) for customer in customers]


def fees(rt):
    with rt.transaction() as tx:
        return ledger.account_balance(tx, AccountKind.FEES)


def status(rt, market):
    with rt.transaction() as tx:
        return tx.scalar(select(Market.status).where(Market.id == market.id))


def clean(rt):
    broken = [finding for finding in verify(rt) if not finding.holds]
    assert not broken, broken
    return True
