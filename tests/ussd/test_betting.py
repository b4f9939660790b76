"""Betting from a feature phone, with the house's own screens."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from core import ledger, staff
from core.betting import Bet
from core.customers import Customer
from core.markets import Market
from core.pins import PinAttempt
from core.runtime import Runtime
from core.staff import Staff
from tests import games, people
from tests.people import PIN, WRONG_PIN
from tests.ussd.handset import Handset
from ussd.engine import Switchboard

Two = tuple[Staff, Staff]


@pytest.fixture
def two(wanjiku: Staff, kamau: Staff) -> Two:
    """Who proposes and who approves."""
    return wanjiku, kamau


def bets(rt: Runtime) -> list[Bet]:
    with rt.transaction() as tx:
        return list(tx.scalars(select(Bet).order_by(Bet.id)))


def balance(rt: Runtime, customer: Customer) -> int:
    with rt.transaction() as tx:
        return ledger.balance(tx, customer.id)


def tries(rt: Runtime) -> int:
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(PinAttempt)) or 0


def test_a_bet_from_dial_to_placed(
    phone: Handset, derby: Market, rt: Runtime, amina: Customer
) -> None:
    phone.dial().sees("Hi Amina. Balance KES 1,000.").press("1").sees("1 Closing soon")
    phone.press("1").sees("1 100 Gor Mahia v AFC Leopards" if derby.code == 100 else "1 101 Gor")
    phone.press("1").sees("Gor Mahia v AFC Leopards", "Pool KES 0", "1 Gor Mahia 1.00", "2 Draw")
    phone.press("1").sees("Gor Mahia, game", "KES 20 to 100,000", "Balance KES 1,000")
    phone.press("40").sees("KES 40 on Gor Mahia", "About KES 40", "Closes", "1 Place the bet")
    assert not bets(rt)
    phone.press("1").sees("placed", "KES 40 on Gor Mahia", "Balance KES 960.", "1 Bet again")
    (bet,) = bets(rt)
    assert (bet.customer_id, bet.stake, bet.outcome, bet.with_pin) == (amina.id, 40_00, 1, False)
    assert balance(rt, amina) == 960_00
    phone.press("0").sees("Hi Amina. Balance KES 960.")


def test_the_same_hop_twice_places_one_bet(phone: Handset, derby: Market, rt: Runtime) -> None:
    phone.dial(f"1*3*{derby.code}*1*40").sees("Place the bet").press("1")
    placed = phone.screen
    assert phone.repeat().screen == placed
    rt.redis.flushdb()
    phone.repeat().sees("placed", "Balance KES 960.")
    assert len(bets(rt)) == 1


def test_an_evicted_call_never_places_a_bet(phone: Handset, derby: Market, rt: Runtime) -> None:
    phone.dial().press("1", "3", str(derby.code), "2", "40").sees("Place the bet")
    rt.redis.flushdb()
    phone.press("1").sees("KES 40 on Draw", "Place the bet")
    assert not bets(rt)


def test_a_game_by_number_and_by_its_pool(
    phone: Handset, derby: Market, rt: Runtime, wanjiku: Staff
) -> None:
    games.derby(rt, wanjiku, question="Will it rain in Nairobi on Saturday?")
    phone.dial().press("1", "2").sees("Biggest pool", "Gor Mahia", "Will it rain", "KES 0")
    phone.press("0", "3").sees("number of the game").press(str(derby.code)).sees("Gor Mahia v")
    phone.press("0").press("999").sees("no game with that number").press("x*1").sees("no game")
    phone.press("9" * 30).sees("no game")


def test_a_stake_that_will_not_do_is_asked_again(
    phone: Handset, derby: Market, rt: Runtime, amina: Customer
) -> None:
    phone.dial(f"1*3*{derby.code}*1").sees("How much")
    phone.press("19").sees("smallest stake is KES 20")
    phone.press("100001").sees("biggest stake on this game is KES 100,000")
    for text in ("ten", "-40", "1" + "0" * 18, "40.50", "4*0", "\N{GRINNING FACE}", ""):
        phone.press(text).sees("write the amount as a number")
    assert not bets(rt)
    assert balance(rt, amina) == 1_000_00


def test_too_little_money_leads_to_a_deposit_of_what_is_missing(
    phone: Handset, derby: Market, rt: Runtime
) -> None:
    phone.dial(f"1*3*{derby.code}*1*1500").sees("You have KES 1,000. You need KES 500 more")
    phone.press("2").sees("Deposit KES 500 from the M-PESA of 0712000001?")
    assert not bets(rt)


def test_money_that_went_meanwhile_is_missed_in_time(
    phone: Handset, derby: Market, rt: Runtime, house: Switchboard, amina: Customer
) -> None:
    """Two phones cannot share a number, but a text can spend while a call is open."""
    phone.dial(f"1*3*{derby.code}*1*600").sees("Place the bet")
    Handset(house, phone=amina.phone).dial(f"1*3*{derby.code}*2*600").press("1").sees("placed")
    phone.press("1").sees("You have KES 400. You need KES 200 more to bet KES 600", "1 Deposit")
    assert balance(rt, amina) == 400_00
    phone.repeat().sees("You have KES 400")


def test_a_game_that_closed_meanwhile_takes_no_bet(
    phone: Handset, derby: Market, rt: Runtime, amina: Customer, wait
) -> None:
    phone.dial(f"1*3*{derby.code}*1*40").sees("Place the bet")
    wait(hours=4)
    phone.press("1").sees("has closed", "Nothing was taken")
    phone.dial(f"1*3*{derby.code}").sees("betting is not open")
    phone.dial("1*1").sees("No games are open")
    assert balance(rt, amina) == 1_000_00


def test_bets_above_the_limit_of_the_day_need_the_pin(
    phone: Handset, derby: Market, rt: Runtime, amina: Customer
) -> None:
    assert rt.config.ussd_no_pin_limit == 1_000_00
    _bet(phone, derby, "960")
    people.fund(rt, amina, 1_000_00)
    _bet(phone, derby, "40")  # to the shilling
    phone.dial(f"1*3*{derby.code}*1*20").sees("Type your PIN to bet KES 20 on Gor Mahia")
    phone.press(WRONG_PIN).sees("Wrong PIN", "Type your PIN").repeat().sees("Wrong PIN")
    assert tries(rt) == 1
    phone.press("12").sees("A PIN is 4 digits")
    assert tries(rt) == 1
    phone.press(PIN).sees("KES 20 on Gor Mahia", "Place the bet").press("1").sees("placed")
    assert [bet.with_pin for bet in bets(rt)] == [False, False, True]


def test_a_limit_reached_meanwhile_is_told(
    phone: Handset, derby: Market, rt: Runtime, amina: Customer, house: Switchboard
) -> None:
    people.fund(rt, amina, 1_000_00)
    phone.dial(f"1*3*{derby.code}*1*600").sees("Place the bet")
    _bet(Handset(house, phone=amina.phone), derby, "500")
    phone.press("1").sees("Bets above KES 1,000 a day need your PIN")
    assert balance(rt, amina) == 1_500_00


def test_a_locked_pin_is_told_and_the_way_home_stays_open(
    phone: Handset, derby: Market, rt: Runtime, amina: Customer
) -> None:
    people.fund(rt, amina, 1_000_00)
    phone.dial(f"1*3*{derby.code}*1*1500").press(WRONG_PIN, WRONG_PIN, WRONG_PIN)
    phone.sees("now locked until").press(PIN).sees("Your PIN is locked until")
    phone.press("00").sees("Hi Amina. Balance KES 2,000.")
    assert not bets(rt)


def test_who_takes_a_break_is_told_so(
    phone: Handset, derby: Market, rt: Runtime, amina: Customer
) -> None:
    with rt.transaction() as tx:
        tx.merge(amina).excluded_until = rt.now() + timedelta(days=7)
    phone.dial().press("1").sees("take a break until", "You can still withdraw", "4 Withdraw")
    phone.dial(f"1*3*{derby.code}*1*40").sees("take a break until")
    phone.press("3").sees("take a break until")


def test_whoever_works_for_the_house_is_told_that_they_may_not_bet(
    phone: Handset, derby: Market, rt: Runtime, amina: Customer
) -> None:
    with rt.transaction() as tx:
        staff.add(tx, "amina", staff.Role.SUPPORT, now=rt.now(), number=amina.phone)
    phone.dial(f"1*3*{derby.code}*1*40").press("1").sees("Our staff may not bet")
    assert not bets(rt)


def test_my_bets_open_and_ended(
    phone: Handset, derby: Market, rt: Runtime, house: Switchboard, brian: Customer, two: Two
) -> None:
    _bet(phone, derby, "100")
    _bet(Handset(house, phone=brian.phone), derby, "200", outcome="2")
    phone.dial().press("2").sees("1 Open bets").press("1").sees(f"{derby.code} Gor Mahia, KES 100")
    phone.press("1").sees("KES 100 on Gor Mahia", "About KES")
    phone.press("0", "0", "2").sees("You have no bets here yet")
    games.settle(rt, derby, 1, proposer=two[0], approver=two[1])
    phone.dial().press("2", "2").sees(f"{derby.code} Gor Mahia: won KES 285")
    phone.press("1").sees("It won KES 285", "Gor Mahia v AFC Leopards")
    other = Handset(house, phone=brian.phone)
    other.dial("2*2").sees("Draw: lost KES 200").press("1").sees("It lost")


def test_a_bet_of_somebody_else_cannot_be_looked_at(
    phone: Handset, derby: Market, house: Switchboard, brian: Customer, rt: Runtime
) -> None:
    _bet(Handset(house, phone=brian.phone), derby, "200")
    phone.dial("2*1").sees("You have no bets here yet").sees_not("Draw")


def test_a_drop_before_the_bet_may_go_on_and_after_it_shows_it(
    phone: Handset, derby: Market, rt: Runtime
) -> None:
    phone.dial(f"1*3*{derby.code}*1*40").sees("Place the bet")
    phone.dial().sees("cut off").press("1").sees("KES 40 on Gor Mahia", "Place the bet")
    key = f"ussd:call:{phone.session}"
    before = rt.redis.get(key)
    phone.press("1").sees("placed")
    assert before is not None
    rt.redis.set(key, before)  # the process died before Redis heard of it
    phone.dial().press("1").sees("placed", "Balance KES 960.")
    assert len(bets(rt)) == 1


def _bet(phone: Handset, game: Market, stake: str, outcome: str = "1") -> None:
    phone.dial(f"1*3*{game.code}*{outcome}*{stake}").sees("Place the bet").press("1")
    phone.sees("placed")
