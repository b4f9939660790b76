"""Finding a game on a feature phone: by category, by closing time, by pool, by its number."""

from datetime import timedelta

import pytest

from core import categories, drafts, market_words, settling, trading
from core.customers import Customer
from core.markets import Market
from core.runtime import Runtime
from core.staff import Staff
from tests import games
from tests.ussd.handset import Handset

DAY = timedelta(days=1)


@pytest.fixture
def market(rt: Runtime, wanjiku: Staff):
    """`market("Rugby", "Kenya 7s?")`: one more that can be bet on."""

    def make(category: str, question: str, closes: timedelta = DAY, **more) -> Market:
        now = rt.now()
        with rt.transaction() as tx:
            made = drafts.create(
                tx,
                question=question,
                outcomes=("Yes", "No"),
                category=category,
                opens_at=more.get("opens_at", now),
                closes_at=now + closes,
                by=wanjiku,
                now=now,
                config=rt.config,
            )
            drafts.open_up(tx, made.code, by=wanjiku, now=now)
        return made

    return make


def test_games_by_category(phone: Handset, market, amina: Customer) -> None:
    market("Weather", "Rain?")
    market("Football", "Gor v AFC", 2 * DAY)
    market("Football", "Ingwe v Tusker")
    phone.dial().press("1").sees("4 By category").press("4")
    phone.sees("Choose a category", "1 Football (2)", "2 Weather (1)").press("1")
    phone.sees("Football", "1 103 Ingwe v Tusker", "2 102 Gor v AFC").sees_not("Rain").press("2")
    phone.sees("102 Gor v AFC", "Pool KES 0").press("0").sees("103 Ingwe").press("0", "2")
    phone.sees("Weather", "Rain?")


def test_categories_in_kiswahili(phone: Handset, market, rt: Runtime, amina: Customer) -> None:
    market("Weather", "Rain?")
    with rt.transaction() as tx:
        tx.merge(amina).lang = "sw"
    phone.dial().press("1").sees("4 Kwa aina").press("4").sees("Chagua aina", "1 Hali ya hewa (1)")
    phone.press("1").sees("Hali ya hewa", "101 Rain?")


def test_a_digit_means_the_category_that_was_shown(phone: Handset, market) -> None:
    market("Weather", "Rain?")
    phone.dial("1*4").sees("1 Weather (1)")
    market("Football", "Gor v AFC")  # which comes first from now on
    phone.press("1").sees("Weather", "Rain?")


def test_without_games_there_are_no_categories(phone: Handset, amina: Customer) -> None:
    phone.dial("1*4").sees("No games are open")


def test_every_category_fits_the_phone(phone: Handset, market, rt: Runtime, wanjiku: Staff) -> None:
    """With more of them than one screen holds, and names as long as they may be."""
    with rt.transaction() as tx:
        for letter in "ABCDE":
            name = letter * categories.NAME_LONGEST
            categories.add(tx, f"{name[:-1]}1", f"{name[:-1]}2", by=wanjiku)
    with rt.transaction() as tx:
        names = [one.name for one in categories.every(tx)]
    for name in names:
        market(name, "Q" * market_words.QUESTION_LONGEST)
    seen = phone.dial("1*4").screen
    while "98" in phone.screen.rpartition("\n")[2]:
        seen += phone.press("98").screen
    assert all(f"{name} (1)" in seen for name in names)


def test_the_biggest_pool_first_and_live(
    phone: Handset, market, rt: Runtime, amina: Customer, brian: Customer
) -> None:
    small, big = market("Football", "Small"), market("Football", "Big")
    games.placed(rt, brian, small, 1, 20)
    games.placed(rt, brian, big, 1, 200)
    settling.refresh_pools(rt)
    phone.dial("1*2").sees("1 102 Big KES 200", "2 101 Small KES 20").press("1")
    phone.sees("Pool KES 200", "1 Yes 1.00", "2 No 190.95")
    games.placed(rt, amina, big, 2, 200)
    settling.refresh_pools(rt)
    phone.press("0", "1").sees("Pool KES 400", "1 Yes 1.89", "2 No 1.89")


def test_a_game_that_waits_or_is_paused_says_so(
    phone: Handset, market, rt: Runtime, wanjiku: Staff
) -> None:
    later = market("Football", "Gor v AFC", opens_at=rt.now() + timedelta(hours=1))
    phone.dial(f"1*3*{later.code}").sees("Gor v AFC", "betting opens")
    phone.dial("1*1").sees("No games are open")
    paused = market("Football", "Ingwe v Tusker")
    phone.dial(f"1*3*{paused.code}*1*40").sees("Place the bet")
    with rt.transaction() as tx:
        trading.suspend(tx, paused.code, reason="rain", by=wanjiku)
    phone.press("1").sees("paused for now")
    phone.dial(f"1*3*{paused.code}").sees("betting is paused for now")
