"""Markets over the API: how one ends, proposed and decided, and how far its settlement is."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask import Response, jsonify
from sqlalchemy.orm import Session

from admin.api import acts, bodies, problems
from admin.api.bodies import AnotherResult, Result, Void
from admin.api.door import view
from admin.commands import verdicts
from core import audit, corrections, decisions, proposed, runtime, under_way
from core.previews import Preview
from core.proposals import Proposal
from core.proposed import Picks
from core.rights import Right
from core.settlement import Settlement
from core.staff import Staff
from core.under_way import Progress

MARKET = "/markets/<market:code>"

AS_THEY_ARE = (
    "to_reverse", "from_customers", "effective_close", "bets", "pool", "late", "fee", "gross",
    "refunding", "float_before", "float_after", "withholding",
)  # fmt: skip


@view("POST", f"{MARKET}/proposal", Right.RESULT_PROPOSE)
def propose(code: int) -> tuple[Response, int]:
    """Put a result, or a void, before a second person, and say what it would do."""
    asked = bodies.read(bodies.RESULT)
    return _put(code, asked, "market propose", decisions.propose)


@view("POST", f"{MARKET}/correction", Right.RESULT_PROPOSE)
def correct(code: int) -> tuple[Response, int]:
    """Put another end of a settled market before a second person, and say what it would do."""
    asked = bodies.read(bodies.CORRECTION)
    drop = isinstance(asked, AnotherResult) and asked.drop_cut_off
    return _put(code, asked, "market correct", partial(corrections.propose, drop_cut_off=drop))


@view("GET", f"{MARKET}/proposal", Right.READ)
def waiting(code: int) -> Response:
    """Show the second person what waits, and what it would do as things are now."""
    now = runtime.current().now()
    facts = acts.read(lambda tx: verdicts.waiting(tx, code, now))
    withdrawn = facts["act"] == "withdrawal"
    told = {name: facts[name] for name in ("proposal", "code", "act", "hash", "by")}
    told["source"] = audit.masked(facts["source"])
    told |= {name: facts[name].isoformat() for name in ("at", "expires_at")}
    told |= {name: facts[name] for name in ("lapsed", "changed")}
    told["preview"] = None if withdrawn else _preview(facts)
    told["withdrawal"] = (
        {name: facts[name] for name in ("outcome", "bets", "staked")} if withdrawn else None
    )
    return jsonify(told)


@view("POST", f"{MARKET}/approval", Right.RESULT_APPROVE)
def approve(code: int) -> tuple[Response, int]:
    """Give the second yes to what is proposed, by the hash of what was seen."""
    asked, rt = bodies.read(bodies.APPROVAL), runtime.current()

    def work(tx: Session, by: Staff) -> Settlement:
        return decisions.approve(
            tx, code, seen_hash=asked.hash, by=by, now=rt.now(), config=rt.config
        )

    opened = acts.act(
        "market approve",
        f"market:{code}",
        work,
        lambda done: {"hash": asked.hash, "settlement": done.id},
    )
    return jsonify(code=code, settlement=opened.id, due_at=opened.due_at.isoformat()), 201


@view("GET", f"{MARKET}/settlement", Right.READ)
def settlement(code: int) -> Response:
    """How far the newest settlement is."""
    found = acts.read(lambda tx: under_way.progress(tx, code))
    if found is None:
        return problems.problem(404, "http.no_settlement", f"Market {code} has no settlement.")
    return jsonify(_progress(code, found))


def _put(
    code: int,
    asked: Result | Void,
    action: str,
    verb: Callable[..., tuple[Proposal, Preview]],
) -> tuple[Response, int]:
    """Propose an end by `verb`, and show what was proposed."""
    result, rt = asked if isinstance(asked, Result) else None, runtime.current()

    def work(tx: Session, by: Staff) -> tuple[Proposal, Mapping[str, Any]]:
        put, seen = verb(
            tx,
            code,
            winners=result.winners if result else (),
            effective_close=result.effective_close if result else None,
            source=asked.source,
            by=by,
            now=rt.now(),
            config=rt.config,
        )
        return put, verdicts.facts(seen, proposed.verdict(tx, seen.content))

    put, facts = acts.act(
        action, f"market:{code}", work, lambda done: {"hash": done[0].content_hash}
    )
    told = {
        "proposal": put.id,
        "code": code,
        "act": put.act.removeprefix("market."),
        "hash": put.content_hash,
        "source": audit.masked(put.note),
        "expires_at": put.expires_at.isoformat(),
        "preview": _preview(facts),
    }
    return jsonify(told), 201


def _preview(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """What it would do: all of it is what two people agree on, but for what moves by itself."""
    shown = {name: facts[name] for name in AS_THEY_ARE}
    return shown | {
        "winners": _picks(facts["won"]),
        "instead_of": None if facts["was"] is None else _picks(facts["was"]),
        "largest": [{"bet": bet, "amount": amount} for bet, amount in facts["largest"]],
    }


def _picks(picks: Picks) -> list[dict[str, Any]]:
    return [{"number": number, "name": name} for number, name in picks]


def _progress(code: int, found: Progress) -> Mapping[str, Any]:
    return {
        "code": code,
        "settlement": found.id,
        "state": found.state.name.lower(),
        "stage": found.stage,
        "void": found.void,
        "winners": list(found.winners),
        "due_at": found.due_at.isoformat(),
        "pool": found.pool,
        "fee": found.fee,
        "paid": found.paid,
        "refunded": found.refunded,
        "collected": found.collected,
        "bets": found.bets,
        "bets_done": found.bets_done,
        "people": found.people,
        "people_done": found.people_done,
        "reversed": found.reversed,
        "to_reverse": found.to_reverse,
        "corrects": found.corrects,
        "withdraws": found.withdraws,
        "paused_at": found.paused_at and found.paused_at.isoformat(),
        "paused_by": found.paused_by,
    }
