"""A ledger of any size, made in a few set-based statements, on which every invariant holds."""

import math

from psycopg2.extensions import connection as Connection

SHORTCODE = "600000"
SPARE = 100_00  # cents in each wallet beyond what is bet
CASHED = 50_00  # cents of each payout
PAID_ONE_IN, BACK_ONE_IN, WAITING_ONE_IN = 10, 50, 100  # customers who withdrew
OPEN_ONE_IN = 10  # markets that are not settled

PEOPLE = """
    INSERT INTO staff (name, role, created_at)
    VALUES ('big one', 'trader', now()), ('big two', 'trader', now());

    INSERT INTO customer (phone, lang, standing, name, birth, terms_at, pin_hash, kyc_verified_at,
                          created_at)
    SELECT '+2547' || lpad(n::text, 8, '0'), 'en', 2, 'A Bettor', 'sealed', now(), 'hash', now(),
           now() FROM generate_series(1, {customers}) n;

    INSERT INTO account (kind, customer_id) SELECT 1, id FROM customer ORDER BY id;
    INSERT INTO account (kind, shortcode) VALUES (10, '{shortcode}'), (20, NULL), (21, NULL);

    CREATE TEMP TABLE person ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY c.id) AS n, c.id, c.phone, a.id AS account
      FROM customer c JOIN account a ON a.kind = 1 AND a.customer_id = c.id;
    CREATE TEMP TABLE house ON COMMIT DROP AS
    SELECT max(id) FILTER (WHERE kind = 10) AS utility, max(id) FILTER (WHERE kind = 20) AS pending,
           max(id) FILTER (WHERE kind = 21) AS fees FROM account;
    -- Everything that moves, in the order it does; keys and events as the house's verbs give them.
    CREATE TEMP TABLE moved (
      place smallint, n bigint, key uuid, kind smallint, debit bigint, credit bigint, amount bigint,
      event uuid, ref bigint
    ) ON COMMIT DROP;
    ANALYZE person;
"""

MARKETS = """
    CREATE TEMP TABLE game ON COMMIT DROP AS
    SELECT n, nextval('market_id_seq') AS id, nextval('account_id_seq') AS pool
      FROM generate_series(1, {markets}) n;
    INSERT INTO account (id, kind, market_id) SELECT pool, 2, id FROM game;
    INSERT INTO market (id, code, question, category, status, opens_at, closes_at, fee_bp,
                        min_stake, max_stake, pool_account, created_by, created_at)
    SELECT id, 100000 + id, 'Who wins match ' || id || '?', 'Football',
           CASE WHEN n % {open_one_in} = 0 THEN 2 ELSE 8 END, now() - interval '2 days',
           now() + interval '1 day', 500, 100, 100000000, pool, (SELECT min(id) FROM staff), now()
      FROM game;
    INSERT INTO outcome (market_id, number, name)
    SELECT id, number, (ARRAY['Home', 'Away'])[number] FROM game, generate_series(1, 2) number;

    INSERT INTO bet (key, customer_id, market_id, outcome, stake, channel, with_pin, session,
                     placed_at)
    SELECT gen_random_uuid(), p.id, g.id, 1 + b.n / {markets} % 2, 1000 + b.n * 7 % 91 * 100, 1,
           true, 'big', now() - interval '1 day'
      FROM generate_series(0::bigint, {bets} - 1) AS b(n)
      JOIN person p ON p.n = 1 + (b.n * {stride}) % {customers}
      JOIN game g ON g.n = 1 + b.n % {markets}
     ORDER BY b.n;
    INSERT INTO moved
    SELECT 2, b.id, ledger_row_key(2, b.id, 0), 2, p.account, g.pool, b.stake, b.key, b.id
      FROM bet b JOIN person p ON p.id = b.customer_id JOIN game g ON g.id = b.market_id;
    ANALYZE bet;
"""

