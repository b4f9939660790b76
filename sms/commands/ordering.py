"""Deposit and bet in one by SMS: an offer to who is short of money, and the YES to it."""

from core import orders
from core.betting import Placed
from core.effects import Channel, Refused
from core.markets import MarketView, OutcomeView
from core.money import Cents
from core.orders import Ordered
from core.wishes import Wish
from sms import meanings as m
from sms.lengths import clipped
from sms.visit import Reply, Visit

OUTCOME_LONGEST = 14  # characters of a pick's name, for the offer to stay one text


def offer(visit: Visit, market: MarketView, outcome: OutcomeView, stake: Cents) -> Reply:
    """What a bet without the money is answered: what is missing, and how one word brings both."""
    wish = Wish(market.id, outcome.number, stake, visit.proven, Channel.SMS, visit.message_id)
    came = orders.offer(
        visit.tx,
        key=visit.key("offer"),
        customer=visit.who,
        wish=wish,
        now=visit.now,
        config=visit.config,
    )
    if isinstance(came, Refused):
        return Reply(came.reason, came.facts)
    if isinstance(came, Placed):  # the money has come since the bet was tried
        return placed(market, outcome, stake, came)
    facts = {
        "balance": came.balance,
        "amount": came.deposit,
        "stake": stake,
        "outcome": clipped(outcome.name, OUTCOME_LONGEST),
        "code": market.code,
        "short": visit.config.at_short_code,  # the offer comes from a name: nobody can reply to it
        "minutes": visit.config.order_offer.seconds // 60,
    }
    if came.tax:
        return Reply("sms.order_offer_levy", {**facts, "tax": came.tax})
    return Reply("sms.order_offer", facts)


def yes(visit: Visit, _: m.Yes) -> Reply:
    """`YES`: to the one open offer."""
    came = orders.accept(
        visit.tx, key=visit.key("yes"), customer=visit.who, now=visit.now, config=visit.config
    )
    if isinstance(came, Ordered):
        return Reply("sms.order_asked", {"amount": came.amount, "ref": came.ref})
    if isinstance(came, Placed):
        return Reply("sms.order_placed", {"bet": came.bet_id, "balance": came.balance})
    return Reply(came.reason, came.facts)


def placed(market: MarketView, outcome: OutcomeView, stake: Cents, came: Placed) -> Reply:
    """The receipt of a bet."""
    return Reply(
        "sms.bet_placed",
        {
            "id": came.bet_id,
            "code": market.code,
            "stake": stake,
            "outcome": outcome.name,
            "estimate": market.estimate(outcome.number, stake),
            "at": market.closes_at,
            "balance": came.balance,
        },
    )
