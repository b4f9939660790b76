"""Asking for a deposit: one prompt at a time, and the first answer is the answer for ever."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from core import breakers, deposits
from core.deposits import Asked
from core.effects import Refused
from core.outbox import Promise
from core.payments import Deposit
from tests import mpesa, teller


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


def test_the_push_waits_until_the_phone_is_free(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)

    mpesa.work(rt)
    assert daraja.asked == []

    wait(seconds=3)
    mpesa.work(rt)
    assert len(daraja.requests("stk")) == 1


def test_the_same_key_is_the_same_deposit(rt, amina, daraja):
    key = uuid.uuid4()

    first, again = (teller.ask(rt, amina, 100, key=key) for _ in range(2))

    assert (first.again, again.again) == (False, True)
    assert (first.deposit_id, first.ref) == (again.deposit_id, again.ref)
    with pytest.raises(AssertionError, match="another deposit"):
        teller.ask(rt, amina, 200, key=key)


def test_while_m_pesa_is_down_it_is_said_at_once_and_nothing_is_pushed(rt, amina, daraja, wait):
    half_a_minute = breakers.Rule(failures=1, open_for=timedelta(seconds=30))
    breakers.failed(rt.redis, "stk", half_a_minute, now=rt.now())

    assert teller.asking(rt, amina, 100_00).reason == "money.why_mpesa_busy"
    assert teller.asking(rt, amina, 50).reason == "money.deposit_low"  # sooner than that
    wait(seconds=31)
    assert isinstance(teller.asking(rt, amina, 100_00), Asked)

    teller.push(rt, wait)
    assert len(daraja.requests("stk")) == 1


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (50, "money.deposit_low"),
        (0, "money.deposit_low"),
        (-100_00, "money.deposit_low"),
        (250_001_00, "money.deposit_high"),
        (10**20, "money.deposit_high"),
        (100_50, "money.whole_shillings"),
    ],
)
def test_what_m_pesa_would_refuse_is_never_asked(rt, amina, amount, reason):
    key = uuid.uuid4()

    first, again = (teller.asking(rt, amina, amount, key=key) for _ in range(2))

    assert first.reason == again.reason == reason
    assert first.facts == again.facts
    with rt.transaction() as tx:
        assert tx.scalar(select(func.count()).select_from(Deposit)) == 0
        assert tx.scalar(select(func.count()).select_from(Promise)) == 0


def test_the_excluded_are_told_until_when(rt, amina, wait):
    until = teller.exclude(rt, amina)
    key = uuid.uuid4()

    first, again = (teller.asking(rt, amina, 100_00, key=key) for _ in range(2))

    assert first == again == Refused("customers.excluded", {"until": until})


def test_one_prompt_at_a_time(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    assert teller.asking(rt, amina, 200_00) == Refused("money.deposit_waiting")

    wait(seconds=91)
    assert isinstance(teller.asking(rt, amina, 200_00), Asked)


def test_the_same_amount_is_not_paid_twice_in_a_row(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1"))

    assert teller.asking(rt, amina, 100_00) == Refused("money.why_same_amount")
    assert isinstance(teller.asking(rt, amina, 101_00), Asked)


def test_a_failed_deposit_can_be_tried_again_at_once(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", 1032))

    assert isinstance(teller.asking(rt, amina, 100_00), Asked)


def test_many_askings_at_once_are_one_prompt(rt, amina):
    verdicts = teller.at_once(10, lambda _: teller.asking(rt, amina, 100_00))

    assert sum(isinstance(verdict, Asked) for verdict in verdicts) == 1


def test_the_last_deposit_as_its_owner_reads_it(rt, amina, daraja, wait):
    with rt.transaction() as tx:
        assert deposits.last(tx, amina.id) is None
    asked = teller.ask(rt, amina, 100)
    assert line(rt, amina).state == "waiting"
    teller.push(rt, wait)
    assert line(rt, amina).state == "waiting"
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1"))

    paid = line(rt, amina)
    assert (paid.ref, paid.amount, paid.state) == (asked.ref, 100_00, "paid")
    assert paid.receipt == "SKL7RT61SV"
    with rt.transaction() as tx:
        assert deposits.by_ref(tx, amina.id + 1, asked.ref) is None


def test_references_are_short_and_never_the_same():
    refs = [deposits._ref(number) for number in range(1, 20_000)]

    assert len(set(refs)) == len(refs)
    assert all(ref.isalnum() and len(ref) <= 12 for ref in refs)


def line(rt, customer):
    with rt.transaction() as tx:
        return deposits.last(tx, customer.id)
