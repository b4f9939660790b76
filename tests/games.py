"""Markets for the tests: made, bet on and settled in a line each."""

import uuid
from datetime import timedelta

from core import betting, decisions, drafts, markets, settling, trading
from core.betting import Placed
from core.effects import Channel

HOUR = timedelta(hours=1)


def derby(rt, by, *outcomes, closes=24 * HOUR, question="Gor Mahia v AFC Leopards", **more):
    """An open market; Yes and No on football, open for an hour, unless told otherwise."""
    now = rt.now()
    with rt.transaction() as tx:
        market = drafts.create(
            tx,
            question=question,
            outcomes=outcomes or ("Yes", "No"),
            category=more.get("category", "Football"),
            opens_at=more.get("opens_at", now - HOUR),
            closes_at=now + closes,
            by=by,
            now=now,
            config=rt.config,
        )
        drafts.open_up(tx, market.code, by=by, now=now)
    return market


def bet(rt, customer, market, outcome, shillings, **changes):
    """A bet by USSD, with the PIN given unless told otherwise."""
    slip = {
        "key": uuid.uuid4(),
        "channel": Channel.USSD,
        "session": "test",
        "with_pin": True,
        "no_pin_limit": 0,
    } | changes
    with rt.transaction() as tx:
        return betting.place_bet(
            tx,
            customer_id=customer.id,
            market_id=market.id,
            outcome=outcome,
            stake=round(shillings * 100),
            **slip,
        )


def placed(*args, **changes):
    """A bet that must stand."""
    verdict = bet(*args, **changes)
    assert isinstance(verdict, Placed), verdict
    return verdict


def close(rt, market, by):
    """No more bets."""
    with rt.transaction() as tx:
        markets.close(tx, market.code, by=by)


def suspend(rt, market, by):
    """No bets for a while."""
    with rt.transaction() as tx:
        trading.suspend(tx, market.code, reason="a goal", by=by)


def resume(rt, market, by):
    """Bets again."""
    with rt.transaction() as tx:
        trading.resume(tx, market.code, by=by, now=rt.now())


def move(rt, market, closes_at, by):
    """The betting ends at another time."""
    with rt.transaction() as tx:
        trading.move(tx, market.code, closes_at=closes_at, reason="put off", by=by, now=rt.now())


def decide(rt, market, winner, *, proposer, approver, put=decisions.propose, **more):
    """Two people agree on a result (several: a dead heat; None: void); it is due after disputes."""
    now = rt.now()
    winners = () if winner is None else (winner,) if isinstance(winner, int) else winner
    told = {"now": now, "config": rt.config}
    with rt.transaction() as tx:
        _, seen = put(tx, market.code, winners=winners, source="FKF", by=proposer, **told, **more)
    with rt.transaction() as tx:
        return decisions.approve(tx, market.code, seen_hash=seen.hash, by=approver, **told)


def settle(rt, market, winner, *, proposer, approver, **more):
    """From open to settled, with no window for disputes."""
    close(rt, market, proposer)
    run = decide(rt, market, winner, proposer=proposer, approver=approver, **more)
    assert settling.work(rt, run.id)
    return run
