"""kill -9 of the worker at each step of a payout, and of what comes back: one payment each."""

import contextlib
import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from core import jobs, ledger, payout_ends, payout_results, verify
from core.inbox import Callback
from core.inbox import State as Kept
from core.ledger import AccountKind
from core.outbox import Promise, State
from core.payments import Payout, PayoutState
from core.staff import Role
from core.statement_lines import UTILITY, StatementFile
from demo.settings import B2C_SHORTCODE
from tests import cashier, mpesa, people
from tests.faults.stepper import Order, Stepper

pytestmark = pytest.mark.fault

SHILLINGS = 10
# Of each: a look at the settings in force (before and after its commit).
# Of sending: the word that it is about to be sent (committed before and after), the request (before
# it, and with the answer in hand), the answer (before and after its commit). Of a callback: the try
# is counted, then it is acted on.
SENDING_STEPS, CALLBACK_STEPS = 8, 6
NOT_WANTED = 4  # steps: what it was about has ended meanwhile
KILLED = -signal.SIGKILL
ROUNDS = 5
PASSES = 3  # one pass of the clock or of a worker takes a hundred


@pytest.fixture
def environ(environ):
    """Nobody is given up for lost but by these tests."""
    return environ | {"SENDING_STUCK": "120"}


@pytest.fixture
def amina(rt):
    return people.customer(rt, people.AMINA, "Amina Wanjiru", money=200_000_00)


@pytest.fixture
def stepper(environ) -> Iterator[Stepper]:
    with contextlib.closing(Stepper(environ)) as stepper:
        yield stepper


@pytest.fixture
def finance(rt):
    return [people.member(rt, name, Role.FINANCE) for name in ("ann", "ben")]


@pytest.mark.timeout(3_600)
def test_killed_at_each_step_every_payout_is_paid_exactly_once(
    rt, network, stepper, amina, finance, wait, counts
):
    hurry(rt)
    numbers: list[int] = []
    for turn in range(counts.kills if counts.kills > 2 * ROUNDS else ROUNDS):
        if turn % 2:  # then only a question brings the truth, and who asks it dies too
            network.fault("losesCallback", "b2c", times=0)
        numbers += play(rt, network, stepper, amina, turn=turn)
        network.clear_faults()
        if turn % 2:
            ask_and_die(rt, network, stepper, wait, turn=turn)
        wait(minutes=5)
        settle(rt, network)
    bring_to_an_end(rt, network, finance, wait)
    paid_once(rt, network, amina, numbers)


@pytest.mark.timeout(3_600)
def test_killed_before_any_single_statement_every_payout_is_paid_exactly_once(
    rt, network, stepper, amina, finance, wait, counts
):
    hurry(rt)
    number, promise_id = promised(rt, amina)
    (steps,) = stepper.run([Order("deliver", promise_id, 0, fine=True)])
    assert SENDING_STEPS < steps < 60
    every = range(1, steps + 1, 1 if counts.kills > 2 * ROUNDS else 2)
    numbers = [number, *play(rt, network, stepper, amina, turn=0, at=every)]
    bring_to_an_end(rt, network, finance, wait)
    paid_once(rt, network, amina, numbers)


def play(rt, network, stepper, customer, *, turn, at=None):
    """One payout for each step, its worker killed at it, and workers killed over the callbacks."""
    fine = at is not None
    places = list(at or range(SENDING_STEPS + 1))  # at 0 it lives
    payouts = [promised(rt, customer) for _ in places]
    orders = [
        Order("deliver", promise_id, place, fine=fine)
        for (_, promise_id), place in zip(payouts, places, strict=True)
    ]
    ended = stepper.run(orders)
    assert ended == [KILLED if place else SENDING_STEPS for place in places]
    die_over_callbacks(rt, network, stepper, turn=turn)
    return [number for number, _ in payouts]


def ask_and_die(rt, network, stepper, wait, *, turn):
    """What is in doubt is asked about, by workers that are killed, each at another step."""
    wait(minutes=3)
    with rt.transaction() as tx:
        payout_results.sweep(tx, rt.now(), rt.config)
    with rt.transaction() as tx:
        asking = select(Promise.id).where(
            Promise.kind == "status_query", Promise.state == State.PENDING
        )
        questions = list(tx.scalars(asking.order_by(Promise.id)))
    assert questions, "those that nobody told us about are in doubt"
    ended = stepper.run(
        [
            Order("deliver", number, (place + turn) % (SENDING_STEPS + 1))
            for place, number in enumerate(questions)
        ]
    )
    assert set(ended) <= {KILLED, SENDING_STEPS, NOT_WANTED}
    die_over_callbacks(rt, network, stepper, turn=turn)


