"""Deposit and bet in one: what is missing for a bet is asked of M-PESA, and the bet follows it."""

from collections.abc import Mapping
from typing import Any

from core import betting, markets, orders, wishes
from core.betting import Placed
from core.effects import Channel, Recalled, Refused
from core.errors import Refusal
from core.money import Cents
from core.wishes import Wish
from ussd.screens import secrets, verdicts
from ussd.visit import EFFECTS, Ask, Choice, Link, Menu, Visit, effect, link, screen


@screen
def sure(visit: Visit) -> Menu | Ask:
    """What M-PESA is about to be asked for, and for which bet; above the limit the PIN is first."""
    game, pick, staked = (
        markets.view(visit.tx, visit.args["market"]),
        visit.args["outcome"],
        visit.args["stake"],
    )
    assert game is not None, "the bet was chosen from it"
    if not game.is_open(visit.now):
        raise Refusal("betting.market_closed")
    name = next(one.name for one in game.outcomes if one.number == pick)
    facts = {"stake": staked, "outcome": name, "code": game.code}
    if not visit.args.get("pin") and _over_limit(visit, staked):
        return Ask(
            visit.say("ussd.ask_pin_to_bet", **facts),
            then=link(sure, **visit.args),
            read=secrets.right_pin,
            keep="pin",
            secret=True,
        )
    yes = Choice(visit.say("ussd.order_yes"), link(deposit_and_bet, **visit.args))
    need = wishes.terms(visit.tx, visit.known.id, staked, now=visit.now, config=visit.config)
    if need is None:
        return Menu(visit.say("ussd.order_from_wallet", **facts), [yes])
    if need.tax:
        return Menu(visit.say("ussd.order_levy", amount=need.deposit, tax=need.tax, **facts), [yes])
    return Menu(visit.say("ussd.order", amount=need.deposit, **facts), [yes])


def _ordered(verdict: Recalled) -> Link | None:
    """To where a bet leads, or a deposit: it is one or the other that was done."""
    if verdict.verdict != "done":
        return verdicts.no(verdict)
    return EFFECTS["bet" if "bet_id" in verdict.facts else "deposit"].then(verdict)


@effect("order", then=_ordered, kept=True)
def deposit_and_bet(visit: Visit) -> Mapping[str, Any] | Refused:
    """Have M-PESA prompt the caller once the call is over, and the bet placed when it is paid."""
    wish = Wish(
        market_id=visit.args["market"],
        outcome=visit.args["outcome"],
        stake=Cents(visit.args["stake"]),
        with_pin=bool(visit.args.get("pin")),
        channel=Channel.USSD,
        session=visit.session,
    )
    answer = orders.ask(
        visit.tx,
        key=visit.decision,
        customer=visit.known,
        wish=wish,
        now=visit.now,
        config=visit.config,
    )
    if isinstance(answer, Refused):
        return answer
    if isinstance(answer, Placed):
        return {"bet_id": answer.bet_id, "balance": answer.balance}
    return {"amount": answer.amount, "ref": answer.ref, "order": True}


def _over_limit(visit: Visit, staked: int) -> bool:
    today = betting.staked_without_pin(visit.tx, visit.known.id, now=visit.now)
    return today + staked > visit.config.ussd_no_pin_limit
