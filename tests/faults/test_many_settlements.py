"""A hundred markets decided in the same minute: four workers share them, and each is paid once."""

import random

import pytest
from sqlalchemy import func, select

from core import verify
from core.runtime import Runtime
from core.settlement import Settlement, SettlementState
from tests import crowd, exact, games, people
from tests.faults.workers import Crew, until

pytestmark = pytest.mark.fault

MARKETS, WORKERS = 100, 4
PEOPLE, BETS = 200, 60  # everybody has bets in every third market, so the workers meet in wallets


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """Several chunks to each of these small markets."""
    return environ | {"SETTLE_CHUNK": "10"}


def test_four_workers_settle_a_hundred_markets(rt: Runtime, crew: Crew):
    for _ in range(WORKERS):
        crew.hire("default")
    staff = [people.member(rt, name) for name in ("wanjiku", "kamau")]
    crowd.gather(rt, PEOPLE)
    markets = [games.derby(rt, staff[0], "A", "B", "C") for _ in range(MARKETS)]
    crowd.bet(rt, *(market.id for market in markets), bets=BETS)
    runs = []
    for number, market in enumerate(markets):
        games.close(rt, market, staff[0])
        result = number % 4 or None  # every fourth is void
        runs.append(games.decide(rt, market, result, proposer=staff[0], approver=staff[1]))

    until("all are at work", lambda: rt.redis.scard("rq:workers") == WORKERS)
    for number in range(WORKERS):  # each is told of all, in an order of its own
        numbers = random.Random(number).sample([run.id for run in runs], MARKETS)
        rt.ring("default", *numbers, job="core.settling.settle")
    until("all are settled", lambda: settled(rt) == MARKETS, within=100)

    for run in runs:
        exact.recount(rt, run.id)
    exact.wallets(rt, crowd.FUNDS)
    assert [one for one in verify.verify(rt) if not one.holds] == []


def settled(rt: Runtime) -> int:
    """How many are."""
    with rt.transaction() as tx:
        done = select(func.count()).where(Settlement.state == SettlementState.SETTLED)
        return tx.scalars(done).one()
