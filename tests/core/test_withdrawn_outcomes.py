"""Withdrawing an outcome: by two people, its stakes back, and the market goes on without it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from core import (
    betting,
    decisions,
    market_history,
    markets,
    settling,
    under_way,
    withdrawn_outcomes,
)
from core.betting import Placed
from core.effects import Refused
from core.errors import Refusal
from core.markets import Status
from core.verify import verify
from tests import games


@pytest.fixture
def race(rt, wanjiku, amina, brian):
    """100 and 50 of Amina's on the first and third, 200 of Brian's on the second."""
    with rt.transaction() as tx:
        tx.execute(text("UPDATE customer SET auto_cashout = false"))
    race = games.derby(rt, wanjiku, "Simba", "Chui", "Duma")
    games.placed(rt, amina, race, 1, 100)
    games.placed(rt, brian, race, 2, 200)
    games.placed(rt, amina, race, 3, 50)
    return race


def test_its_stakes_go_back_and_the_market_goes_on(rt, race, amina, brian, wanjiku, kamau):
    run = withdraw(rt, race, 3, wanjiku, kamau)
    refused = games.bet(rt, brian, race, 3, 20)
    games.placed(rt, brian, race, 1, 20)

    assert isinstance(refused, Refused)
    assert refused.reason == "betting.outcome_withdrawn"
    assert settling.work(rt, run.id)
    assert balance(rt, amina) == 900_00
    assert status(rt, race) == Status.OPEN
    with rt.transaction() as tx:
        ended = betting.my_bets(tx, amina.id, open=False, limit=9)
        running = betting.my_bets(tx, amina.id, open=True, limit=9)
    assert [(one.state, one.returned) for one in ended] == [("refunded", 50_00)]
    assert [one.outcome_name for one in running] == ["Simba"]
    assert clean(rt)

    games.settle(rt, race, 1, proposer=wanjiku, approver=kamau)

    assert balance(rt, amina) == 900_00 + 253_33  # of 320.00 less 16.00, 100 in 120
    assert clean(rt)


def test_a_void_after_it_gives_back_the_rest(rt, race, amina, brian, wanjiku, kamau):
    settling.work(rt, withdraw(rt, race, 3, wanjiku, kamau).id)

    games.settle(rt, race, None, proposer=wanjiku, approver=kamau)

    assert (balance(rt, amina), balance(rt, brian)) == (1_000_00, 500_00)
    assert status(rt, race) == Status.VOID
    assert clean(rt)


def test_the_result_waits_for_it(rt, race, amina, wanjiku, kamau):
    leaving = withdraw(rt, race, 3, wanjiku, kamau)
    games.close(rt, race, wanjiku)
    run = games.decide(rt, race, 1, proposer=wanjiku, approver=kamau)

    assert not settling.work(rt, run.id)
    assert settling.work(rt, leaving.id)
    assert settling.work(rt, run.id)
    assert status(rt, race) == Status.SETTLED
    assert clean(rt)


def test_it_can_be_paused_for_a_reason_and_seen(rt, race, brian, wanjiku, kamau):
    leaving = withdraw(rt, race, 3, wanjiku, kamau)
    with rt.transaction() as tx:
        with pytest.raises(Refusal, match=r"staff\.reason_missing"):
            under_way.pause(tx, race.code, reason=" ", by=kamau)
        under_way.pause(tx, race.code, reason="wrong horse", by=kamau)
        assert under_way.progress(tx, race.code).withdraws == 3
    assert not settling.work(rt, leaving.id)
    with rt.transaction() as tx:
        under_way.resume(tx, race.code, reason="the right horse", by=wanjiku)
        told = [(line.what, line.reason) for line in market_history.of_market(tx, race.id)]
    assert told[-2:] == [
        ("pause settlement", "wrong horse"),
        ("resume settlement", "the right horse"),
    ]
    assert settling.work(rt, leaving.id)


def test_until_it_is_back_its_stake_is_shown_as_what_comes_back(rt, race, amina, wanjiku, kamau):
    withdraw(rt, race, 3, wanjiku, kamau)
    with rt.transaction() as tx:
        lines = betting.my_bets(tx, amina.id, open=True, limit=9)
    assert [(line.outcome_name, line.estimate) for line in lines[:1]] == [("Duma", 50_00)]


def test_it_cannot_win(rt, race, wanjiku, kamau):
    withdraw(rt, race, 3, wanjiku, kamau)
    games.close(rt, race, wanjiku)
    with pytest.raises(Refusal, match=r"betting\.no_such_outcome"):
        games.decide(rt, race, 3, proposer=wanjiku, approver=kamau)


def test_two_must_remain(rt, race, wanjiku, kamau):
    withdraw(rt, race, 3, wanjiku, kamau)
    with pytest.raises(Refusal, match=r"staff\.outcomes_left"):
        withdraw(rt, race, 2, wanjiku, kamau)
    with pytest.raises(Refusal, match=r"betting\.no_such_outcome"):
        withdraw(rt, race, 3, wanjiku, kamau)


def test_nobody_does_it_alone_and_a_no_leaves_all_as_it_was(rt, race, brian, wanjiku, kamau):
    with pytest.raises(Refusal, match=r"staff\.own_proposal"):
        withdraw(rt, race, 3, wanjiku, wanjiku)
    with rt.transaction() as tx:
        decisions.refuse(tx, race.code, by=kamau, now=rt.now())

    games.placed(rt, brian, race, 3, 20)
    assert status(rt, race) == Status.OPEN


def test_what_is_shown_leaves_it_out(rt, race, wanjiku, kamau):
    with rt.transaction() as tx:
        markets.refresh_pools(tx)
    withdraw(rt, race, 3, wanjiku, kamau)

    with rt.transaction() as tx:
        seen = markets.view(tx, race.id)
        line = markets.open_list(tx, now=rt.now())[0]
    assert (seen.pool, line.pool) == (300_00, 300_00)
    assert [(one.withdrawn, one.staked) for one in seen.outcomes][2] == (True, 0)


def test_no_bet_slips_in_behind_it(rt, race, amina, brian, wanjiku, kamau):
    gate = threading.Barrier(3)

    def bets(person):
        gate.wait()
        return [games.bet(rt, person, race, 3, 1 + 20) for _ in range(9)]

    with ThreadPoolExecutor(2) as crowd:
        busy = [crowd.submit(bets, person) for person in (amina, brian)]
        gate.wait()
        run = withdraw(rt, race, 3, wanjiku, kamau)
        answers = [answer for one in busy for answer in one.result()]
    assert settling.work(rt, run.id)

    taken = sum(isinstance(answer, Placed) for answer in answers)
    with rt.transaction() as tx:
        back = tx.scalar(text("SELECT refunded FROM settlement WHERE id = :id"), {"id": run.id})
    assert back == 50_00 + taken * 21_00
    assert (balance(rt, amina), balance(rt, brian)) == (900_00, 300_00)
    assert clean(rt)


def withdraw(rt, market, outcome, proposer, approver):
    told = {"now": rt.now(), "config": rt.config}
    with rt.transaction() as tx:
        _, seen = withdrawn_outcomes.propose(
            tx, market.code, outcome=outcome, source="Lame", by=proposer, **told
        )
    with rt.transaction() as tx:
        return decisions.approve(tx, market.code, seen_hash=seen.hash, by=approver, **told)


def balance(rt, customer):
    with rt.transaction() as tx:
        found = text("SELECT balance FROM wallet WHERE customer_id = :id")
        return tx.scalar(found, {"id": customer.id})


def status(rt, market):
    with rt.transaction() as tx:
        return tx.scalar(text("SELECT status FROM market WHERE id = :id"), {"id": market.id})


def clean(rt):
    broken = [finding for finding in verify(rt) if not finding.holds]
    assert not broken, broken
    return True
