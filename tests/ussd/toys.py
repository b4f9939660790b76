"""Toy screens, one for each thing the engine has to do right."""

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from core.effects import Recalled, Refused
from core.errors import Refusal
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

SECRET = "4826"
acts: Counter[uuid.UUID] = Counter()  # how often each decision was acted on
tries: Counter[uuid.UUID] = Counter()  # how often each answer was looked at by the guard
stock = ["apples", "pears", "plums"]  # a list that moves
broken: list[Exception] = []  # what the next act stumbles over after it acted
strokes: list[Callable[[], object]] = []  # of fate, while an act is at work


def clear() -> None:
    """As nothing had happened."""
    acts.clear()
    tries.clear()
    broken.clear()
    strokes.clear()
    stock[:] = ["apples", "pears", "plums"]


@screen
def home(visit: Visit) -> Menu:
    return Menu(
        "Toy shop",
        [
            Choice("Buy a kite", link(sure, what="kite")),
            Choice("Fruit", link(fruit)),
            Choice("Amount", link(amount)),
            Choice("Vault", link(vault)),
            Choice("Name", link(name)),
            Choice("Twenty", link(twenty)),
            Choice("Last word", link(last_word)),
            Choice("Sold out", link(sold_out)),
            Choice("Nothing there", link(nothing)),
            Choice("Elsewhere", link(elsewhere)),
        ],
    )


@screen
def sure(visit: Visit) -> Menu:
    return Menu(f"Buy {visit.args['what']}?", [Choice("Buy", link(buy, what=visit.args["what"]))])


def _bought(verdict: Recalled) -> Link:
    return link(bought, what=verdict.facts["what"])


@effect("toy_buy", then=_bought)
def buy(visit: Visit) -> Mapping[str, Any]:
    acts[visit.decision] += 1
    if broken:
        raise broken.pop()
    for stroke in strokes:
        stroke()
    return {"what": visit.args["what"]}


@screen
def bought(visit: Visit) -> Menu:
    return Menu(f"Bought: {visit.args['what']}", [Choice("More", link(home))])


@screen
def fruit(visit: Visit) -> Menu:
    return Menu("Fruit", [Choice(f, link(sure, what=f)) for f in stock], live=True)


@reader
def whole(answer: Answer) -> int:
    if not answer.text.isdigit():
        raise Refusal("ussd.wrong_choice")
    return int(answer.text)


@screen
def amount(visit: Visit) -> Ask:
    return Ask("How many?", then=link(sure), read=whole, keep="what")


@reader
def guard(answer: Answer) -> bool:
    tries[answer.key] += 1
    if answer.text != SECRET:
        raise Refusal("customers.pin_wrong", left=2)
    return True


@screen
def vault(visit: Visit) -> Ask:
    return Ask("Secret?", then=link(inside), read=guard, keep="open", secret=True)


@screen
def inside(visit: Visit) -> Menu:
    assert visit.args["open"]
    return Menu("Inside", [Choice("Buy gold", link(buy, what="gold"))])


@reader
def anything(answer: Answer) -> str:
    if len(answer.text) < 2:
        raise Refusal("customers.name_full")
    return answer.text


@screen
def name(visit: Visit) -> Ask:
    return Ask("Name?", then=link(christen), read=anything, keep="what", free=True)


@effect("toy_christen", then=_bought)
def christen(visit: Visit) -> Mapping[str, Any]:
    acts[visit.decision] += 1
    return {"what": visit.args["what"]}


@screen
def twenty(visit: Visit) -> Menu:
    return Menu("Twenty", [Choice(f"Number {n}", link(sure, what=f"n{n}")) for n in range(1, 21)])


@screen
def last_word(visit: Visit) -> End:
    return End(" ".join(f"word{n}" for n in range(60)))


@screen
def sold_out(visit: Visit) -> Menu:
    return Menu("Sold out?", [Choice("Try", link(refuse)), Choice("Raise", link(balk))])


def _why(verdict: Recalled) -> Link | None:
    return link(why, reason=verdict.reason) if verdict.reason == "ussd.busy" else None


@effect("toy_refuse", then=_why)
def refuse(visit: Visit) -> Refused:
    acts[visit.decision] += 1
    return Refused("ussd.busy")


@effect("toy_balk")
def balk(visit: Visit) -> Mapping[str, Any]:
    raise Refusal("customers.pin_same")


@screen
def why(visit: Visit) -> Menu:
    return Menu(visit.say(visit.args["reason"]), [])


@screen
def nothing(visit: Visit) -> Menu:
    raise Refusal("customers.name_letters")


@screen
def elsewhere(visit: Visit) -> Link:
    return link(sure, what="kite")
