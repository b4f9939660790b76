"""Every documented code has words for the customer and for staff, and an effect on the house."""

import pytest

from core import gsm7, say
from core.reasons import DOUBT, PAYOUT, PUSH, Act, of_payout

PUSH_CODES = (
    "1", "2", "3", "4", "8", "17", "26", "1001", "1019", "1025", "1032", "1037", "2001", "2028",
    "8006", "9999", "SFC_IC0003",
)  # fmt: skip
PAYOUT_CODES = (
    "1", "2", "3", "4", "8", "11", "15", "17", "18", "20", "21", "22", "24", "25", "26", "2001",
    "2006", "2028", "2040", "8006", "SFC_IC0003",
)  # fmt: skip
BY_HAND = {"paybill": "9999999", "account": "DWWWWWW"}


def test_every_documented_code_is_in_its_table():
    assert set(PUSH_CODES) <= PUSH.keys()
    assert set(PAYOUT_CODES) <= PAYOUT.keys()


@pytest.mark.parametrize("table", [PUSH, PAYOUT], ids=["push", "payout"])
def test_every_code_has_words_for_the_customer_and_for_staff(table):
    for code, reason in table.items():
        for lang in say.languages:
            assert gsm7.is_gsm7(say.say(reason.sentence, lang)), code
        assert reason.meaning.endswith(".")
        assert reason.advice.endswith(".")
        assert reason.effect.endswith(".")


def test_what_is_said_of_a_failed_deposit_fits_one_text():
    for reason in PUSH.values():
        for lang in say.languages:
            why = say.say(reason.sentence, lang)
            if reason.by_hand:
                how = say.say("money.by_paybill", lang, **BY_HAND)
                why += " " + say.say("money.or_else", lang, how=how)
            for sentence, words in (
                ("money.deposit_failed", why),
                ("money.deposit_failed_order", say.say(reason.sentence, lang)),
            ):
                told = say.say(sentence, lang, amount=250_000_00, why=words)
                assert gsm7.fits(told), (gsm7.septets(told), told)


def test_paying_by_hand_is_offered_where_only_the_prompt_failed():
    offered = {code for code in PUSH_CODES if PUSH[code].by_hand}
    assert offered == {"26", "1001", "1025", "1037", "9999"}


@pytest.mark.parametrize(
    ("code", "act"),
    [
        ("1", Act.TOP_UP),
        ("8", Act.RELEASE),
        ("17", Act.DOUBT),
        ("26", Act.DOUBT),
        ("2001", Act.RELEASE_AND_PAUSE),
        ("2040", Act.RELEASE),
        ("8006", Act.RELEASE_AND_PAUSE),
    ],
)
def test_a_code_of_a_payout_asks_its_act(code, act):
    assert of_payout(code).act == act


def test_a_code_nobody_knows_leaves_it_open():
    assert of_payout("100000013") is DOUBT
    assert "stays reserved" in DOUBT.effect
