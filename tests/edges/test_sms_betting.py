"""Betting by SMS, over the door."""

import pytest
from sqlalchemy import func, select

from core import ledger
from core.betting import Bet
from core.customers import Customer
from core.markets import Market
from core.runtime import Runtime
from tests import games
from tests.people import AMINA, BRIAN, PIN, WRONG_PIN
from tests.sms.phone import Phone, at_once

COUPON = ("Gor Mahia", "Draw", "AFC Leopards")


@pytest.fixture
def phone(rt: Runtime, amina: Customer, noon: None) -> Phone:
    return Phone(rt, AMINA)


@pytest.fixture
def market(rt: Runtime, wanjiku) -> Market:
    """101, Yes or No."""
    return games.derby(rt, wanjiku, closes=48 * games.HOUR)


def bets(rt: Runtime) -> list[Bet]:
    with rt.transaction() as tx:
        return list(tx.scalars(select(Bet).order_by(Bet.id)))


def balance(rt: Runtime, customer: Customer) -> int:
    with rt.transaction() as tx:
        return ledger.balance(tx, customer.id) // 100


def test_a_text_is_a_bet_and_its_reply_the_receipt(rt, phone, amina, market) -> None:
    reply = phone.text(f"{market.code}#1#50")
    (bet,) = bets(rt)
    assert (bet.customer_id, bet.market_id, bet.outcome, bet.stake) == (
        amina.id, market.id, 1, 50_00,
    )  # fmt: skip
    assert reply.startswith(f"Bet {bet.id} placed: KES 50 on Yes, game 101. May pay KES 50.")
    assert reply.endswith("Balance KES 950.")
    assert phone.kept()[-1].verdict == "sms.bet_placed"


def test_the_same_message_id_acts_once_and_is_answered_once(rt, phone, amina, market) -> None:
    first = phone.text("101#1#50", id="one")
    assert phone.text("101#1#50", id="one") == first
    assert (len(bets(rt)), len(phone.inbox()), balance(rt, amina)) == (1, 1, 950)


def test_copies_at_the_same_instant_act_once(rt, phone, amina, market) -> None:
    at_once(rt, AMINA, ["101#1#50"] * 8, id="one")
    assert (len(bets(rt)), len(phone.inbox()), balance(rt, amina)) == (1, 1, 950)


def test_the_same_bet_within_a_minute_is_asked_about(rt, phone, amina, market, wait) -> None:
    phone.text("101#1#50")
    assert "AGAIN" in phone.text("BET 101 1 50")  # the same, however it is written
    assert len(bets(rt)) == 1
    assert "placed" in phone.text("101#1#50 AGAIN")
    assert "placed" in phone.text("101#1#20")  # another
    wait(seconds=61)
    assert "placed" in phone.text("101#1#50")
    assert len(bets(rt)) == 4


def test_the_same_bet_sent_twice_at_once_is_placed_once(rt, phone, amina, market) -> None:
    at_once(rt, AMINA, ["101#1#50"] * 4)
    assert len(bets(rt)) == 1


def test_another_number_may_place_the_same_bet(rt, phone, brian, market) -> None:
    phone.text("101#1#50")
    assert "placed" in Phone(rt, BRIAN).text("101#1#50")


def test_every_way_to_say_home_draw_and_away(rt, phone, amina, wanjiku) -> None:
    games.derby(rt, wanjiku, *COUPON)
    spoken = {
        "101#1#20": 1, "101#Gor Mahia#21": 1, "101#X#20": 2, "101 0*21": 2, "101#draw#22": 2,
        "101 sare 23": 2, "101#2#20": 3, "BET 101 AFC LEOPARDS 21": 3,
    }  # fmt: skip
    for words in spoken:
        assert "placed" in phone.text(words)
    assert [bet.outcome for bet in bets(rt)] == list(spoken.values())
    assert "Choose from: 1, X, 2." in phone.text("101#3#20")
    assert "Choose from: 1, X, 2." in phone.text("101#GOR#20")  # a part of a name never acts


