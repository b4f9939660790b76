"""What can be bet on, at what return, and how it ended."""

from collections.abc import Iterable, Sequence

from core import markets, settlement
from core.errors import Refusal
from core.markets import MarketLine, MarketView, Status
from core.settlement import SettlementState
from sms import meanings as m
from sms import picks
from sms.lengths import clipped, first_that_fits
from sms.visit import Reply, Visit

MOST_LISTED = 12  # more than ever fit one text
QUESTION_LISTED = 24  # characters of a question in a list
QUESTIONS, NAME_SHORTEST = (48, 24, 16), 6  # characters that still tell one from another


def games(visit: Visit, asked: m.Games) -> Reply:
    """`GAMES`, `GAMES football`: those that close soonest, as many as one text holds."""
    found = markets.open_list(
        visit.tx, now=visit.now, category=_category(visit, asked), limit=MOST_LISTED
    )
    if not found:
        return Reply("sms.games_none")
    shorter = (_games_reply(found[:count]) for count in range(len(found), 0, -1))
    return first_that_fits(visit.lang, shorter)


def odds(visit: Visit, asked: m.Odds) -> Reply:
    """`ODDS 101`: what KES 1 on each outcome would return as the pool stands, and the pool."""
    market = look_up(visit, asked.code)
    if not market.is_open(visit.now):
        facts = {"code": market.code, "question": market.question}
        return Reply("sms.odds_closed", facts)
    shorter = (_odds_reply(market, *lengths) for lengths in _shortenings(market))
    return first_that_fits(visit.lang, shorter)


def result(visit: Visit, asked: m.Result) -> Reply:
    """`RESULT 101`: who won, once it is settled; what is only proposed is nobody's business yet."""
    market = look_up(visit, asked.code)
    facts = {"code": market.code, "question": market.question}
    if market.status not in (Status.SETTLED, Status.VOID):
        return Reply("sms.result_none_yet", facts)
    settled = settlement.progress(visit.tx, market.code)
    assert settled is not None, f"market {market.id} is settled without a settlement"
    assert settled.state == SettlementState.SETTLED, f"settlement {settled.id} runs"
    if settled.void:
        return Reply("sms.result_void", facts)
    won = " / ".join(one.name for one in market.outcomes if one.number in settled.winners)
    return Reply("sms.result", {**facts, "outcome": won})


def look_up(visit: Visit, code: int) -> MarketView:
    """The market of a code; raises Refusal if there is none.

    The number is not said back: sent on its own it may have been a PIN.
    """
    market = markets.by_code(visit.tx, code)
    if market is None:
        raise Refusal("sms.no_game")
    return market


def _category(visit: Visit, asked: m.Games) -> str | None:
    """The category as it is written; raises Refusal with those there are for one there is not."""
    if asked.category is None:
        return None
    known = markets.categories(visit.tx, now=visit.now)
    for category in known:
        if category.upper() == asked.category:
            return category
    raise Refusal("sms.no_category", categories=clipped(", ".join(known), 80))


def _games_reply(lines: Sequence[MarketLine]) -> Reply:
    listed = "\n".join(f"{one.code} {clipped(one.question, QUESTION_LISTED)}" for one in lines)
    return Reply("sms.games", {"lines": listed, "code": lines[0].code})


def _odds_reply(market: MarketView, question: int, name: int) -> Reply:
    labelled = picks.labelled(market)
    lines = (
        f"{letter} {one.name[:name].rstrip()} {one.estimate // 100}.{one.estimate % 100:02}"
        for letter, one in labelled
    )
    return Reply(
        "sms.odds",
        {
            "code": market.code,
            "question": clipped(market.question, question),
            "lines": "\n".join(lines),
            "pool": market.pool,
            "at": market.closes_at,
            "pick": labelled[0][0],
        },
    )


def _shortenings(market: MarketView) -> Iterable[tuple[int, int]]:
    """Lengths of question and names to try: first everything, then ever less of it."""
    longest = max(len(one.name) for one in market.outcomes)
    names = range(longest, NAME_SHORTEST - 1, -2)
    yield len(market.question), longest
    for question in QUESTIONS:
        for name in names:
            yield question, name
