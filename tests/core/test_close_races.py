"""Closing, by hand and by the clock, while everybody bets: none gets in behind it."""

import contextlib
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from core import markets, settling, verify
from core.betting import Placed
from core.errors import Refusal
from tests import games, people

BETTORS = 3
MONEY = 1_000_000_00  # cents of each, so that nobody runs out
MOMENT = timedelta(milliseconds=5)  # in which a few bets are placed
MAKING = timedelta(milliseconds=20)  # what a market takes to open


@dataclass
class Rush:
    """Threads that bet on `market` as fast as they can, whichever it is just then."""

    rt: Any
    crowd: Any
    market: Any = None
    over: threading.Event = field(default_factory=threading.Event)
    reasons: Any = field(default_factory=set)  # why bets were refused
    faults: Any = field(default_factory=list)

    def bet(self, who):
        """What one of them does until the end."""
        try:
            while not self.over.is_set():
                verdict = games.bet(self.rt, self.crowd[who], self.market, 1 + who % 2, 20)
                if not isinstance(verdict, Placed):
                    self.reasons.add(verdict.reason)
        except Exception as fault:
            self.faults.append(fault)
            raise


@pytest.fixture
def rush(rt):
    crowd = [
        people.customer(rt, f"+2547120001{number:02}", "Some One", money=MONEY)
        for number in range(BETTORS)
    ]
    return Rush(rt, crowd)


@pytest.mark.race
@pytest.mark.timeout(300)
def test_no_bet_is_placed_behind_a_close(rt, rush, wanjiku, counts):
    ways = [by_hand, by_the_clock, after_a_suspension, by_a_time_moved_up]
    rush.market = games.derby(rt, wanjiku)
    threads = [threading.Thread(target=rush.bet, args=(who,)) for who in range(BETTORS)]
    for thread in threads:
        thread.start()
    counted = {}
    try:
        for number in range(counts.closes):
            market = ways[number % len(ways)](rt, rush, wanjiku)
            counted[market.id] = pool(rt, market.id)
    finally:
        rush.over.set()
        for thread in threads:
            thread.join()

    assert rush.faults == []
    assert rush.reasons <= {"betting.market_closed", "betting.market_suspended"}
    assert {market: pool(rt, market) for market in counted} == counted
    assert late(rt) == 0
    assert sum(bets > 0 for bets, _ in counted.values()) > counts.closes / 2
    assert [one for one in verify.verify(rt) if not one.holds] == []


def by_hand(rt, rush, by):
    """Somebody closes it."""
    rush.market = games.derby(rt, by)
    time.sleep(MOMENT.total_seconds())
    games.close(rt, rush.market, by)
    return rush.market


def by_the_clock(rt, rush, by):
    """Its time comes, and some while later the tick."""
    rush.market = market = games.derby(rt, by, closes=MAKING + MOMENT)
    while open_still(rt, market):
        settling.close_markets(rt)
    return market


def after_a_suspension(rt, rush, by):
    """Nothing comes in while the betting is paused."""
    rush.market = market = games.derby(rt, by)
    time.sleep(MOMENT.total_seconds())
    games.suspend(rt, market, by)
    then = pool(rt, market.id)
    time.sleep(MOMENT.total_seconds())
    assert pool(rt, market.id) == then
    games.resume(rt, market, by)
    time.sleep(MOMENT.total_seconds())
    games.close(rt, market, by)
    return market


def by_a_time_moved_up(rt, rush, by):
    """The clock is to close it sooner than it was to."""
    rush.market = market = games.derby(rt, by)
    moved = False
    while not moved:
        with contextlib.suppress(Refusal):  # on a busy machine that time has passed by then
            games.move(rt, market, rt.now() + MAKING + MOMENT, by)
            moved = True
    while open_still(rt, market):
        settling.close_markets(rt)
    return market


def open_still(rt, market):
    with rt.transaction() as tx:
        return tx.get_one(markets.Market, market.id).status == markets.Status.OPEN


def pool(rt, market_id):
    """How many bets there are, and what is in the pool."""
    with rt.transaction() as tx:
        return tuple(tx.execute(text(POOL), {"market": market_id}).one())


def late(rt):
    """How many bets carry a time at which their market was closed."""
    with rt.transaction() as tx:
        return tx.scalar(text(LATE))


POOL = """
    SELECT count(*), coalesce(sum(amount), 0) FROM transfer
     WHERE credit_account = (SELECT pool_account FROM market WHERE id = :market)
"""
LATE = """
    SELECT count(*) FROM bet b JOIN market m ON m.id = b.market_id
     WHERE b.placed_at >= m.closes_at OR b.placed_at > m.closed_at
"""
