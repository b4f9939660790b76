"""The people of the tests: customers with money, as sign-up leaves them, and two of the staff."""

import itertools
import uuid

from core import customers, ledger, pins, staff
from core.config import Config
from core.customers import Customer
from core.ledger import AccountKind, TransferKind
from core.money import Cents
from core.runtime import Runtime
from core.staff import Role, Staff

AMINA, BRIAN, STRANGER = "+254712000001", "+254712000002", "+254712000009"
PIN, WRONG_PIN = "4826", "9071"

_phones = itertools.count(254_799_000_001)  # of staff
_hashes: dict[tuple[bytes, int], str] = {}  # a hash is slow to make, and every test makes the same


def customer(rt: Runtime, phone: str, name: str, *, money: int = 0) -> Customer:
    """Someone who signed up, verified the number, and holds `money` cents."""
    now = rt.now()
    with rt.transaction() as tx:
        joined = customers.join(tx, phone, lang="en", now=now)
        customers.accept_terms(tx, joined, now=now)
        customers.give_name(tx, joined, name)
        customers.give_birth(tx, joined, "14021990", now=now, config=rt.config)
        customers.set_pin(tx, joined, _pin_hash(rt.config, joined.id), now=now)
        customers.verify(tx, joined, now=now)
    if money:
        fund(rt, joined, money)
    return joined


def fund(rt: Runtime, customer: Customer, amount: int) -> None:
    """Put `amount` cents into the wallet, from the house's bank."""
    with rt.transaction() as tx:
        ledger.move(
            tx,
            key=uuid.uuid4(),
            kind=TransferKind.ADJUSTMENT,
            debit=ledger.account(tx, AccountKind.BANK),
            credit=ledger.open_wallet(tx, customer.id),
            amount=Cents(amount),
            at=rt.now(),
        )


def member(rt: Runtime, name: str, role: Role = Role.TRADER) -> Staff:
    """Someone who works for the house, with a staff phone of their own."""
    with rt.transaction() as tx:
        return staff.add(tx, name, role, now=rt.now(), number=f"+{next(_phones)}")


def _pin_hash(config: Config, customer_id: int) -> str:
    key = (config.pin_pepper, customer_id)
    if key not in _hashes:
        _hashes[key] = pins.hash_of(config, customer_id, PIN)
    return _hashes[key]
