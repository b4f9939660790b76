"""The keywords of the grammar in both languages, and what a near-miss may have meant."""

from collections.abc import Mapping

Words = tuple[tuple[str, ...], tuple[str, ...]]  # English, Kiswahili

OPEN: Mapping[str, Words] = {
    "join": (("JOIN", "REGISTER", "SIGNUP"), ("JIUNGE", "SAJILI")),
    "accept": (("ACCEPT",), ("KUBALI", "NAKUBALI")),
    "verify": (("VERIFY",), ("THIBITISHA",)),
    "balance": (("BAL", "BALANCE"), ("SALIO",)),
    "deposit": (("DEP", "DEPOSIT", "D"), ("WEKA",)),
    "withdraw": (("WITHDRAW", "W"), ("TOA",)),
    "status": (("STATUS",), ("HALI",)),
    "paybill": (("PAYBILL",), ("LIPA",)),
    "claim": (("CLAIM",), ("DAI",)),
    "yes": (("YES",), ("NDIO", "NDIYO")),
    "games": (("GAMES", "GAME"), ("MECHI", "MICHEZO")),
    "odds": (("ODDS",), ("BEI",)),
    "bet": (("BET",), ("BETI",)),
    "bets": (("BETS", "MYBETS"), ("ZANGU",)),
    "statement": (("STATEMENT",), ("TAARIFA",)),
    "result": (("RESULT", "RESULTS"), ("MATOKEO",)),
    "pin": (("PIN",), ()),
    "reset": (("RESET",), ()),
    "lang": (("LANG", "LANGUAGE"), ("LUGHA",)),
    "auto": (("AUTO",), ()),
    "stop": (("STOP",), ("ONDOKA", "TOKA")),
    "start": (("START",), ("ANZA",)),
    "cancel": (("CANCEL",), ("FUTA",)),
    "help": (("HELP",), ("MSAADA",)),
}
# Known words of things that are not open yet: recognised, so that nobody is asked what they meant.
NOT_YET: Mapping[str, Words] = {
    "tips": (("TIPS", "TIP"), ("VIDOKEZO",)),
    "buy": (("BUY",), ("NUNUA",)),
    "sell": (("SELL",), ()),
    "news": (("NEWS",), ()),
    "smspin": (("SMSPIN",), ()),
    "complain": (("COMPLAIN",), ("LALAMIKO",)),
    "limit": (("LIMIT",), ()),
    "break": (("BREAK",), ("PUMZIKA",)),
    "exclude": (("EXCLUDE",), ("JIZUIE",)),
}
KEYWORDS = {**OPEN, **NOT_YET}
COMMAND_OF = {w: command for command, both in KEYWORDS.items() for words in both for w in words}
KISWAHILI = frozenset(word for _, words in KEYWORDS.values() for word in words)

SHORTEST_NEAR = 3  # letters: everything is one edit from `D` and `W`
MOST_SUGGESTED = 2


def near(word: str) -> tuple[str, ...]:
    """The keywords that `word` may have meant: one edit away, or what it begins; () if unclear."""
    if len(word) < SHORTEST_NEAR:
        return ()
    best: dict[str, str] = {}  # command -> keyword, so that DEP and DEPOSIT count as one
    for keyword, command in COMMAND_OF.items():
        if command in OPEN and len(keyword) >= SHORTEST_NEAR and _close(word, keyword):
            best.setdefault(command, keyword)
    return tuple(best.values()) if len(best) <= MOST_SUGGESTED else ()


def _close(word: str, keyword: str) -> bool:
    return keyword.startswith(word) or _one_edit(word, keyword)


def _one_edit(word: str, keyword: str) -> bool:
    """One letter more, less, other, or two neighbours swapped."""
    if abs(len(word) - len(keyword)) > 1:
        return False
    same = next(
        (i for i, (a, b) in enumerate(zip(word, keyword, strict=False)) if a != b),
        min(len(word), len(keyword)),
    )
    rest, wanted = word[same:], keyword[same:]
    swapped = len(rest) > 1 and rest[1] + rest[0] + rest[2:] == wanted
    return swapped or rest[1:] == wanted[1:] or rest[1:] == wanted or rest == wanted[1:]
