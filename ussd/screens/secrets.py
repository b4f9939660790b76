"""What is read of secrets: a PIN, a new PIN twice, a one-time code. None of it is kept in clear."""

from core import codes, pins
from core.codes import Purpose, RightCode
from core.customers import Customer
from core.errors import Refusal
from core.pins import RightPin
from ussd.visit import Answer, reader


@reader
def right_pin(answer: Answer) -> bool:
    """Whether it is the caller's PIN; a wrong one is counted before it is looked at."""
    verdict = pins.check(
        answer.rt, answer.customer_id, answer.text, now=answer.now, once=answer.key
    )
    if not isinstance(verdict, RightPin):
        raise Refusal(verdict.reason, **verdict.facts)
    return True


@reader
def new_pin(answer: Answer) -> str:
    """The imprint of a PIN that will do."""
    _hashed(answer)
    return pins.imprint(answer.rt.config, answer.session, answer.text)


@reader
def same_pin(answer: Answer) -> str:
    """The hash of the PIN typed once more."""
    pins.typed_again(answer.rt.config, answer.session, answer.given["imprint"], answer.text)
    return _hashed(answer)


@reader
def kyc_code(answer: Answer) -> bool:
    """Whether it is the code that was sent; if so, the number is verified with that."""
    verdict = codes.check(
        answer.rt,
        phone=answer.phone,
        purpose=Purpose.KYC,
        digits=answer.text,
        now=answer.now,
        once=answer.key,
    )
    if not isinstance(verdict, RightCode):
        raise Refusal(verdict.reason, **verdict.facts)
    return True


@reader
def reset_code(answer: Answer) -> bool:
    """Whether code and name are right; if so, the PIN is the new one with that."""
    verdict = codes.reset(
        answer.rt,
        phone=answer.phone,
        digits=answer.text,
        name=answer.given["name"],
        pin_hash=answer.given["pin_hash"],
        now=answer.now,
        once=answer.key,
    )
    if not isinstance(verdict, RightCode):
        raise Refusal(verdict.reason, **verdict.facts)
    return True


def _hashed(answer: Answer) -> str:
    with answer.rt.transaction() as tx:
        customer = tx.get_one(Customer, answer.customer_id)
    return pins.choose(answer.rt.config, customer, answer.text)
