"""Payments in crowds over HTTP, each with its own bad luck: in the end the books agree."""

import random
from dataclasses import dataclass
from typing import Any

import pytest

from admin.commands.simulator import differences, our_books
from core.deposits import Asked
from core.payments import PayoutState
from tests import cashier, mpesa, people, teller
from tests.counts import chosen

CROWD = 100  # people at a time, each with one payment after the other
BATCHES = chosen().schedules * 2 // CROWD
HURRY = (2, 2, 5, 15, 60, 61, 180, 61)  # minutes, in which every question is asked and answered
DEPOSITS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("completes", {}), ("duplicatesCallback", {}), ("callbackBeforeAck", {}), ("stringTypes", {}),
    ("losesCallback", {}), ("losesSync", {}), ("lateSuccessAfter1037", {}), ("noReceipt", {}),
    ("maskedPhone", {}), ("shuffledItems", {}), ("wrongAmount", {"says": 900}), ("htmlBody", {}),
    ("http500AfterExecuting", {}), ("spikeArrest429", {}), ("dropConnectionBeforeProcessing", {}),
    ("resultCode", {"code": "1"}), ("contradicts", {"code": "1032"}),
)  # fmt: skip
PAYOUTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("completes", {}), ("duplicatesCallback", {}), ("callbackBeforeAck", {}), ("losesSync", {}),
    ("losesCallback", {}), ("wrongAmount", {"says": 900}), ("http500AfterExecuting", {}),
    ("queueTimeoutEcho", {"shape": "echo", "pays": True}), ("resultCode", {"code": "2040"}),
    ("spikeArrest429", {}), ("rejectsSync", {"error": "invalidField"}),
    ("dropConnectionBeforeProcessing", {}), ("contradicts", {"code": "2040"}),
)  # fmt: skip


@dataclass
class Life:
    """One person's payments: what is begun, and what came of it."""

    customer: Any
    phone: Any
    payouts: list[int]

    @property
    def number(self) -> str:
        return str(self.customer.phone)


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(BATCHES))
def test_whatever_is_lost_late_doubled_or_out_of_order(rt, network, phone, work, wait, seed):
    luck = random.Random(seed)
    rt.config = rt.config.model_copy(update={"daraja_confirm_cap": 10**12})
    crowd = [born(rt, phone, place) for place in range(CROWD)]
    acts = [deposit, by_hand, withdraw]
    for _ in range(2):
        for life in luck.sample(crowd, len(crowd)):
            luck.choice(acts)(rt, network, life, luck)
            if luck.random() < 0.2:
                luck.choice([work, lambda: wait(minutes=luck.choice((1, 3))), mpesa_pins(crowd)])()
        work()
        mpesa_pins(crowd)()
    for minutes in HURRY:
        wait(minutes=minutes)
        network.settings(clock_ahead=ahead(rt))
        work()
        mpesa_pins(crowd)()

    with rt.transaction() as tx:
        left = list(differences(network.books(), our_books(tx)))
    assert left == []
    for life in crowd:
        sent = [line for line in network.payouts() if line["phone"] == life.number[1:]]
        paid = [one for one in life.payouts if cashier.state(rt, one) == PayoutState.PAID]
        done = [line for line in sent if line["status"] == "Completed"]
        assert len(done) == len(paid), (life.number, sent)


def born(rt, phone, place):
    number = f"+254712003{place:03}"
    customer = people.customer(rt, number, "Some One", money=300_00)
    return Life(customer, phone(number), [])


def deposit(rt, network, life, luck):
    scenario, told = luck.choice(DEPOSITS)
    if isinstance(teller.asking(rt, life.customer, luck.randint(1, 300) * 100), Asked):
        network.fault(scenario, "stk", phone=life.number, times=1, **told)


def by_hand(rt, network, life, luck):
    account = luck.choice([life.number, life.number[1:], "0" + life.number[4:]])
    shillings, told = luck.randint(1, 300), luck.random() < 0.7
    life.phone.pay_paybill(shillings, account=account, deliver=told)


def withdraw(rt, network, life, luck):
    if mpesa.balance(rt, life.customer) < 50_00:
        return
    scenario, told = luck.choice(PAYOUTS)
    network.fault(scenario, "b2c", phone=life.number, times=1, **told)
    life.payouts.append(cashier.withdraw(rt, life.customer, 50))


def mpesa_pins(crowd):
    """Everybody who is asked for the M-PESA PIN types it."""

    def enter():
        for life in crowd:
            if life.phone.stk_prompt() is not None:
                life.phone.enter_mpesa_pin("1234")

    return enter


def ahead(rt):
    """Seconds that the house's clock runs before the machine's."""
    offset = rt.clock.offset
    return 0 if offset is None else offset.total_seconds()
