"""Telling customers what a settled market brought them: one text each, put into words when sent."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core import messages, outbox, postman
from core.outbox import Errand, Promise

KIND = "result"


def begin(tx: Session, promise: Promise, now: datetime) -> Mapping[str, Any] | None:
    """Write the text from what the customer really got, all bets on the market together."""
    settlement = promise.payload["settlement"]
    won = tx.execute(WON, {"settlement": settlement, "customer": promise.customer_id}).one()
    sentence = "betting.result_won_paid" if won.cashout else "betting.result_won"
    messages.write(
        tx,
        to=won.phone,
        lang=won.lang,
        sentence="betting.result_refunded" if won.refund else sentence,
        facts={
            "code": won.code,
            "outcome": won.outcome,
            "amount": int(won.amount),
            "cashout": int(won.cashout),
            "balance": won.balance,
        },
        key=promise.key,
        now=now,
        customer_id=promise.customer_id,
    )
    return postman.begin(tx, promise, now)


# Of several outcomes a customer may have backed the one they won most on is named.
WON = text("""
    SELECT c.phone, c.lang, m.code, w.balance, paid.amount, paid.refund, paid.outcome,
           (SELECT coalesce(sum(p.amount), 0) FROM payout p
             WHERE p.settlement_id = s.id AND p.customer_id = c.id) AS cashout
      FROM settlement s
      JOIN market m ON m.id = s.market_id
      JOIN customer c ON c.id = :customer
      JOIN wallet w ON w.customer_id = c.id
      JOIN LATERAL (
        SELECT sum(d.amount) AS amount, bool_or(d.refund) AS refund,
               (array_agg(o.name ORDER BY d.amount DESC, o.number))[1] AS outcome
          FROM dividend d
          JOIN bet b ON b.id = d.bet_id
          JOIN outcome o ON o.market_id = b.market_id AND o.number = b.outcome
         WHERE d.settlement_id = s.id AND d.customer_id = c.id) paid ON true
     WHERE s.id = :settlement
""")

ERRAND = Errand(KIND, outbox.MESSAGES, begin, postman.finish, when_lost="again")
