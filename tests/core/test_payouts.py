"""Withdrawals and sending: the money is set aside first, and leaves under one id at most once."""

import uuid
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from core import customers, jobs, outbox, payouts
from core.customers import Customer
from core.effects import Refused
from core.errors import NotSent, Refusal, Rejected, Unknown
from core.outbox import Promise
from core.payments import HeldFor, PayoutState
from core.payouts import Reserved
from tests import cashier, games, mpesa, people, teller


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


def test_a_withdrawal_is_set_aside_sent_and_paid(rt, amina, daraja):
    number = cashier.withdraw(rt, amina, 300)
    assert (mpesa.balance(rt, amina), cashier.pending(rt)) == (700_00, 300_00)

    mpesa.work(rt)
    (request,) = daraja.requests("b2c")
    assert (request["phone"], request["amount"]) == (people.AMINA, 300_00)
    assert cashier.state(rt, number) == PayoutState.ACCEPTED

    assert mpesa.post(rt, "b2c_result", mpesa.payout_result(request)) == "paid"

    assert cashier.state(rt, number) == PayoutState.PAID
    assert (mpesa.balance(rt, amina), cashier.pending(rt)) == (700_00, 0)
    assert mpesa.texts(rt, amina) == ["money.payout_sent"]
    assert teller.clean(rt)


def test_the_same_key_is_the_same_withdrawal(rt, amina):
    key = uuid.uuid4()

    first, again = (cashier.withdrawing(rt, amina, 300_00, key=key) for _ in range(2))

    assert (first.again, again.again) == (False, True)
    assert first.payout_ids == again.payout_ids
    assert first.balance == again.balance == 700_00
    with faulting("HL001"):
        cashier.withdrawing(rt, amina, 400_00, key=key)


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (9_00, "money.withdraw_low"),
        (0, "money.withdraw_low"),
        (-5_00, "money.withdraw_low"),
        (100_50, "money.whole_shillings"),
        (1_001_00, "money.withdraw_short"),
        (10**18, "money.withdraw_short"),
    ],
)
def test_a_refused_withdrawal_moves_nothing_and_stays_refused(rt, amina, amount, reason):
    key = uuid.uuid4()
    first = cashier.withdrawing(rt, amina, amount, key=key)
    people.fund(rt, amina, 5_000_00)  # a refused key stays refused: a new decision is a new key

    again = cashier.withdrawing(rt, amina, amount, key=key)

    assert first == again
    assert first.reason == reason
    assert (mpesa.balance(rt, amina), cashier.count(rt)) == (6_000_00, 0)


def test_a_reset_pin_keeps_withdrawals_shut_for_a_day(rt, amina, wait):
    with rt.transaction() as tx:
        reset = tx.get_one(Customer, amina.id).pin_reset_at = rt.now()

    refused = cashier.withdrawing(rt, amina, 100_00)
    assert refused == Refused("money.withdraw_after_reset", {"until": reset + timedelta(hours=24)})

    wait(hours=25)
    assert isinstance(cashier.withdrawing(rt, amina, 100_00), Reserved)


def test_only_a_verified_number_is_paid(rt):
    with rt.transaction() as tx:
        stranger = customers.join(tx, people.STRANGER, lang="en", now=rt.now())
    people.fund(rt, stranger, 100_00)

    assert cashier.withdrawing(rt, stranger, 100_00) == Refused("customers.sign_up_first")


def test_the_excluded_may_always_withdraw(rt, amina):
    teller.exclude(rt, amina)

    assert isinstance(cashier.withdrawing(rt, amina, 100_00), Reserved)


