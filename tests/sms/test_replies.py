"""Every sentence of this channel, in both languages, with the worst that can be in it."""

import re
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from core import gsm7, say
from core.betting import BetLine
from core.market_words import NAME_LONGEST, OUTCOMES, QUESTION_LONGEST
from core.markets import MarketLine, MarketView, OutcomeView, Status
from core.money import Cents
from sms.commands import games
from sms.commands.ordering import OUTCOME_LONGEST
from sms.lengths import first_that_fits, septets
from sms.visit import Reply
from sms.words import OPEN

AT = datetime(2026, 12, 31, 20, 59, tzinfo=UTC)
MOST = Cents(9_999_999_99)  # shown as KES 9,999,999.99
NAME, QUESTION = "W" * NAME_LONGEST, "W" * QUESTION_LONGEST
WORST: dict[str, Any] = {
    "age": 18, "most": 15, "name": "W" * 40, "code": 9999, "word": "OFF", "id": 9_999_999_999,
    "amount": MOST, "tax": Cents(13_157_90),
    "balance": MOST, "stake": Cents(100_000_00), "estimate": MOST, "pool": MOST,
    "limit": Cents(1_000_00), "min": Cents(1_000_00), "max": Cents(100_000_00),
    "shillings": 250_000, "ref": "D" + "W" * 6, "receipt": "W" * 10, "at": AT, "pick": "W" * 20,
    "until": AT, "picks": ", ".join("12345678"), "question": QUESTION, "outcome": NAME,
    "categories": "W" * 80, "bet": 9_999_999_999, "minutes": 5, "short": "999999", "parts": 99,
    "phone": "0712 345 678 901",
}  # fmt: skip
# Filled by other sentences, or with lists: they have tests of their own below.
COMPOSED = {
    "delete_your_text", "did_you_mean", "did_you_mean_either", "games", "odds", "bets_answered",
    "bets_answered_short", "line_refused", "bets", "stakes_missing", "combined", "status_failed",
    "statement", "status_both", "stake_or_pin",
}  # fmt: skip
CLIPPED = {"outcome": NAME[:OUTCOME_LONGEST]}  # as an offer has it
ONE_TIME = {"code_kyc", "code_pin_reset"}
EVERY = sorted(say.keys())
KEYS = sorted(key.partition(".")[2] for key in EVERY if key.startswith("sms."))
BOTH = pytest.mark.parametrize("lang", say.languages)


def spoken(key: str, lang: str, **facts: Any) -> str:
    text = gsm7.fold(say.say(f"sms.{key}", lang, **{**WORST, **facts}))
    assert gsm7.is_gsm7(text)
    return text


def asks_to_delete(text: str, lang: str) -> str:
    return spoken("delete_your_text", lang, answer=text)


@BOTH
@pytest.mark.parametrize("key", [key for key in KEYS if key not in COMPOSED])
def test_a_reply_fits_one_text_whatever_is_in_it(key: str, lang: str) -> None:
    clipped = CLIPPED if key.startswith("order_offer") else {}
    text = spoken(key, lang, **({"code": "999999"} if key in ONE_TIME else clipped))
    assert gsm7.fits(text), (gsm7.septets(text), text)


@BOTH
def test_a_reply_to_a_near_miss_fits_too(lang: str) -> None:
    for command, (english, swahili) in OPEN.items():
        word = max((*english, *swahili), key=len)
        how = spoken(f"help_{command}", lang)
        assert gsm7.fits(spoken("did_you_mean", lang, word=word, how=how)), how
    longest = {"first": "THIBITISHA", "second": "WITHDRAW"}
    assert gsm7.fits(spoken("did_you_mean_either", lang, **longest))


@BOTH
def test_every_command_has_help_and_every_bet_an_end(lang: str) -> None:
    assert {f"help_{command}" for command in OPEN} <= set(KEYS)
    states = BetLine.__annotations__["state"]
    assert {f"bet_{state}" for state in states.__args__} <= set(KEYS)


@BOTH
def test_with_the_request_to_delete_the_usual_answers_still_fit(lang: str) -> None:
    """Not the receipt of a bet with every field at its longest: that takes a second text."""
    usual = {"balance": Cents(99_999_99), "amount": Cents(99_999_00), "stake": Cents(1_000_00)}
    for key in ("pin_changed", "pin_chosen", "withdrawn", "auto_on", "auto_off", "ask_code"):
        assert gsm7.fits(asks_to_delete(spoken(key, lang), lang)), key
    receipt = spoken(
        "bet_placed", lang, **usual, id=999_999, code=101, outcome="W" * 12,
        estimate=Cents(9_999_99),
    )  # fmt: skip
    assert gsm7.segments(asks_to_delete(receipt, lang)) <= 2
    assert gsm7.fits(receipt)


