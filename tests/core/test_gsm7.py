"""What a text costs on the air, checked against a second way of counting."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import gsm7

ALPHABET = "".join(sorted(gsm7.BASIC | gsm7.EXTENDED))
GSM_TEXT = st.text(alphabet=ALPHABET, max_size=700)
ANY_TEXT = st.text(max_size=300)


def test_the_alphabet_has_as_many_characters_as_the_standard_says() -> None:
    assert len(gsm7.BASIC) == 127  # the 128th place is the escape
    assert len(gsm7.EXTENDED) == 10
    assert not gsm7.BASIC & gsm7.EXTENDED


@pytest.mark.parametrize(
    ("text", "septets"),
    [
        ("", 0),
        ("Habari", 6),
        ("KES 1,000 @ 14:30", 17),
        ("{}", 4),
        ("a|b", 4),
        ("€", 2),
        ("ñüöé", 4),
    ],
)
def test_extension_characters_cost_two(text: str, septets: int) -> None:
    assert gsm7.septets(text) == septets


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the euro does not fit the first part and is not cut
        ("á" * 70, 1),
        ("á" * 71, 2),
        ("á" * 134, 2),
        ("á" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 67, 3),  # 33 whole ones in each part
    ],
)
def test_segments_are_counted_as_they_are_billed(text: str, segments: int) -> None:
    assert gsm7.segments(text) == segments


@given(GSM_TEXT)
def test_septets_and_segments_agree_with_packing_one_by_one(text: str) -> None:
    packed = [unit for c in text for unit in (["\x1b", c] if c in gsm7.EXTENDED else [c])]
    assert gsm7.septets(text) == len(packed)
    assert gsm7.segments(text) == _parts_of(packed, alone=160, part=153)
    assert gsm7.fits(text) == (len(packed) <= 160)


@given(ANY_TEXT.filter(lambda text: not gsm7.is_gsm7(text)))
def test_other_texts_agree_with_utf_16_cut_into_parts(text: str) -> None:
    encoded = text.encode("utf-16-be")
    units = [encoded[i : i + 2] for i in range(0, len(encoded), 2)]
    expected = _parts_of(units, alone=70, part=67, splits=_low_surrogate)
    assert gsm7.segments(text) == expected
    assert not gsm7.fits(text, 10_000)


@given(GSM_TEXT)
def test_a_text_of_the_alphabet_is_left_as_it_is(text: str) -> None:
    assert gsm7.fold(text) == unicodedata.normalize("NFC", text)


@given(ANY_TEXT)
def test_every_text_folds_into_the_alphabet_and_then_stays(text: str) -> None:
    folded = gsm7.fold(text)
    assert gsm7.is_gsm7(folded)
    assert gsm7.fold(folded) == folded


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Atlético Málaga", "Atlético Malaga"),
        ("Fenerbahçe \u2013 Beşiktaş", "Fenerbahce - Besiktas"),
        ("Mönchengladbach", "Mönchengladbach"),
        ("Wanjikũ wa Mũthoni", "Wanjiku wa Muthoni"),
        ("Ng\u2019ang\u2019a \u201cJaba\u201d", "Ng'ang'a \"Jaba\""),
        ("Łódź, Đorđe, Œuvre, straße", "Lodz, Dorde, OEuvre, straße"),
        ("subiri…", "subiri..."),
        ("Amina 🎉", "Amina ?"),
        ("عمر", "???"),
        ("a\u200bb\u00a0c\td", "ab c d"),
        ("e\u0301", "é"),
        ("\u0663 \uff13", "3 3"),
    ],
)
def test_a_text_folds_to_what_a_reader_would_write(text: str, folded: str) -> None:
    assert gsm7.fold(text) == folded


def _low_surrogate(unit: bytes) -> bool:
    return 0xDC <= unit[0] <= 0xDF


def _parts_of(units, *, alone, part, splits=None) -> int:
    """Take units off the front, part by part, never ending a part inside a pair."""
    splits = splits or (lambda unit: False)
    if len(units) <= alone:
        return 1
    count = 0
    while units:
        end = min(part, len(units))
        if end < len(units) and (splits(units[end]) or units[end - 1] == "\x1b"):
            end -= 1
        units, count = units[end:], count + 1
    return count
