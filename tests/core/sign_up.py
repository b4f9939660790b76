"""Sign-up as the edges walk it at a moment the test chooses, by one customer or a crowd."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from core import codes, customers, pins
from core.customers import Customer
from core.runtime import Runtime

AMINA, BRIAN, NOBODY = "+254712000001", "+254712000002", "+254712000099"
NAME, BIRTH, PIN = "Amina Wanjiku Otieno", "25121990", "7306"


def begin(rt: Runtime, *, now: datetime, phone: str = AMINA, lang: str = "en") -> int:
    """A number that chose its language; the customer's id."""
    with rt.transaction() as tx:
        return customers.join(tx, phone, lang=lang, now=now).id


def give_all(rt: Runtime, customer_id: int, *, now: datetime, pin: str = PIN) -> None:
    """Every step but the code."""
    with rt.transaction() as tx:
        customer = tx.get_one(Customer, customer_id)
        customers.accept_terms(tx, customer, now=now)
        customers.give_name(tx, customer, NAME)
        customers.give_birth(tx, customer, BIRTH, now=now, config=rt.config)
        customers.set_pin(tx, customer, pins.choose(rt.config, customer, pin), now=now)


def sign_up(rt: Runtime, *, now: datetime, phone: str = AMINA, pin: str = PIN) -> int:
    """A customer with a PIN and a verified number."""
    customer_id = begin(rt, now=now, phone=phone)
    give_all(rt, customer_id, now=now, pin=pin)
    with rt.transaction() as tx:
        customers.verify(tx, tx.get_one(Customer, customer_id), now=now)
    return customer_id


def read(rt: Runtime, customer_id: int) -> Customer:
    """The customer as committed."""
    with rt.transaction() as tx:
        return tx.get_one(Customer, customer_id)


def sent_code(rt: Runtime, phone: str, purpose: codes.Purpose, *, now: datetime) -> str:
    """Ask for a code, and read it off the text."""
    with rt.transaction() as tx:
        customer = customers.find(tx, phone)
        assert customer is not None
        code = codes.send(tx, customer=customer, purpose=purpose, now=now)
        return codes.derive(rt.config, code.id, phone, purpose)


def another(digits: str) -> str:
    """Digits as many that are not these."""
    return f"{(int(digits) + 1) % 10 ** len(digits):0{len(digits)}d}"


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """What `count` threads got from `act`, all let go at the same instant."""
    ready = threading.Barrier(count)
    got = []

    def work(number: int) -> None:
        ready.wait()
        got.append(act(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == count, "a thread died"
    return got
