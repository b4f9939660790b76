"""What a trader does alone: the draft, its opening, pausing the betting, moving and closing it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from flask import Response, abort, make_response, render_template
from sqlalchemy import select
from sqlalchemy.orm import Session

from admin import fields, frame, looks
from admin.frame import page
from admin.pages.markets import MARKET, live_code, view_of
from core import categories, drafts, market_books, market_words, markets, money, runtime, trading
from core.drafts import Draft
from core.errors import Refusal
from core.market_books import Book
from core.markets import Market, MarketView, Outcome, Status
from core.rights import Right
from core.say import say
from core.staff import Staff

Faults = Sequence[tuple[str, Refusal]]  # by the field that each is beside


@page("/markets/new", Right.MARKETS)
def new() -> str:
    """An empty draft."""
    return _form({"opens_at": looks.typed(runtime.current().now())})


@page("/markets/new", Right.MARKETS, methods=("POST",))
def create() -> Response:
    """Keep a new draft; all that is wrong with it is said beside what was typed."""
    rt = runtime.current()
    wanted, faults = _wanted()
    if faults:
        return _again(faults)
    wanted["opens_at"] = wanted["opens_at"] or rt.now()

    def work(tx: Session, member: Staff) -> Market:
        return drafts.create(tx, by=member, now=rt.now(), config=rt.config, **wanted)

    try:
        drafted = frame.act(work, "market draft", lambda market: f"market:{market.id}")
    except Refusal as refusal:
        return _again([(_field(refusal, wanted), refusal)])
    return frame.done(f"Market {drafted.code} is drafted.", "markets_show", market_id=drafted.id)


@page(f"{MARKET}/draft", Right.MARKETS)
def edit_form(market_id: int) -> str:
    """A draft as it is, to be changed."""
    return _form(frame.read(lambda tx: _draft(tx, market_id)), market_id)


@page(f"{MARKET}/draft", Right.MARKETS, methods=("POST",))
def edit(market_id: int) -> Response:
    """Change a draft."""
    rt = runtime.current()
    frame.read(lambda tx: _draft(tx, market_id))  # or there is nothing to change
    wanted, faults = _wanted()
    if faults:
        return _again(faults, market_id)

    def work(tx: Session, member: Staff) -> Market:
        return drafts.edit(
            tx, live_code(tx, market_id), by=member, now=rt.now(), config=rt.config, **wanted
        )

    try:
        edited = frame.act(work, "market edit", f"market:{market_id}")
    except Refusal as refusal:
        return _again([(_field(refusal, wanted), refusal)], market_id)
    return frame.done(f"Market {edited.code} is changed.", "markets_show", market_id=market_id)


@page(f"{MARKET}/opening", Right.MARKETS, methods=("POST",))
def open_up(market_id: int) -> Response:
    """Let it be bet on, from its opening time on."""
    now = runtime.current().now()

    def work(tx: Session, member: Staff) -> Market:
        return drafts.open_up(tx, live_code(tx, market_id), by=member, now=now)

    return _done(market_id, work, "open", "is open")


@page(f"{MARKET}/closing", Right.MARKETS)
def closing(market_id: int) -> str:
    """Ask once more, with what is at stake: it cannot be taken back."""
    view, book = frame.read(lambda tx: _with_book(tx, market_id))
    bets = sum(side.bets for side in book.sides)
    return render_template("closing.html", view=view, bets=bets)


@page(f"{MARKET}/closing", Right.MARKETS, methods=("POST",))
def close(market_id: int) -> Response:
    """Stop the betting now, for good."""

    def work(tx: Session, member: Staff) -> Market:
        return markets.close(tx, live_code(tx, market_id), by=member)

    return _done(market_id, work, "close", "is closed")


@page(f"{MARKET}/suspension", Right.MARKETS, methods=("POST",))
def suspend(market_id: int) -> Response:
    """Pause the betting at once."""
    why = fields.text("reason")

    def work(tx: Session, member: Staff) -> Market:
        return trading.suspend(tx, live_code(tx, market_id), reason=why, by=member)

    return _done(market_id, work, "suspend", "takes no bets for now", reason=why)


@page(f"{MARKET}/resumption", Right.MARKETS, methods=("POST",))
def resume(market_id: int) -> Response:
    """Go on with the betting."""
    now = runtime.current().now()

    def work(tx: Session, member: Staff) -> Market:
        return trading.resume(tx, live_code(tx, market_id), by=member, now=now)

    return _done(market_id, work, "resume", "takes bets again")


@page(f"{MARKET}/closing-time", Right.MARKETS, methods=("POST",))
def move(market_id: int) -> Response:
    """Move the closing time; whoever has bet is told by SMS."""
    why, closes_at, now = fields.text("reason"), fields.moment("closes_at"), runtime.current().now()
    if closes_at is None:
        raise Refusal("staff.moment_unreadable")

    def work(tx: Session, member: Staff) -> Market:
        code = live_code(tx, market_id)
        return trading.move(tx, code, closes_at=closes_at, reason=why, by=member, now=now)

    told = "closes at another time, and its backers are told"
    return _done(market_id, work, "move", told, reason=why, closes_at=closes_at.isoformat())


def _with_book(tx: Session, market_id: int) -> tuple[MarketView, Book]:
    view = view_of(tx, market_id)
    return view, market_books.book(tx, view)


def _done(
    market_id: int, work: Callable[[Session, Staff], Market], verb: str, became: str, **facts: str
) -> Response:
    market = frame.act(work, f"market {verb}", f"market:{market_id}", **facts)
    return frame.done(f"Market {market.code} {became}.", "markets_show", market_id=market_id)


def _wanted() -> tuple[dict[str, Any], Faults]:
    """What the form says a draft is to be, and everything against that, field by field."""
    wanted: dict[str, Any] = {
        "question": fields.text("question"),
        "outcomes": [line.strip() for line in fields.text("outcomes").splitlines() if line.strip()],
        "category": fields.text("category"),
    }
    unread: list[tuple[str, Refusal]] = []
    for name, read in READ.items():
        wanted[name] = None
        try:
            wanted[name] = read(name)
        except Refusal as refusal:
            unread.append((name, refusal))
    if wanted["closes_at"] is None and "closes_at" not in dict(unread):
        unread.append(("closes_at", Refusal("staff.moment_unreadable")))
    told = {name for name, _ in unread}
    return wanted, [*unread, *frame.read(lambda tx: _faults(tx, wanted, told))]


def _faults(tx: Session, wanted: Mapping[str, Any], unread: Collection[str]) -> Faults:
    """What the house has against it; of what could not be read that has been said already."""
    rt = runtime.current()
    now = rt.now()
    opens_at = wanted["opens_at"] or now
    closes_at = wanted["closes_at"] or max(opens_at, now) + timedelta(days=1)
    draft = Draft(**{**wanted, "opens_at": opens_at, "closes_at": closes_at})
    found = drafts.faults(draft, categories.every(tx), now=now, config=rt.config)
    told = ((_field(fault, wanted), fault) for fault in found)
    return [(name, fault) for name, fault in told if name not in unread]


def _field(fault: Refusal, wanted: Mapping[str, Any]) -> str:
    """The field that a fault is about; "" for the draft as a whole."""
    if "text" in fault.facts:  # words that nobody may read
        asked = fault.facts["text"] == market_words.tidy(wanted["question"])
        return "question" if asked else "outcomes"
    return FIELDS.get(fault.reason, "")


def _draft(tx: Session, market_id: int) -> dict[str, str]:
    """A draft as its form shows it."""
    market = tx.get(Market, market_id)
    if market is None or market.status != Status.DRAFT:
        abort(404)
    names = select(Outcome.name).where(Outcome.market_id == market.id).order_by(Outcome.number)
    return {
        "question": market.question,
        "outcomes": "\n".join(tx.scalars(names)),
        "category": market.category,
        "opens_at": looks.typed(market.opens_at),
        "closes_at": looks.typed(market.closes_at),
        "min_stake": money.show(market.min_stake),
        "max_stake": money.show(market.max_stake),
    }


def _form(
    values: Mapping[str, str], market_id: int | None = None, faults: Faults = (), fault: str = ""
) -> str:
    beside: dict[str, list[str]] = {}
    for name, refusal in faults:
        beside.setdefault(name, []).append(say(refusal.reason, "en", **refusal.facts))
    return render_template(
        "draft.html",
        values={name: values.get(name, "") for name in NAMES},
        market_id=market_id,
        faults=beside,
        fault=" ".join([fault, *beside.get("", ())]).strip(),
        categories=frame.read(categories.every),
        config=runtime.current().config,
    )


def _again(faults: Faults, market_id: int | None = None) -> Response:
    """The form once more, with what was typed and all that is wrong with it."""
    typed = {name: fields.text(name) for name in NAMES}
    return make_response(
        _form(typed, market_id, faults, "Nothing is kept yet: see what is to be mended."), 422
    )


NAMES = (
    "question", "outcomes", "category", "opens_at", "closes_at", "min_stake", "max_stake",
)  # fmt: skip
READ: Mapping[str, Callable[[str], Any]] = {
    "opens_at": fields.moment,
    "closes_at": fields.moment,
    "min_stake": fields.amount,
    "max_stake": fields.amount,
}
FIELDS = {
    "staff.question_length": "question",
    "staff.outcomes_number": "outcomes",
    "staff.outcome_length": "outcomes",
    "staff.outcome_misleading": "outcomes",
    "staff.no_such_category": "category",
    "staff.closes_too_soon": "closes_at",
    "staff.stakes": "max_stake",
}
