"""PINs: which are refused, how one is kept, and how few guesses anybody gets."""

import re
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from functools import cache
from itertools import pairwise, product

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import crypto, customers, hashing
from core.base import Base, Small
from core.config import Config
from core.customers import Customer
from core.errors import Refusal
from core.runtime import Runtime

PIN = re.compile(r"[0-9]{4}")

# So many wrong in a row, and the door is shut for the next of `PIN_LOCKS`; after the last of these
# one more shuts it until a reset. That is ten guesses at 9,000 PINs: one chance in nine hundred.
TRIES = 3
# A right PIN forgives those in a row, but not these: who guesses two between each of its owner's
# own uses meets this bound.
MONTH, A_MONTH = timedelta(days=30), 30


class Found(IntEnum):
    """What a try came to. PENDING is counted as wrong until it is known to be right."""

    PENDING = 1
    RIGHT = 2
    WRONG = 3
    LOCKED = 4


@dataclass(frozen=True)
class RightPin:
    """The PIN of this customer, typed at `at`."""

    at: datetime


@dataclass(frozen=True)
class WrongPin:
    """Not the PIN; `left` more tries until it is locked, or locked by this one."""

    left: int
    locked_until: datetime | None = None
    hard: bool = False

    @property
    def reason(self) -> str:
        """The sentence that tells it; `facts` fill it."""
        if self.hard:
            return "customers.pin_dead"
        if self.locked_until is not None:
            return "customers.pin_wrong_locked"
        return "customers.pin_wrong_last" if self.left == 1 else "customers.pin_wrong"

    @property
    def facts(self) -> dict[str, object]:
        """What `reason` has to be filled with."""
        return {"left": self.left, "until": self.locked_until}


@dataclass(frozen=True)
class LockedPin:
    """Nobody looked at the PIN: too many were wrong, until a moment or (`hard`) until a reset."""

    until: datetime | None
    hard: bool

    @property
    def reason(self) -> str:
        """The sentence that tells it; `facts` fill it."""
        return "customers.pin_dead" if self.hard else "customers.pin_locked"

    @property
    def facts(self) -> dict[str, object]:
        """What `reason` has to be filled with."""
        return {"until": self.until}


Verdict = RightPin | WrongPin | LockedPin


class PinAttempt(Base):
    """One try of a PIN and its verdict. Repeats of a try find it by its key; no PIN is in it."""

    __tablename__ = "pin_attempt"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 4", name="state"),
        Index("ix_pin_attempt_customer_id_tried_at", "customer_id", "tried_at"),
        Index("ix_pin_attempt_tried_at", "tried_at"),
    )

    key: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    tried_at: Mapped[datetime]
    state: Mapped[int] = mapped_column(Small)
    number: Mapped[int | None]  # which of the customer's counted tries it is
    remaining: Mapped[int] = mapped_column(Small)  # tries until the next lock, if this is wrong
    locked_until: Mapped[datetime | None]
    hard: Mapped[bool] = mapped_column(default=False)

    def verdict(self) -> Verdict:
        """What was and will be answered to this try."""
        if self.state == Found.RIGHT:
            return RightPin(self.tried_at)
        if self.state == Found.LOCKED:
            return LockedPin(self.locked_until, self.hard)
        return WrongPin(self.remaining, self.locked_until, self.hard)


def check(
    rt: Runtime, customer_id: int | None, pin: str, *, now: datetime, once: uuid.UUID | None = None
) -> Verdict:
    """Whether this is the customer's PIN; None, for a number nobody knows, is as much work.

    Never call it inside a transaction: the try is counted, as a wrong one, and committed before the
    PIN is looked at. So a crash or a rollback forgives no try, and of fifty at once no more are
    looked at than the lock allows. Repeats of one `once` are one try with one verdict.
    Raises Refusal, counting nothing, for what is no PIN at all.
    """
    read(pin)
    key = once or uuid.uuid4()
    rt.attempt(lambda tx: _count(tx, rt.config, key, customer_id, now))
    return rt.attempt(lambda tx: _look(tx, rt.config, key, customer_id, pin))


