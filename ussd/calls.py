"""A call: what the engine remembers of one USSD session from hop to hop, as a small JSON value."""

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self, TypeAlias

from core import keys
from ussd.visit import STEPS, Effect, Link, name_of

Place: TypeAlias = list[Any]
"""`[screen, args]`: a screen by its registered name, and what it was told."""

DEEPEST = 30  # screens one can go back through; whoever goes deeper goes back to the entry sooner


@dataclass(frozen=True)
class Hop:
    """One request of the aggregator. `text` holds all that was typed in the session, PINs too."""

    session: str
    code: str
    phone: str
    network: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class Reply:
    """What the handset shows; with `more` the caller may answer."""

    more: bool
    text: str


@dataclass
class Shown:
    """What is on display, so that an answer means what the caller saw when it was given.

    `targets` holds, by digit, the name and arguments of a step, and the key if it is an effect.
    `ask` holds the names and arguments a question's answer needs.
    """

    head: str = ""
    note: str = ""  # what was wrong with the last answer
    lines: list[str] = field(default_factory=list)
    targets: dict[str, list[Any]] = field(default_factory=dict)
    ask: dict[str, Any] | None = None
    ends: bool = False
    live: bool = False
    idle: bool = False
    page: int = 0
    pages: int = 1


@dataclass
class Call:
    """The state of one session. It holds neither the text typed nor anything secret in it."""

    id: str
    phone: str
    code: str
    started: float
    at: float = 0.0
    hop: int = 0
    seen: int = -1  # the length of the text so far; none yet
    digest: str = ""  # of that text, keyed
    lang: str = "en"
    customer: int | None = None
    stack: list[Place] = field(default_factory=list)
    shown: Shown = field(default_factory=Shown)
    more: bool = True
    reply: str = ""
    guard: int | None = None  # where in the stack a secret was asked; a redial stops there
    left: bool = False  # another call, or another phone, has taken its place
    trail: str = ""  # what was typed, masked
    veiled: bool = False  # what is on display may repeat a PIN, so no transcript shows its digits

    def dumps(self) -> str:
        """The state as Redis and Postgres keep it."""
        return json.dumps(vars(self) | {"shown": vars(self.shown)}, default=_moment)

    @classmethod
    def loads(cls, state: str | bytes) -> Self | None:
        """The call of such a state; None if another version of the house wrote it.

        Such a call is as good as lost, and a lost call is found again by its text.
        """
        fields = json.loads(state)
        try:
            call = cls(**fields | {"shown": Shown(**fields["shown"])})
        except TypeError:
            return None
        return call if call.names() <= STEPS.keys() else None

    def names(self) -> set[str]:
        """Of all the steps this call may take."""
        steps = [*self.stack, *self.shown.targets.values()]
        asked = self.shown.ask or {}
        own = [asked["read"], asked["then"][0]] if asked else []
        return {name for name, *_ in steps} | set(own)

    def typed(self, hop: Hop, secret: bytes) -> str | None:
        """What was typed since the last hop; None if the text does not go on from there.

        It may hold a `*`, so it is what follows the known text and not what follows the last `*`.
        """
        if self.seen < 0 or len(hop.text) <= self.seen:
            return None
        if digest(secret, hop.session, hop.text[: self.seen]) != self.digest:
            return None
        if self.seen == 0:
            return hop.text
        return hop.text[self.seen + 1 :] if hop.text[self.seen] == "*" else None

    def push(self, step: Link) -> None:
        """Go on to a screen."""
        self.stack.append(placed(step))
        if len(self.stack) > DEEPEST:
            del self.stack[1]
            self.guard = self.guard and max(self.guard - 1, 1)

    def back(self) -> Place:
        """Leave the screen on display; the one before it, which is to be shown again."""
        del self.stack[-1]
        if self.guard is not None and len(self.stack) <= self.guard + 1:
            self.guard = None  # the caller is where the secret is asked, or before
        return self.stack.pop()

    def restart(self) -> None:
        """Forget where the caller was."""
        self.stack = []
        self.guard = None


def placed(step: Link) -> Place:
    """A link to a screen as the state holds it."""
    return [name_of(step.to), dict(step.args)]


def target(step: Link, key: uuid.UUID | None) -> list[Any]:
    """A link as the options on display hold it; only an effect needs a key."""
    return [*placed(step), str(key) if key and isinstance(step.to, Effect) else None]


def decision(secret: bytes, session: str, text: str) -> uuid.UUID:
    """The key of the decision that was taken with the last part of this text."""
    return keys.derive(secret, "ussd", session, text)


def digest(secret: bytes, session: str, text: str) -> str:
    """What the state holds in place of a text: keyed, since four digits are guessed in no time."""
    return decision(secret, session, text).hex


def continued(text: str, piece: str) -> str:
    """The text of the hop in which `piece` is typed after `text`."""
    return f"{text}*{piece}" if text else piece


def _moment(fact: Any) -> str:
    assert isinstance(fact, datetime), f"a call's state cannot hold {type(fact).__name__}"
    return fact.isoformat()
