"""Redis away: bets stand, and what they promised goes out when it is back."""

import signal

import pytest
from redis.exceptions import RedisError
from sqlalchemy import func, select

from core import ledger, verify
from core.betting import Bet
from core.runtime import Runtime
from demo.engines import RedisServer
from simulator.driver import Network, Phone
from tests import games, people
from tests.faults.workers import Crew, until

pytestmark = pytest.mark.fault


@pytest.fixture
def derby(rt: Runtime):
    return games.derby(rt, people.member(rt, "wanjiku"))


def bets(rt: Runtime) -> int:
    with rt.transaction() as tx:
        return tx.scalars(select(func.count(Bet.id))).one()


def stopped(redis_server: RedisServer, rt: Runtime) -> None:
    redis_server.stop()
    with pytest.raises(RedisError):
        rt.redis.ping()


def test_a_bet_stands_while_redis_is_gone_and_its_text_follows(
    rt: Runtime, network: Network, crew: Crew, redis_server: RedisServer, derby
):
    amina = people.customer(rt, people.AMINA, "Amina Wanjiru", money=1_000_00)
    phone = Phone(people.AMINA, network.base_url)
    crew.start_clock()
    crew.hire("messages")
    phone.text("BAL")
    phone.await_sms("1,000", timeout=30)

    stopped(redis_server, rt)
    phone.text(f"{derby.code}#1#50")
    until("the bet stands", lambda: bets(rt) == 1)
    with rt.transaction() as tx:
        assert ledger.balance(tx, amina.id) == 950_00
    assert len(phone.inbox()) == 1

    redis_server.start()

    phone.await_sms("KES 50 on", timeout=30)
    assert len(phone.inbox()) == 2
    assert [one.name for one in verify.verify(rt) if not one.holds] == []


def test_a_redis_that_forgets_everything_delays_texts_and_loses_none(
    rt: Runtime, network: Network, crew: Crew, derby
):
    people.customer(rt, people.AMINA, "Amina Wanjiru", money=1_000_00)
    phone = Phone(people.AMINA, network.base_url)
    phone.text(f"{derby.code}#1#50")
    until("the bet stands", lambda: bets(rt) == 1)
    rt.redis.flushall()

    crew.start_clock()
    crew.hire("messages")

    phone.await_sms("KES 50 on", timeout=30)
    network.drain()
    assert len(phone.inbox()) == 1


def test_a_frozen_redis_holds_up_no_bet(
    rt: Runtime, network: Network, crew: Crew, redis_server: RedisServer, derby
):
    people.customer(rt, people.AMINA, "Amina Wanjiru", money=1_000_00)
    phone = Phone(people.AMINA, network.base_url)
    crew.start_clock()
    crew.hire("messages")
    phone.text("BAL")
    phone.await_sms("1,000", timeout=30)

    assert redis_server.process
    redis_server.process.send_signal(signal.SIGSTOP)
    try:
        phone.text(f"{derby.code}#1#50")
        until("the bet stands", lambda: bets(rt) == 1, within=5)
    finally:
        redis_server.process.send_signal(signal.SIGCONT)

    phone.await_sms("KES 50 on", timeout=30)
    assert len(phone.inbox()) == 2
