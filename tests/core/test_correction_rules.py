"""What a correction keeps of the result it corrects, and when it does not begin."""

import pytest
from sqlalchemy import create_engine, text

from core import settling
from tests import games
from tests.core.test_corrections import clean, correct, keep_in_wallets, wallets


@pytest.fixture
def game(rt, wanjiku, amina, brian):
    """100 of Amina's on Yes, 200 of Brian's on No; wins stay in the wallets."""
    game = games.derby(rt, wanjiku)
    games.placed(rt, amina, game, 1, 100)
    games.placed(rt, brian, game, 2, 200)
    keep_in_wallets(rt)
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