SETTLED = """
    CREATE TEMP TABLE book ON COMMIT DROP AS
    SELECT g.id AS market, g.pool AS account, nextval('proposal_id_seq') AS proposal,
           nextval('settlement_id_seq') AS settlement, gen_random_uuid() AS key, s.pool, s.won,
           greatest(s.won, s.pool - s.pool * 500 / 10000) AS net
      FROM game g
      JOIN (SELECT market_id, sum(stake)::bigint AS pool,
                   (sum(stake) FILTER (WHERE outcome = 1))::bigint AS won
              FROM bet GROUP BY market_id) s ON s.market_id = g.id
     WHERE g.n % {open_one_in} <> 0;
    INSERT INTO proposal (id, act, subject, content, content_hash, note, state, proposed_by,
                          proposed_at, expires_at, decided_by, decided_at)
    SELECT proposal, 'market.result', 'market:' || market,
           jsonb_build_object('market', market, 'winner', 1), 'hash', 'big', 2,
           (SELECT min(id) FROM staff), now(), now(), (SELECT max(id) FROM staff), now() FROM book;
    INSERT INTO settlement (id, key, market_id, version, proposal_id, void, winners, state,
                            proposed_by, approved_by, approved_at, due_at, pool, fee, net, paid,
                            started_at, settled_at)
    SELECT settlement, key, market, 1, proposal, false, '[1]', 3, (SELECT min(id) FROM staff),
           (SELECT max(id) FROM staff), now(), now(), pool, pool - net, net, net, now(), now()
      FROM book;
    INSERT INTO settlement_share (settlement_id, place, outcome, staked, net)
    SELECT settlement, 1, 1, won, net FROM book;
    INSERT INTO dividend (settlement_id, bet_id, customer_id, amount, refund)
    SELECT settlement, id, customer_id,
           div(upto * net, won) - div((upto - stake) * net, won), false
      FROM (SELECT b.id, b.customer_id, b.stake, k.settlement, k.net, k.won,
                   sum(b.stake) OVER (PARTITION BY b.market_id ORDER BY b.id) AS upto
              FROM bet b JOIN book k ON k.market = b.market_id WHERE b.outcome = 1) won
     ORDER BY settlement, id;
    INSERT INTO moved
    SELECT 3, d.bet_id, ledger_row_key(3, d.bet_id, d.settlement_id), 3, k.account, p.account,
           d.amount, k.key, d.bet_id
      FROM dividend d JOIN book k ON k.settlement = d.settlement_id
      JOIN person p ON p.id = d.customer_id;
    INSERT INTO moved
    SELECT 4, k.settlement, ledger_key(k.key, 'fee'), 5, k.account, h.fees, k.pool - k.net, k.key,
           k.settlement
      FROM book k, house h WHERE k.pool > k.net;
"""

PAYMENTS = """
    INSERT INTO deposit (key, ref, customer_id, phone, amount, shortcode, channel, session, state,
                         created_at, credited_at)
    SELECT gen_random_uuid(), 'B' || p.n, p.id, p.phone,
           {spare} + coalesce((SELECT sum(stake) FROM bet WHERE customer_id = p.id), 0),
           '{shortcode}', 1, 'big', 9, now() - interval '2 days', now() - interval '2 days'
      FROM person p ORDER BY p.n;
    INSERT INTO moved
    SELECT 1, d.id, ledger_key(d.key, 'receipt:RK' || lpad(d.id::text, 10, '0')), 1, h.utility,
           p.account, d.amount, d.key, d.id
      FROM deposit d JOIN person p ON p.id = d.customer_id, house h;

    INSERT INTO payout (key, request, customer_id, phone, amount, reason, state, ocid, shortcode,
                        receipt, created_at, ended_at)
    SELECT gen_random_uuid(), gen_random_uuid(), id, phone, {cashed}, 1, state, gen_random_uuid(),
           '{shortcode}', CASE WHEN state = 8 THEN 'SK' || lpad(n::text, 10, '0') END, now(),
           CASE WHEN state > 7 THEN now() END
      FROM (SELECT n, id, phone, CASE WHEN n % {waiting_one_in} = 1 THEN 3
                                      WHEN n % {back_one_in} = 2 THEN 9
                                      WHEN n % {paid_one_in} = 0 THEN 8 END AS state
              FROM person) asked
     WHERE state IS NOT NULL ORDER BY n;
    INSERT INTO moved
    SELECT 5, o.id, ledger_row_key(6, o.id, 0), 6, p.account, h.pending, o.amount, o.request, o.id
      FROM payout o JOIN person p ON p.id = o.customer_id, house h;
    INSERT INTO moved
    SELECT 6, o.id, ledger_key(o.key, CASE WHEN o.state = 8 THEN 'paid' ELSE 'release' END),
           CASE WHEN o.state = 8 THEN 7 ELSE 8 END, h.pending,
           CASE WHEN o.state = 8 THEN h.utility ELSE p.account END, o.amount, o.request, o.id
      FROM payout o JOIN person p ON p.id = o.customer_id, house h WHERE o.state > 7;
"""

