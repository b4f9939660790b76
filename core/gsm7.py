"""The alphabet of feature phones: what a text costs in it, and how to bring a text into it."""

import unicodedata

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")  # an escape and a character: two septets each

ONE, PART = 160, 153  # septets of a text alone, and of each part of a longer one
UCS2_ONE, UCS2_PART = 70, 67  # UTF-16 units, once a single character is outside the alphabet

# What Unicode's own decomposition does not bring into the alphabet, by what stands for it.
ALIKE = {
    "'": "\u2018\u2019\u201a\u201b\u02bb\u02bc\u2032\u00b4`",
    '"': "\u201c\u201d\u201e\u2033\u00ab\u00bb",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022",
    " ": "\t",
    ".": "\u00b7",
    "/": "\u00f7\u2044",
    "x": "\u00d7",
    "d": "đð", "D": "ĐÐ", "h": "ħ", "H": "Ħ", "i": "\u0131", "l": "ł", "L": "Ł", "t": "ŧ", "T": "Ŧ",
    "oe": "œ", "OE": "Œ", "th": "þ", "Th": "Þ", "(c)": "©", "(R)": "®", "\n": "\u2028\u2029",
}  # fmt: skip
LIKENESS = {ord(other): plain for plain, others in ALIKE.items() for other in others}
UNKNOWN = "?"


def is_gsm7(text: str) -> bool:
    """Whether every character is in the alphabet or its extension."""
    return all(character in BASIC or character in EXTENDED for character in text)


def septets(text: str) -> int:
    """The length of a text of this alphabet, extension characters counted twice."""
    assert is_gsm7(text), f"not GSM-7: {sorted(set(text) - BASIC - EXTENDED)}"
    return sum(_cost(character) for character in text)


def fits(text: str, limit: int = ONE) -> bool:
    """Whether the text is of this alphabet and at most `limit` septets long."""
    return is_gsm7(text) and septets(text) <= limit


def segments(text: str) -> int:
    """How many SMS the text is billed as; an empty one is still one."""
    if is_gsm7(text):
        costs = [_cost(character) for character in text]
        return 1 if sum(costs) <= ONE else _parts(costs, PART)
    costs = [len(character.encode("utf-16-be", "surrogatepass")) // 2 for character in text]
    return 1 if sum(costs) <= UCS2_ONE else _parts(costs, UCS2_PART)


def fold(text: str) -> str:
    """The nearest text of this alphabet: `Atlético` to `Atlético`, `Fenerbahçe` to `Fenerbahce`.

    What has no likeness becomes `?`, so that a name never vanishes whole.
    """
    return "".join(_fold(character) for character in unicodedata.normalize("NFC", western(text)))


def western(text: str) -> str:
    """The same text with the decimal digits of any script written 0 to 9."""
    return "".join(
        str(unicodedata.decimal(character)) if character.isdecimal() else character
        for character in text
    )


def _cost(character: str) -> int:
    return 2 if character in EXTENDED else 1


def _parts(costs: list[int], room: int) -> int:
    """Parts of `room` each; a character that costs two is never cut in half."""
    parts, used = 1, 0
    for cost in costs:
        if used + cost > room:
            parts, used = parts + 1, 0
        used += cost
    return parts


def _fold(character: str) -> str:
    if is_gsm7(character):
        return character
    plain = unicodedata.normalize("NFKD", character.translate(LIKENESS)).translate(LIKENESS)
    kept = "".join(part for part in plain if is_gsm7(part))
    invisible = unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc")
    return kept or ("" if invisible else UNKNOWN)