def die_over_callbacks(rt, network, stepper, *, turn):
    """Whatever M-PESA has told by now is acted on by workers that are killed."""
    give_up_the_lost(rt)
    network.drain()
    ended = stepper.run(
        [
            Order("process", number, (place + turn) % (CALLBACK_STEPS + 1))
            for place, number in enumerate(kept(rt))
        ]
    )
    assert set(ended) <= {KILLED, CALLBACK_STEPS}


def hurry(rt):
    """Four questions about each, as soon as the clock is moved."""
    waits = tuple(timedelta(seconds=n) for n in (1, 2, 3, 4))
    rt.config = rt.config.model_copy(update={"status_retry": waits})


def promised(rt, customer):
    """A withdrawal of KES 10: its payout, and the promise to send it."""
    number = cashier.withdraw(rt, customer, SHILLINGS)
    with rt.transaction() as tx:
        found = select(Promise.id).where(Promise.payload["payout_id"].as_integer() == number)
        return number, tx.scalars(found).one()


def give_up_the_lost(rt):
    """An hour goes by in which nothing is heard of the dead."""
    with rt.transaction() as tx:
        tx.execute(
            text("UPDATE promise SET claimed_at = claimed_at - interval '1 hour' WHERE state = 2")
        )
        lost = tx.scalars(select(Promise.id).where(Promise.state == State.SENDING)).all()
    if lost:
        jobs.recover(*lost)


def kept(rt):
    """Callbacks that nobody has acted on, due at once."""
    with rt.transaction() as tx:
        tx.execute(text("UPDATE callback SET due_at = app_now() WHERE state = 1"))
        waiting = select(Callback.id).where(Callback.state == Kept.NEW)
        return list(tx.scalars(waiting.order_by(Callback.id)))


def bring_to_an_end(rt, network, finance, wait):
    """Healthy workers and a clock go on; what M-PESA never heard of is ended by two people."""
    for _ in range(4):
        wait(minutes=5)
        settle(rt, network)
    wait(hours=25)
    for _ in range(PASSES):
        settle(rt, network)
    send_anew(rt, network, finance)
    for _ in range(PASSES):
        settle(rt, network)


def settle(rt, network):
    give_up_the_lost(rt)
    mpesa.sweep(rt)
    network.drain()
    kept(rt)
    mpesa.work(rt)


def send_anew(rt, network, finance):
    """A statement covers it and has none of them: two people say that each may be sent again."""
    one, other = finance
    now = rt.now()
    with rt.transaction() as tx:
        tx.add(
            StatementFile(
                sha256=b"covering", shortcode=B2C_SHORTCODE, account=UTILITY,
                first_at=now - timedelta(days=9), last_at=now + timedelta(days=9), opening=0,
                paid_in=0, withdrawn=0, closing=0, lines=2, fresh=2, failed=0, imported_by=one.id,
                imported_at=now,
            )
        )  # fmt: skip
        waiting = select(Payout).where(Payout.state == PayoutState.NEEDS_HUMAN)
        lost = {str(payout.ocid): payout.id for payout in tx.scalars(waiting)}
    assert lost, "somebody died between the word and the call"
    assert not lost.keys() & {one["originator_id"] for one in network.payouts()}
    for number in lost.values():
        with rt.transaction() as tx:
            told = payout_ends.propose_end(
                tx, number, "resend", note="not there", by=one, now=now, config=rt.config
            )
        with rt.transaction() as tx:
            payout_ends.approve_end(tx, number, seen_hash=told.content_hash, by=other, now=now)


def paid_once(rt, network, customer, numbers):
    """By M-PESA's books and by ours, and every invariant holds."""
    network.drain()
    paid = network.transactions(phone=people.AMINA, paid_in=False)
    assert [line["amount"] for line in paid] == [SHILLINGS] * len(numbers)
    assert network.books()["discrepancies"] == []
    with rt.transaction() as tx:
        states = tx.scalars(select(Payout.state).where(Payout.id.in_(numbers))).all()
        assert set(states) == {PayoutState.PAID}
        assert len(states) == len(numbers)
        receipts = set(tx.scalars(select(Payout.receipt)))
        assert receipts == {line["receipt"] for line in paid}
        assert ledger.total(tx, AccountKind.PAYOUTS_PENDING) == 0
        assert ledger.balance(tx, customer.id) == 200_000_00 - SHILLINGS * 100 * len(numbers)
    assert [one.name for one in verify.verify(rt) if not one.holds] == []