LEDGER = """
    ANALYZE moved;
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, debit_balance_after,
                          debit_seq, credit_balance_after, credit_seq, event_id, ref, event_at)
    SELECT m.key, m.kind, m.debit, m.credit, m.amount,
           CASE WHEN m.kind IN (2, 6) THEN s.balance END, CASE WHEN m.kind IN (2, 6) THEN s.seq END,
           CASE WHEN m.kind IN (1, 3, 8) THEN s.balance END,
           CASE WHEN m.kind IN (1, 3, 8) THEN s.seq END, m.event, m.ref, now() - interval '1 day'
      FROM moved m
      LEFT JOIN (SELECT key, sum(CASE WHEN kind IN (2, 6) THEN -amount ELSE amount END)
                             OVER chain AS balance, row_number() OVER chain AS seq
                   FROM moved WHERE kind IN (1, 2, 3, 6, 8)
                 WINDOW chain AS (PARTITION BY CASE WHEN kind IN (2, 6) THEN debit ELSE credit END
                                  ORDER BY place, n)) s ON s.key = m.key
     ORDER BY m.place, m.n;
    ANALYZE transfer;
    INSERT INTO wallet (account_id, customer_id, balance, seq)
    SELECT p.account, p.id, coalesce(sum(s.amount), 0), count(s.amount)
      FROM person p
      LEFT JOIN (SELECT credit_account AS account, amount FROM transfer
                 UNION ALL SELECT debit_account, -amount FROM transfer) s ON s.account = p.account
     GROUP BY p.account, p.id;
    INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, customer_id,
                               deposit_id, account_id, transfer_id, event_at, created_at,
                               confirmed_at, confirmed_by)
    SELECT 'RK' || lpad(d.id::text, 10, '0'), 1, '{shortcode}', t.amount, 1, d.customer_id, d.id,
           t.credit_account, t.id, now(), now(), now(), 3
      FROM transfer t JOIN deposit d ON d.id = t.ref WHERE t.kind = 1;
    INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, customer_id,
                               payout_id, account_id, transfer_id, event_at, created_at,
                               confirmed_at, confirmed_by)
    SELECT o.receipt, 2, '{shortcode}', t.amount, 5, o.customer_id, o.id, t.credit_account, t.id,
           now(), now(), now(), 5
      FROM transfer t JOIN payout o ON o.id = t.ref WHERE t.kind = 7;
"""


def fill(connection: Connection, *, transfers: int, customers: int, markets: int) -> int:
    """Fill an empty house with about that many transfers, and commit; how many there are.

    By the database's owner. Everybody deposits once and bets; most markets are settled, and some
    customers withdraw: paid, given back, or still waiting.
    """
    cashed = customers // PAID_ONE_IN + customers // BACK_ONE_IN + customers // WAITING_ONE_IN
    stride = next(n for n in range(7919, 7919 + customers) if math.gcd(n, customers) == 1)
    facts = {
        "customers": customers,
        "markets": markets,
        "bets": max(2 * markets, (transfers - customers - 2 * cashed - markets) * 20 // 29),
        "stride": stride,
        "shortcode": SHORTCODE,
        "spare": SPARE,
        "cashed": CASHED,
        "paid_one_in": PAID_ONE_IN,
        "back_one_in": BACK_ONE_IN,
        "waiting_one_in": WAITING_ONE_IN,
        "open_one_in": OPEN_ONE_IN,
    }
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SET LOCAL work_mem = '256MB'; SET LOCAL jit = off")
        for part in (PEOPLE, MARKETS, SETTLED, PAYMENTS, LEDGER):
            cursor.execute(part.format(**facts))
        cursor.execute("SELECT count(*) FROM transfer")
        made = (cursor.fetchone() or (0,))[0]
        cursor.execute("COMMIT")
    return int(made)
