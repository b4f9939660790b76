"""The hourly pull: every payment once, whatever dies or stays silent on the way."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from core import jobs, outbox, pulls
from core.errors import NotSent, Rejected, Unknown
from core.inbox import Callback, State
from core.outbox import MONEY, Promise
from core.pulls import PullState, PullWindow
from core.receipts import MpesaReceipt
from demo.settings import PAYBILL
from tests import mpesa, people, teller
from tests.counts import chosen

PAGE = 3  # rows: M-PESA's are a hundred, and a test needs several pages


class List:
    """M-PESA's list of payments, read by the hour; `says` is what it answers instead."""

    def __init__(self, rt):
        self.rt, self.rows, self.asked, self.says = rt, [], [], []
        rt.senders = {**rt.senders, "pull": self.answer}

    def answer(self, request):
        self.asked.append(dict(request))
        said = self.says.pop(0) if self.says else None
        if isinstance(said, Exception):
            raise said
        span = request["start"] <= request["end"]
        assert span
        assert request["end"] - request["start"] <= timedelta(hours=48)
        found = [
            row for at, row in self.rows if request["start"] <= at <= request["end"]
        ]  # by the hour in which it happened, the oldest first
        page = found[request["offset"] : request["offset"] + PAGE]
        if callable(said):
            said()
        return {"rows": page, "receipt": "R"}

    def pay(self, number, *, at=None, amount=100_00, account="0712000001"):
        at = at or self.rt.now()
        row = {
            "receipt": f"SKP{number:07}", "at": at.strftime("%Y%m%d%H%M%S"), "type": "c2b",
            "phone": "254712000001", "account": account, "amount": amount, "raw": {},
        }  # fmt: skip
        self.rows.append((at, row))


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def listed(rt, daraja, monkeypatch):
    assert pulls.PAGE == 100
    monkeypatch.setattr(pulls, "PAGE", PAGE)
    return List(rt)


def strike(rt):
    """One strike of the clock, and all the work it makes."""
    with rt.transaction() as tx:
        pulls.sweep(tx, rt.now(), rt.config)
    work(rt)


def work(rt):
    for _ in range(30):
        with rt.transaction() as tx:
            due = outbox.due(tx, MONEY, now=rt.now(), limit=100)
        for promise_id in due:
            jobs.deliver(promise_id)
        if not due:
            break
    mpesa.work(rt)


def windows(rt):
    with rt.transaction() as tx:
        return list(tx.scalars(select(PullWindow).order_by(PullWindow.id)))


def states(rt):
    return [PullState(one.state).name for one in windows(rt)]


def credited(rt):
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(MpesaReceipt))


def test_what_no_callback_told_is_credited_from_the_list(rt, amina, listed, wait):
    listed.pay(1)
    strike(rt)
    assert mpesa.balance(rt, amina) == 1_100_00
    (window,) = windows(rt)
    assert (window.state, window.seen, window.fresh) == (PullState.DONE, 1, 1)
    assert (window.end_at - window.start_at) <= timedelta(hours=48)
    assert listed.asked[0]["shortcode"] == PAYBILL
    assert teller.clean(rt)


def test_once_an_hour_and_two_hours_back(rt, amina, listed, wait):
    strike(rt)
    strike(rt)
    wait(minutes=59)
    strike(rt)
    assert len(listed.asked) == 1
    wait(minutes=2)
    listed.pay(1, at=rt.now() - timedelta(minutes=100))  # M-PESA was late with it
    strike(rt)
    first, second = windows(rt)
    assert first.end_at - second.start_at == timedelta(hours=2)
    assert mpesa.balance(rt, amina) == 1_100_00
    wait(hours=1)
    strike(rt)  # the same row again is confirmed by now, and passed over
    assert [one.fresh for one in windows(rt)] == [0, 1, 0]
    assert mpesa.balance(rt, amina) == 1_100_00


def test_a_long_list_is_read_page_by_page(rt, amina, listed):
    for number in range(2 * PAGE + 2):
        listed.pay(number, amount=1_00)
    strike(rt)
    work(rt)
    work(rt)
    assert [one["offset"] for one in listed.asked] == [0, PAGE, 2 * PAGE]
    assert mpesa.balance(rt, amina) == 1_000_00 + (2 * PAGE + 2) * 1_00
    (window,) = windows(rt)
    assert (window.state, window.seen) == (PullState.DONE, 2 * PAGE + 2)


def test_a_full_last_page_is_followed_by_an_empty_one(rt, amina, listed):
    for number in range(PAGE):
        listed.pay(number, amount=1_00)
    strike(rt)
    assert [one["offset"] for one in listed.asked] == [0, PAGE]
    assert states(rt) == ["DONE"]


@pytest.mark.parametrize("error", [Unknown("no answer"), NotSent("rate", code="rate")])
def test_a_page_that_did_not_come_is_asked_for_again(rt, amina, listed, wait, error):
    for number in range(PAGE + 1):
        listed.pay(number, amount=1_00)
    listed.says = [None, error]
    strike(rt)
    assert states(rt) == ["OPEN"]
    assert windows(rt)[0].next_offset == PAGE
    strike(rt)
    wait(minutes=6)
    strike(rt)
    assert states(rt) == ["DONE"]
    assert {one["offset"] for one in listed.asked} == {0, PAGE}
    work(rt)
    assert credited(rt) == PAGE + 1


def die():
    raise KeyboardInterrupt


def test_a_worker_found_dead_is_replaced(rt, amina, listed):
    listed.pay(1)
    listed.says = [die]
    with pytest.raises(KeyboardInterrupt):
        strike(rt)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE promise SET claimed_at = claimed_at - interval '1 hour'"))
        (lost,) = outbox.lost(tx, after=rt.config.sending_stuck)
    jobs.recover(lost)
    work(rt)
    assert states(rt) == ["DONE"]
    assert mpesa.balance(rt, amina) == 1_100_00


