"""What the machine stands on: a house in the database, one in plain Python, and both compared."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import text

from core import stamp, verify
from core.ledger import AccountKind
from core.runtime import TestClock
from core.say import NAIROBI
from tests import model, people

PEOPLE = 5
PROVE_EVERY = 10  # steps; the accounts are compared after each
FUNDS = 3_000_00  # cents, at most, that somebody is given at once
WHO = st.integers(1, PEOPLE)


def act(weight=1, *, when=lambda self: True):
    """Something that may happen, `weight` times as often as other things, `when` it can.

    The method takes `draw`, which gives a value of a strategy. One rule does them all, and not a
    rule each: Hypothesis would leave half of them out of every run, and a market that is opened,
    bet on, closed, decided and settled needs five of them.
    """

    def mark(method):
        method.weight, method.when = weight, when
        return method

    return mark


class Ground(RuleBasedStateMachine):
    """Every step is done in the database and in the model; after each they are compared."""

    house_of = None  # opens a house on a database of its own; set by the test
    steps = 0  # taken by all machines of the test

    @initialize()
    def move_in(self):
        self.closing, self.rt = self.house_of()
        self.to_noon()
        phones = [f"+25471200001{number}" for number in range(PEOPLE)]
        known = [people.customer(self.rt, phone, "Some One") for phone in phones]
        self.people = {person.id: person for person in known}
        self.house = model.House(self.people, self.noon)
        self.staff = [people.member(self.rt, name) for name in ("wanjiku", "kamau")]
        self.cash_out(known[0].id)
        for person in self.people:
            self.fund(person, FUNDS)
        self.since = 0  # the books were proved
        self.furnish()

    def furnish(self):
        """What the parts of the machine have to begin with."""

    def to_noon(self):
        """A day begins at midnight, and no test is to run into one."""
        now = self.rt.now().astimezone(NAIROBI)
        self.noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
        self.ahead = round((self.noon - now).total_seconds())
        self.set_clock()

    def set_clock(self):
        with self.rt.transaction() as tx:
            stamp.set_clock(tx, self.ahead)
        self.rt.clock = TestClock(self.rt.engine)  # which looks at once

    def cash_out(self, *whose):
        """Of all customers only these have their wins sent to M-PESA."""
        with self.rt.transaction() as tx:
            chosen = text("UPDATE customer SET auto_cashout = (id = ANY(:whose))")
            tx.execute(chosen, {"whose": list(whose)})
        for number, person in self.house.people.items():
            person.cash_out = number in whose

    @rule(data=st.data())
    def step(self, data):
        """One of the things that can happen now."""
        methods = [getattr(type(self), name) for name in dir(type(self))]
        acts = [method for method in methods if hasattr(method, "weight")]
        acts.sort(key=lambda method: -method.weight)  # Hypothesis takes the first most often
        possible = [
            method.__name__ for method in acts if method.when(self) for _ in range(method.weight)
        ]
        getattr(self, data.draw(st.sampled_from(possible), "act"))(data.draw)

    @act(2)
    def time_passes(self, draw):
        hours = draw(st.integers(1, 20))
        self.house.now += hours
        self.ahead += hours * 3_600
        self.set_clock()

    @act(2)
    def is_given(self, draw):
        self.fund(draw(WHO), draw(st.integers(1, FUNDS)))

    def fund(self, who, amount):
        people.fund(self.rt, self.people[who], amount)
        self.house.fund(who, amount)

    @invariant()
    def every_account_agrees(self):
        if not hasattr(self, "house"):
            return
        Ground.steps += 1
        self.since += 1
        with self.rt.transaction() as tx:
            rows = tx.execute(text(ACCOUNTS)).all()
            held = {(AccountKind(kind).name, *whose): int(cents) for kind, *whose, cents in rows}
            assert held == self.house.accounts()
            wallets = dict(tx.execute(text("SELECT customer_id, balance FROM wallet")).all())
            assert wallets == {who: self.house.holds(who) for who in self.people}
        if self.since >= PROVE_EVERY:
            self.prove()

    def prove(self):
        self.since = 0
        broken = [finding for finding in verify.verify(self.rt) if not finding.holds]
        assert not broken, broken

    def teardown(self):
        if hasattr(self, "house"):
            try:
                self.prove()
            finally:
                self.closing.close()


ACCOUNTS = """
    SELECT a.kind, a.customer_id, a.market_id, sum(s.amount)
      FROM account a
      JOIN (SELECT credit_account AS id, amount FROM transfer
            UNION ALL SELECT debit_account, -amount FROM transfer) s USING (id)
     GROUP BY a.kind, a.customer_id, a.market_id HAVING sum(s.amount) <> 0
"""
