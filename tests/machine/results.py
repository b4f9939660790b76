"""Results of the machine: decided by two, voided in time, corrected; outcomes withdrawn."""

import contextlib

import pytest
from hypothesis import strategies as st

from core import corrections, decisions, under_way, withdrawn_outcomes
from core.errors import Refusal
from tests import games
from tests.machine.betting import OPEN
from tests.machine.ground import act
from tests.machine.settling import Settling

ENDED = ("SETTLED", "VOID")
LIVE = (*OPEN, "CLOSED")
FEWEST = 2  # outcomes that a market needs


class Results(Settling):
    """What two people agree on."""

    @act(7, when=lambda self: self.in_state("CLOSED"))
    def decide(self, draw):
        number = draw(self.one("CLOSED"))
        winners = draw(self.results_of(number))
        closed = draw(self.closes_of(self.markets[number])) if winners else None
        self.agree(number, winners, closed)
        self.markets[number].status = "APPROVED"

    @act(when=lambda self: self.overtaken())
    def void_in_time(self, draw):
        """Nothing has been paid yet, and nothing will be."""
        number = draw(st.sampled_from(self.overtaken()))
        overtaken = self.runs.pop(self.newest[number])
        self.agree(number, (), None)
        self.runs[self.newest[number]].instead = overtaken
        self.markets[number].status = "APPROVED"

    @act(4, when=lambda self: self.in_state(*ENDED))
    def correct(self, draw):
        number = draw(self.one(*ENDED))
        wrong = self.settled[self.newest[number]]
        winners = draw(self.results_of(number))
        closed = draw(self.closes_of(self.markets[number])) if winners else None
        drops = draw(st.booleans())
        how = {"put": corrections.propose, "drop_cut_off": drops, "effective_close": closed}
        if winners and closed is None and not drops:
            closed = cut_off(wrong)  # what was too late is too late for the right result as well
        same = (winners, closed) == (wrong.winners, wrong.closed)
        with pytest.raises(Refusal) if same else contextlib.nullcontext():
            self.agree(number, winners, closed, corrects=wrong, **how)
            self.markets[number].status = "CORRECTING"

    @act(when=lambda self: self.withdrawable())
    def withdraw_outcome(self, draw):
        number, outcome = draw(st.sampled_from(self.withdrawable()))
        code, now = self.games[number].code, self.rt.now()
        told = {"now": now, "config": self.rt.config}
        with self.rt.transaction() as tx:
            _, seen = withdrawn_outcomes.propose(
                tx, code, outcome=outcome, source="injured", by=self.staff[0], **told
            )
        with self.rt.transaction() as tx:
            run = decisions.approve(tx, code, seen_hash=seen.hash, by=self.staff[1], **told)
        self.runs[run.id] = self.house.withdraw_outcome(self.markets[number], outcome)

    @act(when=lambda self: self.runs)
    def pause_or_resume(self, draw):
        """All that goes on in the market of one."""
        run = self.runs[draw(self.one_run())]
        was = run.paused
        turn = under_way.resume if run.paused else under_way.pause
        with self.rt.transaction() as tx:
            turn(tx, self.games[run.market.id].code, reason="look", by=self.staff[0])
        for other in self.runs.values():
            if other.market is run.market and other.paused == was:
                other.paused = not was

    def agree(self, number, winners, closed, *, corrects=None, **how):
        """On a result, or with several winners a dead heat, or with none a void."""
        market = self.markets[number]
        proposer, approver = self.staff
        run = games.decide(
            self.rt,
            self.games[number],
            winners,
            proposer=proposer,
            approver=approver,
            **({"effective_close": closed} | how),
        )
        assert run.market_id == number
        self.runs[run.id] = self.house.decide(market, winners, closed=closed, corrects=corrects)
        self.newest[number] = run.id

    def overtaken(self):
        """Markets whose result is agreed on and has not begun to be paid."""
        return [
            number
            for number in self.in_state("APPROVED", "SETTLING")
            if not self.runs[self.newest[number]].paid
        ]

    def withdrawable(self):
        """(market, outcome) that the market can do without."""
        return [
            (number, outcome)
            for number in self.in_state(*LIVE)
            for outcome in self.playing(self.markets[number])
            if len(self.playing(self.markets[number])) > FEWEST
        ]

    def playing(self, market):
        return [n for n in range(1, market.outcomes + 1) if n not in market.withdrawn]

    def results_of(self, number):
        """Any outcome may win, most often one that somebody has bet on."""
        market = self.markets[number]
        playing = self.playing(market)
        backed = [b.outcome for b in market.bets.values() if b.outcome in playing]
        one = st.sampled_from(sorted(backed * 2 + playing)).map(lambda winner: (winner,))
        most = max(2, len(playing) - 1)  # who all win share nothing but the fee
        ties = st.sets(st.sampled_from(playing), min_size=2, max_size=most)
        tied = ties.map(lambda tie: tuple(sorted(tie)))
        return one | one | one | tied | tied | st.just(())

    def closes_of(self, market):
        """Rarely the betting should have ended with one of the bets."""
        times = sorted({bet.at for bet in market.bets.values()})
        return st.none() | st.sampled_from(times) if times else st.none()


def cut_off(run):
    """The effective close in force; a void says nothing about it."""
    while run is not None and not run.winners:
        run = run.corrects or run.instead
    return None if run is None else run.closed
