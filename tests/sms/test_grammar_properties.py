"""The grammar against whatever Hypothesis can think of typing."""

import re

from hypothesis import given
from hypothesis import strategies as st

from core import gsm7
from sms import meanings as m
from sms.grammar import parse
from sms.meanings import Bets, Slip
from sms.words import COMMAND_OF

KEYWORDS = sorted(COMMAND_OF)
CODES, STAKES = st.integers(100, 9999), st.integers(1, 100_000)
PICKS = st.sampled_from(["1", "2", "X", "YES", "NO", "NDIO", "HAPANA", "GOR MAHIA", "7"])
PINS = st.from_regex(r"[0-9]{4}", fullmatch=True)
SLIPS = st.builds(lambda code, pick, kes: Slip(code, pick, kes * 100), CODES, PICKS, STAKES)
JUNK = st.text(max_size=200)

DIALECTS = {
    "hash": "{code}#{pick}#{kes}",
    "spaces": "{code} {pick} {kes}",
    "commas": "{code},{pick},{kes}",
    "star": "{code} {pick}*{kes}",
    "hash and star": "{code}#{pick}*{kes}",
    "bet": "BET {code} {pick} {kes}",
    "beti": "beti {code} {pick} {kes}",
    "shillings": "{code}#{pick}#Ksh {kes}/-",
}


def written(slip: Slip, dialect: str) -> str:
    return DIALECTS[dialect].format(code=slip.code, pick=slip.pick, kes=slip.stake // 100)


@given(JUNK)
def test_the_parser_never_raises(text: str) -> None:
    parse(text)


@given(st.sampled_from(KEYWORDS), JUNK)
def test_nor_after_a_keyword(word: str, rest: str) -> None:
    parse(f"{word} {rest}")
    parse(word + rest)


@given(st.text("0123456789#*+, X\n", max_size=60))
def test_nor_on_what_looks_like_bets(text: str) -> None:
    meaning = parse(text).meaning
    if isinstance(meaning, Bets):
        assert all(slip.stake > 0 and slip.stake % 100 == 0 for slip in meaning.slips)


@given(SLIPS, st.sampled_from(sorted(DIALECTS)))
def test_a_bet_reads_the_same_in_every_dialect(slip: Slip, dialect: str) -> None:
    assert parse(written(slip, dialect)).meaning == Bets((slip,))


@given(
    st.lists(SLIPS, min_size=2, max_size=6),
    st.sampled_from(["hash", "star", "hash and star"]),
    st.sampled_from(["\n", " ", ", ", "\r\n"]),
    st.none() | PINS,
    st.booleans(),
)
def test_several_bets_read_as_what_they_are(slips, dialect, between, pin, again) -> None:
    text = between.join(written(slip, dialect) for slip in slips)
    text += f" {pin}" * (pin is not None) + " AGAIN" * again
    assert parse(text).meaning == Bets(tuple(slips), pin, again)


@given(st.lists(st.tuples(CODES, st.sampled_from(["1", "X", "2"])), min_size=2, max_size=7), STAKES)
def test_a_combined_bet_is_never_read_as_single_ones(pairs, kes) -> None:
    text = "#".join(f"{code}#{pick}" for code, pick in pairs) + f"#{kes}"
    assert not isinstance(parse(text).meaning, Bets)


@given(st.lists(SLIPS, min_size=1, max_size=4), st.sampled_from(["hash", "spaces", "star"]), PINS)
def test_the_pin_of_bets_is_never_kept(slips, dialect, pin) -> None:
    text = "\n".join(written(slip, dialect) for slip in slips)
    assert parse(f"{text} {pin}").masked == f"{text} ****"


@given(
    st.sampled_from([word for word in KEYWORDS if COMMAND_OF[word] != "bet"])
    | st.text(st.characters(categories=["L", "P"]), max_size=10),
    JUNK.filter(lambda text: not any(map(str.isdecimal, text))),
    st.from_regex(r"[0-9]{4}|[0-9]{6}", fullmatch=True),
)
def test_a_pin_or_code_beside_words_is_never_kept(word: str, words: str, secret: str) -> None:
    kept = parse(f"{word} {words} {secret}")
    plain_amount = isinstance(kept.meaning, m.Deposit | m.Withdraw | m.Odds | m.Result)
    assert plain_amount or not re.search(r"\d", kept.masked.removeprefix(word))


@given(st.sampled_from(["W", "TOA", "WITHDRAW", "withdraw"]), STAKES, PINS)
def test_a_withdrawal_reads_back_and_keeps_its_pin_to_itself(word, kes, pin) -> None:
    for text in (f"{word} {kes} {pin}", f"{word}#{kes}#{pin}", f"{word},{kes},{pin}"):
        parsed = parse(text)
        assert parsed.meaning == m.Withdraw(kes * 100, pin)
        assert parsed.masked == text[:-4] + "****"
        assert not re.search(r"\d", parsed.all_masked)


@given(JUNK)
def test_what_is_kept_can_be_stored_and_holds_no_long_number_unless_it_was_understood(text) -> None:
    parsed = parse(text)
    assert "\x00" not in parsed.masked
    parsed.masked.encode()
    if isinstance(parsed.meaning, m.NotUnderstood | m.DidYouMean):
        assert not re.search(r"\d{4}", gsm7.western(parsed.masked))
