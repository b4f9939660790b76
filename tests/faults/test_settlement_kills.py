"""kill -9 in the middle of a settlement: whoever goes on pays the rest, and nobody twice."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from core import corrections, settling, verify
from core.markets import Market
from core.runtime import Runtime
from core.settlement import Settlement, SettlementState
from core.staff import Staff
from demo.engines import RedisServer, Urls
from tests import crowd, exact, games, people
from tests.counts import chosen
from tests.faults.workers import Crew, children, kill, until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1_800)]

COUNTS = chosen()
WORKERS = 2  # at least: one of them is killed, and the other goes on
KILLS = 2  # in one settlement
BETS_EACH = 10
RESULTS = (1, None, (2, 3), 5, 4)  # a void, a dead heat; and nobody bets on the fifth outcome
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


@pytest.mark.parametrize("number", range(COUNTS.kill_houses))
def test_every_bet_gets_its_share_however_often_its_payer_is_killed(
    number: int, rt: Runtime, crew: Crew
):
    staff = [people.member(rt, name) for name in ("wanjiku", "kamau")]
    crowd.gather(rt, COUNTS.crowd // BETS_EACH)
    for _ in range(WORKERS):
        crew.hire("default")
    house = Mortals(rt, crew, staff, random.Random(number))
    for result in RESULTS:
        hits = 0
        while not hits:  # one that is through before anybody dies has shown nothing
            market = games.derby(rt, staff[0], "A", "B", "C", "D", "E")
            crowd.bet(rt, market.id, bets=COUNTS.crowd)
            games.close(rt, market, staff[0])
            wrong, hits = house.settle(market, result)
    hits = 0
    while not hits:  # and the last one is corrected, and perhaps corrected again
        right, hits = house.settle(market, 1 + wrong.id % 2, put=corrections.propose)
        exact.taken_back(rt, wrong.id)
        wrong = right
    assert [one for one in verify.verify(rt) if not one.holds] == []


@dataclass
class Mortals:
    """A house whose workers die."""

    rt: Runtime
    crew: Crew
    staff: list[Staff]
    luck: random.Random

    def settle(self, market: Market, result: Any, **how: Any) -> tuple[Settlement, int]:
        """Have a market settled, exactly; and how often somebody died with bets left to pay."""
        proposer, approver = self.staff
        run = games.decide(self.rt, market, result, proposer=proposer, approver=approver, **how)
        hits = sum(self.kill_one(run.id) for _ in range(KILLS))
        until("all is paid", lambda: self.done(run.id) == 1, within=600)
        until("settled", lambda: self.settled(run.id))
        exact.recount(self.rt, run.id)
        exact.wallets(self.rt, crowd.FUNDS)
        return run, hits

    def kill_one(self, run_id: int) -> bool:
        """Somewhere on the way, whoever is at it."""
        part = self.luck.uniform(self.done(run_id), 0.9)
        until("some of it is done", lambda: self.done(run_id) > part)
        time.sleep(self.luck.uniform(0, 0.02))
        for worker in self.busy():
            if self.luck.random() < 0.5:
                kill(worker)
                self.crew.hire("default")
            else:  # as when memory runs out: its parent lives, and takes the next job
                for child in children(worker):
                    os.kill(child, signal.SIGKILL)
        return 0 < self.done(run_id, ring=False) < 1

    def done(self, run_id: int, *, ring: bool = True) -> float:
        """The part of its cents that it has moved; workers are told of it if nobody is at it."""
        if ring and not self.busy():
            settling.ring_settlements(self.rt)
        with self.rt.transaction() as tx:
            run = tx.get_one(Settlement, run_id)
            paid = (run.paid + run.refunded) / run.net if run.net else 0
            if run.corrects is None:
                return paid
            wrong = tx.get_one(Settlement, run.corrects)
            return (wrong.reversed / wrong.pool + paid) / 2

    def settled(self, run_id: int) -> bool:
        """Whether the fee is taken and the pool proved empty."""
        settling.ring_settlements(self.rt)
        with self.rt.transaction() as tx:
            return tx.get_one(Settlement, run_id).state == SettlementState.SETTLED

    def busy(self) -> list[subprocess.Popen[bytes]]:
        """The workers that have a job in hand."""
        return [one for one in self.crew.hired if one.poll() is None and children(one)]
