"""What an answer means on the screen that was shown, before any transaction is opened."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from core.errors import Refusal
from ussd.calls import Call, Place
from ussd.transcripts import HIDDEN, SECRET_LIKE, TYPED_LONGEST, masked

BACK, HOME, MORE = "0", "00", "98"


@dataclass(frozen=True)
class Go:
    """On to a step. `past` says that a secret opened the way."""

    place: Place
    key: uuid.UUID | None
    proof: Any = field(default=None, repr=False)
    past: bool = False


@dataclass(frozen=True)
class Back:
    """To the screen before."""


@dataclass(frozen=True)
class Home:
    """To the entry."""


@dataclass(frozen=True)
class Leaf:
    """To another page of the same screen."""

    page: int


@dataclass(frozen=True)
class Again:
    """The same screen once more, with what was wrong."""

    reason: str
    facts: dict[str, Any] = field(default_factory=dict)


Move: TypeAlias = Go | Back | Home | Leaf | Again
Read: TypeAlias = Callable[[dict[str, Any], str], Any]
"""Reads an answer to the question on display; raises Refusal."""


@dataclass(frozen=True)
class Meant:
    """A move, and what a transcript may say of the answer that asked for it.

    A `doubtful` answer was given as an amount, and may be a PIN.
    """

    move: Move
    masked: str
    doubtful: bool = False


def meant(call: Call, typed: str, *, key: uuid.UUID, read: Read) -> Meant:
    """The move that `typed` asks for. `key` is of this answer, should it be a decision."""
    word = plain(typed)
    steered = _steering(call, word)
    if steered:
        return Meant(steered, word)
    if word in call.shown.targets:
        name, args, own_key = call.shown.targets[word]
        return Meant(Go([name, args], own_key and uuid.UUID(own_key)), word)
    if call.shown.ask is None:
        return Meant(Again("ussd.wrong_choice"), masked(word))
    answer = typed.strip() if call.shown.ask["free"] else word
    return _answered(call.shown.ask, answer, key, read)


def plain(typed: str) -> str:
    """A digit as it was meant: some handsets let people end it with `#`."""
    return typed.strip().removesuffix("#").rstrip()


def _steering(call: Call, word: str) -> Move | None:
    """The keys of navigation work where their words are on the screen."""
    shown = call.shown
    if word == MORE and shown.page + 1 < shown.pages:
        return Leaf(shown.page + 1)
    if word == BACK and shown.page > 0:
        return Leaf(shown.page - 1)
    if len(call.stack) < 2 or shown.ends:
        return None
    if word == BACK:
        return Back()
    return Home() if word == HOME else None


def _answered(ask: dict[str, Any], typed: str, key: uuid.UUID, read: Read) -> Meant:
    hidden = HIDDEN if ask["secret"] or ask["private"] else None
    doubtful = ask["sum"] and SECRET_LIKE.search(typed) is not None
    try:
        value = read(ask, typed)
    except Refusal as refusal:
        return Meant(Again(refusal.reason, refusal.facts), hidden or masked(typed), doubtful)
    name, args = ask["then"]
    if ask["keep"]:
        move = Go([name, {**args, ask["keep"]: value}], key, past=ask["secret"])
    else:
        move = Go([name, args], key, proof=value, past=ask["secret"])
    return Meant(move, hidden or typed[:TYPED_LONGEST], doubtful)
