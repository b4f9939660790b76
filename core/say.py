"""Every sentence a customer reads: named by a key, kept in catalogues, in two languages."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

from babel.messages.pofile import read_po

from core import gsm7, money

languages = ("en", "sw")
LOCALE = Path(__file__).parent / "locale"
NAIROBI = ZoneInfo("Africa/Nairobi")


def say(key: str, lang: str, /, **facts: Any) -> str:
    """The sentence `domain.name` in `lang`, its placeholders filled with `facts`.

    Facts are brought into GSM-7, because names come from people. A key that a language lacks and
    a fact that a sentence lacks are bugs, and are named.
    """
    sentence = sentences(lang).get(key)
    assert sentence is not None, f"no sentence {key!r} in {lang!r}: add it to core/locale/{lang}/"
    try:
        return PEN.vformat(sentence, (), facts)
    except KeyError as missing:
        raise AssertionError(f"sentence {key!r} in {lang!r} needs the fact {missing}") from missing


def keys() -> frozenset[str]:
    """Every key there is, in either language."""
    return frozenset().union(*(sentences(lang) for lang in languages))


def placeholders(key: str, lang: str) -> frozenset[str]:
    """The facts a sentence asks for."""
    parsed = PEN.parse(sentences(lang)[key])
    return frozenset(name for _, name, _, _ in parsed if name is not None)


@cache
def sentences(lang: str) -> Mapping[str, str]:
    """All sentences of one language by key; an untranslated entry is no sentence."""
    assert lang in languages, f"no language {lang!r}"
    found: dict[str, str] = {}
    for path in sorted((LOCALE / lang).glob("*.po")):
        with path.open("rb") as file:
            catalogue = read_po(file, locale=lang, abort_invalid=True)
        for message in catalogue:
            if message.id and message.string and not message.fuzzy:
                found[f"{path.stem}.{message.id}"] = str(message.string)
    return found


class Pen(Formatter):
    """`{amount:kes}`: a Formatter that knows the formats of a Kenyan betting house and no other."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, str]:
        assert not field_name.isdigit(), "placeholders have names: {amount}, not {} or {0}"
        assert field_name.isidentifier(), f"a placeholder is a plain name, not {field_name!r}"
        return kwargs[field_name], field_name

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        assert conversion is None, "a placeholder is a plain name, without !r or !s"
        return value

    def format_field(self, value: Any, format_spec: str) -> str:
        assert format_spec in WAYS, f"no format {format_spec!r}: there are {', '.join(WAYS)}"
        return gsm7.fold(WAYS[format_spec](value))


def _nairobi(pattern: str) -> Callable[[datetime], str]:
    def write(moment: datetime) -> str:
        assert moment.tzinfo is not None, f"a moment without its zone: {moment}"
        return moment.astimezone(NAIROBI).strftime(pattern)

    return write


WAYS: Mapping[str, Callable[[Any], str]] = {
    "": str,
    "kes": lambda cents: f"KES {money.show(cents)}",
    "num": money.show,
    "when": _nairobi("%d/%m %H:%M"),
    "clock": _nairobi("%H:%M"),
    "date": _nairobi("%d/%m"),
    "day": _nairobi("%d/%m/%Y"),
}
PEN = Pen()
