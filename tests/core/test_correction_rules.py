"""What a correction keeps of the result it corrects, and when it does not begin."""

import pytest
from sqlalchemy import create_engine, text

from core import corrections, decisions, market_history, settlement, settling, under_way
from core.errors import Refusal
from core.markets import Status
from tests import games
from tests.core.test_corrections import clean, correct, fees, keep_in_wallets, status, wallets


@pytest.fixture
def game(rt, wanjiku, amina, brian):
    """100 of Amina's on Yes, 200 of Brian's on No; wins stay in the wallets."""
    game = games.derby(rt, wanjiku)
    games.placed(rt, amina, game, 1, 100)
    games.placed(rt, brian, game, 2, 200)
    keep_in_wallets(rt)
    return game


@pytest.fixture
def ended(rt, game, wanjiku, kamau):
    """Settled, wrongly, for Yes."""
    games.settle(rt, game, 1, proposer=wanjiku, approver=kamau)
    return game


def test_what_was_too_late_stays_too_late(rt, game, amina, brian, wanjiku, kamau, wait):
    """A corrected result says who won, not when it was known."""
    wait(minutes=1)
    known = rt.now()
    wait(minutes=1)
    games.placed(rt, brian, game, 2, 150)
    games.settle(rt, game, 1, proposer=wanjiku, approver=kamau, effective_close=known)

    for winner in (2, None, 2):  # a void between them changes nothing about it
        run = correct(rt, game, winner, wanjiku, kamau)
        assert settling.work(rt, run.id)

    assert wallets(rt, amina, brian) == [900_00, 300_00 + 285_00]  # the 150 went back
    assert clean(rt)


def test_a_correction_of_another_book_stops_before_it_takes_anything(
    rt, game, amina, brian, wanjiku, kamau
):
    games.settle(rt, game, 1, proposer=wanjiku, approver=kamau)
    run = correct(rt, game, 2, wanjiku, kamau)
    before = wallets(rt, amina, brian)
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as connection:  # as a change of the rules between the two yeses would
        connection.execute(text("UPDATE proposal SET content_hash = 'x' WHERE act LIKE '%corr%'"))
    owner.dispose()

    assert not settling.work(rt, run.id)

    assert wallets(rt, amina, brian) == before
    with rt.transaction() as tx:
        stopped = (
            "SELECT paused_at IS NOT NULL AND paused_by IS NULL FROM settlement WHERE id = :id"
        )
        assert tx.scalar(text(stopped), {"id": run.id})
    assert clean(rt)


def test_one_that_has_taken_nothing_back_gives_way_to_another(
    rt, ended, amina, brian, wanjiku, kamau
):
    """Also where the house has stopped it, since the book is not what was approved."""
    stopped = correct(rt, ended, 2, wanjiku, kamau)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE market SET fee_bp = 0"))
    assert not settling.work(rt, stopped.id)
    with rt.transaction() as tx:
        under_way.resume(tx, ended.code, reason="again", by=kamau)
    assert not settling.work(rt, stopped.id), "and it would be stopped again"

    run = correct(rt, ended, 2, wanjiku, kamau)
    assert not settling.work(rt, stopped.id)
    assert settling.work(rt, run.id)
    assert wallets(rt, amina, brian) == [900_00, 300_00 + 300_00]
    assert (fees(rt), status(rt, ended)) == (0, Status.SETTLED)
    assert clean(rt)


def test_two_that_stand_in_for_a_third_are_not_both_approved(rt, ended, wanjiku, kamau):
    """Approved when the one before it has begun meanwhile: too late."""
    first = correct(rt, ended, 2, wanjiku, kamau)
    told = {"now": rt.now(), "config": rt.config}
    with rt.transaction() as tx:
        _, seen = corrections.propose(tx, ended.code, winners=(), source="x", by=wanjiku, **told)
    with rt.transaction() as tx:
        settlement.undo(tx, first.id, config=rt.config)
    with pytest.raises(Refusal, match=r"staff\.settling_begun"), rt.transaction() as tx:
        decisions.approve(tx, ended.code, seen_hash=seen.hash, by=kamau, **told)
    assert settling.work(rt, first.id)
    assert clean(rt)


def test_it_is_found_and_paused_though_another_market_has_its_code(rt, ended, wanjiku, kamau):
    run = correct(rt, ended, 2, wanjiku, kamau)
    other = games.derby(rt, wanjiku, question="Mathare United v Tusker")
    with rt.transaction() as tx:
        again = {"code": ended.code, "id": other.id}
        tx.execute(text("UPDATE market SET code = :code WHERE id = :id"), again)
        assert under_way.progress(tx, ended.code).id == run.id
        under_way.pause(tx, ended.code, reason="look", by=kamau)
    assert not settling.work(rt, run.id)
    with rt.transaction() as tx:
        said = [line.reason for line in market_history.of_market(tx, ended.id)]
    assert said[-1] == "look"
