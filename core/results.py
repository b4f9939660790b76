"""Telling customers what a settled market brought them: one text each, put into words when sent."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core import messages, outbox, postman
from core.messages import Message, MessageState
from core.outbox import Errand, Promise

KIND = "result"


def begin(tx: Session, promise: Promise, now: datetime) -> Mapping[str, Any] | None:
    """Write the text from what the customer really got, all bets on the market together.

    None when the result has been corrected since: another text says what is so now. A correction
    has a text of its own for everybody from whom something was taken back.
    """
    asked = {"settlement": promise.payload["settlement"], "customer": promise.customer_id}
    corrects = promise.payload.get("corrects")
    if corrects is None and tx.scalar(CORRECTED, asked):
        _let_lapse(tx, promise, now)
        return None
    if corrects is None:
        row = tx.execute(WON, asked).one()
        sentence = _won(row)
    else:
        row = tx.execute(TAKEN, asked | {"corrects": corrects}).one()
        sentence = "betting.result_corrected_owing" if row.owed else "betting.result_corrected"
    facts = {name: fact for name, fact in row._asdict().items() if name not in ("phone", "lang")}
    messages.write(
        tx,
        to=row.phone,
        lang=row.lang,
        sentence=sentence,
        facts=facts,
        key=promise.key,
        now=now,
        customer_id=promise.customer_id,
    )
    return postman.begin(tx, promise, now)


def _won(row: Any) -> str:
    if row.kept:
        return "betting.result_kept"
    if row.withdrawn:
        return "betting.result_withdrawn"
    if row.refund:
        return "betting.result_refunded"
    return "betting.result_won_paid" if row.cashout else "betting.result_won"


def _let_lapse(tx: Session, promise: Promise, now: datetime) -> None:
    """A text that an earlier try wrote down will not be sent any more."""
    written = tx.scalar(
        select(Message.id).where(Message.key == promise.key, Message.state == MessageState.WAITING)
    )
    if written is not None:
        messages.failed(tx, written, reason="out of date", now=now)


CORRECTED = text("SELECT EXISTS (SELECT FROM settlement WHERE corrects = :settlement)")

# Of several outcomes a customer may have backed the one they won most on is named.
WON = text("""
    SELECT c.phone, c.lang, m.code, w.balance, paid.amount, paid.refund, paid.outcome,
           s.withdraws IS NOT NULL AS withdrawn,
           (SELECT coalesce(sum(p.amount), 0)::bigint FROM payout p
             WHERE p.settlement_id = s.id AND p.customer_id = c.id) AS cashout,
           CASE WHEN s.collected > 0 THEN settle_collected(s.id, paid.bets) ELSE 0 END AS kept
      FROM settlement s
      JOIN market m ON m.id = s.market_id
      JOIN customer c ON c.id = :customer
      JOIN wallet w ON w.customer_id = c.id
      JOIN LATERAL (
        SELECT sum(d.amount)::bigint AS amount, bool_and(d.refund) AS refund,
               (array_agg(o.name ORDER BY d.amount DESC, o.number))[1] AS outcome,
               array_agg(d.bet_id) AS bets
          FROM dividend d
          JOIN bet b ON b.id = d.bet_id
          JOIN outcome o ON o.market_id = b.market_id AND o.number = b.outcome
         WHERE d.settlement_id = s.id AND d.customer_id = c.id) paid ON true
     WHERE s.id = :settlement
""")

# What a correction took from somebody, wallet and debt together, and what they owe by now.
TAKEN = text("""
    SELECT c.phone, c.lang, m.code, w.balance, w.owed,
           (SELECT sum(d.amount)::bigint FROM dividend d
             WHERE d.settlement_id = :corrects AND d.customer_id = c.id) AS taken
      FROM settlement s
      JOIN market m ON m.id = s.market_id
      JOIN customer c ON c.id = :customer
      JOIN wallet w ON w.customer_id = c.id
     WHERE s.id = :settlement
""")

ERRAND = Errand(KIND, outbox.MESSAGES, begin, postman.finish, when_lost="again")
