"""Proof of the books: every invariant, recomputed from the rows in one snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from core.runtime import Runtime

SHOWN = 10  # offending rows named for each invariant; one is enough to stop payouts


@dataclass(frozen=True)
class Finding:
    """One invariant and what breaks it: an empty `broken` is a proof."""

    number: int
    name: str
    broken: tuple[Mapping[str, Any], ...]

    @property
    def holds(self) -> bool:
        """Whether nothing breaks it."""
        return not self.broken


def verify(rt: Runtime) -> list[Finding]:
    """Check every invariant against the same moment; reads only, and holds nobody up."""
    with rt.engine.connect() as connection:
        snapshot = connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        # The house's own statements are short; this one reads everything there is.
        snapshot.execute(text("SET LOCAL statement_timeout = 0"))
        return prove(snapshot)


def prove(snapshot: Connection) -> list[Finding]:
    """Check every invariant as this connection sees the rows."""
    findings = []
    for number, name, query in INVARIANTS:
        rows = snapshot.execute(text(f"SELECT * FROM ({query}) broken LIMIT {SHOWN}"))  # noqa: S608
        findings.append(Finding(number, name, tuple(map(dict, rows.mappings()))))
    return findings


BALANCED = """
    SELECT id AS transfer, 'stray account' AS what FROM transfer t
     WHERE NOT EXISTS (SELECT FROM account WHERE id = t.debit_account)
        OR NOT EXISTS (SELECT FROM account WHERE id = t.credit_account)
    UNION ALL
    SELECT NULL, 'debits and credits differ' WHERE
      (SELECT coalesce(sum(ledger_sum(id)), 0) FROM account) <> 0
"""

WALLETS = """
    SELECT w.customer_id, w.balance, coalesce(moved.total, 0) AS transfers
      FROM wallet w
      LEFT JOIN (SELECT account, sum(amount) AS total
                   FROM (SELECT credit_account AS account, amount FROM transfer
                         UNION ALL
                         SELECT debit_account, -amount FROM transfer) sides
                  GROUP BY account) moved ON moved.account = w.account_id
     WHERE w.balance <> coalesce(moved.total, 0) OR w.balance < 0
"""

POOLS = """
    SELECT m.id AS market, ledger_sum(m.pool_account) AS pool, staked.total AS staked,
           coalesce(run.given, 0) AS given
      FROM market m
      JOIN LATERAL (SELECT coalesce(sum(stake), 0) AS total FROM bet WHERE market_id = m.id)
           staked ON true
      LEFT JOIN LATERAL (SELECT sum(s.paid + s.refunded + CASE WHEN s.state = 3 THEN s.fee ELSE 0
                                END) AS given FROM settlement s WHERE s.market_id = m.id)
           run ON true
     WHERE ledger_sum(m.pool_account) <> staked.total - coalesce(run.given, 0)
        OR (m.status IN (8, 10) AND ledger_sum(m.pool_account) <> 0)
"""

SETTLEMENTS = """
    SELECT s.id AS settlement, s.paid, s.refunded, given.paid AS paid_rows,
           given.refunded AS refunded_rows, given.moved
      FROM settlement s
      JOIN LATERAL (SELECT coalesce(sum(d.amount) FILTER (WHERE NOT d.refund), 0) AS paid,
                           coalesce(sum(d.amount) FILTER (WHERE d.refund), 0) AS refunded,
                           coalesce(sum(t.amount), 0) AS moved
                      FROM dividend d
                      JOIN bet b ON b.id = d.bet_id
                      LEFT JOIN transfer t
                        ON t.key = ledger_row_key(CASE WHEN d.refund THEN 4 ELSE 3 END, b.id, s.id)
                     WHERE d.settlement_id = s.id) given ON true
     WHERE (s.paid, s.refunded, s.paid + s.refunded)
           IS DISTINCT FROM (given.paid, given.refunded, given.moved)
        OR (s.state = 3 AND s.paid + s.refunded + s.fee <> s.pool)
"""

PENDING = """
    SELECT held.cents AS pending, owed.cents AS payouts
      FROM (SELECT coalesce(sum(ledger_sum(id)), 0) AS cents FROM account WHERE kind = 20) held,
           (SELECT coalesce(sum(amount), 0) AS cents FROM payout WHERE state < 8) owed
     WHERE held.cents <> owed.cents
"""

RECEIPTS = """
    SELECT r.receipt, r.amount, t.amount AS transfer
      FROM mpesa_receipt r LEFT JOIN transfer t ON t.id = r.transfer_id
     WHERE r.amount IS DISTINCT FROM t.amount
        OR (r.direction, t.kind) NOT IN ((1, 1), (2, 7))
    UNION ALL
    SELECT NULL, t.amount, count(r.receipt) FROM transfer t
      LEFT JOIN mpesa_receipt r ON r.transfer_id = t.id
     WHERE t.kind IN (1, 7) GROUP BY t.id, t.amount HAVING count(r.receipt) <> 1
