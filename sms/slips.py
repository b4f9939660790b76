"""Bets as Kenyan bettors write them: `101#1#50`, `BET 101 X 50`, `101 1*50`, several on one text.

The whole text is read before anything is placed: this module answers with every bet of it, or with
why it is not bets. A game code has two digits or more and a numbered pick has one, so a combined
bet (`1234#1#2234#2#100`) can never be mistaken for single ones.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core import money, pins
from core.errors import Refusal
from core.money import Cents
from sms.meanings import (
    AmountUnreadable,
    Bets,
    Combined,
    Meaning,
    Slip,
    StakeMissing,
    StakeOrPin,
    Usage,
)
from sms.tokens import Span, Token

CODE = re.compile(r"[0-9]{2,6}")
NUMBERED = re.compile(r"[1-8]")
NAMED = re.compile(r"[^\W\d_][^*]*")  # begins with a letter: X, YES, O2.5
PIN = re.compile(r"[0-9]{4}")
AGAIN = ("AGAIN", "TENA")
PARTS = re.compile(r"[^*+]+|[*+]")  # `1*50` is a pick, a star and a stake
STAR, PLUS, DRAW, NOUGHT = "*", "+", "X", "0"

Pair = tuple[int, str]


@dataclass(frozen=True)
class Reading:
    """What a text of bets means, and which of its digits are no secret."""

    meaning: Meaning
    shown: tuple[Span, ...] = ()


@dataclass
class Reader:
    """Walks the tokens of bets from left to right."""

    tokens: Sequence[Token]
    at: int = 0
    shown: list[Span] = field(default_factory=list)

    def left(self) -> int:
        return len(self.tokens) - self.at

    def ends(self) -> bool:
        return not self.left()

    def code(self) -> int | None:
        """A game code, after BET where the word begins each line."""
        while not self.ends() and self.tokens[self.at].word in ("BET", "BETI", PLUS):
            self.at += 1
        if self.ends() or not CODE.fullmatch(self.tokens[self.at].word):
            return None
        return int(self._take())

    def pick(self) -> str | None:
        """A number, a symbol, or all the words of a name (`GOR MAHIA`)."""
        if self.ends():
            return None
        word = self.tokens[self.at].word
        if NUMBERED.fullmatch(word):
            return self._take()
        if word == NOUGHT and self._starred(self.at + 1):
            self._take()
            return DRAW  # only before a star: elsewhere nought is no pick
        words: list[str] = []
        while not self.ends() and NAMED.fullmatch(self.tokens[self.at].word):
            if words and self.tokens[self.at].fielded:
                break  # a `#` ends the name: what follows it is the stake, readable or not
            words.append(self._take())
        return " ".join(words) or None

    def stake(self) -> Cents | None:
        """An amount, with or without the star that some firms want before it."""
        if self._starred(self.at):
            self.at += 1
        if self.ends():
            return None
        amount = readable(self.tokens[self.at].word)
        if amount is not None:
            self._take()
        return amount

    def one_stake_left(self) -> bool:
        """Whether all that is left is one word, or a star and a word."""
        return self.left() == 1 + self._starred(self.at)

    def may_be_pin(self) -> bool:
        """Whether what is left may as well be a PIN: four digits, no star, and not 1000 or so."""
        word = self.tokens[self.at].word
        return PIN.fullmatch(word) is not None and word not in pins.commonplace()

    def skip(self) -> None:
        """Pass over what stands where an amount belongs."""
        self.at += 1 + self._starred(self.at)

    def _starred(self, at: int) -> bool:
        return at < len(self.tokens) and self.tokens[at].word == STAR

    def _take(self) -> str:
        token = self.tokens[self.at]
        self.shown.append((token.start, token.end))
        self.at += 1
        return token.word


def read(tokens: Sequence[Token]) -> Reading:
    """What a text means that begins with BET or with a game code."""
    parts, again = _without_again(_apart(tokens))
    secret = parts[-1].word if parts and PIN.fullmatch(parts[-1].word) else None
    if slips := _slips(parts):
        return _bets(slips, None, again)
    if secret and (slips := _slips(parts[:-1])):
        return _bets(slips, secret, again)
    return _pairs(parts) or _unreadable(parts) or Reading(Usage("bet"))


def readable(word: str) -> Cents | None:
    """The amount a word says, if it says one; `0150` is no amount, and may be a PIN."""
    if word.startswith(NOUGHT):
        return None
    try:
        return money.read(word)
    except Refusal:
        return None


def _slips(tokens: Sequence[Token]) -> tuple[list[Slip], Reader] | None:
    """Every token as one of code, pick and stake in turn, or nothing."""
    reader, slips = Reader(tokens), list[Slip]()
    while not reader.ends():
        code, pick, stake = reader.code(), reader.pick(), reader.stake()
        if code is None or pick is None or stake is None:
            return None
        slips.append(Slip(code, pick, stake))
    return (slips, reader) if slips else None


def _bets(read: tuple[list[Slip], Reader], pin: str | None, again: bool) -> Reading:
    slips, reader = read
    return Reading(Bets(tuple(slips), pin, again), tuple(reader.shown))


def _pairs(tokens: Sequence[Token]) -> Reading | None:
    """Pairs of code and pick: with one stake at the end a combined bet, without one unfinished."""
    reader, pairs = Reader(tokens), list[Pair]()
    while reader.left():
        code, pick = reader.code(), reader.pick()
        if code is None or pick is None:
            return None
        pairs.append((code, pick))
        if len(pairs) > 1 and reader.one_stake_left():
            if reader.may_be_pin():
                return Reading(StakeOrPin(tuple(pairs)), tuple(reader.shown))
            if stake := reader.stake():
                return Reading(Combined(tuple(pairs), stake), tuple(reader.shown))
            return None
    return Reading(StakeMissing(tuple(pairs)), tuple(reader.shown)) if pairs else None


def _unreadable(tokens: Sequence[Token]) -> Reading | None:
    """Bets in which something else stands where an amount belongs: `101#1#abc`, `101#1#-50`."""
    reader, bets = Reader(tokens), 0
    while reader.left() >= 2:
        code, pick = reader.code(), reader.pick()
        if code is None or pick is None:
            return None
        if reader.stake() is None:
            reader.skip()
        bets += 1
    return Reading(AmountUnreadable()) if bets and reader.left() <= 0 else None


def _apart(tokens: Sequence[Token]) -> list[Token]:
    """The tokens with `*` and `+` standing alone."""
    return [
        replace(token, word=part[0], fielded=token.fielded and part.start() == 0)
        for token in tokens
        for part in PARTS.finditer(token.word)
    ]


def _without_again(tokens: list[Token]) -> tuple[list[Token], bool]:
    kept = [token for token in tokens if token.word not in AGAIN]
    return kept, len(kept) < len(tokens)