def test_yes_and_no_in_both_languages(rt, phone, market) -> None:
    for words in ("101#YES#20", "101#ndio#21", "101#NO#20", "101#hapana#21", "101#2#22"):
        assert "placed" in phone.text(words)
    assert [bet.outcome for bet in bets(rt)] == [1, 1, 2, 2, 2]


def test_several_bets_stand_or_fall_alone_and_the_reply_says_which(
    rt, phone, amina, market, wanjiku
) -> None:
    games.derby(rt, wanjiku, *COUPON)
    games.derby(rt, wanjiku, closes=games.HOUR)
    games.close(rt, games.derby(rt, wanjiku), wanjiku)
    reply = phone.text("101#1#50\n102#X#20\n104#1#20\n999#1#20\n101#7#20")
    first, second = bets(rt)
    assert reply.split("\n") == [
        f"101#1#50: placed, bet {first.id}",
        f"102#X#20: placed, bet {second.id}",
        "104#1#20: NOT placed, game closed",
        "999#1#20: NOT placed, no such game",
        "101#7#20: NOT placed, no such pick",
        "Balance KES 930.",
    ]


def test_money_that_runs_out_half_way_stops_the_rest_alone(rt, phone, amina, market) -> None:
    reply = phone.text(f"101#1#600\n101#2#500\n101#2#300\n{PIN}")
    assert [line.partition(": ")[2][:10] for line in reply.split("\n")[:3]] == [
        "placed, be", "NOT placed", "placed, be",
    ]  # fmt: skip
    assert balance(rt, amina) == 100


def test_a_text_that_does_not_read_whole_places_nothing(rt, phone, amina, market) -> None:
    for words, answer in (
        ("101#1#50 101#2", "amount"),
        ("101#1#50 101#2#abc", "could not read the amount"),
        ("101#1#50 xyz", "101#1#50"),
        ("101#1#abc", "could not read the amount"),
        ("101#1#0", "could not read the amount"),
        ("101#1#0150", "could not read the amount"),
        ("101#1#-50", "could not read the amount"),
        ("101#1#1000000000000000000", "could not read the amount"),
        ("101#1#102#2#50", "one by one: 101#1#50 102#2#50"),
        ("101#1#102#2", "101#1#50 102#2#50"),
        ("101#1", "To bet KES 50 on Yes send 101#1#50"),
        ("999#1", "no such game"),
        ("999#1#50", "no such game"),
        ("101#MAYBE#50", "no pick MAYBE"),
        ("101#1#10", "smallest stake is KES 20"),
        ("BTE 101 1 50", "Did you mean BET?"),
    ):
        assert answer in phone.text(words)
    assert (bets(rt), balance(rt, amina)) == ([], 1_000)


def test_many_bets_are_answered_briefly_and_too_many_not_at_all(rt, phone, market) -> None:
    many = [f"101#{1 + number % 2}#{1 + number}" for number in range(15)]
    reply = phone.text("\n".join(many))
    assert reply.startswith("Placed: -.\nNOT placed: 101#1, 101#2")
    assert "at most 15 bets" in phone.text("\n".join([*many, "101#1#20"]))
    assert bets(rt) == []


def test_a_closed_game_takes_no_bet(rt, phone, amina, market, wanjiku) -> None:
    games.close(rt, market, wanjiku)
    assert "has closed" in phone.text("101#1#50")
    assert "betting is closed" in phone.text("ODDS 101")
    assert (bets(rt), balance(rt, amina)) == ([], 1_000)


def test_who_is_short_is_told_what_to_deposit(rt, phone, amina, market) -> None:
    reply = phone.text(f"101#1#1200 {PIN}")
    assert "You have KES 1,000" in reply
    assert "Deposit KES 200 and bet KES 1,200 on Yes" in reply
    assert bets(rt) == []


