"""Settlements of the machine: a few chunks at a time, with the rest of life in between."""

from hypothesis import strategies as st
from sqlalchemy import text

from core import settlement, settling
from core.settlement import Settlement
from tests.machine.betting import Betting
from tests.machine.ground import act

SETTLED = 3


class Settling(Betting):
    """What workers do; the model follows whatever they have written."""

    def furnish(self):
        super().furnish()
        self.runs = {}  # settlements under way, by their number
        self.settled = {}  # and those that have ended
        self.newest = {}  # the number of each market's last result

    @act(6, when=lambda self: self.runs)
    def settle_some(self, draw):
        number, chunks = draw(self.one_run()), draw(st.integers(0, 3))
        self.chunks_of(draw(st.integers(1, 4)))
        run, paused = number, self.runs[number].paused
        for _ in range(chunks):
            with self.rt.transaction() as tx:
                done = settlement.undo(tx, run, config=self.rt.config)
            self.follow(number)
            if not done:
                break
        with self.rt.transaction() as tx:
            started = settlement.start(tx, run, now=self.rt.now())
        for _ in range(chunks if started else 0):
            with self.rt.transaction() as tx:
                done = settlement.step(tx, run, config=self.rt.config)
            assert not (paused and done)
            self.follow(number)
        self.follow(number)

    @act(8, when=lambda self: self.runs)
    def settle_all(self, draw):
        number = draw(self.one_run())
        self.chunks_of(draw(st.integers(1, 4)))
        waits = self.runs[number].paused or self.has_to_wait(number)
        assert settling.work(self.rt, number) != waits
        self.follow(number)

    def has_to_wait(self, number):
        """A result waits until the stakes on a withdrawn outcome are back."""
        run = self.runs[number]
        return run.withdraws is None and any(
            other.withdraws is not None and other.market is run.market
            for other in self.runs.values()
        )

    def one_run(self):
        return st.sampled_from(sorted(self.runs))

    def chunks_of(self, size):
        self.rt.config = self.rt.config.model_copy(update={"settle_chunk": size})

    def follow(self, number):
        """What the house has done since we last looked, in the model too."""
        run = self.runs.get(number)
        if run is None:
            return
        with self.rt.transaction() as tx:
            row = tx.get_one(Settlement, number)
            tx.expunge(row)
        if run.corrects is not None and not run.undone:
            self.follow_back(run, row)
        self.follow_forth(run, row)
        if row.state == SETTLED:
            self.house.finish(run)
            self.settled[number] = self.runs.pop(number)

    def follow_back(self, run, row):
        """Payouts that had not been sent are cancelled, and dividends taken back in bet order."""
        wrong = run.corrects
        with self.rt.transaction() as tx:
            cancelled = tx.scalars(text(CANCELLED), {"run": row.corrects}).all()
        for payout in cancelled:
            if payout in self.house.payouts:
                assert not self.house.payouts[payout].sent
                self.house.returned(payout)
        for bet in sorted(wrong.division.given.keys() - wrong.back):
            if bet <= row.undo_bet:
                self.house.take_back(wrong, bet)
        if row.undone_at is not None:
            left = [one for one in self.house.payouts.values() if one.run is wrong and not one.sent]
            assert not left, "a payout of the wrong result may still go"
            self.house.undo(wrong)
            run.undone = True

    def follow_forth(self, run, row):
        """Bets are paid, and then each customer is told."""
        facts = {"run": row.id}
        with self.rt.transaction() as tx:
            paid = dict(tx.execute(text(DIVIDENDS), facts).all())
            told = tx.scalars(text(TEXTS), facts).all()
            rows = tx.execute(text(CASH_OUTS), facts).all()
        if run.withdraws is None and row.started_at and run.market.status == "APPROVED":
            run.market.status = "SETTLING"
        sent = {who: (payout, cents) for payout, who, cents in rows}
        given, new = run.division.given, paid.keys() - run.paid
        assert {bet: paid[bet] for bet in new} == {bet: given.get(bet) for bet in new}
        self.house.pay(run, new)
        for who in told:
            if who not in run.told:
                cash = self.house.tell(run, who)
                payout, cents = sent.get(who, (None, 0))
                assert cents == cash
                if cash:
                    self.house.reserve(payout, who, cash, run)


DIVIDENDS = "SELECT bet_id, amount FROM dividend WHERE settlement_id = :run"
TEXTS = """
    SELECT customer_id FROM promise
     WHERE settlement_id = :run AND kind = 'result' AND NOT payload ? 'corrects' ORDER BY id
"""
CASH_OUTS = "SELECT id, customer_id, amount FROM payout WHERE settlement_id = :run"
CANCELLED = "SELECT id FROM payout WHERE settlement_id = :run AND state = 10 ORDER BY id"
