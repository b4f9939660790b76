"""One-time codes: six digits by SMS that are derived when they are needed and kept nowhere."""

import math
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import crypto, customers, gsm7, messages, runtime
from core.base import Base, Small
from core.config import Config
from core.customers import Customer
from core.errors import Refusal
from core.runtime import Runtime

DIGITS = re.compile(r"[0-9]{6}")
DAY = timedelta(hours=24)

KEYS = uuid.UUID("5f0e7a52-95a4-4d7c-9a6e-0f7d1b8c2e34")  # the names of the promises made here

Act = Callable[[Session, Customer], None]
Proof = Callable[[Customer], bool]


class Purpose(StrEnum):
    """What a code may be used for, and for nothing else."""

    KYC = "kyc"
    PIN_RESET = "pin_reset"


class Found(IntEnum):
    """What a try came to. PENDING is counted as wrong until it is known to be right."""

    PENDING = 1
    RIGHT = 2
    WRONG = 3


@dataclass(frozen=True)
class RightCode:
    """The code of this customer; it has done its work and will not do it again."""

    customer_id: int
    purpose: str

    @property
    def reason(self) -> str:
        """The sentence that tells it."""
        if self.purpose == Purpose.PIN_RESET:
            return "customers.pin_reset"
        return "customers.verified"

    @property
    def facts(self) -> dict[str, object]:
        """Nothing to fill in."""
        return {}


@dataclass(frozen=True)
class WrongCode:
    """Not the code (or not the name asked with it); `left` more tries with this one."""

    left: int
    purpose: str

    @property
    def reason(self) -> str:
        """The sentence that tells it; `facts` fill it."""
        if self.purpose == Purpose.PIN_RESET:
            return "customers.reset_wrong" if self.left else "customers.reset_wrong_last"
        return "customers.code_wrong" if self.left else "customers.code_wrong_last"

    @property
    def facts(self) -> dict[str, object]:
        """What `reason` has to be filled with."""
        return {"left": self.left}


@dataclass(frozen=True)
class NoCode:
    """Nothing to compare with: none sent, used, too old or tried too often; or nobody's number."""

    @property
    def reason(self) -> str:
        """The sentence that tells it."""
        return "customers.code_none"

    @property
    def facts(self) -> dict[str, object]:
        """Nothing to fill in: the words are the same for everybody."""
        return {}


Verdict = RightCode | WrongCode | NoCode


