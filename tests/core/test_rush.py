"""Everything at once on the same wallets: no deadlock is left over, and no cent goes astray."""

import random
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from core import betting, settling
from core.effects import Channel
from tests import cashier, games, mpesa, people, teller

PEOPLE, BETS, THREADS, ACTS = 10, 60, 12, 10


@dataclass
class Rush:
    """Ten people with bets and payouts on their way, two games to settle and two to bet on."""

    rt: Any
    crowd: Any
    open: Any
    requests: Any  # of payouts, as M-PESA got them
    runs: Any = field(default_factory=list)
    faults: Any = field(default_factory=list)

    def act(self, number):
        """What one thread does; two of them work on each settlement."""
        luck = random.Random(number)
        try:
            if number < 2 * len(self.runs):
                settling.work(self.rt, self.runs[number % len(self.runs)].id)
                return
            for _ in range(ACTS):
                luck.choice([self.bet_on_two, self.withdraw, self.hear])(luck)
        except DBAPIError as fault:
            self.faults.append(fault)

    def bet_on_two(self, luck):
        """As one text does, in whichever order it was typed."""
        who, derbies = luck.choice(self.crowd), luck.sample(self.open, 2)

        def work(tx):
            for derby in derbies:
                betting.place_bet(
                    tx, key=uuid.uuid4(), customer_id=who.id, market_id=derby.id, outcome=1,
                    stake=20_00, channel=Channel.SMS, session="test", with_pin=True, no_pin_limit=0,
                )  # fmt: skip

        self.rt.attempt(work)

    def withdraw(self, luck):
        cashier.withdrawing(self.rt, luck.choice(self.crowd), 20_00)

    def hear(self, luck):
        """A success or a failure of some payout, perhaps not the first word on it."""
        request = luck.choice(self.requests)
        receipt = f"SK{request['ocid'][:6].upper()}"
        told = mpesa.payout_result(request, luck.choice([0, 2040]), receipt=receipt)
        mpesa.post(self.rt, "b2c_result", told)


@pytest.fixture
def rush(rt, wanjiku, kamau):
    rt.config = rt.config.model_copy(update={"settle_chunk": 3})
    daraja, chance = mpesa.Daraja(rt), random.Random(5)
    crowd = [
        people.customer(rt, f"+2547120001{number:02}", "Amina Wanjiru", money=3_000_00)
        for number in range(PEOPLE)
    ]
    derbies = [games.derby(rt, wanjiku, "A", "B", "C") for _ in range(4)]
    for place in range(BETS * len(derbies)):
        derby = derbies[place % len(derbies)]
        games.placed(rt, chance.choice(crowd), derby, chance.randint(1, 3), 20)
    for person in crowd[:6]:
        cashier.sent(rt, person, 100)
    rush = Rush(rt, crowd, derbies[2:], daraja.requests("b2c"))
    for derby, winner in zip(derbies[:2], (1, None), strict=True):
        games.close(rt, derby, wanjiku)
        rush.runs.append(games.decide(rt, derby, winner, proposer=wanjiku, approver=kamau))
    return rush


@pytest.mark.race
def test_settlements_bets_withdrawals_and_results_at_the_same_instant(rt, rush):
    teller.at_once(THREADS, rush.act)

    assert rush.faults == []
    assert all(settling.work(rt, run.id) for run in rush.runs)
    assert teller.clean(rt)
