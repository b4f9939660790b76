"""Bets by SMS: each of a text stands or falls alone, and the reply says which."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from core import betting, customers, keys, ledger, markets
from core.betting import BetLine, Placed
from core.effects import Channel, Refused
from core.errors import Refusal
from core.inbound import placed_since
from core.markets import MarketView, OutcomeView
from core.say import say
from sms import meanings as m
from sms import picks
from sms.commands import games, ordering
from sms.lengths import TWO_TEXTS, clipped, first_that_fits
from sms.visit import Reply, Visit

MOST_BETS = 15  # in one text; a phone sends about that many as one message
LISTED_OPEN, LISTED_ENDED = 4, 2  # of a customer's bets in one text
SHILLING = 100


@dataclass(frozen=True)
class Verdict:
    """What became of one bet of the text; no market means there is no such game."""

    slip: m.Slip
    market: MarketView | None
    outcome: OutcomeView | None
    came: Placed | Refused


def bets(visit: Visit, asked: m.Bets) -> Reply:
    """`101#1#50`, `101#1#50 102#X#20 PIN`: placed at most once, in the order they stand."""
    if len(asked.slips) > MOST_BETS:
        return Reply("sms.too_many_bets", {"most": MOST_BETS})
    if asked.pin is None and _over_the_limit(visit, asked.slips):
        return Reply("sms.bets_need_pin", {"limit": visit.config.sms_no_pin_limit})
    digest = _digest(visit, asked.slips)
    since = visit.now - visit.config.sms_repeat
    if not asked.again and placed_since(visit.tx, visit.phone, digest, since=since):
        return Reply("sms.bets_again")
    _hold_the_short(visit, asked.slips)
    verdicts = [_place(visit, slip, number) for number, slip in enumerate(asked.slips, start=1)]
    one = len(verdicts) == 1
    reply = _one_answer(visit, verdicts[0]) if one else _many_answer(visit, verdicts)
    placed = any(isinstance(verdict.came, Placed) for verdict in verdicts)
    return Reply(
        reply.sentence,
        reply.facts,
        secret=asked.pin is not None,
        bets_digest=digest if placed else None,
    )


def stake_missing(visit: Visit, asked: m.StakeMissing) -> Reply:
    """`101#1`: ask for the amount with an example that is filled in."""
    if len(asked.pairs) > 1:
        return Reply("sms.stakes_missing", {"bets": _spelled(asked.pairs, "50")})
    ((code, pick),) = asked.pairs
    market = games.look_up(visit, code)
    outcome = _outcome(market, pick)
    facts = {"code": code, "pick": picks.label(market, outcome), "outcome": outcome.name}
    return Reply("sms.stake_missing", facts)


def combined(visit: Visit, asked: m.Combined) -> Reply:
    """`1234#1#2234#2#100`: not offered; here they are one by one."""
    stake = str(asked.stake // SHILLING)
    return Reply("sms.combined", {"bets": _spelled(asked.pairs, stake)})


def stake_or_pin(visit: Visit, asked: m.StakeOrPin) -> Reply:
    """`101#1#102#2#4826`: nothing is done, and the last number, perhaps a PIN, is not repeated."""
    return Reply("sms.stake_or_pin", {"bets": _spelled(asked.pairs, "50")})


def my_bets(visit: Visit, _: m.MyBets) -> Reply:
    """`BETS`: what is running, then how the last ones ended, as many as one text holds."""
    customer_id = visit.who.id
    running = betting.my_bets(visit.tx, customer_id, open=True, limit=LISTED_OPEN)
    ended = betting.my_bets(visit.tx, customer_id, open=False, limit=LISTED_ENDED)
    if not running and not ended:
        return Reply("sms.bets_none")
    lines = [_line(visit, bet) for bet in (*running, *ended)]
    shorter = ("\n".join(lines[:count]) for count in range(len(lines), 0, -1))
    return first_that_fits(visit.lang, (Reply("sms.bets", {"lines": some}) for some in shorter))


def _over_the_limit(visit: Visit, slips: Sequence[m.Slip]) -> bool:
    """Whether these bets would take the day's sum above what needs no PIN; all of them or none."""
    already = betting.staked_without_pin(visit.tx, visit.who.id, now=visit.now)
    return already + sum(slip.stake for slip in slips) > visit.config.sms_no_pin_limit


def _hold_the_short(visit: Visit, slips: Sequence[m.Slip]) -> None:
    """Lock whoever is about to be offered an order: a person comes before their wallet."""
    stake = slips[0].stake
    if len(slips) == 1 and ledger.balance(visit.tx, visit.who.id) < stake:
        customers.hold(visit.tx, visit.who)


def _digest(visit: Visit, slips: Sequence[m.Slip]) -> uuid.UUID:
    """By which the same bets are known, however they were written."""
    written = "|".join(f"{slip.code}#{slip.pick}#{slip.stake}" for slip in slips)
    return keys.derive(visit.config.key_key, "bets", visit.phone, written)


