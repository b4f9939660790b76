"""What a question, a pick or a category may not say, since thousands of strangers will read it."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from core import gsm7
from core.errors import Refusal

QUESTION_LONGEST = 60  # septets: with its outcomes and the navigation it must fit one screen
NAME_LONGEST = 20  # septets of an outcome's name
OUTCOMES = range(2, 9)

LIST = Path(__file__).with_name("unfit_words.txt")
SWAPS = str.maketrans("013457@$!ø", "oieastasio")  # what stands in for a letter
WORD = re.compile(r"[a-z0-9@$!ø]+")
HYPHENED = re.compile(r"[a-z0-9@$!ø]+(?:[._*'-][a-z0-9@$!ø]+)+")
SPELLED_OUT = 3  # single letters in a row are a word that somebody spells
ANYWHERE_FROM = 4  # letters: in letters spelled out, `ass` alone would find too much

PARTNERS = ("mpesa", "safaricom", "airtel", "telkom", "africastalking", "fuliza", "mshwari")
PARTNER_WORDS = 4  # of a name at most, as people part it: Africa ' s Talking, M - PESA

GAP = r"[\s.()-]{0,2}"
PHONE = re.compile(
    rf"(?<!\d)(?:(?:\+|00)?{GAP}254|0)?{GAP}[17](?:{GAP}\d){{8}}(?!\d)"  # as Kenya writes it
    rf"|\+\d(?:{GAP}\d){{7,}}|\d{{9,}}"  # of another country, or no number for people
    r"|\*\d{2,}(?:\*\d+)*#"  # what one dials
)
NOUGHT = re.compile(r"(?<=\d)o|o(?=\d)")  # O712 345 678
ENDINGS = (
    "com|co|ke|net|org|info|biz|me|tv|africa|bet|io|ly|gg|xyz|app|link|site|online|club|live|vip"
)
LINK = re.compile(
    rf"https?:|\bwww\.|[\w-]{{2,}}\.(?:{ENDINGS})\b|\b[tm]\.me\b|\S+@\S+\.\S"
    r"|\bdot\s?(?:com|co|ke|net|org)\b"
)


def tidy(text: str) -> str:
    """The text on one line in the alphabet of phones, without spaces to spare."""
    return gsm7.fold(" ".join(text.split()))


def faults(question: str, outcomes: Sequence[str]) -> Iterator[Refusal]:
    """Everything against a question and its outcomes' names, as they were typed."""
    if not 0 < gsm7.septets(tidy(question)) <= QUESTION_LONGEST:
        yield Refusal("staff.question_length", longest=QUESTION_LONGEST)
    yield from unfit(question)
    names = [tidy(name) for name in outcomes]
    # Compared as a text message names them: there `Over 2.5` and `over 25` are one.
    if len(names) not in OUTCOMES or len({_named(name) for name in names}) != len(names):
        yield Refusal("staff.outcomes_number")
    for name, typed in zip(names, outcomes, strict=True):
        if not 0 < gsm7.septets(name) <= NAME_LONGEST:
            yield Refusal("staff.outcome_length", longest=NAME_LONGEST)
        yield from unfit(typed)
    yield from _misleading(names)


def unfit(text: str) -> Iterator[Refusal]:
    """Everything against showing a text to customers but its length."""
    shown = tidy(text)
    if shown.count(gsm7.UNKNOWN) > text.count(gsm7.UNKNOWN):
        yield Refusal("staff.words_foreign", text=shown)
    plain = _plain(text)
    if PHONE.search(NOUGHT.sub("0", plain)):
        yield Refusal("staff.words_phone", text=shown)
    if LINK.search(plain):
        yield Refusal("staff.words_link", text=shown)
    if _names_a_partner(plain):
        yield Refusal("staff.words_partner", text=shown)
    if _is_profane(plain):
        yield Refusal("staff.words_profane", text=shown)


def _misleading(names: Sequence[str]) -> Iterator[Refusal]:
    """A pick called 2 that is not the second: whoever types 2 by SMS would get the wrong one."""
    called = [_named(name) for name in names]
    if called in (["1", "X", "2"], ["1", "DRAW", "2"]):
        return
    for number, name in enumerate(called, start=1):
        if name in {str(other) for other in OUTCOMES} | {"1"} and name != str(number):
            yield Refusal("staff.outcome_misleading", name=name, number=number)


def _named(name: str) -> str:
    """Only letters and digits, in capitals."""
    return "".join(letter for letter in name.upper() if letter.isalnum())


def _plain(text: str) -> str:
    """Small letters without their accents."""
    apart = unicodedata.normalize("NFKD", gsm7.western(text)).lower()
    return " ".join("".join(c for c in apart if not unicodedata.combining(c)).split())


def _names_a_partner(plain: str) -> bool:
    words = [word.translate(SWAPS) for word in WORD.findall(plain)]
    words += _spelled_out(plain)
    if any(partner in word for word in words for partner in PARTNERS):
        return True
    return any(
        "".join(words[first : first + count]) in PARTNERS
        for first in range(len(words))
        for count in range(2, PARTNER_WORDS + 1)
    )


def _is_profane(plain: str) -> bool:
    whole, anywhere = _patterns()
    if any(whole.fullmatch(suspect) for suspect in _suspects(plain)):
        return True
    return any(anywhere.search(word) or whole.fullmatch(word) for word in _spelled_out(plain))


def _suspects(plain: str) -> Iterator[str]:
    """Every word, as it may be meant: letters for digits, without digits and hyphens in it."""
    words = WORD.findall(plain)
    words += ["".join(WORD.findall(parts)) for parts in HYPHENED.findall(plain)]
    for word in words:
        bare = word.strip("!")
        if any(letter.isalpha() for letter in bare):  # 455 is a number and nothing else
            yield bare.translate(SWAPS)
            yield bare.strip("0123456789").translate(SWAPS)


def _spelled_out(plain: str) -> Iterator[str]:
    """Words of which every letter stands alone: `f u c k`, `f.u.c.k`."""
    letters = groupby(WORD.findall(plain), key=lambda word: len(set(word)) == 1)
    for alone, run in letters:
        word = list(run)
        if alone and len(word) >= SPELLED_OUT and any(part.isalpha() for part in word):
            yield "".join(word).translate(SWAPS)


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The list as one pattern for whole words, and one for words that may begin anywhere."""
    lines = [line.strip() for line in LIST.read_text().splitlines()]
    listed = [line for line in lines if line and not line.startswith("#")]
    stems = [line.strip("*") for line in listed if len(line.strip("*")) >= ANYWHERE_FROM]
    whole = "|".join(_drawn_out(line) for line in listed)
    return re.compile(whole), re.compile("|".join(map(_drawn_out, stems)))


def _drawn_out(line: str) -> str:
    """A word of the list with any letter said longer; `ass` never with less than its two."""
    parts = []
    for letter, run in groupby(line):
        count = len(list(run))
        parts.append(".*" if letter == "*" else f"{letter}{{{count},}}")
    return "".join(parts)