def test_what_is_over_m_pesas_limit_goes_in_equal_parts(rt, amina, daraja):
    trusting(rt)
    people.fund(rt, amina, 600_000_00)

    reserved = cashier.withdrawing(rt, amina, 500_001_00)
    mpesa.work(rt)

    amounts = [request["amount"] // 100 for request in daraja.requests("b2c")]
    assert amounts == [166_667, 166_667, 166_667]
    assert len({request["ocid"] for request in daraja.requests("b2c")}) == 3
    assert len(reserved.payout_ids) == 3
    assert mpesa.balance(rt, amina) == 1_000_00 + 600_000_00 - 500_001_00


def test_no_part_is_too_small_to_send(rt, amina, daraja):
    trusting(rt)
    people.fund(rt, amina, 250_000_00)

    cashier.withdraw(rt, amina, 250_001)
    mpesa.work(rt)

    amounts = [request["amount"] // 100 for request in daraja.requests("b2c")]
    assert amounts == [125_000, 125_001]


@pytest.mark.race
def test_threads_that_withdraw_more_than_there_is_get_what_there_is(rt, amina):
    verdicts = teller.at_once(20, lambda _: cashier.withdrawing(rt, amina, 300_00))

    assert sum(isinstance(verdict, Reserved) for verdict in verdicts) == 3
    assert (mpesa.balance(rt, amina), cashier.pending(rt)) == (100_00, 900_00)
    assert teller.clean(rt)


@pytest.mark.race
def test_threads_with_one_key_withdraw_once(rt, amina):
    key = uuid.uuid4()

    verdicts = teller.at_once(20, lambda _: cashier.withdrawing(rt, amina, 100_00, key=key))

    assert {verdict.payout_ids for verdict in verdicts} == {verdicts[0].payout_ids}
    assert sum(not verdict.again for verdict in verdicts) == 1
    assert mpesa.balance(rt, amina) == 900_00


def test_what_never_left_is_sent_again_under_the_same_id(rt, amina, daraja, wait):
    number = cashier.withdraw(rt, amina, 300)
    daraja.says["b2c"] = NotSent("refused", code="connection")
    mpesa.work(rt)
    assert cashier.state(rt, number) == PayoutState.QUEUED

    daraja.says.clear()
    wait(minutes=1)
    mpesa.work(rt)

    first, second = daraja.requests("b2c")
    assert first["ocid"] == second["ocid"]
    assert cashier.state(rt, number) == PayoutState.ACCEPTED


@pytest.mark.parametrize("code", ["no_product", "gateway", "path"])
def test_a_gateway_that_refuses_every_payout_pauses_them(rt, amina, daraja, wait, code):
    number = cashier.withdraw(rt, amina, 300)
    daraja.says["b2c"] = NotSent("misconfigured", code=code)
    mpesa.work(rt)
    assert cashier.is_paused(rt)

    daraja.says.clear()
    wait(minutes=1)
    mpesa.work(rt)
    assert len(daraja.requests("b2c")) == 1
    assert mpesa.payout(rt, number).held_for == HeldFor.PAUSE


def test_what_m_pesa_refused_at_once_is_given_back(rt, amina, daraja):
    number = cashier.withdraw(rt, amina, 300)
    daraja.says["b2c"] = Rejected("400.002.02 Bad Request - Invalid PartyB", code="field")
    mpesa.work(rt)

    assert cashier.state(rt, number) == PayoutState.FAILED
    assert (mpesa.balance(rt, amina), cashier.pending(rt)) == (1_000_00, 0)
    assert mpesa.texts(rt, amina) == ["money.payout_returned"]
    assert teller.clean(rt)


@pytest.mark.parametrize("code", ["no_answer", "duplicate", "internal", "unclear"])
def test_doubt_keeps_the_money_and_is_never_sent_again(rt, amina, daraja, wait, code):
    number = cashier.withdraw(rt, amina, 300)
    daraja.says["b2c"] = Unknown("no answer", code=code)
    mpesa.work(rt)
    daraja.says.clear()

    for _ in range(5):
        wait(minutes=30)
        mpesa.sweep(rt)

    assert cashier.state(rt, number) == PayoutState.IN_DOUBT
    assert (mpesa.balance(rt, amina), cashier.pending(rt)) == (700_00, 300_00)
    assert len(daraja.requests("b2c")) == 1


def test_a_crash_while_sending_is_doubt(rt, amina, daraja, wait):
    number = cashier.withdraw(rt, amina, 300)
    with rt.transaction() as tx:
        promise_id = tx.scalars(select(Promise.id).where(Promise.kind == "b2c")).one()
        promise = outbox.claim(tx, promise_id, now=rt.now())
        assert promise is not None
        assert promise.claimed_at is not None
        assert payouts.PAY.begin(tx, promise, rt.now()) is not None
        promise.claimed_at -= timedelta(minutes=10)
    jobs.recover(promise_id)
    wait(hours=1)
    mpesa.sweep(rt)

    assert cashier.state(rt, number) == PayoutState.IN_DOUBT
    assert daraja.requests("b2c") == []
    assert len(daraja.requests("status_query")) == 1


def test_one_payout_in_doubt_blocks_no_other(rt, amina, daraja):
    cashier.withdraw(rt, amina, 300)
    daraja.says["b2c"] = Unknown("no answer")
    mpesa.work(rt)
    daraja.says.clear()

    second = cashier.withdraw(rt, amina, 200)
    mpesa.work(rt)

    assert cashier.state(rt, second) == PayoutState.ACCEPTED


def test_a_pause_holds_and_a_resume_sends(rt, amina, daraja, wanjiku):
    with rt.transaction() as tx:
        payouts.pause(tx, "2001", "wrong credential", now=rt.now())
        payouts.pause(tx, "1", "and no float", now=rt.now())
    number = cashier.withdraw(rt, amina, 300)
    mpesa.work(rt)
    mpesa.sweep(rt)
    assert daraja.asked == []
    assert mpesa.payout(rt, number).held_for == HeldFor.PAUSE

    cashier.resume(rt)
    mpesa.sweep(rt)

    assert cashier.state(rt, number) == PayoutState.ACCEPTED
    with pytest.raises(AssertionError):
        cashier.resume(rt)  # there is nothing to resume any more
    with pytest.raises(Refusal), rt.transaction() as tx:
        payouts.resume(tx, by=wanjiku, now=rt.now())  # a trader does not touch payouts


def test_wins_are_sent_when_the_market_is_settled(rt, amina, brian, daraja, wanjiku, kamau):
    derby = games.derby(rt, wanjiku)
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)

    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)
    mpesa.work(rt)

    (request,) = daraja.requests("b2c")
    assert (request["phone"], request["amount"]) == (people.AMINA, 285_00)
    assert mpesa.balance(rt, amina) == 900_00


