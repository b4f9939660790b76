"""Picks as bettors name them, and as this house numbers them.

Where a game can be drawn, `1 X 2` is home, draw, away whatever the outcomes' numbers are: `2` has
meant the away side on every coupon in Kenya. Such a game is shown with these letters by SMS too, so
a number never means one thing on the screen and another in the text.
"""

from core.markets import MarketView, OutcomeView

HOME, DRAW, AWAY = "1", "X", "2"
DRAWN = frozenset(("X", "DRAW", "SARE"))
YES, NO = frozenset(("YES", "NDIO", "NDIYO", "Y")), frozenset(("NO", "HAPANA", "LA", "N"))
COUPON = 3  # outcomes of a game that can be drawn


def resolve(market: MarketView, pick: str) -> OutcomeView | None:
    """The outcome that `pick` names, or None. Never a guess: a name must be whole."""
    wanted = _plain(pick)
    for outcome in market.outcomes:
        if _plain(outcome.name) == wanted:
            return outcome
    if coupon := _coupon(market):
        return coupon.get(DRAW if wanted in DRAWN else wanted)
    for words in (YES, NO):
        if wanted in words:
            return next((one for one in market.outcomes if _plain(one.name) in words), None)
    return next((one for one in market.outcomes if str(one.number) == wanted), None)


def label(market: MarketView, outcome: OutcomeView) -> str:
    """What to type for an outcome."""
    letters = {one.number: letter for letter, one in _coupon(market).items()}
    return letters.get(outcome.number, str(outcome.number))


def labelled(market: MarketView) -> list[tuple[str, OutcomeView]]:
    """Every outcome with what to type for it, home before draw before away."""
    return list(_coupon(market).items()) or [(label(market, one), one) for one in market.outcomes]


def _coupon(market: MarketView) -> dict[str, OutcomeView]:
    """Home, draw and away by their letters; nothing for a game that cannot be drawn."""
    drawn = [one for one in market.outcomes if _plain(one.name) in DRAWN]
    if len(market.outcomes) != COUPON or len(drawn) != 1:
        return {}
    home, away = (one for one in market.outcomes if one is not drawn[0])
    return {HOME: home, DRAW: drawn[0], AWAY: away}


def _plain(name: str) -> str:
    """A name as it is compared: capitals, and only letters and digits."""
    return "".join(letter for letter in name.upper() if letter.isalnum())
