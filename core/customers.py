"""Customers: the people of the house, from the first dial to an account that may play."""

import re
import unicodedata
from datetime import date, datetime
from enum import IntEnum

from sqlalchemy import CheckConstraint, Identity, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import gsm7, ledger, runtime, under_age
from core.base import Base, Small
from core.config import Config
from core.effects import Refused
from core.errors import Refusal
from core.say import NAIROBI

NAME_LONGEST = 40  # characters: the longest name that every screen still has room for
OLDEST = 120  # years: a birth before that is a slip of the finger

LETTERS = "".join(
    sorted(c for c in gsm7.BASIC if c.isalpha() and unicodedata.name(c).startswith("LATIN"))
)
WORD = re.compile(f"[{LETTERS}]+(?:['-][{LETTERS}]+)*")
LANGUAGES = {
    **dict.fromkeys(("en", "eng", "english", "kiingereza"), "en"),
    **dict.fromkeys(("sw", "swa", "swahili", "kiswahili"), "sw"),
}
BIRTH = re.compile(r"([0-9]{2})[\s./-]?([0-9]{2})[\s./-]?([0-9]{4})")


class Standing(IntEnum):
    """What the house and the customer are to each other."""

    JOINING = 1
    ACTIVE = 2
    CLOSED = 3


class Step(IntEnum):
    """What sign-up asks next, in the order it asks."""

    LANGUAGE = 1
    TERMS = 2
    NAME = 3
    BIRTH = 4
    PIN = 5
    CODE = 6
    DONE = 7


