"""The statement: what came and went, by kind, state and time, and each line in detail."""

from collections.abc import Mapping
from typing import Any

from core import deposits, keys, messages, recent, statement
from core.effects import Recalled
from core.errors import Refusal
from core.say import NAIROBI
from core.statement import Cursor, Kind, Line, Period, State
from ussd.screens import bets
from ussd.screens.money import with_doubt
from ussd.visit import Choice, Link, Menu, Visit, effect, link, screen

LINES_MOST = 20  # of a list; then `older` leads to the next so many
NARROW = "01"  # above the lines, so that nobody has to page to it


@screen
def menu(visit: Visit) -> Menu:
    """The newest lines, or those of one kind, state or time; a second choice narrows the first."""
    chosen = visit.args
    ways = {"kind": by_kind, "state": by_state, "period": by_period}
    choices = [Choice(visit.say("ussd.statement_newest"), link(lines, **chosen))]
    choices += [
        Choice(visit.say(f"ussd.statement_by_{way}"), link(to, **chosen))
        for way, to in ways.items()
        if way not in chosen
    ]
    if not chosen:
        choices.append(Choice(visit.say("ussd.statement_by_sms"), link(send)))
    title = _title(visit)
    return Menu(title if chosen else with_doubt(visit, title), choices, idle=True)


@screen
def by_kind(visit: Visit) -> Menu:
    """Deposits, bets, withdrawals, or the rest."""
    return _narrowed(visit, "kind", list(Kind))


@screen
def by_state(visit: Visit) -> Menu:
    """What waits, what is done, what failed."""
    return _narrowed(visit, "state", list(State))


@screen
def by_period(visit: Visit) -> Menu:
    """Today, seven days, this month."""
    return _narrowed(visit, "period", list(Period))


@screen
def lines(visit: Visit) -> Menu:
    """The lines themselves, newest first. The way to narrow them down stands above them."""
    wanted = {name: visit.args[name] for name in ("kind", "state", "period") if name in visit.args}
    found = statement.page(
        visit.tx,
        visit.known.id,
        kind=Kind(wanted["kind"]) if "kind" in wanted else None,
        state=State(wanted["state"]) if "state" in wanted else None,
        since=Period(wanted["period"]).since(visit.now) if "period" in wanted else None,
        cursor=Cursor(*visit.args.get("after", ())),
        limit=LINES_MOST,
    )
    choices = [
        Choice(line.words(visit.lang), _detail(line), digit=str(number))
        for number, line in enumerate(found.lines, start=1)
    ]
    if len(wanted) < 3:
        narrow = Choice(visit.say("ussd.statement_narrow"), link(menu, **wanted), digit=NARROW)
        choices.insert(0, narrow)
    if found.older is not None:
        after = [found.older.seq, found.older.deposit]
        number = str(len(found.lines) + 1)
        older = link(lines, **wanted, after=after)
        choices.append(Choice(visit.say("ussd.statement_older"), older, digit=number))
    if not found.lines:
        return Menu(f"{_title(visit)}\n{visit.say('ussd.statement_none')}", choices, idle=True)
    return Menu(_title(visit), choices, live=True, idle=True)


@screen
def move(visit: Visit) -> Menu:
    """One line that moved the wallet."""
    line = statement.one(visit.tx, visit.known.id, seq=visit.args["seq"])
    if line is None:
        raise Refusal("ussd.statement_none")
    facts = _facts(visit, line)
    if line.kind is Kind.PAYOUT and line.word == "payout":
        return Menu(_sent_away(visit, line, facts), [], idle=True)
    if line.receipt is not None:
        return Menu(visit.say("ussd.entry_receipt", **facts), [], idle=True)
    return Menu(visit.say("ussd.entry", **facts), [], idle=True)


@screen
def deposit(visit: Visit) -> Menu:
    """A deposit that has not reached the wallet."""
    line = statement.one(visit.tx, visit.known.id, deposit=visit.args["deposit"])
    if line is None:  # it has arrived since the list was shown
        raise Refusal("ussd.statement_moved")
    facts = _facts(visit, line)
    if line.receipt is not None:
        return Menu(visit.say("ussd.entry_elsewhere", **facts), [], idle=True)
    stands = deposits.by_ref(visit.tx, visit.known.id, line.name or "")
    assert stands is not None, "a line's deposit is there"
    return Menu(visit.say(f"ussd.last_{stands.state}", **facts), [], idle=True)


def _sent(verdict: Recalled) -> Link | None:
    return link(sent) if verdict.verdict == "done" else None


@effect("statement_by_sms", then=_sent)
def send(visit: Visit) -> Mapping[str, Any]:
    """Send the newest lines by SMS; the same ones only once a day, however often it is asked."""
    customer = visit.known
    facts = statement.short(visit.tx, customer.id, visit.lang)
    if facts is None:
        raise Refusal("ussd.statement_none")
    day = visit.now.astimezone(NAIROBI).date()
    messages.text(
        visit.tx,
        to=customer.phone,
        lang=visit.lang,
        sentence="sms.statement",
        facts=facts,
        key=keys.derive(visit.config.key_key, "statement", customer.id, day, facts["lines"]),
        now=visit.now,
        customer_id=customer.id,
    )
    return {}


@screen
def sent(visit: Visit) -> Menu:
    """It comes by SMS."""
    return Menu(visit.say("ussd.statement_sent"), [], idle=True)


def _narrowed(visit: Visit, name: str, values: list[Any]) -> Menu:
    """A choice among values; all that was chosen before goes with it."""
    choices = [
        Choice(visit.say(f"ussd.statement_{value}"), link(lines, **visit.args, **{name: value}))
        for value in values
    ]
    return Menu(_title(visit), choices, idle=True)


def _title(visit: Visit) -> str:
    """What is shown: `Statement: bets, done`."""
    chosen = [visit.args[name] for name in ("kind", "state", "period") if name in visit.args]
    words = ", ".join(visit.say(f"ussd.statement_{value}") for value in chosen)
    title = visit.say("ussd.statement")
    return f"{title}: {words}" if words else title


def _detail(line: Line) -> Link:
    """A bet's line opens the bet; any other its own."""
    if line.bet is not None:
        return link(bets.detail, bet=line.bet)
    return link(deposit, deposit=line.ref) if line.seq is None else link(move, seq=line.seq)


def _sent_away(visit: Visit, line: Line, facts: dict[str, Any]) -> str:
    """How a payout stands, which nobody is told is on its way while that is in doubt."""
    if line.state is not State.WAITING:
        return visit.say(f"ussd.entry_payout_{line.state}", **facts)
    assert line.ref is not None, "a payout moved it"
    stands = recent.standing(visit.tx, line.ref)
    facts |= {"receipt": line.receipt or "-"}  # it may have arrived since the line was read
    return visit.say(f"money.withdrawal_{stands}", **facts)


def _facts(visit: Visit, line: Line) -> dict[str, Any]:
    return {
        "at": line.at,
        "what": visit.say(f"money.move_{line.word}", code=line.code or "").strip(),
        "amount": abs(line.amount),
        "balance": line.balance or 0,
        "receipt": line.receipt,
        "ref": line.name,
        "why": visit.say(line.reason) if line.reason else "",
    }
