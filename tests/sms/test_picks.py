"""What a pick names, by table."""

from datetime import UTC, datetime

import pytest

from core.markets import MarketView, OutcomeView, Status
from core.money import Cents
from sms import picks

COUPON = ("Gor Mahia", "Draw", "AFC Leopards")
DRAW_LAST = ("Gor Mahia", "AFC Leopards", "X")
YES_NO = ("Yes", "No")
NO_YES = ("Hapana", "Ndio")
PARTIES = ("Azimio", "Kenya Kwanza", "Neither", "Other 2")
LETTERS = ("1", "X", "2")


def market(names: tuple[str, ...]) -> MarketView:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    return MarketView(
        id=1, code=101, question="?", category="Football", status=Status.OPEN, opens_at=at,
        closes_at=at, fee_bp=500, min_stake=Cents(20_00), max_stake=Cents(100_000_00),
        pool=Cents(0),
        outcomes=[OutcomeView(n, name, Cents(0), Cents(100)) for n, name in enumerate(names, 1)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("names", "pick", "number"),
    [
        (COUPON, "1", 1), (COUPON, "X", 2), (COUPON, "2", 3), (COUPON, "3", None),
        (COUPON, "DRAW", 2), (COUPON, "SARE", 2), (COUPON, "GOR MAHIA", 1),
        (COUPON, "GORMAHIA", 1), (COUPON, "gor mahia", 1), (COUPON, "GOR", None),
        (COUPON, "AFC", None), (COUPON, "YES", None), (COUPON, "0", None),
        (DRAW_LAST, "1", 1), (DRAW_LAST, "2", 2), (DRAW_LAST, "X", 3), (DRAW_LAST, "3", None),
        (LETTERS, "1", 1), (LETTERS, "X", 2), (LETTERS, "2", 3),
        (YES_NO, "YES", 1), (YES_NO, "NDIO", 1), (YES_NO, "NO", 2), (YES_NO, "HAPANA", 2),
        (YES_NO, "1", 1), (YES_NO, "2", 2), (YES_NO, "3", None), (YES_NO, "X", None),
        (NO_YES, "YES", 2), (NO_YES, "NO", 1), (NO_YES, "1", 1),
        (PARTIES, "AZIMIO", 1), (PARTIES, "2", 2), (PARTIES, "4", 4), (PARTIES, "5", None),
        (PARTIES, "OTHER 2", 4), (PARTIES, "OTHER", None), (PARTIES, "X", None),
        (PARTIES, "", None),
    ],
)  # fmt: skip
def test_a_pick_names_one_outcome_or_none(names, pick, number) -> None:
    found = picks.resolve(market(names), pick)
    assert (found.number if found else None) == number


@pytest.mark.parametrize("names", [COUPON, DRAW_LAST, YES_NO, NO_YES, PARTIES, LETTERS])
def test_what_is_shown_beside_an_outcome_names_that_outcome(names) -> None:
    one = market(names)
    for letter, outcome in picks.labelled(one):
        assert picks.resolve(one, letter) == outcome
        assert picks.label(one, outcome) == letter
    assert {outcome.number for _, outcome in picks.labelled(one)} == set(range(1, len(names) + 1))
