"""Proof of the books: every invariant, recomputed from the rows in one snapshot."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from core.payment_proofs import DISPUTED, PAYOUTS, PENDING, RECEIPTS, STATED, UTILITY
from core.receipt_proofs import REFUNDS, RESTORED, TAKEN_BACK, WAITING
from core.runtime import Runtime

SHOWN = 10  # offending rows named for each invariant; one is enough to stop payouts

# `sums` is what each account holds by the transfers alone, for whichever query wants it: the
# checkpoints are among the things that are proved. Materialized, because for the sake of ten rows
# the planner would walk a million by their index.
FINDING = """
    WITH sums AS (
      SELECT account, sum(amount) AS total
        FROM (SELECT credit_account AS account, amount FROM transfer
              UNION ALL
              SELECT debit_account, -amount FROM transfer) sides
       GROUP BY account
    ), broken AS MATERIALIZED ({query})
    SELECT * FROM broken LIMIT {shown}
"""

# The house's own statements are short; these read everything there is, once, by sorting and hashing
# in memory. Nothing is looked up row by row, whatever the planner thinks of the sizes, and none of
# it is compiled first: that takes longer than it saves.
SETTINGS = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL work_mem = '128MB'",
    "SET LOCAL enable_nestloop = off",
    "SET LOCAL jit = off",
)


@dataclass(frozen=True)
class Finding:
    """One invariant and what breaks it: an empty `broken` is a proof, as far as `note` says."""

    number: int
    name: str
    broken: tuple[Mapping[str, Any], ...]
    note: str = ""
    seconds: float = 0.0

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
        return prove(snapshot)


def prove(snapshot: Connection) -> list[Finding]:
    """Check every invariant as this connection sees the rows."""
    for setting in SETTINGS:
        snapshot.execute(text(setting))
    return [_checked(snapshot, *invariant) for invariant in INVARIANTS]


def _checked(snapshot: Connection, number: int, name: str, query: str) -> Finding:
    began = time.perf_counter()
    rows = snapshot.execute(text(FINDING.format(query=query, shown=SHOWN)))
    broken = tuple(map(dict, rows.mappings()))
    return Finding(number, name, broken, NOTES.get(name, ""), time.perf_counter() - began)


BALANCED = """
    SELECT t.id AS transfer, 'stray account' AS what
      FROM transfer t
      LEFT JOIN account d ON d.id = t.debit_account
      LEFT JOIN account c ON c.id = t.credit_account
     WHERE d.id IS NULL OR c.id IS NULL
    UNION ALL
    SELECT NULL, 'debits and credits differ'
      FROM account a JOIN sums s ON s.account = a.id
    HAVING sum(s.total) <> 0
"""

CHECKPOINTS = """
    SELECT c.account_id AS account, c.balance, coalesce(s.total, 0) AS transfers
      FROM checkpoint c
      LEFT JOIN LATERAL
           (SELECT sum(amount) AS total
              FROM (SELECT amount FROM transfer
                     WHERE credit_account = c.account_id AND xact_id < c.below
                    UNION ALL
                    SELECT -amount FROM transfer
                     WHERE debit_account = c.account_id AND xact_id < c.below) sides) s ON true
     WHERE c.cluster = (SELECT system_identifier FROM pg_control_system())
       AND c.balance <> coalesce(s.total, 0)
"""

WALLETS = """
    SELECT coalesce(w.customer_id, a.customer_id) AS customer, w.balance,
           coalesce(s.total, 0) AS transfers
      FROM (SELECT id, customer_id FROM account WHERE kind = 1) a
      FULL JOIN wallet w ON w.account_id = a.id
      LEFT JOIN sums s ON s.account = coalesce(w.account_id, a.id)
     WHERE coalesce(w.balance, 0) <> coalesce(s.total, 0) OR w.balance < 0
        OR (w.account_id IS NOT NULL AND w.customer_id IS DISTINCT FROM a.customer_id)
"""

OWED = """
    SELECT coalesce(w.customer_id, r.customer_id) AS customer, w.owed,
           coalesce(-s.total, 0) AS receivable
      FROM wallet w
      FULL JOIN (SELECT id, customer_id FROM account WHERE kind = 30) r
        ON r.customer_id = w.customer_id
      LEFT JOIN sums s ON s.account = r.id
     WHERE coalesce(w.owed, 0) <> coalesce(-s.total, 0)
