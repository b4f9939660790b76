"""Every sentence the house can say exists in both languages, and none is said by nobody."""

import ast
import re
from collections.abc import Iterator
from functools import cache

from core import say
from tests.house import tree

DOMAINS = "|".join(sorted({path.stem for path in say.LOCALE.glob("*/*.po")}))
KEY = re.compile(rf"(?:{DOMAINS})\.[a-z0-9_]+")
START = re.compile(rf"(?:{DOMAINS})\.[a-z0-9_]*")  # of a key that is completed at run time
QUOTED = re.compile(rf"'({KEY.pattern})'")


@cache
def used() -> dict[str, str]:
    """Keys in the code, and where; those that end in `*` are completed at run time."""
    found: dict[str, str] = {}
    for path in tree.house():
        found |= dict.fromkeys(_in_python(tree.parsed(path)), tree.name(path))
    for path in tree.files(".sql"):
        found |= {match[1]: tree.name(path) for match in QUOTED.finditer(path.read_text())}
    return found


def _in_python(module: ast.Module) -> Iterator[str]:
    parts: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ForeignKey":
            parts |= {id(part) for part in node.args}  # a column is no sentence
        elif isinstance(node, ast.JoinedStr):  # which `walk` meets before its parts
            parts |= {id(part) for part in node.values}
            start = node.values[0]
            if isinstance(start, ast.Constant) and START.fullmatch(str(start.value)):
                yield str(start.value) + "*"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if KEY.fullmatch(node.value) and id(node) not in parts:
                yield node.value
            yield from (match[1] for match in QUOTED.finditer(node.value))


def test_every_sentence_used_exists() -> None:
    missing = {
        key: where for key, where in used().items()
        if not key.endswith("*") and key not in say.keys()  # noqa: SIM118
    }  # fmt: skip
    assert not missing, f"add them to core/locale/en and core/locale/sw: {missing}"


def test_every_sentence_is_used() -> None:
    prefixes = tuple(key[:-1] for key in used() if key.endswith("*"))
    idle = sorted(
        key for key in say.keys()  # noqa: SIM118
        if key not in used() and not (prefixes and key.startswith(prefixes))
    )  # fmt: skip
    assert not idle, f"nobody says these; remove them from both catalogues: {idle}"


def test_both_languages_say_the_same() -> None:
    for key in sorted(say.keys()):
        for lang in say.languages:
            assert key in say.sentences(lang), f"{key} is missing in core/locale/{lang}"
        english, swahili = (say.placeholders(key, lang) for lang in ("en", "sw"))
        assert english == swahili, f"{key}: give both languages the same facts"