def _place(visit: Visit, slip: m.Slip, number: int) -> Verdict:
    market = markets.by_code(visit.tx, slip.code)
    if market is None:
        return Verdict(slip, None, None, Refused("sms.no_game"))
    outcome = picks.resolve(market, slip.pick)
    if outcome is None:
        refused = Refused("sms.no_pick", _no_pick(market, slip.pick))
        return Verdict(slip, market, None, refused)
    came = betting.place_bet(
        visit.tx,
        key=visit.key(number),
        customer_id=visit.who.id,
        market_id=market.id,
        outcome=outcome.number,
        stake=slip.stake,
        channel=Channel.SMS,
        session=visit.message_id,
        with_pin=visit.proven,
        no_pin_limit=visit.config.sms_no_pin_limit,
    )
    return Verdict(slip, market, outcome, came)


def _one_answer(visit: Visit, verdict: Verdict) -> Reply:
    """The receipt of a single bet, an offer to who is short of money, or the whole reason."""
    slip, market, outcome, came = verdict.slip, verdict.market, verdict.outcome, verdict.came
    if isinstance(came, Refused) and came.reason == "betting.short_of_funds":
        assert market is not None
        assert outcome is not None
        return ordering.offer(visit, market, outcome, slip.stake)
    if isinstance(came, Refused):
        return Reply(came.reason, came.facts)
    assert market is not None
    assert outcome is not None
    return ordering.placed(market, outcome, slip.stake, came)


def _many_answer(visit: Visit, verdicts: Sequence[Verdict]) -> Reply:
    """A line for each; where that is too long for two texts, which stand and which do not."""
    balance = ledger.balance(visit.tx, visit.who.id)
    lines = "\n".join(_verdict_line(visit, verdict) for verdict in verdicts)
    placed = [_named(one) for one in verdicts if isinstance(one.came, Placed)]
    refused = [_named(one) for one in verdicts if isinstance(one.came, Refused)]
    short = {"placed": ", ".join(placed) or "-", "refused": ", ".join(refused) or "-"}
    return first_that_fits(
        visit.lang,
        [
            Reply("sms.bets_answered", {"lines": lines, "balance": balance}),
            Reply("sms.bets_answered_short", {**short, "balance": balance}),
        ],
        limits=[TWO_TEXTS],  # why a bet does not stand is worth the second
    )


def _named(verdict: Verdict) -> str:
    return f"{verdict.slip.code}#{clipped(verdict.slip.pick, 8)}"


def _verdict_line(visit: Visit, verdict: Verdict) -> str:
    slip, came = verdict.slip, verdict.came
    facts = {"code": slip.code, "pick": clipped(slip.pick, 12), "stake": slip.stake}
    if isinstance(came, Placed):
        return say("sms.line_placed", visit.lang, **facts, id=came.bet_id)
    return say("sms.line_refused", visit.lang, **facts, why=_why(visit, came))


def _why(visit: Visit, refused: Refused) -> str:
    """A reason in two or three words, for the line of one bet among many."""
    known = {
        "sms.no_game": "sms.why_no_game",
        "sms.no_pick": "sms.why_no_pick",
        "betting.no_such_outcome": "sms.why_no_pick",
        "betting.outcome_withdrawn": "sms.why_no_pick",
        "betting.market_closed": "sms.why_closed",
        "betting.market_suspended": "sms.why_suspended",
        "betting.market_not_yet": "sms.why_not_yet",
        "betting.stake_low": "sms.why_low",
        "betting.stake_high": "sms.why_high",
        "betting.short_of_funds": "sms.why_short",
        "betting.pin_needed": "sms.why_pin",
    }
    return say(known.get(refused.reason, "sms.why_other"), visit.lang, **refused.facts)


def _outcome(market: MarketView, pick: str) -> OutcomeView:
    outcome = picks.resolve(market, pick)
    if outcome is None:
        raise Refusal("sms.no_pick", **_no_pick(market, pick))
    return outcome


def _no_pick(market: MarketView, pick: str) -> dict[str, object]:
    possible = ", ".join(letter for letter, _ in picks.labelled(market))
    return {"code": market.code, "pick": clipped(pick, 20), "picks": possible}


def _spelled(pairs: Sequence[tuple[int, str]], stake: str) -> str:
    return " ".join(f"{code}#{pick}#{stake}" for code, pick in pairs)


def _line(visit: Visit, bet: BetLine) -> str:
    facts = {
        "id": bet.id,
        "code": bet.market_code,
        "outcome": clipped(bet.outcome_name, 10),
        "stake": bet.stake,
        "amount": bet.estimate if bet.state == "open" else bet.returned,
    }
    return say(f"sms.bet_{bet.state}", visit.lang, **facts)