class Customer(Base):
    """A person and the phone number that is both their account and their M-PESA."""

    __tablename__ = "customer"
    __table_args__ = (
        CheckConstraint(r"phone ~ '^\+254[17][0-9]{8}$'", name="kenyan_mobile"),
        CheckConstraint("lang IN ('en', 'sw')", name="lang"),
        CheckConstraint("standing BETWEEN 1 AND 3", name="standing"),
        CheckConstraint(
            "standing <> 2 OR num_nulls(terms_at, name, birth, pin_hash, kyc_verified_at) = 0",
            name="active_is_complete",
        ),
        CheckConstraint("pin_right BETWEEN 0 AND pin_tried", name="pin_count"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    phone: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    lang: Mapped[str]
    standing: Mapped[int] = mapped_column(Small, default=Standing.JOINING, server_default="1")
    terms_at: Mapped[datetime | None]
    birth: Mapped[str | None]  # an envelope of core/crypto, bound to this row
    kyc_verified_at: Mapped[datetime | None]
    auto_cashout: Mapped[bool] = mapped_column(default=True, server_default="true")
    pin_hash: Mapped[str | None]
    pin_set_at: Mapped[datetime | None]
    pin_reset_at: Mapped[datetime | None]
    # Tries are numbered; those after the last right one are the wrong ones in a row.
    pin_tried: Mapped[int] = mapped_column(default=0, server_default="0")
    pin_right: Mapped[int] = mapped_column(default=0, server_default="0")
    pin_locked_until: Mapped[datetime | None]
    pin_dead_at: Mapped[datetime | None]  # since when only a reset helps
    excluded_until: Mapped[datetime | None]
    created_at: Mapped[datetime]


def find(tx: Session, phone: str) -> Customer | None:
    """The customer of a number in E.164 form, if it is anybody's."""
    return tx.scalar(select(Customer).where(Customer.phone == phone))


def join(tx: Session, phone: str, *, lang: str, now: datetime) -> Customer:
    """Begin a sign-up and open the wallet; a number that is known already stays as it is."""
    begun = tx.scalar(
        insert(Customer)
        .values(phone=phone, lang=read_language(lang), created_at=now)
        .on_conflict_do_nothing(index_elements=[Customer.phone])
        .returning(Customer.id)
    )
    if begun is not None:
        ledger.open_wallet(tx, begun)
    return tx.scalars(select(Customer).where(Customer.phone == phone)).one()


def next_step(customer: Customer | None) -> Step:
    """What sign-up still needs; LANGUAGE of a number nobody knows."""
    if customer is None:
        return Step.LANGUAGE
    missing = (
        (Step.TERMS, customer.terms_at),
        (Step.NAME, customer.name),
        (Step.BIRTH, customer.birth),
        (Step.PIN, customer.pin_hash),
        (Step.CODE, customer.kyc_verified_at),
    )
    return next((step for step, given in missing if given is None), Step.DONE)


def set_language(tx: Session, customer: Customer, lang: str) -> None:
    """Speak `lang` from now on."""
    hold(tx, customer)
    customer.lang = read_language(lang)


def set_auto_cashout(tx: Session, customer: Customer, *, on: bool) -> None:
    """Whether wins go to M-PESA without being asked for. The caller has checked the PIN."""
    _hold_open(tx, customer)
    customer.auto_cashout = on


def accept_terms(tx: Session, customer: Customer, *, now: datetime) -> None:
    """The customer says: of age, and I accept the terms. The first time counts."""
    _hold_open(tx, customer)
    customer.terms_at = customer.terms_at or now
    _advance(customer)


def give_name(tx: Session, customer: Customer, text: str) -> None:
    """Take the full name; it can be given again until sign-up is done."""
    name = read_name(text)
    _hold_joining(tx, customer)
    customer.name = name
    _advance(customer)


def give_birth(
    tx: Session, customer: Customer, text: str, *, now: datetime, config: Config
) -> Refused | None:
    """Take the date of birth, of somebody old enough; it is kept encrypted.

    Who is too young is refused for UNDER_AGE_HOLD, whatever date comes next.
    """
    born = read_birth(text, now=now)
    _hold_joining(tx, customer)
    until = under_age.until(tx, customer.id, now=now)
    if until is None and not of_age(born, now=now, min_age=config.min_age):
        until = now + config.under_age_hold
        under_age.hold(tx, customer.id, to=until, now=now)
    if until is not None:
        return Refused("customers.under_age", {"age": config.min_age, "until": until})
    customer.birth = config.data_keys.seal(born.isoformat().encode(), aad=_place(customer))
    _advance(customer)
    return None


def set_pin(tx: Session, customer: Customer, pin_hash: str, *, now: datetime) -> None:
    """Keep the hash of a new PIN, as `pins.choose` made it; wrong tries are forgotten."""
    _hold_open(tx, customer)
    customer.pin_hash, customer.pin_set_at = pin_hash, now
    customer.pin_right = customer.pin_tried
    customer.pin_locked_until = customer.pin_dead_at = None
    _advance(customer)


def reset_pin(tx: Session, customer: Customer, pin_hash: str, *, now: datetime) -> None:
    """Replace a forgotten PIN, on the proof `codes.reset` asks; no withdrawal for a day."""
    set_pin(tx, customer, pin_hash, now=now)
    customer.pin_reset_at = now


def verify(tx: Session, customer: Customer, *, now: datetime) -> None:
    """The customer holds this number: the code sent to it came back."""
    _hold_open(tx, customer)
    customer.kyc_verified_at = customer.kyc_verified_at or now
    _advance(customer)


def birth_of(customer: Customer, config: Config) -> date | None:
    """The date of birth, once it was given."""
    if customer.birth is None:
        return None
    return date.fromisoformat(config.data_keys.open(customer.birth, aad=_place(customer)).decode())


def withdrawals_open_at(customer: Customer) -> datetime | None:
    """When a reset PIN may first withdraw, which may be long ago; None if it never was reset.

    The wait gives the owner of a stolen SIM card the time to notice.
    """
    wait = runtime.current().config.pin_reset_hold
    return customer.pin_reset_at and customer.pin_reset_at + wait


def may_play(customer: Customer, *, now: datetime) -> bool:
    """Whether the customer may deposit and bet."""
    return _why_not(customer, now) is None


def refuse_play(customer: Customer, *, now: datetime) -> None:
    """Raise the Refusal that says why this customer may not deposit or bet, if so."""
    if reason := _why_not(customer, now):
        until = {"until": customer.excluded_until} if reason == "customers.excluded" else {}
        raise Refusal(reason, **until)


def same_name(customer: Customer, text: str) -> bool:
    """Whether `text` is this customer's name: two of its words or more, in any order and case."""
    typed = _plain_words(text)
    return len(typed) >= 2 and typed <= _plain_words(customer.name or "")


def hold(tx: Session, customer: Customer) -> None:
    """Lock the customer's row until the transaction ends, and read it afresh.

    Two steps of one sign-up may come at the same instant, by USSD and by SMS; whoever is second
    has to see the first.
    """
    tx.flush()  # a refresh would drop what this transaction has not written yet
    tx.refresh(customer, with_for_update={"key_share": True})


def read_language(text: str) -> str:
    """`en` or `sw` of what a person may write for them."""
    lang = LANGUAGES.get(text.strip().lower())
    if lang is None:
        raise Refusal("customers.language_unknown")
    return lang


def read_name(text: str) -> str:
    """A full name as screens show it; raises Refusal for what is no name of a person.

    Digits, `*` and dots are no letters, so a phone number or a link is refused by the same rule.
    """
    if len(text) > 10 * NAME_LONGEST:  # before any work is done on it
        raise Refusal("customers.name_long", most=NAME_LONGEST)
    words = gsm7.fold(text).split()
    if not all(WORD.fullmatch(word) for word in words):
        raise Refusal("customers.name_letters")
    if sum(len(word) > 1 for word in words) < 2:
        raise Refusal("customers.name_full")
    name = gsm7.fold(_cased(" ".join(words)))  # again: the alphabet has no capital of every letter
    if len(name) > NAME_LONGEST:
        raise Refusal("customers.name_long", most=NAME_LONGEST)
    return name


def read_birth(text: str, *, now: datetime) -> date:
    """The date in DDMMYYYY that somebody alive may be born on; raises Refusal."""
    found = BIRTH.fullmatch(gsm7.western(text).strip())
    if found is None:
        raise Refusal("customers.birth_unreadable")
    day, month, year = map(int, found.groups())
    try:
        born = date(year, month, day)
    except ValueError as error:
        raise Refusal("customers.birth_unreadable") from error
    if not 0 <= _age(born, now.astimezone(NAIROBI).date()) <= OLDEST:
        raise Refusal("customers.birth_unreadable")
    return born


def of_age(born: date, *, now: datetime, min_age: int) -> bool:
    """Whether somebody born then is `min_age` today in Nairobi."""
    return _age(born, now.astimezone(NAIROBI).date()) >= min_age


def _hold_open(tx: Session, customer: Customer) -> None:
    hold(tx, customer)
    if customer.standing == Standing.CLOSED:
        raise Refusal("customers.closed")


def _hold_joining(tx: Session, customer: Customer) -> None:
    """A name or a birth that was verified is for staff to correct, with a paper in hand."""
    _hold_open(tx, customer)
    if customer.standing == Standing.ACTIVE:
        raise Refusal("customers.already_joined")


def _advance(customer: Customer) -> None:
    if customer.standing == Standing.JOINING and next_step(customer) is Step.DONE:
        customer.standing = Standing.ACTIVE


def _why_not(customer: Customer, now: datetime) -> str | None:
    if customer.standing == Standing.CLOSED:
        return "customers.closed"
    if customer.standing == Standing.JOINING:
        return "customers.sign_up_first"
    if customer.excluded_until is not None and now < customer.excluded_until:
        return "customers.excluded"
    return None


def _place(customer: Customer) -> str:
    return f"customer.birth|{customer.id}"


def _cased(name: str) -> str:
    """AMINA and amina are Amina; who mixes cases (wa Thiong'o, McOtieno) knows why."""
    if name not in (name.upper(), name.lower()):
        return name
    return re.sub(r"(?:(?<=[ -])|^)(\w'(?=\w\w))?\w", lambda start: start[0].upper(), name.lower())


def _plain_words(text: str) -> set[str]:
    return set(gsm7.fold(text).lower().replace("'", "").replace("-", " ").split())


def _age(born: date, today: date) -> int:
    """Full years; who was born on 29 February is a year older on 1 March."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
