"""Betting: find a game, choose a pick and a stake, see what it may bring, and place the bet."""

from collections.abc import Mapping
from typing import Any

from core import betting, categories, customers, ledger, markets, wishes
from core import money as amounts
from core.effects import Channel, Recalled, Refused
from core.errors import Refusal
from core.markets import MarketLine, MarketView, Status
from ussd.pages import LIMIT, clip
from ussd.screens import money, ordering, secrets, verdicts
from ussd.visit import Answer, Ask, Choice, Link, Menu, Page, Visit, effect, link, reader, screen

GAMES_MOST = 20  # of a list; who looks for another one types its number
QUESTION_SHORT = 24  # septets of a question in a list, beside number, game code and time
SHORTEST = 12  # septets of a question that still say something
CODE_DIGITS = 6


@screen
def menu(visit: Visit) -> Menu:
    """The ways to a game."""
    customers.refuse_play(visit.known, now=visit.now)
    return Menu(
        visit.say("ussd.bet_menu"),
        [
            Choice(visit.say("ussd.closing_soon"), link(games, order="closing")),
            Choice(visit.say("ussd.biggest_pool"), link(games, order="pool")),
            Choice(visit.say("ussd.by_number"), link(number)),
            Choice(visit.say("ussd.by_category"), link(kinds)),
        ],
        idle=True,
    )


@screen
def kinds(visit: Visit) -> Menu:
    """The categories with something to bet on, and how much of it."""
    found = categories.with_markets(visit.tx, now=visit.now)
    lines = [
        Choice(
            visit.say("ussd.category", name=one.category.called(visit.lang), games=one.markets),
            link(games, order="closing", category=one.category.name),
        )
        for one in found
    ]
    title = "ussd.choose_category" if found else "ussd.no_games"
    return Menu(visit.say(title), lines, live=True, idle=True)


@screen
def games(visit: Visit) -> Menu:
    """The open games in one order or the other, all or those of a category."""
    order, category = visit.args["order"], visit.args.get("category")
    found = markets.open_list(
        visit.tx, now=visit.now, order=order, category=category, limit=GAMES_MOST
    )
    lines = [Choice(_line(visit, game, order), link(game_page, code=game.code)) for game in found]
    title = _title(visit, order, category) if found else visit.say("ussd.no_games")
    return Menu(title, lines, live=True, idle=True)


@screen
def number(visit: Visit) -> Ask:
    """A game by its number, as posters and friends give it."""
    return Ask(visit.say("ussd.ask_number"), Link(game_page, {}), read=game_code, keep="code")


@reader
def game_code(answer: Answer) -> int:
    """The digits of a game's number."""
    if not (answer.text.isascii() and answer.text.isdigit()) or len(answer.text) > CODE_DIGITS:
        raise Refusal("ussd.no_such_game")
    return int(answer.text)


@screen
def game_page(visit: Visit) -> Menu:
    """The game: its pool now, and what a shilling on each pick would bring."""
    game = _game(visit)
    if not game.is_open(visit.now):
        return Menu(_why_not(visit, game), [], idle=True)
    picks = [
        Choice(
            visit.say("ussd.pick", name=pick.name, times=_times(pick.estimate)),
            link(stake, market=game.id, outcome=pick.number),
            digit=str(pick.number),
        )
        for pick in game.outcomes
        if not pick.withdrawn
    ]
    facts = {"code": game.code, "question": game.question, "pool": game.pool}
    return Menu(visit.say("ussd.game", at=game.closes_at, **facts), picks)


@screen
def stake(visit: Visit) -> Ask:
    """How much."""
    game, pick = _game(visit), visit.args["outcome"]
    least, most = game.min_stake, game.max_stake
    facts = {"outcome": _name(game, pick), "code": game.code, "min": least, "max": most}
    balance = ledger.balance(visit.tx, visit.known.id)
    return Ask(
        visit.say("ussd.ask_stake", balance=balance, **facts),
        then=link(confirm, **visit.args),
        read=stake_amount,
        keep="stake",
        given={"least": least, "most": most},
        sum=True,
    )


@reader
def stake_amount(answer: Answer) -> int:
    """A stake this game takes."""
    amount = amounts.read(answer.text)
    if amount < answer.given["least"]:
        raise Refusal("betting.stake_low", min=answer.given["least"])
    if amount > answer.given["most"]:
        raise Refusal("betting.stake_high", max=answer.given["most"])
    return amount


@screen
def confirm(visit: Visit) -> Page | Link:
    """What is about to be bet. Before it, the money is looked for, and above the limit the PIN."""
    game, pick, staked = _game(visit), visit.args["outcome"], visit.args["stake"]
    balance = ledger.balance(visit.tx, visit.known.id)
    if balance < staked:
        return link(
            short, balance=balance, stake=staked, short=staked - balance, market=game.id,
            outcome=pick, pin=bool(visit.args.get("pin")),
        )  # fmt: skip
    facts = {"stake": staked, "outcome": _name(game, pick), "code": game.code}
    if not visit.args.get("pin") and _over_limit(visit, staked):
        return Ask(
            visit.say("ussd.ask_pin_to_bet", **facts),
            then=link(confirm, **visit.args),
            read=secrets.right_pin,
            keep="pin",
            secret=True,
        )
    facts |= {"estimate": game.estimate(pick, staked), "at": game.closes_at}
    choice = Choice(visit.say("ussd.place_bet"), link(place, **visit.args))
    return Menu(_with_question(visit, game.question, choice, facts), [choice])