def test_more_than_the_days_sum_needs_the_pin_and_nothing_is_placed_without(
    rt, phone, amina, market, wait
) -> None:
    assert "placed" in phone.text("101#1#150")
    assert "need your PIN" in phone.text("101#2#60")
    assert "need your PIN" in phone.text("101#2#30 101#1#30")  # together too much: none of them
    assert len(bets(rt)) == 1
    assert "need your PIN" in phone.text("101#2#4826")  # the PIN where the stake belongs
    assert phone.kept()[-1].masked == "101#2#****"
    assert "placed" in phone.text("101#2#50")
    reply = phone.text(f"101#2#60 {PIN}")
    assert "placed" in reply
    assert reply.endswith("Delete your text: it shows your PIN.")
    assert phone.kept()[-1].masked == "101#2#60 ****"
    wait(days=1)
    assert "placed" in phone.text("101#2#200")


def test_a_wrong_pin_places_nothing_counts_once_and_is_hidden(rt, phone, amina, market) -> None:
    assert "Wrong PIN" in phone.text(f"101#1#500 {WRONG_PIN}", id="same")
    assert "Wrong PIN" in phone.text(f"101#1#500 {WRONG_PIN}", id="same")
    assert phone.kept()[-1].masked == "101#1#500 ****"
    with rt.transaction() as tx:
        assert tx.get_one(Customer, amina.id).pin_tried == 1
    assert (bets(rt), balance(rt, amina)) == ([], 1_000)


def test_my_bets_show_what_runs_and_how_others_ended(rt, phone, market, wanjiku, kamau) -> None:
    assert "no bets yet" in phone.text("BETS")
    phone.text("101#1#50")
    games.settle(rt, market, 1, proposer=wanjiku, approver=kamau)
    games.derby(rt, wanjiku)
    phone.text("102#2#20")
    won, running = bets(rt)
    assert phone.text("BETI ZANGU").split("\n") == [
        f"{running.id}: 102 No KES 20, may pay KES 20",
        f"{won.id}: 101 Yes WON KES 50",
    ]


def test_games_odds_and_results(rt, phone, amina, wanjiku, kamau) -> None:
    assert "No games" in phone.text("GAMES")
    coupon = games.derby(rt, wanjiku, *COUPON)
    assert phone.text("GAMES") == "101 Gor Mahia v AFC Leopards\nFor odds send ODDS 101"
    assert phone.text("MECHI football") == phone.text("games")
    assert "one of: Football" in phone.text("GAMES chess")
    reply = phone.text("ODDS 101")
    assert reply.split("\n")[:4] == [
        "101 Gor Mahia v AFC Leopards", "1 Gor Mahia 1.00", "X Draw 1.00", "2 AFC Leopards 1.00",
    ]  # fmt: skip
    assert "101#1#50" in reply
    assert phone.text("101") == reply
    assert "no result yet" in phone.text("RESULT 101")
    assert "no such game" in phone.text("RESULT 999")
    games.settle(rt, coupon, 3, proposer=wanjiku, approver=kamau)
    assert "AFC Leopards won" in phone.text("RESULT 101")


def test_a_void_game_says_so(rt, phone, market, wanjiku, kamau) -> None:
    games.settle(rt, market, None, proposer=wanjiku, approver=kamau)
    assert "every stake was refunded" in phone.text("MATOKEO 101")


def test_replies_come_in_the_customers_language_whatever_the_keyword(rt, phone, market) -> None:
    assert phone.text("LANG SW") == "Tutakuandikia kwa Kiswahili."
    assert "imewekwa" in phone.text("BET 101 1 50")
    assert "Salio lako" in phone.text("BAL")
    assert "Kiasi gani?" in phone.text("101#1")
    assert phone.text("LUGHA EN") == "We will write to you in English."
    assert "Your balance" in phone.text("SALIO")


def test_a_dozen_texts_at_once_bet_no_more_than_there_is(rt, phone, amina, market) -> None:
    at_once(rt, AMINA, [f"101#1#{400 + number} {PIN}" for number in range(12)])
    assert len(bets(rt)) == 2
    with rt.transaction() as tx:
        assert tx.scalar(select(func.sum(Bet.stake))) <= 1_000_00
