"""What can be bet on, at what return, and how it ended."""

from collections.abc import Iterable, Sequence

from core import categories, markets, settlement
from core.errors import Refusal
from core.markets import MarketLine, MarketView, Status
from core.say import say
from core.settlement import SettlementState
from sms import meanings as m
from sms import picks
from sms.lengths import clipped, first_that_fits
from sms.visit import Reply, Visit

MOST_LISTED = 12  # more than ever fit one text
QUESTION_LISTED, BESIDE_POOL = 24, 18  # characters of a question in a list
QUESTIONS, NAME_SHORTEST = (48, 24, 16), 6  # characters that still tell one from another


def games(visit: Visit, asked: m.Games) -> Reply:
    """`GAMES`, `GAMES football`, `GAMES TOP`: those that close soonest, or have the biggest pool.

    As many as one text holds.
    """
    found = markets.open_list(
        visit.tx,
        now=visit.now,
        order="pool" if asked.biggest else "closing",
        category=_category(visit, asked),
        limit=MOST_LISTED,
    )
    if not found:
        return Reply("sms.games_none")
    lines = [_game_line(visit.lang, one, asked.biggest) for one in found]
    shorter = (_games_reply(lines[:count], found[0]) for count in range(len(found), 0, -1))
    return first_that_fits(visit.lang, shorter)


def odds(visit: Visit, asked: m.Odds) -> Reply:
    """`ODDS 101`: what KES 1 on each outcome would return as the pool stands, and the pool."""
    market = look_up(visit, asked.code)
    if not market.is_open(visit.now):
        facts = {"code": market.code, "question": market.question}
        if market.opens_later(visit.now):
            return Reply("sms.odds_not_yet", {**facts, "at": market.opens_at})
        paused = market.status == Status.SUSPENDED
        return Reply("sms.odds_paused" if paused else "sms.odds_closed", facts)
    shorter = (_odds_reply(market, *lengths) for lengths in _shortenings(market))
    return first_that_fits(visit.lang, shorter)


def result(visit: Visit, asked: m.Result) -> Reply:
    """`RESULT 101`: who won, once it is settled; what is only proposed is nobody's business yet."""
    market = look_up(visit, asked.code)
    facts = {"code": market.code, "question": market.question}
    if market.status not in (Status.SETTLED, Status.VOID):
        return Reply("sms.result_none_yet", facts)
    settled = settlement.newest(visit.tx, market.id)
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
    """The name of the category that was asked for, in either language.

    Raises Refusal with those there are for one there is not.
    """
    if asked.category is None:
        return None
    open_ones = [line.category for line in categories.with_markets(visit.tx, now=visit.now)]
    found = categories.named(open_ones, asked.category)
    if found is not None:
        return found.name
    if not open_ones:
        raise Refusal("sms.games_none")
    names = ", ".join(one.called(visit.lang) for one in open_ones)
    raise Refusal("sms.no_category", categories=clipped(names, 80))


def _game_line(lang: str, game: MarketLine, with_pool: bool) -> str:
    if with_pool:
        question = clipped(game.question, BESIDE_POOL)
        return say("sms.game_by_pool", lang, code=game.code, question=question, pool=game.pool)
    return f"{game.code} {clipped(game.question, QUESTION_LISTED)}"


def _games_reply(lines: Sequence[str], first: MarketLine) -> Reply:
    return Reply("sms.games", {"lines": "\n".join(lines), "code": first.code})


def _odds_reply(market: MarketView, question: int, name: int) -> Reply:
    labelled = [pair for pair in picks.labelled(market) if not pair[1].withdrawn]
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
