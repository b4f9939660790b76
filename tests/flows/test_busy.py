"""A busy house: somebody waits for a lock or a connection, and nobody is turned away."""

import contextlib
import threading

import pytest
from sqlalchemy import create_engine, text

from tests import games, people
from tests.flows import acts


@pytest.fixture
def derby(rt):
    return games.derby(rt, people.member(rt, "wanjiku"))


@pytest.fixture
def amina(rt, phone):
    people.customer(rt, people.AMINA, "Amina Wanjiru", money=1_000_00)
    return phone(people.AMINA)


@contextlib.contextmanager
def held_up(rt, seconds):
    """Every wallet is locked by somebody slow, for so long; the house's own role could not."""
    owner = create_engine(rt.config.migration_database_url)
    with owner.connect() as slow:
        slow.execute(text("SELECT FROM wallet FOR UPDATE"))
        letting_go = threading.Timer(seconds, slow.rollback)
        letting_go.start()
        yield
        letting_go.join()
    owner.dispose()


@pytest.mark.race
def test_a_bet_by_text_outlasts_a_slow_settlement(rt, amina, derby, work):
    with held_up(rt, 2):
        amina.text(f"{derby.code}#1#50")
    work()

    assert acts.wallets(rt, amina) == [950_00]
    assert len(amina.inbox()) == 1


@pytest.mark.race
def test_a_bet_by_ussd_outlasts_a_slow_settlement(rt, amina, derby):
    amina.dial().press("1", "3", str(derby.code), "1", "50")

    with held_up(rt, 2):
        amina.press("1").sees("placed")

    assert acts.wallets(rt, amina) == [950_00]