def test_a_dead_worker_loses_no_page(rt, amina, listed, wait):
    listed.pay(1)

    listed.says = [die]
    with pytest.raises(KeyboardInterrupt):
        strike(rt)
    assert states(rt) == ["OPEN"]
    wait(minutes=6)
    strike(rt)
    assert states(rt) == ["DONE"]
    assert mpesa.balance(rt, amina) == 1_100_00


def test_a_late_answer_keeps_its_rows_and_moves_no_cursor(rt, amina, listed, wait):
    listed.pay(1)

    def overtaken():
        wait(minutes=6)
        with rt.transaction() as tx:
            pulls.sweep(tx, rt.now(), rt.config)

    listed.says = [overtaken]
    strike(rt)
    work(rt)
    assert states(rt) == ["DONE"]
    assert windows(rt)[0].asked == 2
    assert mpesa.balance(rt, amina) == 1_100_00
    assert credited(rt) == 1


def test_a_late_page_is_not_counted_twice(rt, amina, listed, wait):
    for number in range(2 * PAGE + 1):
        listed.pay(number, amount=1_00)

    def overtaken():
        wait(minutes=6)
        with rt.transaction() as tx:
            pulls.sweep(tx, rt.now(), rt.config)
            (again,) = outbox.due(tx, MONEY, now=rt.now(), limit=100)
        jobs.deliver(again)

    listed.says = [overtaken]
    strike(rt)
    assert [one["offset"] for one in listed.asked] == [0, 0, PAGE, 2 * PAGE]
    assert windows(rt)[0].seen == credited(rt) == 2 * PAGE + 1


def test_a_refusal_ends_the_window_and_the_next_reaches_back(rt, amina, listed, wait):
    strike(rt)
    listed.says = [Rejected("no", code="no_product")]
    wait(hours=1)
    listed.pay(1)
    strike(rt)
    assert states(rt) == ["DONE", "FAILED"]
    wait(hours=1)
    strike(rt)
    assert states(rt) == ["DONE", "FAILED", "DONE"]
    first, _, third = windows(rt)
    assert first.end_at - third.start_at == timedelta(hours=2)
    assert mpesa.balance(rt, amina) == 1_100_00


def test_after_days_of_silence_the_list_is_asked_as_far_back_as_it_goes(rt, amina, listed, wait):
    listed.says = [Unknown("no answer")]
    strike(rt)
    wait(days=4)
    listed.pay(1, at=rt.now() - timedelta(hours=40))
    strike(rt)
    assert states(rt) == ["FAILED", "DONE"]
    assert mpesa.balance(rt, amina) == 1_100_00


def test_a_list_without_an_end_is_given_up(rt, listed, monkeypatch):
    monkeypatch.setattr(pulls, "MOST_PAGES", 3)
    page = [{"receipt": f"SKQ{n:07}", "amount": None, "type": ""} for n in range(PAGE)]
    rt.senders["pull"] = lambda request: {"rows": page, "receipt": "R"}
    strike(rt)
    assert [(one.state, one.code) for one in windows(rt)] == [(PullState.FAILED, "endless")]


def test_a_row_that_nobody_can_read_stands_in_nobodys_way(rt, amina, listed, monkeypatch):
    listed.pay(1, amount=None)
    listed.pay(2)
    strike(rt)
    assert mpesa.balance(rt, amina) == 1_100_00
    with rt.transaction() as tx:
        verdicts = list(tx.scalars(select(Callback.verdict).order_by(Callback.id)))
        assert tx.scalar(select(func.count()).where(Callback.state == State.NEW)) == 0
    assert verdicts == ["unreadable", "credited"]


def test_a_deposit_told_by_callback_and_list_is_credited_once(rt, amina, daraja, listed, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", receipt="SKP0000001"))
    assert teller.unconfirmed(rt, amina) == 100_00
    listed.pay(1, account=asked.ref)
    strike(rt)
    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.unconfirmed(rt, amina) == 0
    assert teller.clean(rt)


def test_a_window_can_be_read_now(rt, amina, listed):
    strike(rt)
    with rt.transaction() as tx:
        opened = pulls.begin(tx, now=rt.now(), config=rt.config).id
        assert pulls.begin(tx, now=rt.now(), config=rt.config).id == opened
    work(rt)
    assert states(rt) == ["DONE", "DONE"]


ANSWERS = st.sampled_from([None, Unknown("x"), NotSent("x"), Rejected("x")])


@settings(
    deadline=None,
    max_examples=chosen().schedules // 10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.integers(1, 170), st.integers(0, 3), ANSWERS), max_size=6))
def test_nothing_is_passed_over(rt, ground_time, listed, wait, steps):
    """Hours of waiting under two days in all, payments, and whatever the list says meanwhile."""
    before = credited(rt)
    for minutes, paid, said in steps:
        for _ in range(paid):
            ground_time[0] += 1
            listed.pay(ground_time[0], account="nobody")
        listed.says = [said]
        wait(minutes=minutes)
        strike(rt)
    listed.says = []
    for _ in range(3):
        wait(minutes=61)
        strike(rt)
    assert states(rt)[-1] == "DONE"
    assert credited(rt) - before == sum(paid for _, paid, _ in steps)
    with rt.transaction() as tx:
        left = select(func.count()).select_from(Promise).where(Promise.state == 2)
        assert tx.scalar(left) == 0


@pytest.fixture
def ground_time(rt):
    """The last number of a payment, over all examples."""
    people.customer(rt, people.AMINA, "Amina Wanjiru")
    return [1_000]
