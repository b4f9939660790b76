"""Home: what waits for whoever has signed in, and the house today in a few figures."""

from typing import Any

from flask import render_template
from sqlalchemy.orm import Session

from admin import frame, queries, second_yes
from admin.frame import page
from core import audit, payouts, runtime
from core.rights import Right


@page("/", Right.READ)
def home() -> str:
    """What there is to do, first of all."""
    return render_template("home.html", **frame.read(_home))


def _home(tx: Session) -> dict[str, Any]:
    here, now = frame.me(), runtime.current().now()
    waiting = queries.waiting(tx, now=now)
    mine = [one for one in waiting if second_yes.may_approve(one, here.staff)]
    count, last = audit.head(tx)
    return {
        "lines": count,
        "last": last,
        "mine": [(one, second_yes.title(one)) for one in mine],
        "others": len(waiting) - len(mine),
        "paused": payouts.paused(tx),
        "people": queries.payouts(tx, "person"),
        "counts": queries.payout_counts(tx),
        "to_settle": queries.to_settle(tx),
        "stopped": queries.stopped(tx),
        "closing": queries.closing_next(tx),
        "today": queries.today(tx, now=now),
        "now": now,
    }