def change(
    rt: Runtime,
    customer_id: int,
    old: str,
    new: str,
    *,
    now: datetime,
    once: uuid.UUID | None = None,
) -> Verdict:
    """Replace the PIN by another, if the old one is right. Not inside a transaction, as `check`.

    Raises Refusal before anything is counted when the new one would not do.
    """
    if read(old) == read(new):
        raise Refusal("customers.pin_same")
    with rt.transaction() as tx:
        new_hash = choose(rt.config, tx.get_one(Customer, customer_id), new)
    verdict = check(rt, customer_id, old, now=now, once=once)
    if isinstance(verdict, RightPin):
        rt.attempt(lambda tx: _replace(tx, customer_id, new_hash, verdict.at))
    return verdict


def choose(config: Config, customer: Customer, pin: str) -> str:
    """The hash of a new PIN, for `customers.set_pin`; raises Refusal for a weak one."""
    read(pin)
    if weak(pin, phone=customer.phone, birth=customers.birth_of(customer, config)):
        raise Refusal("customers.pin_weak")
    return hash_of(config, customer.id, pin)


def read(text: str) -> str:
    """Four digits as they stand; raises Refusal, which does not repeat them."""
    if not PIN.fullmatch(text):
        raise Refusal("customers.pin_unreadable")
    return text


def weak(pin: str, *, phone: str, birth: date | None) -> bool:
    """Whether this is one of the thousand PINs that guessers try first, or one of this person's."""
    own = {phone[-4:]} | ({birth.strftime("%d%m"), birth.strftime("%Y")} if birth else set())
    return pin in own or pin in commonplace()


def hash_of(config: Config, customer_id: int, pin: str) -> str:
    """What is kept of a PIN: useless without the pepper, and to any other customer."""
    return hashing.hashed(_peppered(config, customer_id, pin))


def imprint(config: Config, session: str, pin: str) -> str:
    """What a session may hold of a new PIN until it is typed again."""
    return crypto.digest(config.pin_pepper, "imprint", session, pin).hex()


def typed_again(config: Config, session: str, imprinted: str, pin: str) -> None:
    """Raise Refusal unless `pin` is the one that left this imprint."""
    if not crypto.same(imprint(config, session, pin), imprinted):
        raise Refusal("customers.pin_differs")


@cache
def commonplace() -> frozenset[str]:
    """The PINs nobody may have, by rule: about a tenth of all, where blocking helps most.

    Years go up to 2039: one that is yet to come is no better, and the list need not know the day.
    """
    every = ("".join(digits) for digits in product("0123456789", repeat=4))
    years = {str(year) for year in range(1930, 2040)}
    rules = (_few_digits, _run, _next_number, _keypad_path, _keypad_shape)
    return frozenset(years | {pin for pin in every if any(rule(pin) for rule in rules)})


def _few_digits(pin: str) -> bool:
    """1111, 1211, 1122, 1212, 1221."""
    return len(set(pin)) <= 2


def _run(pin: str) -> bool:
    """1234, 8901, 9876, 2468, 7531."""
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    return len(steps) == 1 and steps <= {1, 2, 8, 9}


def _next_number(pin: str) -> bool:
    """1213, 2021, 4647."""
    return int(pin[2:]) - int(pin[:2]) == 1