@BOTH
def test_why_a_deposit_failed_fits_with_it(lang: str) -> None:
    facts = {"amount": Cents(250_000_00)}
    whys = [key for key in EVERY if key.startswith("money.why_")]
    assert whys
    for why in whys:
        text = spoken("status_failed", lang, **facts, why=say.say(why, lang))
        assert gsm7.segments(text) <= 2, text
    shortest = spoken("status_failed", lang, **facts, why=say.say("money.why_cancelled", lang))
    assert gsm7.fits(shortest)


def market(outcomes: int, name: str, question: str) -> MarketView:
    return MarketView(
        id=1, code=9999, question=question, category="Football", status=Status.OPEN,
        opens_at=AT - timedelta(days=1), closes_at=AT, fee_bp=500, min_stake=Cents(20_00),
        max_stake=Cents(100_000_00), pool=MOST,
        outcomes=[
            OutcomeView(number, f"{number}{name}"[:NAME_LONGEST], MOST, Cents(99_99))
            for number in range(1, outcomes + 1)
        ],
    )  # fmt: skip


def odds(view: MarketView, lang: str) -> str:
    replies = (games._odds_reply(view, *lengths) for lengths in games._shortenings(view))
    reply = first_that_fits(lang, replies)
    return gsm7.fold(say.say(reply.sentence, lang, **reply.facts))


@pytest.mark.parametrize(("lang", "outcomes"), list(product(say.languages, OUTCOMES)))
def test_the_odds_of_a_game_fit_and_name_every_outcome(lang: str, outcomes: int) -> None:
    text = odds(market(outcomes, NAME, QUESTION), lang)
    assert gsm7.segments(text) == (1 if outcomes <= 5 else 2), (gsm7.septets(text), text)
    assert all(f"\n{number} {number}W" in text for number in range(1, outcomes + 1))
    usual = odds(market(outcomes, " Somebody", "Who wins?"), lang)
    assert "Who wins?" in usual


@pytest.mark.parametrize("with_pool", [False, True])
@BOTH
def test_the_list_of_games_fills_one_text_and_no_more(lang: str, with_pool: bool) -> None:
    lines = [
        MarketLine(number, 9000 + number, QUESTION, "Football", AT, MOST) for number in range(12)
    ]
    listed = [games._game_line(lang, one, with_pool) for one in lines]
    replies = [games._games_reply(listed[:count], lines[0]) for count in range(12, 0, -1)]
    reply = first_that_fits(lang, replies)
    assert septets(reply, lang) <= gsm7.ONE
    assert reply.facts["lines"].count("\n") >= 2


@BOTH
def test_several_bets_take_two_texts_at_most(lang: str) -> None:
    longest = {"pick": "W" * 12, "stake": Cents(10_000_00), "id": 9_999_999}
    whys = [spoken(key, lang) for key in KEYS if key.startswith("why_")]
    lines = [spoken("line_refused", lang, **longest, why=max(whys, key=len))] * 2
    lines += [spoken("line_placed", lang, **longest)] * 2
    assert gsm7.segments(spoken("bets_answered", lang, lines="\n".join(lines))) <= 2
    half = ", ".join(["9999#WWWWWWWW"] * 7)
    short = spoken("bets_answered_short", lang, placed=half, refused=f"{half}, 9999#WWWWWWWW")
    assert gsm7.segments(short) <= 2


@BOTH
def test_the_list_of_ones_bets_shows_three_in_one_text(lang: str) -> None:
    usual = {"id": 999_999, "stake": Cents(1_000_00), "amount": Cents(9_999_00)}
    line = spoken("bet_open", lang, **usual, outcome="W" * 10)
    assert gsm7.fits("\n".join([line] * 3))


@BOTH
def test_bets_spelled_out_fit(lang: str) -> None:
    four = " ".join(["1234#X#1000"] * 4)
    assert gsm7.fits(spoken("combined", lang, bets=four))
    assert gsm7.fits(spoken("stakes_missing", lang, bets=four))


def test_a_reply_is_a_value() -> None:
    assert Reply("sms.help") == Reply("sms.help")


@BOTH
def test_nobody_is_asked_to_reply_to_a_sender_that_is_a_name(lang: str) -> None:
    asked = re.compile(r"\b[Rr]eply\b|\b[Ss]end back\b|\b[Jj]ibu [A-Z]{2}|\bkujibu\b")
    assert not [key for key, words in say.sentences(lang).items() if asked.search(words)]
