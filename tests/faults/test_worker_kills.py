"""kill -9 of the worker around the one call that pays: nobody is paid twice or forgotten."""

import os
import signal
import uuid

import pytest
from sqlalchemy import text

from core import ledger, payouts, stamp, verify
from core.effects import Channel
from core.ledger import AccountKind
from core.outbox import Promise, State
from core.payments import Payout, PayoutState
from core.runtime import Runtime
from simulator.driver import Network
from tests import people
from tests.faults.workers import Crew, children, kill, until

pytestmark = pytest.mark.fault

AMOUNT = 100_00
CENTS = 1_000_00
DAY = 25 * 3_600  # seconds, and one hour more


@pytest.fixture
def amina(rt: Runtime):
    return people.customer(rt, people.AMINA, "Amina Wanjiru", money=CENTS)


def withdraw(rt, customer) -> tuple[int, int]:
    """A withdrawal of KES 100; the ids of its payout and of its promise."""
    with rt.transaction() as tx:
        reserved = payouts.withdraw(
            tx,
            key=uuid.uuid4(),
            customer=customer,
            amount=AMOUNT,
            channel=Channel.USSD,
            session="s",
            now=rt.now(),
            config=rt.config,
        )
        assert isinstance(reserved, payouts.Reserved), reserved
        promise_id = tx.execute(text("SELECT id FROM promise WHERE kind = 'b2c'")).scalar_one()
    return reserved.payout_ids[0], promise_id


def payout(rt, payout_id) -> Payout:
    with rt.transaction() as tx:
        return tx.get_one(Payout, payout_id)


def promise(rt, promise_id) -> Promise:
    with rt.transaction() as tx:
        return tx.get_one(Promise, promise_id)


def paid(network: Network) -> list[int]:
    """What the simulated M-PESA has paid Amina, in its own books."""
    return [line["amount"] for line in network.transactions(phone=people.AMINA, paid_in=False)]


def waiting_for_a_lock(rt) -> bool:
    with rt.transaction() as tx:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(tx.scalar(waiting))


