"""Sign-up: language, terms, name, date of birth, PIN twice, and the code that came by SMS."""

from collections.abc import Mapping
from typing import Any

from core import codes, customers, effects, under_age
from core.codes import Purpose
from core.effects import Recalled, Refused
from core.errors import Refusal
from core.say import languages, say
from ussd.screens import secrets
from ussd.visit import (
    Answer,
    Ask,
    Choice,
    End,
    Link,
    Menu,
    Visit,
    effect,
    link,
    reader,
    screen,
)


@screen
def language(visit: Visit) -> Menu:
    """The one screen in both languages."""
    greeting = "\n".join(say("ussd.welcome", lang) for lang in languages)
    names = [(say("ussd.language_name", lang), lang) for lang in languages]
    return Menu(greeting, [Choice(name, link(terms, lang=lang)) for name, lang in names])


@screen
def terms(visit: Visit) -> Menu:
    """Old enough, and agreed."""
    age = visit.config.min_age
    return Menu(
        visit.say("ussd.terms", age=age),
        [
            Choice(visit.say("ussd.accept", age=age), link(accept, lang=visit.lang)),
            Choice(visit.say("ussd.decline"), link(declined, lang=visit.lang)),
        ],
    )


@screen
def declined(visit: Visit) -> End:
    """Nothing was begun."""
    return End(visit.say("ussd.declined"))


@effect("accept_terms")
def accept(visit: Visit) -> Mapping[str, Any]:
    """From here on the number is known."""
    lang = visit.args["lang"]
    joined = visit.customer or customers.join(visit.tx, visit.phone, lang=lang, now=visit.now)
    customers.accept_terms(visit.tx, joined, now=visit.now)
    return {}


@screen
def name(visit: Visit) -> Ask:
    """The full name."""
    return Ask(
        visit.say("ussd.ask_name"),
        then=Link(give_name, {}),
        read=full_name,
        keep="name",
        free=True,
    )


@reader
def full_name(answer: Answer) -> str:
    """A name as it will be kept."""
    return customers.read_name(answer.text)


@effect("give_name")
def give_name(visit: Visit) -> Mapping[str, Any]:
    """Keep the name."""
    customers.give_name(visit.tx, visit.known, visit.args["name"])
    return {}


@screen
def birth(visit: Visit) -> Ask | Link:
    """The date of birth, in digits alone: letters are slow on a keypad."""
    if until := under_age.until(visit.tx, visit.known.id, now=visit.now):
        facts = {"age": visit.config.min_age, "until": until}
        return link(turned_away, facts=effects.written(facts))
    return Ask(
        visit.say("ussd.ask_birth"),
        then=Link(give_birth, {}),
        read=a_date,
        keep="birth",
        private=True,
    )


@reader
def a_date(answer: Answer) -> str:
    """A date of birth; whether it is long enough ago is the house's rule, not the reader's."""
    return customers.read_birth(answer.text, now=answer.now).strftime("%d%m%Y")


def _too_young(verdict: Recalled) -> Link | None:
    young = verdict.reason == "customers.under_age"
    return link(turned_away, facts=dict(verdict.facts)) if young else None


@effect("give_birth", then=_too_young)
def give_birth(visit: Visit) -> Mapping[str, Any] | Refused:
    """Keep the date of birth of somebody old enough."""
    date = visit.args["birth"]
    young = customers.give_birth(visit.tx, visit.known, date, now=visit.now, config=visit.config)
    return Refused(young.reason, effects.written(young.facts)) if young else {}


@screen
def turned_away(visit: Visit) -> End:
    """Too young: the call ends, and the number waits before it may give another date."""
    return End(visit.say("customers.under_age", **effects.read(visit.args["facts"])))


@screen
def pin(visit: Visit) -> Ask:
    """A new PIN."""
    return Ask(
        visit.say("ussd.ask_new_pin"),
        then=Link(pin_again, {}),
        read=secrets.new_pin,
        keep="imprint",
        secret=True,
    )


@screen
def pin_again(visit: Visit) -> Ask:
    """The same PIN once more."""
    return Ask(
        visit.say("ussd.ask_pin_again"),
        then=Link(set_pin, {}),
        read=secrets.same_pin,
        given=visit.args,
        secret=True,
    )


@effect("set_pin")
def set_pin(visit: Visit) -> Mapping[str, Any]:
    """Keep the PIN, and send the code that proves whose number this is."""
    customers.set_pin(visit.tx, visit.known, visit.proof, now=visit.now)
    try:
        with visit.tx.begin_nested():  # a code that was sent a moment ago will do
            codes.send(visit.tx, customer=visit.known, purpose=Purpose.KYC, now=visit.now)
    except Refusal as refusal:
        return {"code": refusal.reason}
    return {"code": "sent"}


@screen
def code(visit: Visit) -> Ask:
    """The code. It may also be texted in, for phones that close a call when an SMS is read."""
    short = visit.config.at_short_code
    prompt = (
        visit.say("ussd.ask_code_or_text", short=short) if short else visit.say("ussd.ask_code")
    )
    return Ask(
        prompt,
        then=link(visit.entry),
        read=secrets.kyc_code,
        secret=True,
        keys=[Choice(visit.say("ussd.send_again"), link(send_again), digit="01")],
    )


@effect("send_code")
def send_again(visit: Visit) -> Mapping[str, Any]:
    """Another code in the place of the last."""
    codes.send(visit.tx, customer=visit.known, purpose=Purpose.KYC, now=visit.now)
    return {}
