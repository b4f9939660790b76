"""A settlement recounted: every row it left, beside what plain arithmetic says it owed."""

from collections import Counter
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.runtime import Runtime
from tests.tote import Division, Slip, divide

WON, REFUND, FEE = 3, 4, 5  # kinds of transfers


def recount(rt: Runtime, settlement_id: int) -> Division:
    """Prove that the settlement gave every bet its share, once, and left nothing over."""
    with rt.transaction() as tx:
        tx.execute(text("SET LOCAL statement_timeout = 0"))
        run = tx.execute(text(RUN), {"run": settlement_id}).one()
        bets = tx.execute(text(BETS), {"market": run.market_id}).all()
        due = divide([Slip(*bet[:3]) for bet in bets], run.winners, run.fee_bp)
        owners = {bet.id: bet.customer_id for bet in bets}
        _shares(tx, run, due)
        _moves(tx, run, due, owners)
        _texts(tx, run, {owners[bet] for bet in due.given})
        _payouts(tx, run, due, owners)
    return due


def taken_back(rt: Runtime, settlement_id: int) -> None:
    """Prove that all it gave has come back to the pool, bet by bet and once, and its fee."""
    with rt.transaction() as tx:
        tx.execute(text("SET LOCAL statement_timeout = 0"))
        run = tx.execute(text(RUN), {"run": settlement_id}).one()
        given = {row.bet_id: row.amount for row in tx.execute(text(DIVIDENDS), {"run": run.id})}
        rows = tx.execute(text(BACK), {"pool": run.pool_account, "event": run.key}).all()
        waiting = tx.scalar(text(WAITING), {"run": settlement_id})
    back: Counter[int] = Counter()
    for row in rows:
        back[0 if row.house else row.ref] += row.amount
    assert back == Counter(given) + Counter({0: run.fee})
    assert waiting == 0, "a payout of a wrong result may still go"


def wallets(rt: Runtime, funds: int) -> None:
    """Prove that each wallet holds `funds` less its stakes and cash-outs, and what came back."""
    with rt.transaction() as tx:
        tx.execute(text("SET LOCAL statement_timeout = 0"))
        assert tx.execute(text(WALLETS), {"funds": funds}).all() == []


def _shares(tx: Session, run: Any, due: Division) -> None:
    """What is written of every bet, and of the whole."""
    rows = tx.execute(text(DIVIDENDS), {"run": run.id}).all()
    assert {row.bet_id: row.amount for row in rows if not row.refund} == due.won
    assert {row.bet_id: row.amount for row in rows if row.refund} == due.back
    given = (run.paid, run.refunded, run.fee)
    assert given == (sum(due.won.values()), sum(due.back.values()), due.fee)
    assert run.state == 3


def _moves(tx: Session, run: Any, due: Division, owners: dict[int, int]) -> None:
    """What left the pool: to the bet's owner, once, in full; and the pool is empty."""
    rows = tx.execute(text(MOVES), {"pool": run.pool_account, "event": run.key}).all()
    moved = {(kind, row.ref): row for row in rows if (kind := row.kind) in (WON, REFUND)}
    paid = {(WON, bet): cents for bet, cents in due.won.items()}
    paid |= {(REFUND, bet): cents for bet, cents in due.back.items()}
    fees = [row.amount for row in rows if row.kind == FEE]
    assert len(rows) == len(moved) + len(fees), "somebody was paid twice"
    assert {which: row.amount for which, row in moved.items()} == paid
    assert all(row.customer_id == owners[bet] for (_, bet), row in moved.items())
    assert fees == ([due.fee] if due.fee else [])
    assert tx.scalar(text(POOL), {"pool": run.pool_account}) == 0


def _texts(tx: Session, run: Any, people: set[int]) -> None:
    """One result for each customer who got something."""
    told = tx.scalars(text(TEXTS), {"run": run.id}).all()
    assert Counter(told) == Counter(people)


def _payouts(tx: Session, run: Any, due: Division, owners: dict[int, int]) -> None:
    """One payout for each winner who wants it, with one promise and one reservation."""
    won: Counter[int] = Counter()
    for bet, cents in due.won.items():
        won[owners[bet]] += cents
    wanted = set(tx.scalars(text("SELECT id FROM customer WHERE auto_cashout")))
    expected = {who: cents // 100 * 100 for who, cents in won.items() if who in wanted}
    rows = tx.execute(text(PAYOUTS), {"run": run.id}).all()
    assert Counter((row.customer_id, row.amount) for row in rows) == Counter(expected.items())
    assert all((row.reserved, row.promised) == (row.amount, 1) for row in rows)


RUN = """
    SELECT s.id, s.key, s.state, s.market_id, s.winners, s.paid, s.refunded, s.fee, m.fee_bp,
           m.pool_account
      FROM settlement s JOIN market m ON m.id = s.market_id WHERE s.id = :run
"""
BETS = "SELECT id, outcome, stake, customer_id FROM bet WHERE market_id = :market ORDER BY id"
DIVIDENDS = "SELECT bet_id, amount, refund FROM dividend WHERE settlement_id = :run"
MOVES = """
    SELECT t.kind, t.ref, t.amount, a.customer_id
      FROM transfer t JOIN account a ON a.id = t.credit_account
     WHERE t.debit_account = :pool AND t.event_id = :event
"""
BACK = """
    SELECT t.ref, t.amount, a.customer_id IS NULL AS house
      FROM transfer t JOIN account a ON a.id = t.debit_account
     WHERE t.credit_account = :pool AND t.event_id = :event
"""
POOL = """
    SELECT sum(CASE WHEN credit_account = :pool THEN amount ELSE -amount END) FROM transfer
     WHERE :pool IN (credit_account, debit_account)
"""
TEXTS = """
    SELECT customer_id FROM promise
     WHERE settlement_id = :run AND kind = 'result' AND NOT payload ? 'corrects'
"""
PAYOUTS = """
    SELECT p.id, p.customer_id, p.amount, r.cents AS reserved, coalesce(o.promised, 0) AS promised
      FROM payout p
      LEFT JOIN (SELECT ref, sum(amount) AS cents FROM transfer WHERE kind = 6 GROUP BY ref) r
        ON r.ref = p.id
      LEFT JOIN (SELECT payload->>'payout_id' AS payout, count(*) AS promised FROM promise
                  WHERE kind = 'b2c' GROUP BY 1) o ON o.payout = p.id::text
     WHERE p.settlement_id = :run
"""
WAITING = "SELECT count(*) FROM payout WHERE settlement_id = :run AND state < 8"
WALLETS = """
    SELECT w.customer_id, w.balance, b.stakes, d.given, p.reserved
      FROM wallet w
      LEFT JOIN (SELECT customer_id, sum(stake) AS stakes FROM bet GROUP BY 1) b
        USING (customer_id)
      LEFT JOIN (SELECT d.customer_id, sum(d.amount) AS given
                   FROM dividend d JOIN settlement s ON s.id = d.settlement_id
                  WHERE s.reversed = 0 GROUP BY 1) d
        USING (customer_id)
      LEFT JOIN (SELECT customer_id, sum(amount) AS reserved FROM payout WHERE state < 9
                  GROUP BY 1) p
        USING (customer_id)
     WHERE w.balance <> :funds - coalesce(b.stakes, 0) + coalesce(d.given, 0)
                        - coalesce(p.reserved, 0)
"""
