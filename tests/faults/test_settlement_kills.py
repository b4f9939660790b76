"""kill -9 in the middle of a settlement: whoever goes on pays the rest, and nobody twice."""

import functools
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from core import settling, verify
from core.runtime import Runtime
from core.settlement import Settlement, SettlementState
from demo.engines import RedisServer, Urls
from tests import crowd, exact, games, people
from tests.counts import chosen
from tests.faults.workers import Crew, children, kill, until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1_800)]

COUNTS = chosen()
WORKERS = 2  # at least: one of them is killed, and the other goes on
KILLS = 2  # in one settlement
BETS_EACH = 10
RESULTS = (1, None, 3, 5, 4)  # None: void; and nobody bets on the fifth outcome
CHUNKS = 400  # in a settlement that pays every bet


@pytest.fixture
def addresses(fresh_database, redis_server: RedisServer) -> Iterator[Urls]:
    """A database of this test's own: a crowd leaves more behind than is quickly wiped."""
    with fresh_database() as urls:
        yield Urls(urls.database, urls.migration, redis_server.url)


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """Chunks so small that even a small crowd takes many."""
    return environ | {"SETTLE_CHUNK": str(COUNTS.crowd // CHUNKS)}


@pytest.mark.parametrize("house", range(COUNTS.kill_houses))
def test_every_bet_gets_its_share_however_often_its_payer_is_killed(
    house: int, rt: Runtime, crew: Crew
):
    luck = random.Random(house)
    staff = [people.member(rt, name) for name in ("wanjiku", "kamau")]
    crowd.gather(rt, COUNTS.crowd // BETS_EACH)
    for _ in range(WORKERS):
        crew.hire("default")
    for result in RESULTS:
        # One that is through before anybody dies has shown nothing.
        while not settled_by_the_mortal(rt, crew, staff, result, luck):
            pass
    assert [one for one in verify.verify(rt) if not one.holds] == []


def settled_by_the_mortal(rt, crew, staff, result, luck) -> bool:
    """A market settled exactly; whether somebody died over it."""
    market = games.derby(rt, staff[0], "A", "B", "C", "D", "E")
    crowd.bet(rt, market.id, bets=COUNTS.crowd)
    games.close(rt, market, staff[0])
    run = games.decide(rt, market, result, proposer=staff[0], approver=staff[1])
    hits = broken_off(rt, crew, run.id, luck)
    exact.recount(rt, run.id)
    exact.wallets(rt, crowd.FUNDS)
    return hits > 0


def broken_off(rt: Runtime, crew: Crew, run_id: int, luck: random.Random) -> int:
    """Have it settled, killing whoever is at it; how often somebody died with bets left to pay."""
    hits = 0
    for part in sorted(luck.uniform(0, 0.9) for _ in range(KILLS)):
        until("some bets are paid", functools.partial(paid_more_than, part, rt, crew, run_id))
        time.sleep(luck.uniform(0, 0.02))
        for worker in busy(crew):
            if luck.random() < 0.5:
                kill(worker)
                crew.hire("default")
            else:  # as when memory runs out: its parent lives, and takes the next job
                for child in children(worker):
                    os.kill(child, signal.SIGKILL)
        hits += 0 < paid(rt, crew, run_id, ring=False) < 1
    until("all is paid", lambda: paid(rt, crew, run_id) == 1, within=600)
    until("settled", lambda: settled(rt, run_id))
    return hits


def paid_more_than(part: float, rt: Runtime, crew: Crew, run_id: int) -> bool:
    """Whether more than that part of what is to be given has been."""
    return paid(rt, crew, run_id) > part


def paid(rt: Runtime, crew: Crew, run_id: int, *, ring: bool = True) -> float:
    """The part of what is to be given that has been; somebody is told if nobody is at it."""
    if ring and not busy(crew):
        settling.ring_settlements(rt)
    with rt.transaction() as tx:
        run = tx.get_one(Settlement, run_id)
        return (run.paid + run.refunded) / run.net if run.net else 0


def busy(crew: Crew) -> list[subprocess.Popen[bytes]]:
    """The workers that have a job in hand."""
    return [worker for worker in crew.hired if worker.poll() is None and children(worker)]


def settled(rt: Runtime, run_id: int) -> bool:
    """Whether the fee is taken and the pool proved empty."""
    settling.ring_settlements(rt)
    with rt.transaction() as tx:
        return tx.get_one(Settlement, run_id).state == SettlementState.SETTLED