def test_reserving_is_once_per_key(rt, amina):
    key = uuid.uuid4()
    first, again = (reserve(rt, amina, 50_00, key) for _ in range(2))

    assert first == again
    assert mpesa.balance(rt, amina) == 950_00
    for amount in (60_00, 2_000_00):
        with faulting("HL001"):
            reserve(rt, amina, amount, key)
    for amount, fault in ((1_000_00, "HL002"), (50_50, "HL006")):
        with faulting(fault):
            reserve(rt, amina, amount, uuid.uuid4())


@pytest.mark.parametrize(
    ("first", "verdicts"),
    [
        ("paid", ["paid", "duplicate", "incident", "paid"]),
        ("released", ["released", "incident", "incident", "duplicate"]),
    ],
)
def test_the_database_ends_a_payout_once_whoever_asks(rt, amina, first, verdicts):
    number = cashier.withdraw(rt, amina, 300)
    paid = "SELECT payout_paid(:payout, '{}', '600986', :amount, 5::smallint, now())"
    back = "SELECT payout_release(:payout, 9::smallint, '2040', 'money.why_payout_failed')"
    ends = {"paid": paid.format("SKP1PAYOUT"), "released": back}

    said = [
        end(rt, statement, number)
        for statement in (ends[first], ends["paid"], paid.format("SKP2PAYOUT"), back)
    ]

    assert said == verdicts
    assert cashier.pending(rt) == 0
    assert mpesa.balance(rt, amina) == 400_00  # each payment too many is set aside
    assert teller.clean(rt)


def test_the_database_knows_only_true_ends(rt, amina):
    number = cashier.withdraw(rt, amina, 300)
    other = "SELECT payout_paid(:payout, 'SKP1PAYOUT', '600986', :amount - 1, 5::smallint, now())"
    assert end(rt, other, number) == "mismatch"
    with faulting("HL006"):
        end(rt, "SELECT payout_release(:payout, 8::smallint, '0', '')", number)

    assert cashier.pending(rt) == 300_00


def end(rt, statement, number):
    with rt.transaction() as tx:
        return tx.scalar(text(statement), {"payout": number, "amount": 300_00})


def trusting(rt):
    """No payout is too large to leave unseen."""
    rt.config = rt.config.model_copy(update={"payout_hold_over": 10**9})


@contextmanager
def faulting(sqlstate):
    """A fault of the database, by its name."""
    with pytest.raises(DBAPIError) as caught:
        yield
    assert getattr(caught.value.orig, "pgcode", None) == sqlstate


def reserve(rt, customer, amount, key):
    with rt.transaction() as tx:
        reserved = "SELECT payout_reserve(:key, :customer, :amount, 2::smallint, NULL)"
        values = {"key": key, "customer": customer.id, "amount": amount}
        return tx.scalar(text(reserved), values)
