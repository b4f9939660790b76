"""My bets: those still running and those that ended, and each in detail."""

from core import betting
from core.betting import BetLine
from core.errors import Refusal
from ussd.visit import Choice, Menu, Visit, link, screen

BETS_MOST = 20  # of a list, the newest; older ones are in the statement


@screen
def menu(visit: Visit) -> Menu:
    """Running or ended."""
    return Menu(
        visit.say("ussd.my_bets"),
        [
            Choice(visit.say("ussd.open_bets"), link(bets, open=True)),
            Choice(visit.say("ussd.ended_bets"), link(bets, open=False)),
        ],
        idle=True,
    )


@screen
def bets(visit: Visit) -> Menu:
    """The newest bets of one kind."""
    running = visit.args["open"]
    found = betting.my_bets(visit.tx, visit.known.id, open=running, limit=BETS_MOST)
    title = "ussd.open_bets" if running else "ussd.ended_bets"
    lines = [Choice(_line(visit, bet), link(detail, bet=bet.id)) for bet in found]
    return Menu(visit.say(title if found else "ussd.no_bets"), lines, live=True, idle=True)


@screen
def detail(visit: Visit) -> Menu:
    """One bet: what it may bring, or what it brought."""
    bet = betting.one_bet(visit.tx, visit.known.id, visit.args["bet"])
    if bet is None:
        raise Refusal("ussd.no_bets")
    facts = {
        "bet": bet.id,
        "code": bet.market_code,
        "question": bet.question,
        "outcome": bet.outcome_name,
        "stake": bet.stake,
        "amount": bet.estimate if bet.state == "open" else bet.returned,
        "at": bet.closes_at,
    }
    return Menu(visit.say(f"ussd.bet_{bet.state}", **facts), [], idle=True)


def _line(visit: Visit, bet: BetLine) -> str:
    facts = {"code": bet.market_code, "outcome": bet.outcome_name}
    amount = bet.stake if bet.state in ("open", "lost") else bet.returned
    return visit.say(f"ussd.line_{bet.state}", amount=amount, **facts)
