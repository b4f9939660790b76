"""How sentences are found, filled and shown."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from babel.messages.pofile import PoFileError
from hypothesis import given
from hypothesis import strategies as st

from core import gsm7, say
from core.say import PEN

HEADER = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n'
EVENING = datetime(2026, 11, 20, 21, 30, 59, tzinfo=UTC)  # half past midnight in Nairobi


@pytest.fixture
def catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two small languages instead of the house's own."""
    _write(
        tmp_path / "en/betting.po", placed="{stake:kes} on {pick} at {at:clock}", odd="Only here"
    )
    _write(tmp_path / "sw/betting.po", placed="{pick}: {stake:kes} saa {at:clock}", empty="")
    _write(tmp_path / "en/ussd.po", home="Welcome\n1. Bet")
    _write(tmp_path / "sw/ussd.po", home="Karibu\n1. Weka dau")
    monkeypatch.setattr(say, "LOCALE", tmp_path)
    say.sentences.cache_clear()
    yield tmp_path
    say.sentences.cache_clear()


def test_a_sentence_is_said_in_the_customers_language(catalogues: Path) -> None:
    facts = {"stake": 1_000_00, "pick": "Gor", "at": EVENING}
    assert say.say("betting.placed", "en", **facts) == "KES 1,000 on Gor at 00:30"
    assert say.say("betting.placed", "sw", **facts) == "Gor: KES 1,000 saa 00:30"
    assert say.say("ussd.home", "sw") == "Karibu\n1. Weka dau"


def test_facts_nobody_asked_for_are_left_out(catalogues: Path) -> None:
    assert say.say("betting.odd", "en", key=1, lang=2, more=3) == "Only here"


def test_keys_and_placeholders_are_told_for_the_house_tests(catalogues: Path) -> None:
    assert say.keys() == {"betting.placed", "betting.odd", "ussd.home"}
    assert say.placeholders("betting.placed", "en") == {"stake", "pick", "at"}
    assert say.placeholders("ussd.home", "en") == frozenset()


@pytest.mark.parametrize(
    ("key", "lang", "fault"),
    [
        ("betting.odd", "sw", r"no sentence 'betting\.odd' in 'sw'.*core/locale/sw"),
        ("betting.empty", "sw", r"no sentence 'betting\.empty' in 'sw'"),
        ("home", "en", "no sentence 'home' in 'en'"),
        ("betting.", "en", "no sentence"),
        ("ussd.home", "fr", "no language 'fr'"),
        ("betting.placed", "en", r"'betting\.placed' in 'en' needs the fact 'stake'"),
    ],
)
def test_what_is_missing_is_named(catalogues: Path, key: str, lang: str, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        say.say(key, lang)


def test_a_sentence_a_translator_is_unsure_of_is_none(catalogues: Path) -> None:
    (catalogues / "sw/ussd.po").write_text(f'{HEADER}\n#, fuzzy\nmsgid "home"\nmsgstr "Labda"\n')
    with pytest.raises(AssertionError, match="no sentence"):
        say.say("ussd.home", "sw")


def test_a_damaged_catalogue_stops_rather_than_losing_sentences(catalogues: Path) -> None:
    (catalogues / "en/ussd.po").write_text(f"{HEADER}\nmsgid no quotes\n")
    with pytest.raises(PoFileError):
        say.say("betting.odd", "en")


@pytest.mark.parametrize(
    ("sentence", "fact", "said"),
    [
        ("{x:kes}", 285_50, "KES 285.50"),
        ("{x:kes}", 1_000_00, "KES 1,000"),
        ("{x:num}", 1_000_00, "1,000"),
        ("{x:when}", EVENING, "21/11 00:30"),
        ("{x:clock}", EVENING, "00:30"),
        ("{x:day}", EVENING, "21/11/2026"),
        ("{x:when}", EVENING.astimezone(timezone(timedelta(hours=-8))), "21/11 00:30"),
        ("{x}", 7, "7"),
        ("{x}", "*384*7#", "*384*7#"),
        ("{x}", "Wanjik\u0169 \u2013 Ng\u2019ang\u2019a", "Wanjiku - Ng'ang'a"),
        ("{x}", "{y} {x} {0}", "{y} {x} {0}"),
        ("100% {{x}} {x}", "ok", "100% {x} ok"),
    ],
)
def test_facts_are_shown_as_a_kenyan_expects(sentence: str, fact: object, said: str) -> None:
    assert PEN.vformat(sentence, (), {"x": fact}) == said


@pytest.mark.parametrize(
    ("sentence", "fact", "fault"),
    [
        ("{x:money}", 1, "no format 'money'"),
        ("{x:,}", 1, "no format ','"),
        ("{x:when}", datetime(2026, 11, 20, 21, 30), "without its zone"),  # noqa: DTZ001 - the point
        ("{}", 1, "placeholders have names"),
        ("{0}", 1, "placeholders have names"),
        ("{x.real}", 1, "a plain name"),
        ("{x[0]}", "a", "a plain name"),
        ("{x!r}", "a", "a plain name"),
    ],
)
def test_a_sentence_that_is_written_wrongly_is_named(
    sentence: str, fact: object, fault: str
) -> None:
    with pytest.raises(AssertionError, match=fault):
        PEN.vformat(sentence, (), {"x": fact})


@given(st.text())
def test_nothing_a_person_calls_himself_leaves_the_alphabet(name: str) -> None:
    assert gsm7.is_gsm7(PEN.vformat("Karibu {name}", (), {"name": name}))


def test_every_sentence_of_the_house_can_be_sent_and_filled() -> None:
    for lang in say.languages:
        for key, sentence in say.sentences(lang).items():
            assert gsm7.is_gsm7(sentence), f"{key} in {lang} is not GSM-7"
            formats = {spec for _, name, spec, _ in PEN.parse(sentence) if name}
            assert formats <= {*say.WAYS}, f"{key} in {lang} asks for a format nobody knows"


def _write(path: Path, **messages: str) -> None:
    path.parent.mkdir(exist_ok=True)
    entries = [
        'msgid "{}"\nmsgstr "{}"\n'.format(name, text.replace("\n", "\\n"))
        for name, text in messages.items()
    ]
    path.write_text("\n".join([HEADER, *entries]))
