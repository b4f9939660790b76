"""Markets and bets of the machine: opened, suspended, closed by hand and by the clock."""

import contextlib
import uuid
from datetime import timedelta

import pytest
from hypothesis import strategies as st

from core import settling
from core.betting import Bet, Placed
from core.effects import Refused
from core.errors import Refusal
from tests import games, model
from tests.machine.ground import WHO, Ground, act

NO_PIN_LIMIT = 200_00
MARKETS = 4  # at once
OPEN = ("OPEN", "SUSPENDED")  # to be closed
# Who, on what, how much, and whether with the PIN. Most of it can stand, and some is absurd.
SLIPS = st.tuples(
    WHO,
    st.sampled_from([1, 1, 1, 2, 2, 2, 3, 3, 4, 9]),
    st.integers(20_00, 90_00) | st.sampled_from([19_99, 20_00, 33_33, 600_00]),
    st.sampled_from([True, True, True, False]),
)


class Betting(Ground):
    """People bet, and say it again."""

    def furnish(self):
        super().furnish()
        self.markets, self.games = {}, {}  # the model's and the house's, by number
        self.said = []  # bets with their keys and answers, to be repeated

    def in_state(self, *states):
        return sorted(number for number, one in self.markets.items() if one.status in states)

    def one(self, *states):
        return st.sampled_from(self.in_state(*states))

    @act(4, when=lambda self: len(self.in_state(*OPEN)) < MARKETS)
    def open_market(self, draw):
        outcomes = draw(st.sampled_from([3, 2, 3, 4, 8]))
        hours = draw(st.sampled_from([5, 2_000, 2_000, 2_000]))
        names = [f"Side {number}" for number in range(1, outcomes + 1)]
        span = timedelta(hours=hours, minutes=30)
        game = games.derby(self.rt, self.staff[0], *names, closes=span)
        closes = self.house.now + hours + 0.5
        self.games[game.id] = game
        self.markets[game.id] = model.Market(game.id, outcomes, game.fee_bp, closes)
        for slip in draw(st.lists(SLIPS, min_size=1, max_size=6)):
            self.bet(game.id, *slip)

    @act(6, when=lambda self: self.in_state("OPEN"))
    def several_bet(self, draw):
        market = draw(self.one("OPEN"))
        for slip in draw(st.lists(SLIPS, min_size=1, max_size=6)):
            self.bet(market, *slip)

    @act(when=lambda self: self.markets)
    def somebody_bets_on_any(self, draw):
        self.bet(draw(st.sampled_from(sorted(self.markets))), *draw(SLIPS))

    def bet(self, market, who, outcome, stake, with_pin):
        slip = (uuid.uuid4(), who, market, outcome, stake, with_pin)
        verdict = self.place(*slip)
        limit = None if with_pin else NO_PIN_LIMIT
        plain = self.markets[market]
        reasons = self.house.why_not(plain, who, outcome, stake, no_pin_limit=limit)
        if isinstance(verdict, Refused):
            assert verdict.reason in reasons
        else:
            assert not reasons
            with self.rt.transaction() as tx:
                at = tx.get_one(Bet, verdict.bet_id).placed_at
            placed = model.Bet(verdict.bet_id, who, outcome, stake, at)
            self.house.bet(plain, placed, with_pin=with_pin)
        self.said.append((slip, verdict))

    @act(when=lambda self: self.said)
    def somebody_says_it_again(self, draw):
        slip, before = draw(st.sampled_from(self.said))
        after = self.place(*slip)
        if isinstance(before, Placed):
            assert after == Placed(before.bet_id, before.balance, again=True)
        else:
            assert after == before

    def place(self, key, who, market, outcome, stake, with_pin):
        slip = {"key": key, "with_pin": with_pin, "no_pin_limit": NO_PIN_LIMIT}
        return games.bet(
            self.rt, self.people[who], self.games[market], outcome, stake / 100, **slip
        )

    @act(3, when=lambda self: self.in_state(*OPEN))
    def close(self, draw):
        market = draw(self.one(*OPEN))
        games.close(self.rt, self.games[market], self.staff[0])
        self.markets[market].status = "CLOSED"

    @act(when=lambda self: self.in_state("OPEN"))
    def suspend(self, draw):
        market = draw(self.one("OPEN"))
        games.suspend(self.rt, self.games[market], self.staff[0])
        self.markets[market].status = "SUSPENDED"

    @act(when=lambda self: self.in_state("SUSPENDED"))
    def resume(self, draw):
        market = draw(self.one("SUSPENDED"))
        over = self.markets[market].closes <= self.house.now
        with pytest.raises(Refusal) if over else contextlib.nullcontext():
            games.resume(self.rt, self.games[market], self.staff[0])
        if not over:
            self.markets[market].status = "OPEN"

    @act(when=lambda self: self.in_state(*OPEN))
    def move(self, draw):
        number, hours = draw(self.one(*OPEN)), draw(st.integers(0, 40))
        market, game = self.markets[number], self.games[number]
        closes = self.house.now + hours + 0.25
        over = market.closes <= self.house.now or market.closes == closes
        moved = game.closes_at + timedelta(hours=closes - market.closes)
        with pytest.raises(Refusal) if over else contextlib.nullcontext():
            games.move(self.rt, game, moved, self.staff[0])
        if not over:
            game.closes_at, market.closes = moved, closes

    @act()
    def the_clock_closes(self, draw):
        settling.close_markets(self.rt)
        for number in self.in_state(*OPEN):
            if self.markets[number].closes <= self.house.now:
                self.markets[number].status = "CLOSED"
