"""What a screen is given and what it may return: the vocabulary all screens are written in."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy.orm import Session

from core.config import Config
from core.customers import Customer
from core.effects import Recalled, Refused
from core.runtime import Runtime
from core.say import say

# A call's state is JSON, so a moment comes back as text; no name and no sentence looks like this.
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9.:+Z]+")


@dataclass(frozen=True)
class Visit:
    """One look at one screen, by one caller, inside the hop's transaction."""

    tx: Session
    config: Config
    now: datetime
    session: str
    phone: str
    customer: Customer | None
    lang: str
    args: Mapping[str, Any]
    entry: "Screen"  # where the call began and `00` leads
    key: uuid.UUID | None = None  # of the decision; an effect has one, a screen has none
    proof: Any = field(default=None, repr=False)  # what a reader found and nobody may keep

    @property
    def known(self) -> Customer:
        """The customer, where only a customer can be."""
        assert self.customer is not None, "this screen is for customers"
        return self.customer

    @property
    def decision(self) -> uuid.UUID:
        """The key an effect acts under."""
        assert self.key is not None, "only an effect decides"
        return self.key

    def say(self, key: str, /, **facts: Any) -> str:
        """A sentence in the caller's language."""
        return say(key, self.lang, **revived(facts))


@dataclass(frozen=True)
class Answer:
    """What was typed at a question, before the hop's transaction is opened.

    `given` is what the question told its reader.
    """

    rt: Runtime
    now: datetime
    session: str
    phone: str
    customer_id: int | None
    given: Mapping[str, Any]
    key: uuid.UUID  # of this answer: what is counted under it is counted once
    text: str = field(repr=False)  # it may be a PIN


@dataclass(frozen=True)
class Link:
    """Where a choice leads: a screen or an effect, by reference, and what it is told.

    `under`, where it is given, replaces the screens that `0` leads back through.
    """

    to: "Screen | Effect"
    args: Mapping[str, Any]
    under: Sequence[list[Any]] | None = None


@dataclass(frozen=True)
class Choice:
    """A line of a menu. `digit` is given where numbers have to stay when others come or go."""

    label: str
    link: Link
    digit: str | None = None


@dataclass(frozen=True)
class Menu:
    """A text with numbered choices.

    `live` ones come of rows that move, so the same number may mean something else tomorrow. From an
    `idle` one the caller may go without losing anything: a redial does not lead back to it. A
    `refusing` one says no to the answer before it.
    """

    text: str
    choices: Sequence[Choice]
    live: bool = False
    idle: bool = False
    refusing: bool = False


@dataclass(frozen=True)
class Ask:
    """A question. `read` makes a value of the answer, and `then` gets it as the argument `keep`.

    Without `keep` the value is handed to `then` as the proof of this one hop and kept nowhere.
    `given` is what `read` has to know beside the answer.
    A `secret` (PIN, code) is never walked past nor resumed past; what is `private` is only masked.
    A `sum` is an amount, and a PIN that was typed in its place, and refused, is kept nowhere.
    A `free` answer may hold anything, a `*` too. `keys` are choices beside the answer, such as
    `01 Send again`: a leading zero is no amount and no code.
    """

    text: str
    then: Link
    read: "Reader"
    keep: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    secret: bool = False
    private: bool = False
    sum: bool = False
    free: bool = False
    keys: Sequence[Choice] = ()


@dataclass(frozen=True)
class End:
    """The last word of a call."""

    text: str


Page: TypeAlias = Menu | Ask | End
Screen: TypeAlias = Callable[[Visit], Page | Link]
Reader: TypeAlias = Callable[[Answer], Any]
Act: TypeAlias = Callable[[Visit], Mapping[str, Any] | Refused]
Then: TypeAlias = Callable[[Recalled], Link | None]


@dataclass(frozen=True)
class Effect:
    """The only kind of step that changes anything, at most once per key.

    `then` says where its verdict leads, also when it is recalled later; without one, or where it
    says None, a done effect leads to the entry and a refused one back to where it was asked.
    One that is `kept` by its verb leaves its own row in Postgres; of others the engine leaves one.
    """

    verb: str
    act: Act
    kept: bool
    then: Then


Step: TypeAlias = Screen | Effect | Reader
STEPS: dict[str, Step] = {}
EFFECTS: dict[str, Effect] = {}


def screen(function: Screen) -> Screen:
    """Make a screen known by its name, which is what a call's state holds of it."""
    return _registered(function)  # type: ignore[return-value]


def reader(function: Reader) -> Reader:
    """Make a reader of answers known by its name. One that reads no secret touches nothing."""
    return _registered(function)  # type: ignore[return-value]


def effect(verb: str, *, then: Then | None = None, kept: bool = False) -> Callable[[Act], Effect]:
    """Make an act into an effect. `verb` is how Postgres remembers it."""

    def make(act: Act) -> Effect:
        assert verb not in EFFECTS, f"two effects of one verb: {verb}"
        EFFECTS[verb] = Effect(verb, act, kept, then or _nowhere)
        _registered(EFFECTS[verb])
        return EFFECTS[verb]

    return make


def link(to: Screen | Effect, /, **args: Any) -> Link:
    """A link to a screen or an effect with its arguments."""
    return Link(to, args)


def name_of(step: Step) -> str:
    """The name a step is registered under."""
    function = step.act if isinstance(step, Effect) else step
    return f"{function.__module__}.{function.__qualname__}"


def revived(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same facts with the moments among them as moments."""
    return {
        name: datetime.fromisoformat(fact)
        if isinstance(fact, str) and MOMENT.fullmatch(fact)
        else fact
        for name, fact in facts.items()
    }


def _registered(step: Step) -> Step:
    name = name_of(step)
    assert name not in STEPS, f"two steps of one name: {name}"
    STEPS[name] = step
    return step


def _nowhere(_: Recalled) -> None:
    return None
