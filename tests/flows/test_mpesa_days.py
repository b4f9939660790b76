"""M-PESA's bad days over HTTP: every scenario of the simulated Daraja, and how each one ends."""

from dataclasses import dataclass, field
from typing import Any

from core import ledger
from core.ledger import AccountKind
from core.payments import DepositState, PayoutState
from tests import cashier, mpesa, people, teller

PAID, WAITING = DepositState.CREDITED, DepositState.AWAITING_RECEIPT
DOUBT, GIVEN_BACK = PayoutState.IN_DOUBT, PayoutState.FAILED


@dataclass
class Day:
    """One scenario, how a payment of that day ends, and whether M-PESA moved the money."""

    scenario: str
    ends: int
    moved: bool
    told: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.scenario} {self.told}"


DEPOSITS = [
    Day("completes", PAID, True),
    Day("tokenInvalidated", PAID, True),
    Day("duplicatesCallback", PAID, True),
    Day("callbackBeforeAck", PAID, True),
    Day("stringTypes", PAID, True),
    Day("wrongAmount", PAID, True, {"says": 900}),
    Day("lateSuccessAfter1037", PAID, True),
    Day("losesSync", PAID, True),
    Day("http500AfterExecuting", PAID, True),
    Day("htmlBody", PAID, True),
    Day("emptyBody", PAID, True),
    Day("losesCallback", WAITING, True),  # until C2B, pull or the customer's own word
    Day("resultCode", DepositState.NOT_PAID, False, {"code": "1"}),
    Day("spikeArrest429", DepositState.REFUSED, False),
    Day("rejectsSync", DepositState.REFUSED, False, {"error": "lockSubscriber"}),
    Day("dropConnectionBeforeProcessing", DepositState.SEND_UNKNOWN, False),
]

PAYOUTS = [
    Day("completes", PayoutState.PAID, True),
    Day("tokenInvalidated", PayoutState.PAID, True),
    Day("spikeArrest429", PayoutState.PAID, True),
    Day("duplicatesCallback", PayoutState.PAID, True),
    Day("callbackBeforeAck", PayoutState.PAID, True),
    Day("stringTypes", PayoutState.PAID, True),
    Day("losesSync", PayoutState.PAID, True),
    Day("http500AfterExecuting", PayoutState.PAID, True),
    Day("htmlBody", PayoutState.PAID, True),
    Day("losesCallback", PayoutState.PAID, True),
    Day("wrongAmount", PayoutState.PAID, True, {"says": 900}),
    Day("queueTimeoutEcho", PayoutState.PAID, True, {"shape": "echo", "pays": True}),
    Day("queueTimeoutEcho", PayoutState.PAID, True, {"shape": "result", "pays": True}),
    Day("rejectsSync", GIVEN_BACK, False, {"error": "invalidField"}),
    Day("resultCode", GIVEN_BACK, False, {"code": "2040"}),
    Day("neverAnswers", DOUBT, False),
    Day("dropConnectionBeforeProcessing", DOUBT, False),
]


def test_deposits_on_every_day(rt, network, phone, work, wait):
    asked = {}
    for place, day in enumerate(DEPOSITS):
        number = f"+2547120001{place:02}"
        network.fault(day.scenario, "stk", phone=number, **day.told)
        customer = people.customer(rt, number, "Amina Wanjiru")
        asked[number] = day, customer, teller.ask(rt, customer, 100)
    work()
    enter_pins(phone, asked)
    work()
    for minutes in (2, 2, 5):
        wait(minutes=minutes)
        work()
    enter_pins(phone, asked)  # the one whose prompt outlived its 1037
    work()

    for number, (day, customer, deposit) in asked.items():
        assert teller.state(rt, deposit) == day.ends, day
        assert mpesa.balance(rt, customer) == (100_00 if day.ends == PAID else 0), day
        assert 5_000 - phone(number).balance() == (100 if day.moved else 0), day
    booked = sum(day.ends == PAID for day in DEPOSITS) * 100_00
    with rt.transaction() as tx:
        assert ledger.total(tx, AccountKind.MPESA_UTILITY) == booked
    assert network.armed() == []  # every one of them was met
    unconfirmed = [day for day, who, _ in asked.values() if teller.unconfirmed(rt, who)]
    assert unconfirmed == []


def test_payouts_on_every_day(rt, network, phone, work, wait):
    owed = {}
    for place, day in enumerate(PAYOUTS):
        number = f"+2547120002{place:02}"
        network.fault(day.scenario, "b2c", phone=number, **day.told)
        customer = people.customer(rt, number, "Amina Wanjiru", money=100_00)
        owed[number] = day, customer, cashier.withdraw(rt, customer, 100)
    work()
    for minutes in (3, 3, 15, 60):
        wait(minutes=minutes)
        work()

    for number, (day, customer, payout) in owed.items():
        assert cashier.state(rt, payout) == day.ends, day
        assert mpesa.balance(rt, customer) == (100_00 if day.ends == GIVEN_BACK else 0), day
        assert phone(number).balance() - 5_000 == (100 if day.moved else 0), day
        sent = [line for line in network.payouts() if line["phone"] == number.removeprefix("+")]
        assert len(sent) <= 1, day
    assert network.armed() == []  # every one of them was met
    assert cashier.pending(rt) == sum(day.ends == DOUBT for day in PAYOUTS) * 100_00


def test_an_empty_float_is_topped_up_and_everyone_is_paid_once(
    rt, network, phone, work, wait, amina, brian
):
    network.set_float(0, shortcode=rt.config.mpesa_b2c_shortcode)
    first, second = cashier.withdraw(rt, amina, 300), cashier.withdraw(rt, brian, 200)
    work()
    assert cashier.is_paused(rt)
    assert cashier.pending(rt) == 500_00

    network.set_float(1_000, shortcode=rt.config.mpesa_b2c_shortcode)
    cashier.resume(rt)
    for _ in range(3):
        wait(minutes=3)
        work()

    assert [cashier.state(rt, payout) for payout in (first, second)] == [PayoutState.PAID] * 2
    paid = [phone(number).balance() - 5_000 for number in (people.AMINA, people.BRIAN)]
    assert paid == [300, 200]


def test_a_wrong_operators_password_stops_everything_before_it_locks(
    rt, network, phone, work, amina
):
    network.fault("credentialError", "b2c")
    cashier.withdraw(rt, amina, 300)
    work()
    later = cashier.withdraw(rt, amina, 100)
    work()

    assert cashier.is_paused(rt)
    assert cashier.state(rt, later) == PayoutState.HELD
    assert mpesa.balance(rt, amina) == 900_00
    assert len(network.payouts()) == 1


def enter_pins(phone, asked):
    for number in asked:
        if phone(number).stk_prompt() is not None:
            phone(number).enter_mpesa_pin("1234")
