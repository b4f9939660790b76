"""One text from its arrival to its answer, at most once whatever the aggregator repeats.

Three steps, each committed before the next: is it known already and whose is it; is the PIN or code
in it right (counted before it is looked at); then, in one transaction, the work, the masked text
with its verdict, and the promise of the reply.
"""

import re
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from core import customers, inbound, messages
from core import phone as phones
from core.customers import Customer
from core.errors import Refusal
from core.inbound import InboundText
from core.runtime import Runtime
from core.say import say
from sms import dispatch, grammar, proofs
from sms.grammar import Text
from sms.proofs import Sender
from sms.visit import Proof, Reply, Visit

log = structlog.get_logger(__name__)

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
WELCOME, PIN_MISSING = "sms.welcome", "sms.bets_need_pin"
DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True)
class Arrived:
    """A text as the aggregator handed it over."""

    message_id: str
    sender: str
    text: str
    short_code: str | None
    network: str | None


def take(rt: Runtime, arrived: Arrived) -> str:
    """Act on a text and promise its reply; the verdict, or "repeat" for one that is known."""
    now, text = rt.now(), grammar.parse(arrived.text)
    phone = read_phone(arrived.sender)
    if isinstance(phone, Refusal):
        return rt.attempt(lambda tx: _turn_away(rt, tx, arrived, text, phone, now))
    with rt.transaction() as tx:
        if inbound.known(tx, arrived.message_id):
            return "repeat"
        sender = Sender.of(customers.find(tx, phone), phone)
    proof = proofs.prove(rt, sender, text.meaning, arrived.message_id, arrived.text, now=now)
    return rt.attempt(lambda tx: _work(rt, tx, arrived, text, phone, proof, now))


def read_phone(sender: str) -> str | Refusal:
    """The sender's number in E.164, or why it cannot be a customer's. A `+` may have been lost."""
    try:
        return phones.read(sender)
    except Refusal as refusal:
        return refusal


def _work(
    rt: Runtime,
    tx: Session,
    arrived: Arrived,
    text: Text,
    phone: str,
    proof: Proof | None,
    now: datetime,
) -> str:
    claimed = _claim(tx, arrived, text, phone, proof, now)
    if claimed is None:
        return "repeat"
    before = customers.find(tx, phone)
    visit = Visit(
        tx=tx,
        config=rt.config,
        now=now,
        phone=phone,
        message_id=arrived.message_id,
        lang=before.lang if before else text.lang or DEFAULT_LANGUAGE,
        customer=before,
        proof=proof,
    )
    reply = dispatch.answer(visit, text.meaning)
    after = customers.find(tx, phone)  # a stranger may have joined
    claimed.bets_digest = reply.bets_digest
    if reply.sentence == PIN_MISSING:  # perhaps it is there, where a stake belongs
        claimed.masked = text.all_masked
    claimed.customer_id = after.id if after else None
    if after is None and _enough_for_a_stranger(visit, reply):
        return _unanswered(claimed)
    return _answer(visit, claimed, reply, after)


def _claim(
    tx: Session, arrived: Arrived, text: Text, phone: str, proof: Proof | None, now: datetime
) -> InboundText | None:
    # A PIN that was wrong may stand where an amount belongs, so nothing is shown then.
    wrong = proof is not None and proof.denied is not None
    return inbound.claim(
        tx,
        message_id=arrived.message_id,
        phone=phone,
        masked=text.all_masked if wrong else text.masked,
        command=type(text.meaning).__name__,
        short_code=arrived.short_code,
        network=arrived.network,
        now=now,
    )


def _enough_for_a_stranger(visit: Visit, reply: Reply) -> bool:
    """Numbers that are nobody's get a few replies a day, one welcome, and none after STOP."""
    answered = inbound.answered_stranger_today(visit.tx, visit.phone, now=visit.now)
    if reply.sentence == WELCOME:
        return answered > 0 or messages.opted_out(visit.tx, visit.phone)
    return answered >= visit.config.stranger_replies_per_day


def _answer(visit: Visit, claimed: InboundText, reply: Reply, customer: Customer | None) -> str:
    lang = customer.lang if customer else visit.lang
    sentence, facts = reply.sentence, dict(reply.facts)
    if reply.secret:
        sentence, facts = "sms.delete_your_text", {"answer": say(sentence, lang, **facts)}
    claimed.verdict = reply.sentence
    claimed.answer_id = messages.text(
        visit.tx,
        to=visit.phone,
        lang=lang,
        sentence=sentence,
        facts=facts,
        key=visit.key("reply"),
        now=visit.now,
        customer_id=customer.id if customer else None,
    )
    log.info("text", verb=claimed.command, verdict=claimed.verdict, phone=visit.phone)
    return claimed.verdict


def _unanswered(claimed: InboundText) -> str:
    claimed.verdict = "unanswered"
    return claimed.verdict


def _turn_away(
    rt: Runtime, tx: Session, arrived: Arrived, text: Text, refusal: Refusal, now: datetime
) -> str:
    """A number that can be no customer's: kept, and told why if a text can reach it."""
    claimed = _claim(tx, arrived, text, arrived.sender, None, now)
    if claimed is None:
        return "repeat"
    visit = Visit(
        tx=tx,
        config=rt.config,
        now=now,
        phone=arrived.sender,
        message_id=arrived.message_id,
        lang=text.lang or DEFAULT_LANGUAGE,
        customer=None,
    )
    reply = Reply(refusal.reason, refusal.facts)
    answered = inbound.answered_stranger_today(tx, arrived.sender, now=now)
    if answered > 0 or not E164.fullmatch(arrived.sender):
        return _unanswered(claimed)
    return _answer(visit, claimed, reply, None)
