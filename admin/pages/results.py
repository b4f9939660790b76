"""How a market ends: looked at before it is proposed, and stopped or let go on while it is paid."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, abort, render_template, request
from sqlalchemy.orm import Session

from admin import fields, frame, queries
from admin.commands import verdicts
from admin.frame import page
from admin.pages.markets import MARKET
from core import (
    corrections,
    decisions,
    markets,
    proposed,
    runtime,
    settlement,
    under_way,
    withdrawn_outcomes,
)
from core.errors import Refusal
from core.markets import Market, MarketView
from core.previews import Preview
from core.proposals import Proposal
from core.rights import Right
from core.say import say
from core.staff import Staff

Asked = Mapping[str, Any]
KIND = f"{MARKET}/<any(result, void, correction, withdrawal):kind>"


@dataclass(frozen=True)
class Kind:
    """One way for a market to end: what its form asks, how it is looked at and proposed."""

    title: str
    says: str
    asked: Callable[[], Asked]
    look: Callable[[Session, Market, Asked], dict[str, Any]]
    propose: Callable[[Session, int, Asked, Staff], tuple[Proposal, Any]]


@page(KIND, Right.RESULT_PROPOSE)
def form(market_id: int, kind: str) -> str:
    """Ask how it ended and, once that is said, show what that would do."""
    facts = frame.read(lambda tx: _about(tx, market_id, KINDS[kind]))
    return render_template("verdict.html", kind=kind, how=KINDS[kind], **facts)


@page(KIND, Right.RESULT_PROPOSE, methods=("POST",))
def propose(market_id: int, kind: str) -> Response:
    """Put what was looked at before a second person."""
    how, seen_hash = KINDS[kind], fields.text("hash", longest=64)
    asked = how.asked()

    def work(tx: Session, member: Staff) -> int:
        market = tx.get(Market, market_id)
        if market is None:
            abort(404)
        put, seen = how.propose(tx, market.code, asked, member)
        if put.content["market"] != market_id:  # its code has become another's
            raise Refusal("staff.no_such_market", code=market.code)
        if seen.hash != seen_hash:
            raise Refusal("staff.content_changed")
        return put.id

    number = frame.act(work)
    return frame.done(f"{how.title}: proposed.", "approvals_show", proposal_id=number)


@page(f"{MARKET}/pause", Right.SETTLEMENT_PAUSE, methods=("POST",))
def pause(market_id: int) -> Response:
    """Pay nothing more of this market for now."""
    return _turn(market_id, under_way.pause, "pause settlement", "The settlement is paused.")


@page(f"{MARKET}/pause/end", Right.SETTLEMENT_PAUSE, methods=("POST",))
def resume(market_id: int) -> Response:
    """Go on with a paused settlement."""
    return _turn(market_id, under_way.resume, "resume settlement", "The settlement goes on.")


def _turn(market_id: int, verb: Callable[..., None], action: str, sentence: str) -> Response:
    why = fields.text("reason", longest=200)

    def work(tx: Session, member: Staff) -> None:
        market = tx.get(Market, market_id)
        run = under_way.progress(tx, market.code) if market else None
        if market is None or run is None or run.market_id != market_id:
            abort(404)
        verb(tx, market.code, reason=why, by=member)

    frame.act(work, action, f"market:{market_id}", reason=why)
    return frame.done(sentence, "markets_show", market_id=market_id)


def _about(tx: Session, market_id: int, how: Kind) -> dict[str, Any]:
    """A market, what was asked about its end, and what that would do; or what is against it."""
    view = markets.view(tx, market_id)
    if view is None:
        abort(404)
    now = runtime.current().now()
    facts: dict[str, Any] = {
        "view": view,
        "waiting": queries.about(tx, settlement.subject(market_id), now=now),
        "seen": None,
        "fault": "",
        "asked": _typed(view),
    }
    if not request.args:
        return facts
    try:
        facts["seen"] = how.look(tx, tx.get_one(Market, market_id), how.asked())
    except Refusal as refusal:
        facts["fault"] = say(refusal.reason, "en", **refusal.facts)
    return facts


def _typed(view: MarketView) -> dict[str, Any]:
    """What the form held, to be shown in it again."""
    return {
        "winners": set(fields.texts("winners")),
        "outcome": fields.text("outcome"),
        "source": fields.text("source"),
        "effective_close": fields.text("effective_close", longest=40),
        "void": bool(fields.text("void")),
        "drop": bool(fields.text("drop")),
    }


def _result() -> Asked:
    winners = fields.numbers("winners")
    if not winners:
        raise Refusal("staff.winner_missing")
    return {
        "winners": winners,
        "source": fields.text("source"),
        "effective_close": fields.moment("effective_close"),
    }


def _void() -> Asked:
    return {"winners": (), "source": fields.text("source")}


def _correction() -> Asked:
    void, winners = bool(fields.text("void")), fields.numbers("winners")
    if void == bool(winners):
        raise Refusal("staff.winner_missing")
    return {
        "winners": winners,
        "source": fields.text("source"),
        "effective_close": fields.moment("effective_close"),
        "drop_cut_off": bool(fields.text("drop")),
    }


def _withdrawal() -> Asked:
    return {"outcome": fields.number("outcome"), "source": fields.text("source")}


def _look_result(tx: Session, market: Market, asked: Asked) -> dict[str, Any]:
    now = runtime.current().now()
    return _told(tx, decisions.look(tx, market, now=now, **asked))


def _look_correction(tx: Session, market: Market, asked: Asked) -> dict[str, Any]:
    now = runtime.current().now()
    return _told(tx, corrections.look(tx, market, now=now, **asked))


def _look_withdrawal(tx: Session, market: Market, asked: Asked) -> dict[str, Any]:
    seen = withdrawn_outcomes.look(tx, market, **asked)
    return {"hash": seen.hash, "outcome": seen.name, "bets": seen.bets, "staked": seen.staked}


def _told(tx: Session, seen: Preview) -> dict[str, Any]:
    return verdicts.facts(seen, proposed.verdict(tx, seen.content))


def _by(verb: Callable[..., tuple[Proposal, Any]]) -> Callable[..., tuple[Proposal, Any]]:
    def put(tx: Session, code: int, asked: Asked, member: Staff) -> tuple[Proposal, Any]:
        rt = runtime.current()
        return verb(tx, code, by=member, now=rt.now(), config=rt.config, **asked)

    return put


KINDS: Mapping[str, Kind] = {
    "result": Kind(
        "Result", "Who won. Several for a dead heat.", _result, _look_result,
        _by(decisions.propose),
    ),
    "void": Kind(
        "Void", "There is no result: every stake goes back.", _void, _look_result,
        _by(decisions.propose),
    ),
    "correction": Kind(
        "Correction", "The result was wrong: what it gave is taken back, and the pool shared anew.",
        _correction, _look_correction, _by(corrections.propose),
    ),
    "withdrawal": Kind(
        "Withdrawal of an outcome", "Its stakes go back, and the market goes on.", _withdrawal,
        _look_withdrawal, _by(decisions.withdraw),
    ),
}  # fmt: skip