"""

POOLS = """
    SELECT coalesce(m.id, a.market_id) AS market, coalesce(s.total, 0) AS pool,
           coalesce(b.staked, 0) AS staked, coalesce(run.given, 0) AS given
      FROM market m
      FULL JOIN (SELECT id, market_id FROM account WHERE kind = 2) a ON a.id = m.pool_account
      LEFT JOIN sums s ON s.account = coalesce(a.id, m.pool_account)
      LEFT JOIN (SELECT market_id, sum(stake) AS staked FROM bet GROUP BY market_id) b
        ON b.market_id = m.id
      LEFT JOIN (SELECT market_id,
                        sum(paid + refunded + CASE WHEN state = 3 THEN fee ELSE 0 END - reversed)
                        AS given
                   FROM settlement GROUP BY market_id) run ON run.market_id = m.id
     WHERE coalesce(s.total, 0) <> coalesce(b.staked, 0) - coalesce(run.given, 0)
        OR (m.status IN (8, 10) AND s.total <> 0)
        OR (m.id IS NOT NULL AND m.id IS DISTINCT FROM a.market_id)
"""

SETTLEMENTS = """
    SELECT s.id AS settlement, s.paid, s.refunded, s.fee, given.paid AS paid_rows,
           given.refunded AS refunded_rows, moved.paid AS paid_moved,
           moved.refunded AS refunded_moved, moved.fee AS fee_moved,
           s.reversed, moved.reversed AS reversed_moved
      FROM settlement s
      LEFT JOIN (SELECT settlement_id, coalesce(sum(amount) FILTER (WHERE NOT refund), 0) AS paid,
                        coalesce(sum(amount) FILTER (WHERE refund), 0) AS refunded
                   FROM dividend GROUP BY settlement_id) given ON given.settlement_id = s.id
      LEFT JOIN (SELECT event_id, coalesce(sum(amount) FILTER (WHERE kind = 3), 0) AS paid,
                        coalesce(sum(amount) FILTER (WHERE kind = 4), 0) AS refunded,
                        coalesce(sum(amount) FILTER (WHERE kind = 5), 0) AS fee,
                        coalesce(sum(amount) FILTER (WHERE kind IN (12, 14)), 0) AS reversed
                   FROM transfer WHERE kind IN (3, 4, 5, 12, 14) GROUP BY event_id) moved
        ON moved.event_id = s.key
     WHERE (s.paid, s.refunded)
           IS DISTINCT FROM (coalesce(given.paid, 0), coalesce(given.refunded, 0))
        OR (s.paid, s.refunded, CASE WHEN s.state = 3 THEN s.fee ELSE 0 END)
           IS DISTINCT FROM
           (coalesce(moved.paid, 0), coalesce(moved.refunded, 0), coalesce(moved.fee, 0))
        OR s.reversed <> coalesce(moved.reversed, 0)
        OR (s.state = 3 AND s.paid + s.refunded + s.fee <> s.pool)
        OR (s.undone_at IS NOT NULL AND NOT EXISTS (SELECT FROM settlement wrong
              WHERE wrong.id = s.corrects AND wrong.reversed = wrong.pool))
"""

# Beside each bet: what its place in the settlement shares, and the stakes up to it.
DIVIDENDS = """
    SELECT coalesce(p.settlement, d.settlement_id) AS settlement, coalesce(p.bet, d.bet_id) AS bet,
           p.stake, d.amount,
           div(p.upto * p.net, p.staked) - div((p.upto - p.stake) * p.net, p.staked) AS share
      FROM (SELECT b.id AS bet, b.customer_id, b.stake, s.id AS settlement, s.state, w.refund,
                   w.net, w.staked,
                   sum(b.stake) OVER (PARTITION BY s.id, w.place ORDER BY b.id) AS upto
              FROM settlement s
              JOIN settlement_share w ON w.settlement_id = s.id
              JOIN bet b ON b.market_id = s.market_id AND b.outcome = w.outcome
                        AND coalesce(b.placed_at > s.effective_close, false) = w.late
             WHERE s.state > 1) p
      FULL JOIN dividend d ON d.settlement_id = p.settlement AND d.bet_id = p.bet
     WHERE p.bet IS NULL
        OR (d.bet_id IS NULL AND p.state = 3)
        OR d.customer_id <> p.customer_id OR d.refund <> p.refund
        OR d.amount
           <> div(p.upto * p.net, p.staked) - div((p.upto - p.stake) * p.net, p.staked)
