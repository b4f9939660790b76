"""What a trader may do to a market while it is bet on: pause it, and move its closing time."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from core import backers, market_history, markets, rights
from core.errors import Refusal
from core.markets import Market, Status
from core.rights import Right
from core.staff import Staff

REASON_LONGEST = 200
# A text to each of 300,000 backers takes longer than the house's statements usually may.
PATIENCE = "SET LOCAL statement_timeout = '60s'"


def suspend(tx: Session, code: int, *, reason: str, by: Staff) -> Market:
    """Pause the betting. Once `tx` has ended no bet comes in, however long it was on its way."""
    rights.require(by, Right.MARKETS)
    why = _reason(reason)
    market = markets.live(tx, code, lock=False)
    markets.hold_bets(tx, market.id)
    if not markets.turn(
        tx, market.id, (Status.OPEN,), Status.SUSPENDED, what="suspend", by=by.id, reason=why
    ):
        raise Refusal("staff.market_not_open", code=code)
    tx.refresh(market)
    return market


def resume(tx: Session, code: int, *, by: Staff, now: datetime, reason: str = "") -> Market:
    """Go on with the betting. Raises Refusal if it was not paused, or its time has come."""
    rights.require(by, Right.MARKETS)
    market = markets.live(tx, code, lock=False)
    markets.hold_bets(tx, market.id)  # as closing does: whichever of the two comes first holds
    tx.refresh(market)
    if market.status == Status.SUSPENDED and market.closes_at <= now:
        raise Refusal("staff.closing_passed", code=code)
    why = reason.strip()[:REASON_LONGEST]
    if not markets.turn(
        tx, market.id, (Status.SUSPENDED,), Status.OPEN, what="resume", by=by.id, reason=why
    ):
        raise Refusal("staff.market_not_suspended", code=code)
    tx.refresh(market)
    return market


def move(
    tx: Session, code: int, *, closes_at: datetime, reason: str, by: Staff, now: datetime
) -> Market:
    """Move the closing time of a market that is bet on, and promise its backers a text each.

    Not into the past, and not once the betting has closed. Most of the texts are promised before
    the bets are held up: on a great market they take seconds, and closing earlier must wait for
    every bet that was let in under the old time.
    """
    rights.require(by, Right.MARKETS)
    why = _reason(reason)
    market = markets.live(tx, code, lock=False)
    _check(market, closes_at, now)
    tx.execute(text(PATIENCE))
    change = market_history.number(tx)
    told = backers.tell(tx, market.id, change, now=now)
    markets.hold_bets(tx, market.id)
    was = tx.scalar(MOVE, {"id": market.id, "closes_at": closes_at})
    if was is None:  # it was closed, or its time came, while we were at it
        raise Refusal("staff.market_not_open", code=code)
    backers.tell(tx, market.id, change, now=now, since=told)
    market_history.keep(
        tx,
        market.id,
        "move",
        by=by.id,
        reason=why,
        before={"closes_at": was},
        after={"closes_at": closes_at},
        change_id=change,
    )
    tx.refresh(market)
    return market


def _check(market: Market, closes_at: datetime, now: datetime) -> None:
    if market.status not in (Status.OPEN, Status.SUSPENDED) or market.closes_at <= now:
        raise Refusal("staff.market_not_open", code=market.code)
    if closes_at <= max(market.opens_at, now):
        raise Refusal("staff.closes_too_soon")
    if closes_at == market.closes_at:
        raise Refusal("staff.nothing_changed", code=market.code)


def _reason(reason: str) -> str:
    """The reason in one line. Raises Refusal if there is none: somebody will ask one day."""
    said = " ".join(reason.split())[:REASON_LONGEST]
    if not said:
        raise Refusal("staff.reason_missing")
    return said


MOVE = text("""
    UPDATE market SET closes_at = :closes_at
     WHERE id = :id AND status IN (2, 3) AND closes_at > app_now() AND :closes_at > app_now()
    RETURNING old.closes_at
""")