class OneTimeCode(Base):
    """A code that was sent: everything about it but its digits."""

    __tablename__ = "one_time_code"
    __table_args__ = (
        Index("ix_one_time_code_customer_id_created_at", "customer_id", "created_at"),
        Index(
            "uq_one_time_code_live",
            "customer_id",
            "purpose",
            unique=True,
            postgresql_where=text("used_at IS NULL AND killed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    phone: Mapped[str]  # the number it went to, which is part of what it is derived from
    purpose: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    checks: Mapped[int] = mapped_column(Small, default=0, server_default="0")
    used_at: Mapped[datetime | None]
    killed_at: Mapped[datetime | None]  # since when a newer one is in its place


class CodeAttempt(Base):
    """One try of a code and its verdict. Repeats find it by its key; no digits are in it."""

    __tablename__ = "code_attempt"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 3", name="state"),
        Index("ix_code_attempt_code_id", "code_id"),
    )

    key: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    code_id: Mapped[int] = mapped_column(ForeignKey("one_time_code.id"))
    tried_at: Mapped[datetime]
    state: Mapped[int] = mapped_column(Small)
    remaining: Mapped[int] = mapped_column(Small)  # tries with this code, if this one is wrong


def send(tx: Session, *, customer: Customer, purpose: Purpose, now: datetime) -> OneTimeCode:
    """Promise a new code by SMS, in the place of the last one; raises Refusal if it is too soon.

    Five codes a day of three tries each are fifteen guesses at a million, and every text costs.
    """
    config = runtime.current().config
    customers.hold(tx, customer)
    _refuse_purpose(customer, purpose)
    _refuse_too_soon(tx, config, customer, now)
    tx.execute(
        update(OneTimeCode)
        .where(OneTimeCode.customer_id == customer.id, OneTimeCode.purpose == purpose)
        .where(OneTimeCode.used_at.is_(None), OneTimeCode.killed_at.is_(None))
        .values(killed_at=now)
    )
    code = OneTimeCode(
        customer_id=customer.id, phone=customer.phone, purpose=purpose, created_at=now
    )
    code.expires_at = now + timedelta(seconds=config.code_seconds)
    tx.add(code)
    tx.flush()  # gives the code its number
    key = uuid.uuid5(KEYS, str(code.id))
    messages.code(tx, customer=customer, code_id=code.id, purpose=purpose, key=key, now=now)
    return code


def derive(config: Config, code_id: int, phone: str, purpose: str) -> str:
    """The digits of a code: whoever lacks `CODE_KEY` has nothing to read them from."""
    number = crypto.digest(config.code_key, str(code_id), phone, purpose)
    return f"{int.from_bytes(number[:8]) % 1_000_000:06d}"


def digits_to_send(tx: Session, config: Config, code_id: int, *, now: datetime) -> str | None:
    """The digits as the sender needs them; None once they would open nothing any more."""
    code = tx.get(OneTimeCode, code_id)
    if code is None or code.checks >= config.code_tries or not _is_live(code, now):
        return None
    return derive(config, code.id, code.phone, code.purpose)


def check(
    rt: Runtime,
    *,
    phone: str,
    purpose: Purpose,
    digits: str,
    now: datetime,
    once: uuid.UUID | None = None,
) -> Verdict:
    """Whether these are the digits last sent to `phone`; the right ones of KYC verify the customer.

    Never call it inside a transaction: the try is counted and committed before the digits are
    compared, so that of fifty at once no more are than one code allows. Repeats of one `once` are
    one try with one verdict. Raises Refusal, counting nothing, for what is no code at all.
    """
    assert purpose == Purpose.KYC, "a code for a reset comes with name and PIN: codes.reset"
    attempt = _Try(phone, purpose, read(digits), now, once or uuid.uuid4())
    return _settle(
        rt,
        attempt,
        proof=lambda customer: True,
        act=lambda tx, customer: customers.verify(tx, customer, now=now),
    )


def reset(
    rt: Runtime,
    *,
    phone: str,
    digits: str,
    name: str,
    pin_hash: str,
    now: datetime,
    once: uuid.UUID | None = None,
) -> Verdict:
    """Put a new PIN (`pins.choose` hashed it) in the place of a forgotten one: for code and name.

    Otherwise as `check`. A wrong name is a wrong try, in the same words: neither is confirmed
    without the other.
    """

    def act(tx: Session, customer: Customer) -> None:
        customers.reset_pin(tx, customer, pin_hash, now=now)
        _tell_of_reset(tx, customer, attempt.key, now)

    attempt = _Try(phone, Purpose.PIN_RESET, read(digits), now, once or uuid.uuid4())
    return _settle(rt, attempt, proof=lambda c: customers.same_name(c, name), act=act)


def read(text: str) -> str:
    """Six digits, however they were spaced; raises Refusal, which does not repeat them."""
    digits = "".join(gsm7.western(text[:32]).split()).replace("-", "")
    if not DIGITS.fullmatch(digits):
        raise Refusal("customers.code_unreadable")
    return digits


@dataclass(frozen=True)
class _Try:
    """One try, as both its transactions need it."""

    phone: str
    purpose: Purpose
    digits: str
    now: datetime
    key: uuid.UUID


def _settle(rt: Runtime, attempt: _Try, *, proof: Proof, act: Act) -> Verdict:
    """Count, commit, and only then compare."""
    rt.attempt(lambda tx: _count(tx, rt.config, attempt))
    return rt.attempt(lambda tx: _look(tx, rt.config, attempt, proof, act))


def _count(tx: Session, config: Config, attempt: _Try) -> None:
    """Book the try against the live code, if there is one, unless it is booked already."""
    customer = _held(tx, attempt.phone)
    if customer is None or tx.get(CodeAttempt, attempt.key) is not None:
        return
    newest = (
        select(OneTimeCode)
        .where(OneTimeCode.customer_id == customer.id, OneTimeCode.purpose == attempt.purpose)
        .order_by(OneTimeCode.id.desc())
        .limit(1)
    )
    code = tx.scalar(newest)
    if code is None or code.checks >= config.code_tries or not _is_live(code, attempt.now):
        return
    code.checks += 1
    booked = CodeAttempt(
        key=attempt.key, code_id=code.id, tried_at=attempt.now, state=Found.PENDING
    )
    booked.remaining = config.code_tries - code.checks
    tx.add(booked)


def _look(tx: Session, config: Config, attempt: _Try, proof: Proof, act: Act) -> Verdict:
    """Give the try its verdict, once; a copy whose twin died does the work in its place."""
    customer = _held(tx, attempt.phone)  # first, so that every way locks in the same order
    booked = tx.get(CodeAttempt, attempt.key)
    if customer is None or booked is None:
        _compare(config, None, attempt)  # the same work for a number nobody knows
        return NoCode()
    code = tx.get_one(OneTimeCode, booked.code_id)
    assert (code.customer_id, code.purpose) == (customer.id, attempt.purpose), "one key, two tries"
    right = _compare(config, code, attempt) and proof(customer)
    if booked.state == Found.PENDING:
        booked.state = Found.RIGHT if right and _is_live(code, attempt.now) else Found.WRONG
        if booked.state == Found.RIGHT:
            code.used_at = attempt.now
            act(tx, customer)
    if booked.state == Found.RIGHT:
        return RightCode(customer.id, code.purpose)
    return WrongCode(booked.remaining, code.purpose)


def _compare(config: Config, code: OneTimeCode | None, attempt: _Try) -> bool:
    """Compare in constant time; where there is no code, with one that is nobody's."""
    code_id, phone, purpose = (
        (code.id, code.phone, code.purpose) if code else (0, attempt.phone, attempt.purpose)
    )
    same = crypto.same(derive(config, code_id, phone, purpose), attempt.digits)
    return same and code is not None


def _refuse_purpose(customer: Customer, purpose: Purpose) -> None:
    if customer.standing == customers.Standing.CLOSED:
        raise Refusal("customers.closed")
    if purpose is Purpose.KYC and customer.kyc_verified_at is not None:
        raise Refusal("customers.already_verified")
    if purpose is Purpose.PIN_RESET and (customer.pin_hash is None or customer.name is None):
        raise Refusal("customers.sign_up_first")


def _refuse_too_soon(tx: Session, config: Config, customer: Customer, now: datetime) -> None:
    """Codes of all purposes count together: it is one phone that rings."""
    sent_at = tx.scalars(
        select(OneTimeCode.created_at)
        .where(OneTimeCode.customer_id == customer.id, OneTimeCode.created_at > now - DAY)
        .order_by(OneTimeCode.created_at.desc())
    ).all()
    if not sent_at:
        return
    most, waits = config.codes_per_day, config.code_resend
    if len(sent_at) >= most:
        raise Refusal("customers.code_day_limit", most=most, at=sent_at[most - 1] + DAY)
    ready_at = sent_at[0] + waits[min(len(sent_at), len(waits)) - 1]
    if now < ready_at:
        raise Refusal("customers.code_wait", seconds=math.ceil((ready_at - now).total_seconds()))


def _is_live(code: OneTimeCode, now: datetime) -> bool:
    """Whether the code may still be used, by one who has a try left."""
    return code.used_at is None and code.killed_at is None and now < code.expires_at


def _held(tx: Session, phone: str) -> Customer | None:
    """The customer's row, locked and fresh: tries of one customer are settled one by one."""
    mine = select(Customer).where(Customer.phone == phone)
    return tx.scalar(mine.with_for_update(key_share=True))


def _tell_of_reset(tx: Session, customer: Customer, key: uuid.UUID, now: datetime) -> None:
    """So that whoever still has the SIM card learns of a reset that was not theirs."""
    opens_at = customers.withdrawals_open_at(customer)
    messages.text(
        tx,
        to=customer.phone,
        lang=customer.lang,
        sentence="customers.pin_reset_done",
        facts={"at": opens_at},
        key=uuid.uuid5(KEYS, f"reset:{key}"),
        now=now,
        customer_id=customer.id,
    )
