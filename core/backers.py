"""Telling a market's backers that its closing time has moved: one text each, worded when sent."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core import messages, outbox, postman
from core.messages import Message, MessageState
from core.outbox import Errand, Promise

KIND = "closing_moved"


def tell(
    tx: Session, market_id: int, change_id: int, *, now: datetime, since: int | None = None
) -> int:
    """Promise a text to everybody who has bet on a market, once for each change of it.

    With `since`, only to those whose bets may have come after an earlier call. What is answered is
    the `since` of the next one: the oldest transaction that could still bring a bet.
    """
    seen = int(tx.scalars(text(OLDEST_RUNNING)).one())
    facts = {"market": market_id, "change": change_id, "now": now, "since": since or 0}
    tx.execute(PROMISES if since is None else LATE_PROMISES, facts)
    return seen


def begin(tx: Session, promise: Promise, now: datetime) -> Mapping[str, Any] | None:
    """Write the text; None if the time has moved once more, or has come: nobody needs it then."""
    facts = {"change": promise.payload["change"], "customer": promise.customer_id, "now": now}
    news = tx.execute(NEWS, facts).one_or_none()
    if news is None:
        _let_lapse(tx, promise, now)
        return None
    messages.write(
        tx,
        to=news.phone,
        lang=news.lang,
        sentence="betting.closing_moved",
        facts={
            "code": news.code,
            "question": news.question,
            "at": news.closes_at,
            "was": datetime.fromisoformat(news.was),
        },
        key=promise.key,
        now=now,
        customer_id=promise.customer_id,
    )
    return postman.begin(tx, promise, now)


def _let_lapse(tx: Session, promise: Promise, now: datetime) -> None:
    """A text that an earlier try wrote down will not be sent any more."""
    written = tx.scalar(
        select(Message.id).where(Message.key == promise.key, Message.state == MessageState.WAITING)
    )
    if written is not None:
        messages.failed(tx, written, reason="out of date", now=now)


OLDEST_RUNNING = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"

# In one statement, since a great market has hundreds of thousands of them; 61 is the space of their
# keys.
PROMISE = """
    INSERT INTO promise (kind, key, payload, customer_id, due_at, state, created_at)
    SELECT 'closing_moved', ledger_row_key(61, customer_id, :change),
           jsonb_build_object('change', CAST(:change AS bigint)), customer_id, :now, 1, :now
      FROM (SELECT DISTINCT customer_id FROM bet WHERE market_id = :market {more}) backer
     ORDER BY customer_id
    ON CONFLICT (key) DO NOTHING
"""
PROMISES = text(PROMISE.format(more=""))
LATE_PROMISES = text(PROMISE.format(more="AND xact >= :since"))

NEWS = text("""
    SELECT c.phone, c.lang, m.code, m.question, m.closes_at, h.before->>'closes_at' AS was
      FROM market_change h
      JOIN market m ON m.id = h.market_id
      JOIN customer c ON c.id = :customer
     WHERE h.id = :change AND m.status IN (2, 3) AND m.closes_at > :now
       AND NOT EXISTS (SELECT FROM market_change later
                        WHERE later.market_id = h.market_id AND later.what = 'move'
                          AND later.id > h.id)
""")

ERRAND = Errand(KIND, outbox.MESSAGES, begin, postman.finish, when_lost="again")
