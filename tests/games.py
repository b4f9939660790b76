"""Markets for the tests: made, bet on and settled in a line each."""

import uuid
from datetime import timedelta

from core import betting, markets, settlement, settling
from core.betting import Placed
from core.effects import Channel

HOUR = timedelta(hours=1)


def derby(rt, by, *outcomes, closes=24 * HOUR, question="Gor Mahia v AFC Leopards"):
    """An open market; Yes and No unless told otherwise."""
    now = rt.now()
    with rt.transaction() as tx:
        market = markets.create(
            tx,
            question=question,
            outcomes=outcomes or ("Yes", "No"),
            category="Football",
            opens_at=now - HOUR,
            closes_at=now + closes,
            by=by,
            now=now,
            config=rt.config,
        )
        markets.open_up(tx, market.code, by=by)
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


def decide(rt, market, winner, *, proposer, approver):
    """Two people agree on a result (None: void); the settlement that is due once disputes are."""
    now = rt.now()
    with rt.transaction() as tx:
        _, seen = settlement.propose(
            tx, market.code, winner=winner, source="FKF", by=proposer, now=now, config=rt.config
        )
    with rt.transaction() as tx:
        return settlement.approve(
            tx, market.code, seen_hash=seen.hash, by=approver, now=now, config=rt.config
        )


def settle(rt, market, winner, *, proposer, approver):
    """From open to settled, with no window for disputes."""
    close(rt, market, proposer)
    run = decide(rt, market, winner, proposer=proposer, approver=approver)
    assert settling.work(rt, run.id)
    return run
