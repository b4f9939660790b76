"""The grammar of texts: what a customer typed, to what it means.

A pure function that never raises and never acts. Whoever keeps the text keeps its mask.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.code_claims import CODE as MPESA_CODE
from sms import slips, words
from sms.meanings import (
    Accept,
    AmountUnreadable,
    AutoCashout,
    Balance,
    Cancel,
    Claim,
    Deposit,
    DidYouMean,
    Games,
    Help,
    Join,
    Language,
    Meaning,
    MyBets,
    NotUnderstood,
    Odds,
    Paybill,
    Pin,
    Reset,
    Result,
    Start,
    Statement,
    Status,
    Stop,
    Usage,
    Verify,
    Withdraw,
    Yes,
)
from sms.slips import Reading
from sms.tokens import Span, Token, masked, tokens

GLUED = re.compile(r"([^\W\d_]+)([0-9].*)")  # D100, BET101
CODE = re.compile(r"[0-9]{6}")
CURRENCY = frozenset(("KES", "KSH", "KSHS", "SH", "BOB"))
ON, OFF = frozenset(("ON", "WASHA")), frozenset(("OFF", "ZIMA"))
BIGGEST = frozenset(("TOP", "BIG", "BIGGEST", "KUBWA"))
LANGUAGES = {
    "EN": "en", "ENGLISH": "en", "KIINGEREZA": "en",
    "SW": "sw", "SWA": "sw", "SWAHILI": "sw", "KISWAHILI": "sw",
}  # fmt: skip
WITHDRAWALS = frozenset(("W", "WITHDRAW", "TOA"))
LONGEST_NAME = 100
ALL_SECRET = frozenset(("accept", "verify", "pin", "reset"))  # every digit of these texts
HOLD_A_PIN = ALL_SECRET | {"withdraw", "auto", "smspin", "exclude", "buy", "yes", "claim"}
MISFITS = Usage | DidYouMean | NotUnderstood | AmountUnreadable

Arguments = Sequence[Token]


@dataclass(frozen=True)
class Text:
    """A text understood: its meaning, its mask, and the language of its keyword if it shows one."""

    meaning: Meaning
    masked: str
    all_masked: str  # for when a PIN in it was wrong: perhaps it stood where an amount belongs
    lang: str | None = None


def parse(text: str) -> Text:
    """What `text` means. Never raises, whatever is typed."""
    reading, command, lang = _read(_without_currency(tokens(text)), text)
    if isinstance(reading.meaning, MISFITS) and "," in text:
        # Perhaps the comma was that of 1,000; where both readings make sense it parts.
        other = _read(_without_currency(tokens(text, grouped=True)), text)
        if not isinstance(other[0].meaning, MISFITS):
            reading, command, lang = other
    risky = HOLD_A_PIN if isinstance(reading.meaning, MISFITS) else ALL_SECRET
    return Text(
        reading.meaning,
        masked=masked(text, reading.shown, strictly=command in risky),
        all_masked=masked(text, strictly=command in HOLD_A_PIN),
        lang=lang,
    )


def _read(parts: list[Token], text: str) -> tuple[Reading, str | None, str | None]:
    """The reading of the tokens, the command they begin with and the language of its keyword."""
    if not parts:
        return Reading(NotUnderstood()), None, None
    first, *rest = _unglued(parts)
    if first.word[0].isdecimal():
        return _number(first, rest), None, None
    command = words.COMMAND_OF.get(first.word)
    if command is None:
        nearest = words.near(first.word)
        meaning = DidYouMean(nearest) if nearest else NotUnderstood()
        return Reading(meaning), _begun(nearest), None
    lang = "sw" if first.word in words.KISWAHILI else None
    return _command(command, rest, text[first.end :]), command, lang


def _number(first: Token, rest: Arguments) -> Reading:
    """A text that begins with digits: a one-time code, a game to look at, or bets."""
    if not rest and CODE.fullmatch(first.word):
        return Reading(Verify(first.word))
    if not rest and slips.CODE.fullmatch(first.word):
        # Not shown when kept: a lone 4821 may as well be a PIN sent on its own.
        return Reading(Odds(int(first.word)))
    return slips.read([first, *rest])


def _command(command: str, rest: Arguments, tail: str) -> Reading:
    if command in words.NOT_YET:
        return Reading(Help(None))
    if command in ("bet", "bets"):
        return _bets(command, rest)
    if command == "join":
        return Reading(Join(_name(tail)))
    if command in WITH_ARGUMENTS:
        return WITH_ARGUMENTS[command](rest) or Reading(Usage(command))
    return Reading(ALONE[command]())


def _bets(command: str, rest: Arguments) -> Reading:
    mine = [token.word for token in rest] in (["ZANGU"], ["YANGU"])
    if command == "bets" or mine:
        return Reading(MyBets())
    return slips.read(rest) if rest else Reading(Usage("bet"))


def _deposit(rest: Arguments) -> Reading | None:
    if len(rest) != 1:
        return None
    amount = slips.readable(rest[0].word)
    if amount is None:
        return Reading(AmountUnreadable())
    return Reading(Deposit(amount), (_span(rest[0]),))


def _withdraw(rest: Arguments) -> Reading | None:
    if not 1 <= len(rest) <= 2:
        return None
    pin = rest[1].word if len(rest) == 2 else None
    if pin and not slips.PIN.fullmatch(pin):
        return None
    amount = slips.readable(rest[0].word)
    if amount is None:
        return Reading(AmountUnreadable())
    # Alone it may be the PIN of somebody who forgot the amount, so it is not shown.
    return Reading(Withdraw(amount, pin), (_span(rest[0]),) if pin else ())


def _accept(rest: Arguments) -> Reading | None:
    digits = "".join(letter for token in rest for letter in token.word if letter.isdecimal())
    return Reading(Accept(digits)) if digits else None


def _verify(rest: Arguments) -> Reading | None:
    code = "".join(token.word for token in rest)
    return Reading(Verify(code)) if CODE.fullmatch(code) else None


def _status(rest: Arguments) -> Reading:
    word = rest[0].word if rest else None
    return Reading(Status(None, payout=True) if word in WITHDRAWALS else Status(word))


def _claim(rest: Arguments) -> Reading | None:
    code = "".join(token.word for token in rest)
    if not MPESA_CODE.fullmatch(code):
        return None
    return Reading(Claim(code), tuple(_span(token) for token in rest))


def _yes(rest: Arguments) -> Reading | None:
    return None if rest else Reading(Yes())


def _games(rest: Arguments) -> Reading:
    named = [token.word for token in rest if token.word not in BIGGEST]
    return Reading(Games(" ".join(named) or None, biggest=len(named) < len(rest)))


def _odds(rest: Arguments) -> Reading | None:
    return _one_game(rest, Odds)


def _result(rest: Arguments) -> Reading | None:
    return _one_game(rest, Result)


def _one_game(rest: Arguments, meaning: Callable[[int], Meaning]) -> Reading | None:
    if not rest or not slips.CODE.fullmatch(rest[0].word):
        return None
    return Reading(meaning(int(rest[0].word)), (_span(rest[0]),))


def _pin(rest: Arguments) -> Reading | None:
    pins = [token.word for token in rest]
    if len(pins) != 2 or not all(slips.PIN.fullmatch(pin) for pin in pins):
        return None
    return Reading(Pin(*pins))


def _reset(rest: Arguments) -> Reading | None:
    typed = [token.word for token in rest]
    if not typed:
        return Reading(Reset())
    if len(typed) < 3 or not CODE.fullmatch(typed[0]) or not slips.PIN.fullmatch(typed[1]):
        return None
    return Reading(Reset(typed[0], typed[1], " ".join(typed[2:])))


def _language(rest: Arguments) -> Reading | None:
    lang = LANGUAGES.get(rest[0].word) if rest else None
    return Reading(Language(lang)) if lang else None


def _auto(rest: Arguments) -> Reading | None:
    if not 1 <= len(rest) <= 2 or rest[0].word not in ON | OFF:
        return None
    pin = rest[1].word if len(rest) == 2 else None
    if pin and not slips.PIN.fullmatch(pin):
        return None
    return Reading(AutoCashout(rest[0].word in ON, pin))


def _stop(rest: Arguments) -> Reading:
    # `TOKA 500 1234` is a withdrawal (TOA) with a slip of the thumb, not a goodbye.
    sums = any(token.word[0].isdecimal() for token in rest)
    return Reading(DidYouMean(("TOA", "STOP")) if sums else Stop())


def _help(rest: Arguments) -> Reading:
    command = words.COMMAND_OF.get(rest[0].word) if rest else None
    return Reading(Help(None if command in words.NOT_YET else command))


WITH_ARGUMENTS: dict[str, Callable[[Arguments], Reading | None]] = {
    "accept": _accept,
    "verify": _verify,
    "deposit": _deposit,
    "withdraw": _withdraw,
    "status": _status,
    "claim": _claim,
    "yes": _yes,
    "games": _games,
    "odds": _odds,
    "result": _result,
    "pin": _pin,
    "reset": _reset,
    "lang": _language,
    "auto": _auto,
    "stop": _stop,
    "help": _help,
}
ALONE: dict[str, Callable[[], Meaning]] = {
    "balance": Balance,
    "statement": Statement,
    "paybill": Paybill,
    "start": Start,
    "cancel": Cancel,
}


def _name(tail: str) -> str:
    """What follows JOIN, as it was typed: a name is no place for capitals and tokens."""
    return " ".join(tail.strip(" \t\r\n#,.:-").split())[:LONGEST_NAME]


def _unglued(parts: list[Token]) -> list[Token]:
    """`D100` as `D 100`, where the letters are a keyword."""
    first = parts[0]
    glued = GLUED.fullmatch(first.word)
    if not glued or glued[1] not in words.COMMAND_OF or first.word in words.COMMAND_OF:
        return parts
    middle = first.end - len(glued[2])
    return [
        Token(glued[1], first.start, middle, first.fielded),
        Token(glued[2], middle, first.end),
        *parts[1:],
    ]


def _without_currency(parts: list[Token]) -> list[Token]:
    return [token for token in parts if token.word not in CURRENCY]


def _begun(nearest: tuple[str, ...]) -> str | None:
    """The command a near-miss was probably meant as, if a PIN may stand in it."""
    commands = {words.COMMAND_OF[word] for word in nearest}
    return next(iter(commands & HOLD_A_PIN), None)


def _span(token: Token) -> Span:
    return token.start, token.end