"""

# What a correction took back, bet by bet, from whoever had got it.
REVERSALS = """
    SELECT d.settlement, coalesce(d.bet_id, t.ref) AS bet, d.amount, t.amount AS reversed
      FROM (SELECT s.id AS settlement, s.key, d.bet_id, d.customer_id, d.amount,
                   new.undone_at IS NOT NULL AS undone
              FROM settlement s
              JOIN settlement new ON new.corrects = s.id AND new.state <> 4
              JOIN dividend d ON d.settlement_id = s.id) d
      FULL JOIN (SELECT t.event_id, t.ref, sum(t.amount) AS amount,
                        min(a.customer_id) AS first, max(a.customer_id) AS last
                   FROM transfer t JOIN account a ON a.id = t.debit_account AND a.kind IN (1, 30)
                  WHERE t.kind IN (12, 14) GROUP BY t.event_id, t.ref) t
        ON t.event_id = d.key AND t.ref = d.bet_id
     WHERE d.bet_id IS NULL OR (t.ref IS NULL AND d.undone)
        OR t.amount <> d.amount OR t.first <> d.customer_id OR t.last <> d.customer_id
"""

# What the house gives or lets go is what two people approved, each once.
ADJUSTMENTS = """
    SELECT coalesce(p.id, t.ref) AS proposal, p.cents AS amount, t.amount AS moved
      FROM (SELECT id, (content ->> 'amount')::bigint AS cents,
                   (content ->> 'customer')::bigint AS customer,
                   CASE content ->> 'adjustment' WHEN 'credit' THEN 1 ELSE 30 END AS kind
              FROM proposal WHERE act = 'adjustment' AND state = 2) p
      FULL JOIN (SELECT t.ref, t.amount, c.kind, c.customer_id
                   FROM transfer t
                   JOIN account d ON d.id = t.debit_account AND d.kind = 32
                   JOIN account c ON c.id = t.credit_account
                  WHERE t.kind = 11) t ON t.ref = p.id
     WHERE p.id IS NULL OR t.ref IS NULL
        OR (p.cents, p.customer, p.kind) IS DISTINCT FROM (t.amount, t.customer_id, t.kind)
    UNION ALL
    SELECT t.ref, r.amount, t.amount
      FROM (SELECT r.* FROM mpesa_receipt r JOIN account a ON a.id = r.account_id AND a.kind = 32) r
      FULL JOIN (SELECT t.key, t.ref, t.amount
                   FROM transfer t JOIN account c ON c.id = t.credit_account AND c.kind = 32
                  WHERE t.kind = 11) t ON t.key = md5('kept:' || r.receipt)::uuid
     WHERE r.receipt IS NULL OR t.key IS NULL OR r.amount <> t.amount
"""

TREASURY = """
    SELECT coalesce(e.transfer_id, t.id) AS transfer, e.amount, t.amount AS moved
      FROM treasury_entry e
      FULL JOIN (SELECT id, amount, ref FROM transfer WHERE kind = 15) t ON t.id = e.transfer_id
     WHERE e.id IS NULL OR t.id IS NULL OR e.amount <> t.amount OR t.ref <> e.proposal_id
"""

# A closed day is what it was: what is booked before its end adds up to what was written down then.
CLOSED_DAYS = """
    SELECT b.day, coalesce(b.kind, n.kind) AS kind, b.debits, n.debits AS debits_now
      FROM (SELECT * FROM day_balance WHERE day = (SELECT max(day) FROM closed_day)) b
      FULL JOIN trial_balance((SELECT (max(day) + 1)::timestamp AT TIME ZONE 'Africa/Nairobi'
                                 FROM closed_day)) n
        ON b.kind = n.kind AND b.shortcode = n.shortcode
     WHERE (b.debits, b.credits) IS DISTINCT FROM (n.debits, n.credits)
"""

EQUATION = """
    SELECT assets, liabilities
      FROM (SELECT coalesce(-sum(s.total) FILTER (WHERE a.kind IN (10, 11, 12, 30, 31)), 0)
                   AS assets,
                   coalesce(sum(s.total) FILTER (WHERE a.kind NOT IN (10, 11, 12, 30, 31)), 0)
                   AS liabilities
              FROM account a JOIN sums s ON s.account = a.id) sides
     WHERE assets <> liabilities
