"""STK pushes: sent at most once, and what is learnt of those whose answer or end was lost."""

import pytest
from sqlalchemy import select

from core import deposits, jobs, outbox, pushes
from core.errors import NotSent, Rejected, Unknown
from core.outbox import Promise
from core.payments import DepositState
from tests import mpesa, teller

RECEIPT = "SKL7RT61SV"  # of a callback that says nothing else


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


def test_who_is_excluded_before_the_push_is_not_prompted(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.exclude(rt, amina)
    teller.push(rt, wait)

    assert daraja.asked == []
    assert teller.state(rt, asked) == DepositState.REFUSED


def test_a_crash_while_sending_is_never_a_second_prompt(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    wait(seconds=3)
    crash_after_begin(rt)
    assert teller.state(rt, asked) == DepositState.SENDING

    jobs.recover(promise_of(rt))
    for _ in range(3):
        wait(minutes=10)
        mpesa.sweep(rt)

    assert teller.state(rt, asked) == DepositState.SEND_UNKNOWN
    assert daraja.requests("stk") == []
    assert mpesa.texts(rt, amina) == ["money.deposit_send_unknown"]


@pytest.mark.parametrize("minutes", [0, 90])
def test_a_lost_answer_is_found_by_receipt_phone_and_m_pesas_word(rt, amina, daraja, wait, minutes):
    asked = teller.ask(rt, amina, 100)
    daraja.says["stk"] = Unknown("read timed out", code="no_answer")
    teller.push(rt, wait)
    assert teller.state(rt, asked) == DepositState.SEND_UNKNOWN
    wait(minutes=minutes)

    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_lost")) == "orphan"
    mpesa.sweep(rt)
    assert daraja.requests("status_query") == []  # the answer may still come

    wait(minutes=3)
    mpesa.sweep(rt)
    assert teller.state(rt, asked) == DepositState.CONFIRMING
    assert mpesa.balance(rt, amina) == 1_000_00

    mpesa.sweep(rt)
    conversation = f"AG_{len(daraja.asked)}"
    assert mpesa.post(rt, "status_result", mpesa.status_result(conversation)) == "credited"
    assert mpesa.balance(rt, amina) == 1_100_00


@pytest.mark.parametrize("fate", ["Cancelled", "no such payment"])
def test_a_forged_callback_does_not_stand_in_the_way_of_the_real_one(rt, amina, daraja, wait, fate):
    asked = teller.ask(rt, amina, 100)
    daraja.says["stk"] = Unknown("read timed out", code="no_answer")
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_forged", receipt="SKFORGED01"))
    wait(minutes=3)
    for _ in range(2):
        mpesa.sweep(rt)
    told = mpesa.status_result(
        f"AG_{len(daraja.asked)}", fate, code=0 if fate == "Cancelled" else 2001
    )
    mpesa.post(rt, "status_result", told)

    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_lost")) == "orphan"
    wait(minutes=3)
    for _ in range(2):
        mpesa.sweep(rt)
    (real,) = (n for n, (_, asks) in enumerate(daraja.asked, 1) if asks.get("receipt") == RECEIPT)
    assert mpesa.post(rt, "status_result", mpesa.status_result(f"AG_{real}")) == "credited"

    assert teller.state(rt, asked) == DepositState.CREDITED
    assert mpesa.balance(rt, amina) == 1_100_00
    assert teller.clean(rt)


def test_a_strangers_orphan_is_nobodys(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    daraja.says["stk"] = Unknown("read timed out")
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_lost", phone=254712000002))

    for _ in range(4):
        wait(minutes=3)
        mpesa.sweep(rt)

    assert teller.state(rt, asked) == DepositState.SEND_UNKNOWN
    assert daraja.requests("status_query") == []


def test_a_prompt_of_which_nobody_ever_spoke_does_not_forbid_to_pay_for_ever(
    rt, amina, daraja, wait
):
    asked = teller.ask(rt, amina, 100)
    daraja.says["stk"] = Unknown("read timed out", code="no_answer")
    teller.push(rt, wait)
    assert line(rt, amina).state == "checking"

    wait(minutes=6)

    assert (line(rt, amina).state, line(rt, amina).reason) == ("failed", "money.why_no_word")
    assert teller.state(rt, asked) == DepositState.SEND_UNKNOWN  # a late success still lands


def line(rt, customer):
    with rt.transaction() as tx:
        return deposits.last(tx, customer.id)


def test_an_answer_that_comes_after_all_opens_the_deposit_to_its_callback(rt, amina, daraja, wait):
    """A worker that was frozen: given up, and then its answer is there."""
    asked = teller.ask(rt, amina, 100)
    wait(seconds=3)

    def freeze(_):
        jobs.recover(promise_of(rt))

    daraja.meanwhile["stk"] = lambda _: age_claim(rt) or freeze(_)
    mpesa.work(rt)

    assert teller.state(rt, asked) == DepositState.PROMPTED
    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1")) == "credited"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NotSent("refused", code="connection"), "money.why_mpesa_busy"),
        (Rejected("locked", code="locked"), "money.why_locked"),
        (Rejected("no", code="merchant"), "money.why_deposits_down"),
        (Rejected("no", code="brand new"), "money.why_deposits_down"),
    ],
)
def test_a_push_that_was_refused_is_over(rt, amina, daraja, wait, error, sentence):
    asked = teller.ask(rt, amina, 100)
    daraja.says["stk"] = error
    teller.push(rt, wait)
    daraja.says.clear()

    wait(minutes=2)
    mpesa.sweep(rt)

    assert len(daraja.requests("stk")) == 1
    found = mpesa.deposit(rt, asked.deposit_id)
    assert (found.state, found.reason) == (DepositState.REFUSED, sentence)


def test_a_push_that_no_worker_sent_in_time_is_never_sent(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    wait(minutes=6)
    mpesa.work(rt)

    assert daraja.asked == []
    assert teller.state(rt, asked) == DepositState.NOT_PAID


def test_silence_is_asked_about_from_75_seconds_and_ever_more_rarely(rt, amina, daraja, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    daraja.says["stk_query"] = Unknown("down", code="no_answer")
    pushed = rt.now()

    def asked_by(seconds):
        wait(seconds=seconds - (rt.now() - pushed).total_seconds())
        mpesa.sweep(rt)
        return len(daraja.requests("stk_query"))

    for count, due in enumerate((75, 150, 300, 900, 3600)):
        assert asked_by(due - 20) == count
        assert asked_by(due + 5) == count + 1
        assert asked_by(due + 10) == count + 1
    assert asked_by(4_000) == 5


def test_a_query_that_says_paid_credits_nothing(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    daraja.says["stk_query"] = {"code": "0", "detail": ""}
    wait(seconds=80)
    mpesa.sweep(rt)

    assert teller.state(rt, asked) == DepositState.AWAITING_RECEIPT
    assert mpesa.balance(rt, amina) == 1_000_00

    wait(minutes=20)
    mpesa.sweep(rt)
    assert len(daraja.requests("stk_query")) == 1  # it has been answered; staff have been told
    assert mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1")) == "credited"
    assert mpesa.balance(rt, amina) == 1_100_00


def test_a_deposit_expires_only_after_an_answered_query(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    daraja.says["stk_query"] = Unknown("down", code="no_answer")
    for _ in range(3):
        wait(minutes=5)
        mpesa.sweep(rt)
    assert teller.state(rt, asked) == DepositState.PROMPTED

    daraja.says["stk_query"] = Unknown("not yet", code="in_flight")
    wait(minutes=60)
    mpesa.sweep(rt)

    found = mpesa.deposit(rt, asked.deposit_id)
    assert (found.state, found.reason) == (DepositState.NOT_PAID, "money.why_expired")


def test_an_expired_deposit_that_was_paid_after_all_is_found_by_a_later_query(
    rt, amina, daraja, wait
):
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    daraja.says["stk_query"] = Unknown("not yet", code="in_flight")
    for _ in range(3):
        wait(seconds=110)
        mpesa.sweep(rt)
    assert teller.state(rt, asked) == DepositState.NOT_PAID

    daraja.says["stk_query"] = {"code": "0", "detail": ""}
    wait(minutes=15)
    mpesa.sweep(rt)

    assert teller.state(rt, asked) == DepositState.AWAITING_RECEIPT


def test_a_callback_before_the_answer_is_not_lost(rt, amina, daraja, wait):
    asked = teller.ask(rt, amina, 100)
    early = mpesa.push_result("ws_CO_1")
    heard = []
    daraja.meanwhile["stk"] = lambda _: heard.append(mpesa.post(rt, "stk", early))

    teller.push(rt, wait)

    assert heard == ["orphan"]
    assert teller.state(rt, asked) == DepositState.CREDITED
    assert mpesa.balance(rt, amina) == 1_100_00
    assert mpesa.post(rt, "stk", early) == "duplicate"


def test_a_callback_that_crossed_the_answer_is_found_by_the_clock(rt, amina, daraja, wait):
    """Kept as an orphan by a transaction that did not yet see the push's id."""
    teller.ask(rt, amina, 100)
    with rt.sessions() as slow:
        pushes.take_callback(slow, mpesa.push_result("ws_CO_1"), rt.now())
        teller.push(rt, wait)
        slow.commit()
    assert mpesa.balance(rt, amina) == 1_000_00

    mpesa.sweep(rt)

    assert mpesa.balance(rt, amina) == 1_100_00


def promise_of(rt, kind="stk"):
    with rt.transaction() as tx:
        return tx.scalars(select(Promise.id).where(Promise.kind == kind)).one()


def crash_after_begin(rt):
    """The worker claims the promise, commits, and dies."""
    with rt.transaction() as tx:
        promise = outbox.claim(tx, promise_of(rt), now=rt.now())
        assert promise is not None
        assert pushes.PUSH.begin(tx, promise, rt.now()) is not None
    age_claim(rt)


def age_claim(rt):
    with rt.transaction() as tx:
        for promise in tx.scalars(select(Promise)):
            if promise.claimed_at:
                promise.claimed_at -= rt.config.sending_stuck * 2
