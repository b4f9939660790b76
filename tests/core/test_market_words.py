"""What a market may be called: words that offend or mislead are refused, their neighbours pass."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import market_words as words

OFFENSIVE = [
    "fuck", "FUCK!", "f u c k", "f.u.c.k", "F-U-C-K", "fu.ck", "sh1t", "$h1t", "fuuuuck", "a55",
    "@ss", "a$$", "p u s s y", "what a s h i t show", "motherfucker", "fück", "b1tches", "kuma",
    "kuuuma", "K.U.M.A", "kum@", "Kuma2", "mkundu", "mal@ya", "m4l4y4", "p u m b a v u", "matako",
    "m4t4k0", "Matako Road", "nikutombe", "mshenzi", "washenz1", "fala wewe", "mafala", "f4la",
    "malanye", "kudinyana", "f@kyu", "madafaka",
]  # fmt: skip
PARTNERS = [
    "M-PESA", "mpesa", "M PESA", "m.pesa", "mp3sa", "m-p-e-s-a", "Lipa na MPESA", "Safaricom",
    "safar1com", "SAFARICOMS", "Airtel Money", "air tel", "Africa's Talking", "AfricasTalking",
    "Fuliza",
]  # fmt: skip
PHONES = [
    "0712345678", "0712 345 678", "0112-345-678", "+254 712 345 678", "254712345678", "712345678",
    "(0712) 345678", "O712345678", "07I2 or 0712.345.678", "+44 20 7946 0018", "*384*7#",
    "\u0660712345678",
]  # fmt: skip
LINKS = [
    "www.bet", "http://x", "gor.co.ke", "bit.ly/x", "wa.me/2547", "t.me/x", "me@example.com",
    "odds.example.com", "gor dot com",
]  # fmt: skip
INNOCENT = [
    "Arsenal v Essex", "Dickson", "Scunthorpe United", "Penistone", "Dick Wathika",
    "Niger v Nigeria", "FC Slutsk", "Young Boys, Wankdorf", "Kumasi", "Mbooni", "Tombola",
    "Himalaya", "Makato", "Sussex", "Class of 455", "455 goals", "Bass", "assistant coach",
    "Shiitake", "Fukuoka", "Nyokabi", "Mass", "A.F.C. Leopards", "K.C.B v A.P.S Bomet",
    "1-0 or 2-1", "Over 2.5 goals", "as at 5 pm", "pass it on", "On 21/11/2026 18:00?",
    "2026-11-21 18:00", "St. Mary's", "Over 1,000,000,000", "Team Pesa", "SportPesa League",
    "Man.Utd v Spurs", "Dr.Livingstone", "Will Senate pay bill 45?", "Mombasa", "grape",
    "Daraja Mbili", "100000 people", "Hancock", "Cockermouth", "Atl\u00e9tico v M\u00e1laga",
    "U.S. v U.K.", "Class 4 B", "AS Vita", "KU Mombasa", "1 X 2",
]  # fmt: skip


def reasons(text: str) -> set[str]:
    return {fault.reason for fault in words.unfit(text)}


@pytest.mark.parametrize(
    ("reason", "texts"),
    [
        ("staff.words_profane", OFFENSIVE),
        ("staff.words_partner", PARTNERS),
        ("staff.words_phone", PHONES),
        ("staff.words_link", LINKS),
    ],
)
def test_what_no_customer_should_read_is_refused(reason: str, texts: list[str]) -> None:
    assert not [text for text in texts if reason not in reasons(text)]


def test_innocent_words_pass() -> None:
    assert not [(text, reasons(text)) for text in INNOCENT if reasons(text)]


def test_letters_that_phones_do_not_show_are_refused() -> None:
    assert (
        reasons("Who wins \N{TROPHY}?") == reasons("\u6771\u4eac v Gor") == {"staff.words_foreign"}
    )
    assert not reasons("Bayern M\u00fcnchen v Fenerbah\u00e7e \u2013 who wins?")


SWAPS = {"o": "0", "i": "1", "e": "3", "a": "4@", "s": "5$"}


@given(st.sampled_from(["malaya", "mkundu", "bitch", "kumanina", "pumbavu"]), st.randoms())
def test_a_word_is_known_however_it_is_dressed_up(word: str, dice: random.Random) -> None:
    dressed = "".join(
        dice.choice([letter, letter.upper(), letter * 3, *SWAPS.get(letter, "")]) for letter in word
    )
    spelled = dice.choice([" ", ".", "-"]).join(
        dice.choice([letter, *SWAPS.get(letter, "")]) for letter in word
    )

    for shown in (dressed, spelled, f"Will the {dressed} win?", f"({dressed})"):
        assert "staff.words_profane" in reasons(shown), shown


@given(st.text(max_size=80), st.lists(st.text(max_size=30), max_size=10))
def test_any_text_is_judged_without_a_fault_of_ours(question: str, names: list[str]) -> None:
    list(words.faults(question, names))


def faults(question: str, *names: str) -> list[str]:
    return [fault.reason for fault in words.faults(question, names)]


def test_a_question_and_its_picks_have_their_lengths_and_numbers() -> None:
    assert faults("W" * 60, "Y" * 20, "N" * 20) == []
    assert faults("W" * 61, "Yes", "No") == ["staff.question_length"]
    assert faults("  ", "Yes", "No") == ["staff.question_length"]
    assert faults("Who?", "Yes", "N" * 21) == ["staff.outcome_length"]
    assert faults("Who?", *"ABCDEFGH") == []
    assert faults("Who?", "A") == faults("Who?", *"ABCDEFGHJ") == ["staff.outcomes_number"]
    assert faults("Who?", "Over 2.5", "over 25") == ["staff.outcomes_number"]
    assert faults("Who?", "Kuma", "M-PESA") == ["staff.words_profane", "staff.words_partner"]


def test_a_pick_is_not_called_by_the_number_of_another() -> None:
    assert faults("How many?", "0", "1", "2") == ["staff.outcome_misleading"] * 2
    assert faults("How many?", "None", "One", "Two") == []
    assert faults("How many?", "1", "2", "3+") == []
    assert faults("Gor v AFC", "1", "X", "2") == []
