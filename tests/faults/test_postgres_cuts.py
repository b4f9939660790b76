"""Connections to Postgres cut under everybody's feet: one more try, and nothing lost or doubled."""

from functools import partial

import pytest
from sqlalchemy import Engine, create_engine, func, select, text

from core import ledger, verify
from core.betting import Bet
from core.runtime import Runtime
from simulator.driver import Network, Phone
from tests import games, people
from tests.faults.workers import Crew, until

pytestmark = pytest.mark.fault

CUT = text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = 'house_app'"
)


@pytest.fixture
def axe(rt: Runtime):
    engine = create_engine(rt.config.migration_database_url)
    yield engine
    engine.dispose()


def cut(axe: Engine) -> None:
    with axe.connect() as connection:
        connection.execute(CUT)


def stand(rt: Runtime, number: int) -> bool:
    return rt.attempt(lambda tx: tx.scalars(select(func.count(Bet.id))).one()) == number


def test_bets_texts_and_the_clock_outlive_every_cut(
    rt: Runtime, network: Network, crew: Crew, axe: Engine
):
    amina = people.customer(rt, people.AMINA, "Amina Wanjiru", money=1_000_00)
    derby = games.derby(rt, people.member(rt, "wanjiku"))
    phone = Phone(people.AMINA, network.base_url)
    crew.start_clock()
    crew.hire("messages")
    crew.hire("default")
    phone.text("BAL")
    phone.await_sms("1,000", timeout=30)

    for number in range(1, 5):
        cut(axe)
        phone.text(f"{derby.code}#{1 + number % 2}#{20 + number}")
        until("the bet stands", partial(stand, rt, number))
        cut(axe)

    for number in range(1, 5):
        phone.await_sms(f"KES {20 + number} on", timeout=30)
    # One whose sending was cut short may come twice, word for word.
    assert len({sms.text for sms in phone.inbox()}) == 5
    balance = rt.attempt(lambda tx: ledger.balance(tx, amina.id))
    assert balance == 1_000_00 - sum(range(21, 25)) * 100
    assert [one.name for one in verify.verify(rt) if not one.holds] == []
