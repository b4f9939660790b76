"""Signing up by SMS alone: name, yes and birth date, PIN, code. USSD may do any step of it."""

from core import codes, customers, pins
from core.codes import Purpose
from core.customers import Customer, Standing
from core.errors import Refusal
from sms import meanings as m
from sms.visit import Reply, Visit


def is_member(customer: Customer) -> bool:
    """Whether sign-up is behind this customer; the account may have been closed since."""
    return customer.standing != Standing.JOINING


def join(visit: Visit, asked: m.Join) -> Reply:
    """`JOIN Amina Wanjiku`. Nothing is begun without a name."""
    customer = visit.customer
    if customer is not None and is_member(customer):
        return Reply("sms.member")
    if not asked.name:
        return next_step(visit, asked) if customer and customer.name else Reply("sms.ask_name")
    if customer is None:
        customer = customers.join(visit.tx, visit.phone, lang=visit.lang, now=visit.now)
    customers.give_name(visit.tx, customer, asked.name)
    return _ask(visit, customer)


def accept(visit: Visit, asked: m.Accept) -> Reply:
    """`ACCEPT 25121990`: of age, and the terms."""
    customer = visit.who
    young = customers.give_birth(
        visit.tx, customer, asked.birth, now=visit.now, config=visit.config
    )
    if young:  # the house remembers that, and no terms
        return Reply(young.reason, young.facts)
    customers.accept_terms(visit.tx, customer, now=visit.now)
    return _ask(visit, customer)


def pin(visit: Visit, asked: m.Pin) -> Reply:
    """`PIN 5937 5937` chooses the first one; `PIN 5937 8264` changed it before we got here."""
    customer = visit.who
    if visit.proven:
        return Reply("sms.pin_changed", secret=True)
    if customer.pin_hash is not None:
        return _ask(visit, customer)
    if asked.first != asked.second:
        raise Refusal("customers.pin_differs")
    chosen = pins.choose(visit.config, customer, asked.first)
    customers.set_pin(visit.tx, customer, chosen, now=visit.now)
    if _missing(customer) != "sms.ask_code":
        return Reply(*_step(visit, customer), secret=True)
    codes.send(visit.tx, customer=customer, purpose=Purpose.KYC, now=visit.now)
    return Reply("sms.pin_chosen", secret=True)


def verify(visit: Visit, asked: m.Verify) -> Reply:
    """`VERIFY 123456`; a code that was right has done its work by now."""
    assert visit.proven, "a code that nobody looked at"
    if is_member(visit.who):
        return Reply("sms.joined")
    return _ask(visit, visit.who)


def awaits_code(visit: Visit) -> bool:
    """Whether the code is all that sign-up still needs."""
    return not is_member(visit.who) and _missing(visit.who) == "sms.ask_code"


def new_code(visit: Visit) -> Reply:
    """`VERIFY` alone: the code did not come, or is used up."""
    codes.send(visit.tx, customer=visit.who, purpose=Purpose.KYC, now=visit.now)
    return Reply("sms.code_sent")


def next_step(visit: Visit, _: object) -> Reply:
    """Whatever was asked, this comes first."""
    return _ask(visit, visit.who)


def _ask(visit: Visit, customer: Customer) -> Reply:
    return Reply(*_step(visit, customer))


def _step(visit: Visit, customer: Customer) -> tuple[str, dict[str, object]]:
    return _missing(customer), {"name": customer.name, "age": visit.config.min_age}


def _missing(customer: Customer) -> str:
    """What sign-up asks next, in the order of texts: a name comes with the first of them."""
    if customer.name is None:
        return "sms.ask_name"
    if customer.terms_at is None or customer.birth is None:
        return "sms.ask_accept"
    if customer.pin_hash is None:
        return "sms.ask_pin"
    return "sms.ask_code" if customer.kyc_verified_at is None else "sms.member"
