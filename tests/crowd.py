"""A crowd for the tests: people and bets by the thousand, in the rows that `place_bet` leaves."""

import contextlib
from typing import Any

import psycopg2

from core.runtime import Runtime

FUNDS = 10_000_000_00  # cents in each wallet at the start
SIDES = 4  # outcomes that the crowd bets on, where a market has so many


def gather(rt: Runtime, number: int) -> None:
    """So many customers with money from the house's bank; each third has wins sent to M-PESA."""
    _write(rt, PEOPLE, {"number": number, "funds": FUNDS})


def bet(rt: Runtime, *market_ids: int, bets: int) -> None:
    """On each market so many bets of KES 20 to 120, odd cents and all, a minute apart at most."""
    _write(rt, BETS, {"markets": list(market_ids), "number": bets, "sides": SIDES})


def _write(rt: Runtime, statements: str, facts: dict[str, Any]) -> None:
    """As the owner of the database, who alone may write such rows without the house's functions."""
    url = rt.config.migration_database_url.replace("+psycopg2", "")
    with contextlib.closing(psycopg2.connect(url)) as owner, owner, owner.cursor() as cursor:
        cursor.execute(statements, facts)


PEOPLE = """
    INSERT INTO customer (phone, lang, standing, name, birth, terms_at, pin_hash, kyc_verified_at,
                          auto_cashout, created_at)
    SELECT '+2547' || lpad(n::text, 8, '0'), 'en', 2, 'Some One', 'sealed', now(), 'hash', now(),
           n %% 3 = 0, now()
      FROM generate_series(1, %(number)s) n;
    INSERT INTO account (kind, customer_id) SELECT 1, id FROM customer ORDER BY id;
    INSERT INTO wallet (account_id, customer_id, balance, seq)
    SELECT id, customer_id, %(funds)s, 1 FROM account WHERE kind = 1 ORDER BY id;
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, credit_balance_after,
                          credit_seq, event_id, event_at)
    SELECT ledger_row_key(11, customer_id, 0), 11,
           ledger_account(12::smallint, NULL, NULL, NULL), account_id, %(funds)s, %(funds)s, 1,
           gen_random_uuid(), app_now()
      FROM wallet ORDER BY account_id;
    ANALYZE customer, account, wallet, transfer;
"""

# Primes spread the bets over people, outcomes and stakes without any of them keeping step.
BETS = """
    INSERT INTO bet (key, customer_id, market_id, outcome, stake, channel, with_pin, session,
                     placed_at)
    SELECT gen_random_uuid(), who.lowest + (n + m.id) * 7919 %% who.number, m.id,
           1 + (n::bigint * 104729 / 17) %% least(%(sides)s, sides.number),
           2000 + n::bigint * 15485863 %% 10000, 1, true, 'crowd',
           app_now() - (%(number)s - n) * (interval '1 minute' / %(number)s)
      FROM generate_series(1, %(number)s) n,
           (SELECT min(customer_id) AS lowest, count(*) AS number FROM wallet) who,
           market m,
           LATERAL (SELECT count(*) AS number FROM outcome WHERE market_id = m.id) sides
     WHERE m.id = ANY(%(markets)s) ORDER BY n, m.id;
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, debit_balance_after,
                          debit_seq, event_id, ref, event_at)
    SELECT ledger_row_key(2, b.id, 0), 2, w.account_id, m.pool_account, b.stake,
           w.balance - sum(b.stake) OVER chain, w.seq + row_number() OVER chain, b.key, b.id,
           b.placed_at
      FROM bet b JOIN wallet w USING (customer_id) JOIN market m ON m.id = b.market_id
     WHERE b.market_id = ANY(%(markets)s)
    WINDOW chain AS (PARTITION BY b.customer_id ORDER BY b.id)
     ORDER BY b.id;
    UPDATE wallet w SET balance = w.balance - s.stakes, seq = w.seq + s.bets
      FROM (SELECT customer_id, sum(stake) AS stakes, count(*) AS bets FROM bet
             WHERE market_id = ANY(%(markets)s) GROUP BY customer_id) s
     WHERE w.customer_id = s.customer_id;
    ANALYZE bet, transfer, wallet;
"""
