"""A hundred deposits at once, a hundred markets settled and paid at once: nothing is lost."""

import random
import threading

import pytest
from sqlalchemy import select

from core import jobs, settling
from core.inbox import Callback
from core.outbox import Promise
from core.payments import Payout, PayoutState
from tests import games, mpesa, people, teller
from tests.teller import at_once

HUNDRED, HANDS = 100, 8
TWICE = 2  # each word is told, and each job rung, as often as that

pytestmark = pytest.mark.race


@pytest.fixture
def crowd(rt):
    return [people.customer(rt, f"+254712004{number:03}", "Some One") for number in range(HUNDRED)]


def test_a_hundred_deposits(rt, crowd, wait):
    mpesa.Daraja(rt)
    asked = at_once_in_parts([lambda who=who: (who, teller.ask(rt, who, 100)) for who in crowd])
    wait(seconds=3)
    at_once_in_parts([lambda number=n: jobs.deliver(number) for n in promises(rt, "stk")] * TWICE)
    told = []
    for who, deposit in asked:
        row = mpesa.deposit(rt, deposit.deposit_id)
        phone = int(who.phone[1:])
        told.append(
            mpesa.push_result(
                row.checkout_request_id, receipt=f"SKH{deposit.deposit_id:07}", phone=phone
            )
        )
    random.Random(7).shuffle(told)

    at_once_in_parts([lambda body=body: mpesa.post(rt, "stk", body) for body in told * TWICE])

    assert [mpesa.balance(rt, who) for who in crowd] == [100_00] * HUNDRED
    assert verdicts(rt) == sorted(["credited", "duplicate"] * HUNDRED)
    assert teller.clean(rt)


def test_a_hundred_settlements_and_what_they_pay_out(rt, crowd, wanjiku, kamau):
    daraja = mpesa.Daraja(rt)
    for who in crowd:
        people.fund(rt, who, 100_00)
    runs = []
    for place in range(HUNDRED):  # everybody bets on two markets, and wins on one
        derby = games.derby(rt, wanjiku)
        games.placed(rt, crowd[place], derby, 1, 50)
        games.placed(rt, crowd[(place + 1) % HUNDRED], derby, 2, 50)
        games.close(rt, derby, wanjiku)
        runs.append(games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau).id)

    at_once_in_parts([lambda run=run: settling.work(rt, run) for run in runs * TWICE])
    assert all(settling.work(rt, run) for run in runs)
    sends = [lambda number=n: jobs.deliver(number) for n in promises(rt, "b2c")]
    at_once_in_parts(sends * TWICE)
    requests = daraja.requests("b2c")
    results = [
        mpesa.payout_result(request, receipt=f"SKW{place:07}")
        for place, request in enumerate(requests)
    ]
    at_once_in_parts(
        [lambda body=body: mpesa.post(rt, "b2c_result", body) for body in results * TWICE]
    )

    assert len({request["ocid"] for request in requests}) == len(requests) == HUNDRED
    with rt.transaction() as tx:
        paid = tx.execute(select(Payout.state, Payout.amount)).all()
    assert [tuple(row) for row in paid] == [(PayoutState.PAID, 95_00)] * HUNDRED
    assert [mpesa.balance(rt, who) for who in crowd] == [0] * HUNDRED
    assert teller.clean(rt)


def at_once_in_parts(acts):
    """What all of them came to, done by some hands at the same time in no order."""
    acts, came, one_at_a_time = list(acts), [], threading.Lock()
    random.Random(3).shuffle(acts)

    def hand(_):
        while True:
            with one_at_a_time:
                if not acts:
                    return
                act = acts.pop()
            came.append(act())

    at_once(HANDS, hand)
    return came


def promises(rt, kind):
    with rt.transaction() as tx:
        return list(tx.scalars(select(Promise.id).where(Promise.kind == kind)))


def verdicts(rt):
    with rt.transaction() as tx:
        return sorted(tx.scalars(select(Callback.verdict)))
