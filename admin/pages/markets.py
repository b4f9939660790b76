"""Markets as staff see them: the board, one with its book and history, and how far it is."""

from datetime import timedelta
from typing import Any

from flask import Response, abort, make_response, render_template, request
from sqlalchemy.orm import Session

from admin import fields, frame, looks, queries
from admin.frame import NUMBER, page
from core import (
    categories,
    market_books,
    market_history,
    markets,
    proposed,
    runtime,
    settlement,
    under_way,
)
from core.market_history import ChangeLine
from core.markets import Market, MarketView, Status
from core.rights import Right
from core.settlement import SettlementState
from core.under_way import Progress

MARKET = f"/markets/<{NUMBER}:market_id>"
# The lists of the board, by the name in their address.
LISTS = {
    "live": market_books.LIVE,
    "drafts": (Status.DRAFT,),
    "open": (Status.OPEN, Status.SUSPENDED),
    "to settle": (Status.CLOSED, Status.PROPOSED),
    "settling": (Status.APPROVED, Status.SETTLING, Status.CORRECTING),
    "ended": (Status.SETTLED, Status.VOID),
}
CHANGING = (SettlementState.APPROVED, SettlementState.RUNNING)
SOON = timedelta(minutes=1)  # a page that asks keeps its session open: no sooner than it must


@page("/markets", Right.READ)
def board() -> str:
    """Markets of one list, those that close next first."""
    name = request.args.get("list", "live")
    if name not in LISTS:
        abort(404)
    offset = min(fields.number("from"), 1_000_000) if fields.text("from") else 0

    def work(tx: Session) -> Any:
        return market_books.board(tx, statuses=LISTS[name], limit=queries.SHOWN + 1, offset=offset)

    lines = frame.read(work)
    more = offset + queries.SHOWN if len(lines) > queries.SHOWN else None
    return render_template(
        "markets.html", lines=lines[: queries.SHOWN], lists=LISTS, shown=name, more=more
    )


@page(MARKET, Right.READ)
def show(market_id: int) -> str:
    """One market: what it is, how the money lies, what waits, what was done."""
    return render_template("market.html", **frame.read(lambda tx: _facts(tx, market_id)))


@page(f"{MARKET}/progress", Right.READ)
def progress(market_id: int) -> Response:
    """The part of its page that changes while it is settled."""
    if not request.headers.get("HX-Request"):
        return frame.onward("markets_show", market_id=market_id)
    facts = frame.read(lambda tx: _run(tx, view_of(tx, market_id)))
    answer = make_response(render_template("progress.html", **facts))
    if not facts["polled"]:  # it has come to an end: so has what the rest of the page says
        answer.headers["HX-Refresh"] = "true"
    return answer


def _facts(tx: Session, market_id: int) -> dict[str, Any]:
    view, now = view_of(tx, market_id), runtime.current().now()
    book = market_books.book(tx, view)
    picks = {one.number: one.name for one in view.outcomes}
    return _run(tx, view) | {
        "sides": list(zip(view.outcomes, book.sides, strict=True)),
        "imbalance": book.imbalance_bp,
        "waiting": queries.about(tx, settlement.subject(view.id), now=now),
        "history": [_told(one, picks) for one in market_history.of_market(tx, view.id)],
        "categories": categories.every(tx),
        "now": now,
    }


def _run(tx: Session, view: MarketView) -> dict[str, Any]:
    """How far its settlement is. The code may have belonged to an older market, with its own."""
    found = under_way.progress(tx, view.code)
    run = found if found is not None and found.market_id == view.id else None
    picks = {one.number: one.name for one in view.outcomes}
    return {
        "view": view,
        "run": run,
        "won": proposed.picks(picks, run.winners) if run else (),
        "withdrawn": picks.get(run.withdraws or 0) if run else None,
        "polled": run is not None and _is_moving(run),
        "part_done": _part_done(run) if run else 0,
    }


def _is_moving(run: Progress) -> bool:
    """Whether it changes by itself about now."""
    due = run.due_at <= runtime.current().now() + SOON
    return due and run.state in CHANGING and run.paused_at is None


def _part_done(run: Progress) -> int:
    """Of a hundred: taking back, paying and telling are as long as each other."""
    if run.state == SettlementState.SETTLED:
        return 100
    if run.stage == "waiting":
        return 0
    parts = [(run.bets_done, run.bets), (run.people_done, max(run.people, 1))]
    if run.corrects:
        parts.append((run.reversed, run.to_reverse))
    return sum(100 * done // whole if whole else 100 for done, whole in parts) // len(parts)


def view_of(tx: Session, market_id: int) -> MarketView:
    """A market as it is; 404 for none."""
    found = markets.view(tx, market_id)
    if found is None:
        abort(404)
    return found


def live_code(tx: Session, market_id: int) -> int:
    """The code of a market that has it still: by it the core knows what is meant."""
    market = tx.get(Market, market_id)
    if market is None or market.status >= Status.SETTLED:
        abort(404)
    return market.code


def _told(line: ChangeLine, picks: dict[int, str]) -> tuple[ChangeLine, str]:
    """One act on a market, with what it changed in words."""
    changed = []
    for name in sorted(line.before.keys() | line.after.keys()):
        after = _fact(name, line.after.get(name), picks)
        before = f"{_fact(name, line.before[name], picks)} → " if name in line.before else ""
        changed.append(f"{looks.words(name)}: {before}{after}")
    return line, "; ".join(changed)


def _fact(name: str, value: Any, picks: dict[int, str]) -> str:
    if name == "winners" and isinstance(value, list):
        return ", ".join(f"{number} {picks.get(number, '')}".strip() for number in value)
    return looks.fact(name, value)
