"""Too young: a number whose owner gave a birth date under the age waits before it may try again.

Whoever could try the next year at once would find one that passes. It is kept with the number, so
that neither a redial nor the other channel is a way around; support lifts it for a slip of the
finger, with an identity card in hand.
"""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import rights
from core.errors import Refusal
from core.limits import PlayChange
from core.rights import Right
from core.staff import Staff

HELD, LIFTED = "under age", "under age lifted"


def until(tx: Session, customer_id: int, *, now: datetime) -> datetime | None:
    """Until when this number may give no birth date; None if it may."""
    newest = (
        select(PlayChange.until)
        .where(PlayChange.customer_id == customer_id, PlayChange.act.in_((HELD, LIFTED)))
        .order_by(PlayChange.id.desc())
        .limit(1)
    )
    held = tx.scalar(newest)
    return held if held is not None and held > now else None


def hold(tx: Session, customer_id: int, *, to: datetime, now: datetime) -> None:
    """Take no birth date of this number until then."""
    tx.execute(select(func.under_age(customer_id, HELD, to, None, now)))


def lift(tx: Session, customer_id: int, *, by: Staff, now: datetime) -> None:
    """Let the number try again at once. Raises Refusal if nothing holds it."""
    rights.require(by, Right.PLAY_LIMITS)
    if until(tx, customer_id, now=now) is None:
        raise Refusal("staff.not_under_age")
    tx.execute(select(func.under_age(customer_id, LIFTED, None, by.id, now)))
