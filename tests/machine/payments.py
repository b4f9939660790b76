"""Money of the machine that comes and goes: deposits, withdrawals paid, failed and told twice."""

import pytest
from hypothesis import strategies as st
from sqlalchemy import text

from core import adjustments, levies, receipts
from core.effects import Refused
from core.errors import Refusal
from core.levies import Levy
from core.payments import Deposit, DepositState, Payout, PayoutState
from core.receipts import Source
from core.staff import Role
from tests import cashier, games, model, people, teller
from tests.machine.ground import WHO, act
from tests.machine.play import Play

RATES = st.sampled_from([(500, 500), (500, 0), (0, 500), (0, 0), (333, 1_777)])
KES = st.integers(1, 900)
MONTH = 30 * 24  # hours


class Payments(Play):
    """M-PESA brings money and takes it away; the state has its part."""

    def furnish(self):
        super().furnish()
        self.finance = [people.member(self.rt, name, Role.FINANCE) for name in ("akinyi", "otieno")]
        self.deposited = set()  # who, how much, and when

    @act(3)
    def deposit(self, draw):
        """Asked for, and then it comes, or not; in between the customer may have had enough."""
        who, amount = draw(WHO), draw(KES) * 100
        person = self.house.people[who]
        reasons = person.why_not_deposit(self.house.now, amount)
        if (who, amount, self.house.now) in self.deposited:
            reasons.add("money.why_same_amount")
        asked = teller.asking(self.rt, self.people[who], amount)
        if isinstance(asked, Refused):
            assert asked.reason in reasons
            return
        assert not reasons
        again = teller.asking(self.rt, self.people[who], amount)
        assert again.reason == "money.deposit_waiting"
        if draw(st.integers(1, 9)) == 9:
            self.exclude(draw, who)
        if draw(st.integers(1, 4)) == 1:
            with self.rt.transaction() as tx:
                tx.get_one(Deposit, asked.deposit_id).state = DepositState.NOT_PAID
            return
        self.deposited.add((who, amount, self.house.now))
        for _ in range(draw(st.integers(1, 2))):
            with self.rt.transaction() as tx:
                receipts.credit(
                    tx, tx.get_one(Deposit, asked.deposit_id), receipt=f"DEP{asked.deposit_id:07}",
                    amount=amount, source=Source.STK, at=self.rt.now(), confirmed=True,
                )  # fmt: skip
        self.house.deposit(who, amount, f"DEP{asked.deposit_id:07}")

    @act(when=lambda self: self.believed())
    def never_was(self, draw):
        """Two people say that M-PESA has no such payment."""
        receipt, times = draw(st.sampled_from(self.believed())), draw(st.integers(1, 2))
        gone = "SELECT receipt_reverse(:receipt, NULL, 8::smallint, app_now(), true)"
        self.told(gone, times, receipt=receipt)
        self.house.unmake(receipt)

    @act(when=lambda self: self.unmade())
    def was_after_all(self, draw):
        """M-PESA proves it, on one channel or on several."""
        receipt, times = draw(st.sampled_from(self.unmade())), draw(st.integers(1, 2))
        proved = "SELECT receipt_restore(:receipt, 4::smallint)"
        self.told(proved, times, receipt=receipt)
        self.house.restore(receipt)

    def told(self, said, times, **facts):
        """The same news, again and again."""
        for _ in range(times):
            with self.rt.transaction() as tx:
                tx.execute(text(said), facts)

    def believed(self):
        told = self.house.receipts
        return sorted(one for one in told if not (told[one].unmade or told[one].restored))

    def unmade(self):
        return sorted(one for one, told in self.house.receipts.items() if told.unmade)

    @act()
    def adjust(self, draw):
        """Two people give somebody money, or let go of what they owe."""
        who, amount = draw(WHO), draw(KES)
        owes = self.house.owes(who)
        way = draw(st.sampled_from(adjustments.WAYS)) if owes else adjustments.CREDIT
        if way == adjustments.CREDIT:
            self.agree_to_adjust(who, way, amount)
            self.house.adjust(who, amount)
        elif self.house.in_doubt(who, self.house.now - MONTH):
            with pytest.raises(Refusal, match="adjust_open"):
                self.agree_to_adjust(who, way, min(amount, owes))
        else:
            self.agree_to_adjust(who, way, min(amount, owes))
            self.house.write_off(who, min(amount, owes))

    def agree_to_adjust(self, who, way, amount):
        phone, now = self.people[who].phone, self.rt.now()
        with self.rt.transaction() as tx:
            seen = adjustments.propose(
                tx, phone, way, amount=amount, note="an outage", by=self.finance[0], now=now,
                config=self.rt.config,
            ).content_hash  # fmt: skip
        with self.rt.transaction() as tx:
            adjustments.approve(
                tx, phone, seen_hash=seen, by=self.finance[1], now=now, config=self.rt.config
            )

    @act()
    def change_who_has_cash_outs(self, draw):
        self.cash_out(*draw(st.sets(WHO)))

    @act(3)
    def withdraw(self, draw):
        self.take(draw(WHO), draw(st.integers(5, 500)) * 100)

    @act(2)
    def take_everything(self, draw):
        """What is won wrongly is soon gone, and then owed."""
        for who in draw(st.sets(WHO, min_size=1)):
            held = self.house.holds(who) * (10_000 - self.house.withholding_bp()) // 10_000
            self.take(who, held // 100 * 100)

    def take(self, who, amount):
        verdict = cashier.withdrawing(self.rt, self.people[who], amount)
        short = amount < model.LEAST_CASH_OUT or self.house.gross(amount) > self.house.holds(who)
        if short or self.to_be_taken_back(who) or self.house.misses(who):
            assert isinstance(verdict, Refused)
        else:
            (payout,) = verdict.payout_ids
            self.house.reserve(payout, who, amount)

    def to_be_taken_back(self, who):
        """Whether a correction has still to take something from the customer."""
        return any(
            run.corrects.market.bets[bet].customer == who
            for run in self.runs.values()
            if run.corrects and not run.undone
            for bet in run.corrects.division.given.keys() - run.corrects.back
        )

    @act(2, when=lambda self: self.unsent())
    def send_payout(self, draw):
        """M-PESA has it, and a correction comes too late for it."""
        payout = draw(st.sampled_from(self.unsent()))
        with self.rt.transaction() as tx:
            row = tx.get_one(Payout, payout)
            row.state, row.held_for = PayoutState.ACCEPTED, None
        self.house.payouts[payout].sent = True

    @act(3, when=lambda self: self.house.payouts)
    def end_payout(self, draw):
        arrives, times = draw(st.booleans()), draw(st.integers(1, 3))
        payout = draw(st.sampled_from(sorted(self.house.payouts)))
        paid = "SELECT payout_paid(:id, :receipt, '600986', :amount, 2::smallint, app_now())"
        back = "SELECT payout_release(:id, 9::smallint, '2040', 'not registered')"
        amount = self.house.payouts[payout].amount
        facts = {"id": payout, "receipt": f"RCT{payout:07}", "amount": amount}
        for _ in range(times):
            with self.rt.transaction() as tx:
                tx.execute(text(paid if arrives else back), facts)
        (self.house.arrived if arrives else self.house.returned)(payout)

    @act()
    def change_levies(self, draw):
        """From the next hour on."""
        excise, withholding = draw(RATES)
        rates = {Levy.EXCISE: excise, Levy.WITHHOLDING: withholding}
        now = self.rt.now()
        with self.rt.transaction() as tx:
            proposal = levies.propose(
                tx, rates, starts=now + games.HOUR, note="the budget", by=self.finance[0], now=now,
                config=self.rt.config,
            )  # fmt: skip
        with self.rt.transaction() as tx:
            levies.approve(tx, seen_hash=proposal.content_hash, by=self.finance[1], now=now)
        self.house.rates.append((self.house.now + 1, excise, withholding))

    def unsent(self):
        return sorted(n for n, payout in self.house.payouts.items() if not payout.sent)