def whole(rt, network, customer) -> None:
    """Paid once, by their books and by ours, and every invariant holds."""
    network.drain()
    assert paid(network) == [AMOUNT // 100]
    assert network.books()["discrepancies"] == []
    with rt.transaction() as tx:
        assert ledger.balance(tx, customer.id) == CENTS - AMOUNT
        assert ledger.total(tx, AccountKind.PAYOUTS_PENDING) == 0
    assert [one.name for one in verify.verify(rt) if not one.holds] == []


def test_killed_before_it_claims_the_payout(rt: Runtime, network: Network, crew: Crew, amina):
    payout_id, promise_id = withdraw(rt, amina)
    with rt.transaction() as holder:
        holder.get_one(Promise, promise_id, with_for_update=True)
        worker = crew.hire("money")
        until("the worker waits to claim", lambda: waiting_for_a_lock(rt))
        kill(worker)
    assert promise(rt, promise_id).state == State.PENDING
    assert paid(network) == []

    crew.start_clock()
    crew.hire("money")

    until("paid", lambda: payout(rt, payout_id).state == PayoutState.PAID)
    whole(rt, network, amina)


def test_killed_while_m_pesa_is_answering(rt: Runtime, network: Network, crew: Crew, amina):
    network.fault("slow", "b2c", seconds=3)
    payout_id, promise_id = withdraw(rt, amina)
    worker = crew.hire("money")
    until("M-PESA pays", lambda: paid(network))
    assert promise(rt, promise_id).state == State.SENDING
    kill(worker)

    crew.start_clock()
    crew.hire("money")
    crew.hire("default")

    until("paid", lambda: payout(rt, payout_id).state == PayoutState.PAID)
    until("in doubt", lambda: promise(rt, promise_id).state == State.UNKNOWN)
    whole(rt, network, amina)


def test_killed_while_m_pesa_is_answering_and_its_result_is_lost_too(
    rt: Runtime, network: Network, crew: Crew, amina
):
    network.fault("slow", "b2c", seconds=3)
    network.fault("losesCallback", "b2c")
    payout_id, _ = withdraw(rt, amina)
    worker = crew.hire("money")
    until("M-PESA pays", lambda: paid(network))
    kill(worker)

    crew.start_clock()
    crew.hire("money")
    crew.hire("default")

    until("asked and answered", lambda: payout(rt, payout_id).state == PayoutState.PAID)
    whole(rt, network, amina)


def test_killed_with_the_answer_in_its_hands(rt: Runtime, network: Network, crew: Crew, amina):
    network.fault("slow", "b2c", seconds=1)
    payout_id, promise_id = withdraw(rt, amina)
    worker = crew.hire("money")
    until("M-PESA is asked", network.payouts)
    with rt.transaction() as holder:
        holder.get_one(Promise, promise_id, with_for_update=True)
        until("the worker has its answer", lambda: waiting_for_a_lock(rt))
        kill(worker)
    assert promise(rt, promise_id).state == State.SENDING

    crew.start_clock()
    crew.hire("money")
    crew.hire("default")

    until("paid", lambda: payout(rt, payout_id).state == PayoutState.PAID)
    until("in doubt", lambda: promise(rt, promise_id).state == State.UNKNOWN)
    whole(rt, network, amina)


def test_killed_between_its_word_and_the_call_nobody_is_paid_and_nothing_is_lost(
    rt: Runtime, network: Network, crew: Crew, amina
):
    # M-PESA never heard of it, and cannot say so: the money stays set aside until a person looks.
    network.fault("slow", "oauth", seconds=5, before=True)
    payout_id, promise_id = withdraw(rt, amina)
    worker = crew.hire("money")
    until("it has given its word", lambda: promise(rt, promise_id).state == State.SENDING)
    kill(worker)

    crew.start_clock()
    crew.hire("money")
    crew.hire("default")

    until("M-PESA is asked", lambda: payout(rt, payout_id).asked == len(rt.config.status_retry))
    with rt.transaction() as tx:
        stamp.set_clock(tx, DAY)
    until("a person is called", lambda: payout(rt, payout_id).state == PayoutState.NEEDS_HUMAN)
    assert paid(network) == []
    with rt.transaction() as tx:
        assert ledger.balance(tx, amina.id) == CENTS - AMOUNT
        assert ledger.total(tx, AccountKind.PAYOUTS_PENDING) == AMOUNT
    assert [one.name for one in verify.verify(rt) if not one.holds] == []


def test_an_orphan_finishes_what_its_dead_parent_began(
    rt: Runtime, network: Network, crew: Crew, amina
):
    network.fault("slow", "b2c", seconds=1)
    payout_id, promise_id = withdraw(rt, amina)
    worker = crew.hire("money")
    until("M-PESA pays", lambda: paid(network))
    (orphan,) = children(worker)
    worker.kill()  # and not its child
    worker.wait()

    crew.start_clock()
    crew.hire("money")

    until("paid", lambda: payout(rt, payout_id).state == PayoutState.PAID)
    until("sent", lambda: promise(rt, promise_id).state == State.SENT)
    whole(rt, network, amina)
    assert orphan not in children(crew.hired[-1])


def test_a_worker_whose_child_dies_lives_on(rt: Runtime, network: Network, crew: Crew, amina):
    network.fault("slow", "b2c", seconds=2)
    payout_id, _ = withdraw(rt, amina)
    worker = crew.hire("money")
    until("M-PESA pays", lambda: paid(network))
    for child in children(worker):
        os.kill(child, signal.SIGKILL)

    crew.start_clock()
    crew.hire("default")

    until("paid", lambda: payout(rt, payout_id).state == PayoutState.PAID)
    assert worker.poll() is None
    whole(rt, network, amina)


def test_two_workers_and_ten_bells_pay_once(rt: Runtime, network: Network, crew: Crew, amina):
    payout_id, promise_id = withdraw(rt, amina)
    for _ in range(10):
        rt.ring("money", promise_id)

    crew.hire("money")
    crew.hire("money")

    until("paid", lambda: payout(rt, payout_id).state == PayoutState.PAID)
    until("every bell is answered", lambda: rt.queues["money"].count == 0)
    whole(rt, network, amina)