def _placed(verdict: Recalled) -> Link:
    if verdict.verdict == "done":
        return link(placed, bet=verdict.facts["bet_id"], balance=verdict.facts["balance"])
    if verdict.reason == "betting.short_of_funds":
        return link(short, **verdict.facts)
    return verdicts.no(verdict)


@effect("bet", then=_placed, kept=True)
def place(visit: Visit) -> Mapping[str, Any] | Refused:
    """Place the bet, from the wallet."""
    answer = betting.place_bet(
        visit.tx,
        key=visit.decision,
        customer_id=visit.known.id,
        market_id=visit.args["market"],
        outcome=visit.args["outcome"],
        stake=visit.args["stake"],
        channel=Channel.USSD,
        session=visit.session,
        with_pin=bool(visit.args.get("pin")),
        no_pin_limit=visit.config.ussd_no_pin_limit,
    )
    if isinstance(answer, Refused):
        return answer
    return {"bet_id": answer.bet_id, "balance": answer.balance}


@screen
def placed(visit: Visit) -> Menu:
    """The bet stands."""
    bet = betting.one_bet(visit.tx, visit.known.id, visit.args["bet"])
    assert bet is not None, "a bet that was placed is there"
    facts = {"bet": bet.id, "stake": bet.stake, "outcome": bet.outcome_name}
    facts |= {"code": bet.market_code, "estimate": bet.estimate, "balance": visit.args["balance"]}
    again = Choice(visit.say("ussd.bet_again"), link(menu))
    return Menu(visit.say("ussd.bet_placed", **facts), [again], idle=True)


@screen
def short(visit: Visit) -> Menu:
    """Too little in the wallet, and how to change that: with the bet in one, or for itself."""
    told = dict(visit.args)
    facts = {name: told.pop(name) for name in ("balance", "stake", "short")}
    need = wishes.terms(
        visit.tx, visit.known.id, facts["stake"], now=visit.now, config=visit.config
    )
    amount = need.deposit if need else visit.config.deposit_min
    only = Choice(visit.say("ussd.deposit_now", amount=amount), link(money.sure, amount=amount))
    if "market" not in told:
        return Menu(visit.say("betting.short_of_funds", **facts), [only], refusing=True)
    both = link(ordering.sure, stake=facts["stake"], **told)
    with_bet = Choice(visit.say("ussd.deposit_and_bet", amount=amount), both)
    return Menu(visit.say("betting.short_of_funds", **facts), [with_bet, only], refusing=True)


def _game(visit: Visit) -> MarketView:
    """The game that was chosen; a number may belong to another one day, a game stays what it is."""
    if "market" in visit.args:
        game = markets.view(visit.tx, visit.args["market"])
    else:
        game = markets.by_code(visit.tx, visit.args["code"])
    if game is None:
        raise Refusal("ussd.no_such_game")
    return game


def _why_not(visit: Visit, game: MarketView) -> str:
    """Why nobody can bet on it now."""
    facts = {"code": game.code, "question": game.question}
    if game.opens_later(visit.now):
        return visit.say("ussd.game_not_yet", at=game.opens_at, **facts)
    paused = game.status == Status.SUSPENDED
    return visit.say("ussd.game_paused" if paused else "ussd.game_closed", **facts)


def _with_question(visit: Visit, question: str, choice: Choice, facts: Mapping[str, Any]) -> str:
    """The confirmation, with as much of the question as leaves the choice on the same screen."""
    bare = visit.say("ussd.confirm_bet", question="", **facts)
    rest = LIMIT - len("\n".join((bare, f"1 {choice.label}", visit.say("ussd.nav"))))
    return visit.say("ussd.confirm_bet", question=clip(question, max(rest, SHORTEST)), **facts)


def _name(game: MarketView, number: int) -> str:
    return next(pick.name for pick in game.outcomes if pick.number == number)


def _title(visit: Visit, order: str, category: str | None) -> str:
    if category is not None:
        known = categories.named(categories.every(visit.tx), category)
        return known.called(visit.lang) if known else category
    return visit.say({"closing": "ussd.closing_soon", "pool": "ussd.biggest_pool"}[order])


def _line(visit: Visit, game: MarketLine, order: str) -> str:
    facts = {"code": game.code, "question": clip(game.question, QUESTION_SHORT)}
    if order == "pool":
        return visit.say("ussd.game_by_pool", pool=game.pool, **facts)
    return visit.say("ussd.game_by_closing", at=game.closes_at, **facts)


def _times(estimate: int) -> str:
    """What KES 1 brings, the way odds are written."""
    return f"{estimate // 100}.{estimate % 100:02}"


def _over_limit(visit: Visit, staked: int) -> bool:
    today = betting.staked_without_pin(visit.tx, visit.known.id, now=visit.now)
    return today + staked > visit.config.ussd_no_pin_limit
