"""Finding a game by SMS: what closes soon, by category, by pool, and one game by its number."""

from datetime import timedelta

import pytest

from core import settling, trading
from core.customers import Customer
from core.runtime import Runtime
from tests import games
from tests.core.test_withdrawn_outcomes import withdraw
from tests.people import AMINA
from tests.sms.phone import Phone


@pytest.fixture
def phone(rt: Runtime, amina: Customer, noon: None) -> Phone:
    return Phone(rt, AMINA)


@pytest.fixture
def three(rt: Runtime, wanjiku):
    """101 and 102 football, 103 rugby, closing in the other order."""
    return [
        games.derby(rt, wanjiku, question="Gor v AFC", closes=6 * games.HOUR),
        games.derby(rt, wanjiku, question="Ingwe v Tusker", closes=5 * games.HOUR),
        games.derby(rt, wanjiku, question="Kenya 7s?", closes=4 * games.HOUR, category="Rugby"),
    ]


def test_games_by_closing_time_category_and_pool(rt, phone, amina, three) -> None:
    for market, shillings in zip(three, (20, 300, 50), strict=True):
        games.placed(rt, amina, market, 1, shillings)
    settling.refresh_pools(rt)
    odds = "\nFor odds send ODDS"
    assert phone.text("GAMES") == f"103 Kenya 7s?\n102 Ingwe v Tusker\n101 Gor v AFC{odds} 103"
    assert phone.text("MICHEZO SOKA") == f"102 Ingwe v Tusker\n101 Gor v AFC{odds} 102"
    assert phone.text("games rugby") == phone.text("MECHI Raga") == f"103 Kenya 7s?{odds} 103"
    assert phone.text("GAMES TOP") == (
        f"102 Ingwe v Tusker KES 300\n103 Kenya 7s? KES 50\n101 Gor v AFC KES 20{odds} 102"
    )
    assert phone.text("MECHI KUBWA SOKA").startswith("102 Ingwe v Tusker KES 300\n101")
    assert "one of: Football, Rugby." in phone.text("GAMES chess")
    phone.text("LANG SW")
    assert "mojawapo ya: Soka, Raga." in phone.text("GAMES chess")


def test_without_a_game_no_category_is_asked_for(phone) -> None:
    assert phone.text("GAMES SOKA") == phone.text("GAMES")


def test_a_game_that_waits_or_is_paused_says_so(rt, phone, wanjiku) -> None:
    opens = rt.now() + timedelta(hours=1)
    games.derby(rt, wanjiku, opens_at=opens)
    assert "betting opens " in phone.text("ODDS 101")
    assert "Betting on this game opens " in phone.text("101#1#50")
    assert "101#1#50: NOT placed, opens " in phone.text("101#1#50 101#2#50")
    paused = games.derby(rt, wanjiku)
    with rt.transaction() as tx:
        trading.suspend(tx, paused.code, reason="rain", by=wanjiku)
    assert "paused for now" in phone.text("ODDS 102")
    assert "paused for now" in phone.text("102#1#50")


def test_a_withdrawn_outcome_is_not_offered_any_more(rt, phone, wanjiku, kamau) -> None:
    market = games.derby(rt, wanjiku, "Simba", "Chui", "Duma")
    withdraw(rt, market, 1, wanjiku, kamau)

    told = phone.text(f"ODDS {market.code}")

    assert "Simba" not in told
    assert f"{market.code}#2#50" in told
