"""Deposits for the tests: asked for, pushed and looked at in a line each."""

import threading
import time
import uuid

from sqlalchemy import text

from core import deposits, receipts
from core.deposits import Asked
from core.effects import Channel
from core.payments import DepositState
from core.verify import verify
from tests import mpesa

PATIENCE = 30  # seconds


def asking(rt, customer, amount, *, key=None):
    """The answer to a customer who asks to deposit `amount` cents."""
    with rt.transaction() as tx:
        return deposits.ask(
            tx,
            key=key or uuid.uuid4(),
            customer=tx.merge(customer, load=False),
            amount=amount,
            channel=Channel.USSD,
            session="test",
            now=rt.now(),
            config=rt.config,
        )


def ask(rt, customer, shillings, **more):
    """A deposit that must be asked for."""
    asked = asking(rt, customer, shillings * 100, **more)
    assert isinstance(asked, Asked), asked
    return asked


def push(rt, wait):
    """The push leaves, once the phone is free."""
    wait(seconds=3)
    mpesa.work(rt)


def state(rt, asked):
    return DepositState(mpesa.deposit(rt, asked.deposit_id).state)


def exclude(rt, customer):
    """The customer may not play for a year; until when."""
    with rt.transaction() as tx:
        found = tx.get_one(type(customer), customer.id)
        found.excluded_until = rt.now().replace(microsecond=0, year=rt.now().year + 1)
        return found.excluded_until


def unconfirmed(rt, customer):
    with rt.transaction() as tx:
        return receipts.unconfirmed(tx, customer.id)


def clean(rt):
    """Whether every invariant of the books holds."""
    return [finding.name for finding in verify(rt) if not finding.holds] == []


def until_somebody_waits(rt):
    """Until another transaction stands before a lock that this one holds."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    given_up = time.monotonic() + PATIENCE
    while time.monotonic() < given_up:
        with rt.transaction() as tx:
            if tx.scalar(waiting):
                return
    raise AssertionError("nobody came to wait")


def at_once(times, act):
    """What `act` returns to each of so many threads that start together."""
    start, found = threading.Barrier(times), []

    def run(number):
        start.wait()
        found.append(act(number))

    crowd = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    return found
