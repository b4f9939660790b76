"""Orders against a plain model: asked, failed, paid late and twice, in whatever order it comes."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from sqlalchemy import select

from core.betting import Bet
from core.orders import DepositOrder, OrderState
from core.payments import Deposit
from tests import games, mpesa, people, teller
from tests.core.test_orders import ask, fail, land, wish
from tests.counts import chosen

SCHEDULES = chosen().kills // 2  # three every day, fifty before a release
STEPS = 10
STAKES = (100, 150)


@dataclass
class Model:
    """What one customer has coming: the live order, the pushes of each, and the money."""

    wallet: int = 0
    live: tuple[int, datetime] | None = None  # the stake it is for, and until when
    pushes: dict[int, int] = field(default_factory=dict)  # deposit -> the stake it was asked for
    paid: set[int] = field(default_factory=set)
    bets: Counter[int] = field(default_factory=Counter)

    def lands(self, deposit: Deposit, now: datetime) -> None:
        """The money comes; the bet with it, if its order is the live one."""
        if deposit.id in self.paid:
            return
        self.paid.add(deposit.id)
        self.wallet += deposit.amount
        stake = self.pushes[deposit.id]
        if self.live and self.live[0] == stake and now < self.live[1] and self.wallet >= stake:
            self.bets[stake] += 1
            self.wallet -= stake
            self.live = None


@pytest.fixture(autouse=True)
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_each_payment_brings_one_bet_or_stays_in_the_wallet(rt, wait, wanjiku, seed):
    chance, model = random.Random(seed), Model()
    derby = games.derby(rt, wanjiku)
    amina = people.customer(rt, people.AMINA, "Amina Wanjiru")
    for step in range(STEPS):
        act = chance.choice((asked, asked, paid, paid, failed, waited))
        act(rt, wait, amina, derby, model, chance, step)
        assert mpesa.balance(rt, amina) == model.wallet
        assert bets(rt) == model.bets
        assert live(rt) <= 1
    assert teller.clean(rt)


def asked(rt, wait, customer, derby, model, chance, step):
    stake = chance.choice(STAKES) * 100
    before = len(pushes(rt))
    now = rt.now()
    enough = model.wallet >= stake
    ask(rt, customer, wish(derby, stake // 100))
    if enough:
        model.bets[stake] += 1
        model.wallet -= stake
    elif len(found := pushes(rt)) > before:
        model.pushes[found[-1].id] = stake
        same = model.live is not None and model.live[0] == stake and now < model.live[1]
        if not same:  # what was asked for another order brings this one nothing
            model.pushes = {
                one: stake if one == found[-1].id else -abs(each)
                for one, each in model.pushes.items()
            }
        model.live = (stake, now + rt.config.order_life)
        teller.push(rt, wait)


def paid(rt, wait, customer, derby, model, chance, step):
    if found := [one for one in pushes(rt) if one.checkout_request_id]:
        deposit = chance.choice(found)
        now = rt.now()
        land(rt, deposit, receipt=f"SKL{deposit.id:07}")
        model.lands(deposit, now)


def failed(rt, wait, customer, derby, model, chance, step):
    if found := [one for one in pushes(rt) if one.checkout_request_id]:
        fail(rt, chance.choice(found), chance.choice((1, 1032, 1037)))


def waited(rt, wait, customer, derby, model, chance, step):
    wait(minutes=chance.choice((2, 3, 8)))


def pushes(rt):
    with rt.transaction() as tx:
        return list(tx.scalars(select(Deposit).order_by(Deposit.id)))


def bets(rt):
    with rt.transaction() as tx:
        return Counter(tx.scalars(select(Bet.stake)))


def live(rt):
    with rt.transaction() as tx:
        return len(
            tx.scalars(
                select(DepositOrder.id).where(DepositOrder.state == OrderState.WAITING)
            ).all()
        )