"""

BETS = """
    SELECT coalesce(b.id, t.ref) AS bet, b.stake, t.amount AS transfer, 'stake' AS what
      FROM bet b
      FULL JOIN (SELECT ref, key, amount, debit_account, credit_account
                   FROM transfer WHERE kind = 2) t ON t.ref = b.id
      LEFT JOIN market m ON m.id = b.market_id
      LEFT JOIN wallet w ON w.account_id = t.debit_account
     WHERE b.id IS NULL OR t.key IS NULL OR t.key <> ledger_row_key(2, b.id, 0)
        OR t.amount <> b.stake OR t.credit_account IS DISTINCT FROM m.pool_account
        OR w.customer_id IS DISTINCT FROM b.customer_id
    UNION ALL
    SELECT coalesce(d.bet_id, t.ref), d.amount, t.amount, 'dividend'
      FROM (SELECT d.bet_id, d.customer_id, d.settlement_id, d.amount, d.refund, s.key
              FROM dividend d JOIN settlement s ON s.id = d.settlement_id WHERE d.amount > 0) d
      FULL JOIN (SELECT ref, key, kind, amount, credit_account, event_id
                   FROM transfer WHERE kind IN (3, 4)) t
        ON t.ref = d.bet_id AND t.event_id = d.key
      LEFT JOIN wallet w ON w.account_id = t.credit_account
     WHERE d.bet_id IS NULL OR t.key IS NULL
        OR t.key <> ledger_row_key(t.kind, d.bet_id, d.settlement_id)
        OR t.amount <> d.amount OR t.kind <> CASE WHEN d.refund THEN 4 ELSE 3 END
        OR w.customer_id IS DISTINCT FROM d.customer_id
"""

TIPS = """
    SELECT id AS transfer, amount FROM transfer
     WHERE debit_account IN (SELECT id FROM account WHERE kind = 22)
        OR credit_account IN (SELECT id FROM account WHERE kind = 22)
"""

CHAINS = """
    SELECT account, seq, balance_after, before + amount AS expected FROM (
      SELECT s.account, s.seq, s.amount, s.balance_after, w.seq AS last_seq, w.balance,
             lag(s.balance_after, 1, 0::bigint) OVER chain AS before,
             lag(s.seq, 1, 0::bigint) OVER chain AS seq_before,
             lead(s.seq) OVER chain AS seq_next
        FROM (SELECT credit_account AS account, credit_seq AS seq, amount,
                     credit_balance_after AS balance_after FROM transfer
              UNION ALL
              SELECT debit_account, debit_seq, -amount, debit_balance_after FROM transfer) s
        LEFT JOIN wallet w ON w.account_id = s.account
       WHERE s.seq IS NOT NULL OR w.account_id IS NOT NULL
      WINDOW chain AS (PARTITION BY s.account ORDER BY s.seq)) walked
     WHERE seq IS DISTINCT FROM seq_before + 1
        OR balance_after IS DISTINCT FROM before + amount
        OR (seq_next IS NULL AND (last_seq, balance) IS DISTINCT FROM (seq, balance_after))
    UNION ALL
    SELECT w.account_id, w.seq, w.balance, 0 FROM wallet w
     WHERE w.seq <> 0 AND NOT EXISTS (SELECT FROM transfer WHERE credit_account = w.account_id)
       AND NOT EXISTS (SELECT FROM transfer WHERE debit_account = w.account_id)
"""

INVARIANTS: tuple[tuple[int, str, str], ...] = (
    (1, "debits equal credits", BALANCED),
    (1, "checkpoints are the sums they stand for", CHECKPOINTS),
    (2, "wallets are the sum of their transfers", WALLETS),
    (2, "what a customer owes is their receivable", OWED),
    (3, "pools are stakes less what was given", POOLS),
    (3, "settlements gave what they say", SETTLEMENTS),
    (3, "a dividend is its bet's share", DIVIDENDS),
    (3, "what is taken back is what was given", REVERSALS),
    (4, "what is pending is owed to payouts", PENDING),
    (5, "a receipt is credited once", RECEIPTS),
    (5, "a payout has one end", PAYOUTS),
    (5, "what is disputed belongs to open incidents", DISPUTED),
    (5, "what waits for its owner is what its receipts say", WAITING),
    (5, "what M-PESA took back is what it had brought", TAKEN_BACK),
    (5, "what was restored had been taken back", RESTORED),
    (5, "a refund is paid once", REFUNDS),
    (5, "what the statement agreed with has not changed", STATED),
    (6, "the M-PESA account is receipts in less receipts out", UTILITY),
    (6, "treasury entries are posted once", TREASURY),
    (6, "adjustments are what two people approved", ADJUSTMENTS),
    (6, "closed days are what they were", CLOSED_DAYS),
    (7, "what the house holds is what it owes", EQUATION),
    (8, "every bet has its stake and its end", BETS),
    (9, "tip purchases are their splits", TIPS),
    (10, "balance-after chains are unbroken", CHAINS),
)

NOTES: Mapping[str, str] = {
    "tip purchases are their splits": "No tips are sold yet, so there is no purchase to check;"
    " nothing may have moved through tips_house.",
}