def _keypad_path(pin: str) -> bool:
    """2580, 1478, 3214: each key beside the last."""
    keys = {key: (at // 3, at % 3) for at, key in enumerate("123456789*0#")}
    steps = ((keys[a], keys[b]) for a, b in pairwise(pin))
    return all(abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1 for a, b in steps)


def _keypad_shape(pin: str) -> bool:
    """The four corners in any order, and a column with the 0 under it: 1379, 1470, 9630."""
    return set(pin) == set("1379") or (pin[3] == "0" and pin[:3] in "147 741 258 852 369 963")


def _count(
    tx: Session, config: Config, key: uuid.UUID, customer_id: int | None, now: datetime
) -> None:
    """Book the try as a wrong one, unless the door is shut or it is booked already."""
    customer = _held(tx, customer_id)
    blank = {"key": key, "customer_id": customer_id, "tried_at": now, "state": Found.PENDING}
    booked = insert(PinAttempt).values(**blank, remaining=TRIES - 1, hard=False)
    if not tx.scalar(booked.on_conflict_do_nothing().returning(PinAttempt.key)) or not customer:
        return
    attempt = tx.get_one(PinAttempt, key)
    if _shut(customer, now):
        attempt.state = Found.LOCKED
    else:
        customer.pin_tried += 1
        attempt.number = customer.pin_tried
        attempt.remaining = _remaining(config, customer)
        _lock(tx, config, customer, now)
    if _shut(customer, now):
        attempt.remaining, attempt.hard = 0, customer.pin_dead_at is not None
        attempt.locked_until = None if attempt.hard else customer.pin_locked_until


def _lock(tx: Session, config: Config, customer: Customer, now: datetime) -> None:
    """Shut the door, if the try just booked is one too many."""
    wrong, locks = _wrong_in_a_row(customer), config.pin_locks
    if wrong > TRIES * len(locks) or _wrong_this_month(tx, customer, now) >= A_MONTH:
        customer.pin_dead_at = now
    elif wrong % TRIES == 0:
        customer.pin_locked_until = now + locks[wrong // TRIES - 1]


def _look(
    tx: Session, config: Config, key: uuid.UUID, customer_id: int | None, pin: str
) -> Verdict:
    """Give the try its verdict, once: who holds its row and finds none yet looks at the PIN.

    A second copy waits for the row, and a copy whose twin died does the work in its place.
    """
    attempt = tx.get_one(PinAttempt, key, with_for_update=True)
    assert attempt.customer_id == customer_id, "one key for the tries of two customers"
    open_still = attempt.state == Found.PENDING
    right = _is_right(tx, customer_id if open_still else None, pin, config)
    if open_still:
        attempt.state = Found.RIGHT if right else Found.WRONG
        if right:
            _forgive(tx, attempt)
    return attempt.verdict()


def _is_right(tx: Session, customer_id: int | None, pin: str, config: Config) -> bool:
    """Compare; with nothing to compare with, the same time is spent."""
    kept = None
    if customer_id is not None:
        kept = tx.scalar(select(Customer.pin_hash).where(Customer.id == customer_id))
    return hashing.fits(kept, _peppered(config, customer_id or 0, pin))


def _forgive(tx: Session, attempt: PinAttempt) -> None:
    """Forget the wrong tries up to this right one; a later one, already booked, stays."""
    customer = _held(tx, attempt.customer_id)
    assert customer is not None
    assert attempt.number is not None
    customer.pin_right = max(customer.pin_right, attempt.number)
    if _wrong_in_a_row(customer) < TRIES:
        customer.pin_locked_until = customer.pin_dead_at = None


def _replace(tx: Session, customer_id: int, pin_hash: str, at: datetime) -> None:
    """Set the changed PIN, unless a newer one was set since: a late copy must not undo it."""
    customer = _held(tx, customer_id)
    assert customer is not None
    if customer.pin_set_at is None or customer.pin_set_at <= at:
        customers.set_pin(tx, customer, pin_hash, now=at)


def _held(tx: Session, customer_id: int | None) -> Customer | None:
    """The customer's row, locked and fresh: tries of one customer are booked one by one."""
    if customer_id is None:
        return None
    lock = {"key_share": True}
    return tx.get_one(Customer, customer_id, with_for_update=lock, populate_existing=True)


def _shut(customer: Customer, now: datetime) -> bool:
    until = customer.pin_locked_until
    return customer.pin_dead_at is not None or (until is not None and now < until)


def _wrong_in_a_row(customer: Customer) -> int:
    return customer.pin_tried - customer.pin_right


def _remaining(config: Config, customer: Customer) -> int:
    """Tries until the next lock; after the last lock there is one."""
    wrong = _wrong_in_a_row(customer)
    return min(TRIES - wrong % TRIES, TRIES * len(config.pin_locks) + 1 - wrong)


def _wrong_this_month(tx: Session, customer: Customer, now: datetime) -> int:
    """Tries of the last thirty days that were not right, the one just booked with them."""
    since = max(now - MONTH, customer.pin_reset_at or now - MONTH)
    wrong = select(func.count()).where(
        PinAttempt.customer_id == customer.id,
        PinAttempt.state.in_((Found.PENDING, Found.WRONG)),
        PinAttempt.tried_at >= since,
    )
    return tx.scalar(wrong) or 0


def _peppered(config: Config, customer_id: int, pin: str) -> bytes:
    return crypto.digest(config.pin_pepper, str(customer_id), pin)
