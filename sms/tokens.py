"""A text cut into tokens that remember where they stood, and its mask for keeping."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from core import gsm7

# Between tokens `#`, comma, space and newline are alike.
TOKEN = re.compile(r"[^\s#,]+")
GROUPED = re.compile(r"(?<![\d,])\d{1,3}(?:,\d{3})+(?![\d,])")  # 1,000
GROUPED_TOKEN = re.compile(rf"{GROUPED.pattern}|{TOKEN.pattern}")
FIELDS = frozenset("#,\n")
AROUND_WORDS = ".;:!?\"'()[]<>`"
LONGEST = 700  # characters kept of a text; four and a half segments

# Four digits or more, also as a person writes them who spells them out: 4 8 2 1, 4-8-2-1.
SECRET = re.compile(r"\d{4,}|(?<!\d)\d(?:[ .,*#/-]\d){3,}(?!\d)")
ANY_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Token:
    """One word of a text in capitals and western digits, and where it stood."""

    word: str
    start: int
    end: int
    fielded: bool = False  # a `#`, comma or new line stands before it, not merely a space


Span = tuple[int, int]


def tokens(text: str, *, grouped: bool = False) -> list[Token]:
    """The tokens of a text; with `grouped`, the comma of 1,000 parts nothing."""
    found = (GROUPED_TOKEN if grouped else TOKEN).finditer(text)
    cut: list[Token] = []
    for match in found:
        before = text[cut[-1].end if cut else 0 : match.start()]
        word = gsm7.western(match[0]).upper().strip(AROUND_WORDS)
        if word:
            fielded = not FIELDS.isdisjoint(before)
            cut.append(Token(word, match.start(), match.end(), fielded))
    return cut


def masked(text: str, shown: Iterable[Span] = (), *, strictly: bool = False) -> str:
    """The text as it may be kept: whatever could be a PIN or a code is stars.

    Only digits inside the `shown` spans, which are amounts and game codes of a text that was
    understood, stay. `strictly` hides every other digit, for texts in which a PIN belongs.
    """
    kept = list(shown)
    pattern = ANY_DIGITS if strictly else SECRET

    def hide(match: re.Match[str]) -> str:
        return "".join(
            "*" if letter.isdecimal() and not _inside(match.start() + offset, kept) else letter
            for offset, letter in enumerate(match[0])
        )

    return _storable(pattern.sub(hide, text)[:LONGEST])


def _inside(position: int, spans: Iterable[Span]) -> bool:
    return any(start <= position < end for start, end in spans)


def _storable(text: str) -> str:
    """Without what Postgres cannot keep: NUL and halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "")