"""

PAYOUTS = """
    SELECT p.id AS payout, p.state, count(t.id) FILTER (WHERE t.kind = 6) AS reserved,
           count(t.id) FILTER (WHERE t.kind = 7) AS paid,
           count(t.id) FILTER (WHERE t.kind = 8) AS released
      FROM payout p
      LEFT JOIN transfer t ON t.amount = p.amount AND t.key IN
        (ledger_key(p.key, 'reserve'), ledger_key(p.key, 'paid'), ledger_key(p.key, 'release'))
     GROUP BY p.id, p.state
    HAVING (count(t.id) FILTER (WHERE t.kind = 6), count(t.id) FILTER (WHERE t.kind = 7),
            count(t.id) FILTER (WHERE t.kind = 8))
           IS DISTINCT FROM (1::bigint, (p.state = 8)::int::bigint, (p.state > 8)::int::bigint)
"""

UTILITY = """
    SELECT a.shortcode, -ledger_sum(a.id) AS ledger, coalesce(rows.cents, 0) AS receipts
      FROM account a
      LEFT JOIN (SELECT shortcode, sum(CASE direction WHEN 1 THEN amount ELSE -amount END) AS cents
                   FROM mpesa_receipt GROUP BY shortcode) rows ON rows.shortcode = a.shortcode
     WHERE a.kind = 10 AND -ledger_sum(a.id) <> coalesce(rows.cents, 0)
"""

EQUATION = """
    SELECT assets.cents AS assets, liabilities.cents AS liabilities
      FROM (SELECT -coalesce(sum(ledger_sum(id)), 0) AS cents FROM account
             WHERE kind IN (10, 11, 12, 30, 31)) assets,
           (SELECT coalesce(sum(ledger_sum(id)), 0) AS cents FROM account
             WHERE kind NOT IN (10, 11, 12, 30, 31)) liabilities
     WHERE assets.cents <> liabilities.cents
"""

BETS = """
    SELECT b.id AS bet, b.stake, t.amount AS transfer
      FROM bet b
      JOIN market m ON m.id = b.market_id
      LEFT JOIN transfer t ON t.key = ledger_row_key(2, b.id, 0) AND t.kind = 2
                          AND t.credit_account = m.pool_account
     WHERE t.amount IS DISTINCT FROM b.stake
    UNION ALL
    SELECT b.id, b.stake, NULL FROM bet b
      JOIN settlement s ON s.market_id = b.market_id AND s.state = 3
      JOIN settlement_share w ON w.settlement_id = s.id AND w.outcome = b.outcome
      LEFT JOIN dividend d ON d.settlement_id = s.id AND d.bet_id = b.id
     WHERE d.amount IS NULL
    UNION ALL
    SELECT b.id, b.stake, d.amount FROM dividend d
      JOIN bet b ON b.id = d.bet_id
      LEFT JOIN settlement_share w
        ON w.settlement_id = d.settlement_id AND w.outcome = b.outcome
     WHERE w.outcome IS NULL
"""

CHAINS = """
    SELECT account, seq, balance_after, expected FROM (
      SELECT account, seq, balance_after,
             sum(amount) OVER chain AS expected, row_number() OVER chain AS place
        FROM (SELECT credit_account AS account, credit_seq AS seq, amount,
                     credit_balance_after AS balance_after
                FROM transfer WHERE credit_seq IS NOT NULL
              UNION ALL
              SELECT debit_account, debit_seq, -amount, debit_balance_after
                FROM transfer WHERE debit_seq IS NOT NULL) sides
      WINDOW chain AS (PARTITION BY account ORDER BY seq)) walked
     WHERE balance_after <> expected OR seq <> place
    UNION ALL
    SELECT w.account_id, w.seq, w.balance, count(t.account) FROM wallet w
      LEFT JOIN (SELECT credit_account AS account FROM transfer
                 UNION ALL SELECT debit_account FROM transfer) t ON t.account = w.account_id
     GROUP BY w.account_id HAVING w.seq <> count(t.account)
"""

INVARIANTS: tuple[tuple[int, str, str], ...] = (
    (1, "debits equal credits", BALANCED),
    (2, "wallets are the sum of their transfers", WALLETS),
    (3, "pools are stakes less what was given", POOLS),
    (3, "settlements gave what they say", SETTLEMENTS),
    (4, "what is pending is owed to payouts", PENDING),
    (5, "a receipt is credited once", RECEIPTS),
    (5, "a payout has one end", PAYOUTS),
    (6, "the M-PESA account is receipts in less receipts out", UTILITY),
    (7, "what the house holds is what it owes", EQUATION),
    (8, "every bet has its stake and its end", BETS),
    (10, "balance-after chains are unbroken", CHAINS),
)
