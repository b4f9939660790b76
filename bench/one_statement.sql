-- The yardstick of settlement: everything a settled market leads to, written by one statement that
-- makes everybody wait. Parameters: the settlement and the market.
WITH run AS MATERIALIZED (
  SELECT s.id, s.key, m.pool_account, m.id AS market_id, (s.winners->>0)::smallint AS winner, m.fee_bp
    FROM settlement s JOIN market m ON m.id = s.market_id WHERE s.id = %(settlement)s
), pool AS MATERIALIZED (
  SELECT p.staked, p.won,
         greatest(p.won, p.staked - div(p.staked::numeric * run.fee_bp, 10000)::bigint) AS net
    FROM run, LATERAL (SELECT sum(stake)::bigint AS staked,
                              (sum(stake) FILTER (WHERE outcome = run.winner))::bigint AS won
                         FROM bet WHERE market_id = run.market_id) p
), parts AS MATERIALIZED (
  SELECT b.id, b.customer_id,
         (div(b.upto * pool.net, pool.won::numeric)
          - div((b.upto - b.stake) * pool.net, pool.won::numeric))::bigint AS amount
    FROM pool, run, LATERAL (SELECT id, customer_id, stake, sum(stake) OVER (ORDER BY id) AS upto
                               FROM bet WHERE market_id = run.market_id AND outcome = run.winner) b
), lines AS MATERIALIZED (
  SELECT p.*, w.account_id, w.balance + sum(p.amount) OVER by_wallet AS balance_after,
         w.seq + row_number() OVER by_wallet AS seq_after
    FROM parts p JOIN wallet w ON w.customer_id = p.customer_id
  WINDOW by_wallet AS (PARTITION BY p.customer_id ORDER BY p.id)
), sums AS MATERIALIZED (
  SELECT l.account_id, l.customer_id, sum(l.amount)::bigint AS amount, count(*) AS bets
    FROM lines l GROUP BY l.account_id, l.customer_id
), wanted AS MATERIALIZED (
  SELECT s.customer_id, s.account_id, s.amount / 100 * 100 AS shillings, c.phone,
         w.balance + s.amount - s.amount / 100 * 100 AS balance, w.seq + s.bets + 1 AS seq,
         ledger_row_key(21, s.customer_id, run.id) AS request
    FROM run, sums s JOIN customer c ON c.id = s.customer_id
                     JOIN wallet w ON w.account_id = s.account_id
   WHERE c.auto_cashout AND s.amount / 100 * 100 BETWEEN 10 * 100 AND 250000 * 100
), dividends AS (
  INSERT INTO dividend (settlement_id, bet_id, customer_id, amount, refund)
  SELECT run.id, l.id, l.customer_id, l.amount, false FROM run, lines l
), moves AS (
  INSERT INTO transfer (key, kind, debit_account, credit_account, amount, credit_balance_after,
                        credit_seq, event_id, ref, event_at)
  SELECT ledger_row_key(3, l.id, run.id), 3, run.pool_account, l.account_id, l.amount,
         l.balance_after, l.seq_after, run.key, l.id, now() FROM run, lines l
), texts AS (
  INSERT INTO promise (kind, key, payload, customer_id, settlement_id, due_at, state, created_at)
  SELECT 'result', ledger_row_key(25, s.customer_id, run.id),
         jsonb_build_object('settlement', run.id), s.customer_id, run.id, now(), 6, now()
    FROM run, sums s
), reserved AS (
  INSERT INTO payout (key, request, customer_id, phone, amount, reason, settlement_id, state,
                      held_for, ocid, created_at)
  SELECT ledger_row_key(22, w.customer_id, run.id), w.request, w.customer_id, w.phone, w.shillings, 2, run.id,
         2, 1, uuidv7(), now() FROM run, wanted w
  RETURNING id, key, request, customer_id, amount
), reserves AS (
  INSERT INTO transfer (key, kind, debit_account, credit_account, amount, debit_balance_after,
                        debit_seq, event_id, ref, event_at)
  SELECT ledger_row_key(6, r.id, 0), 6, w.account_id,
         (SELECT id FROM account WHERE kind = 20), r.amount, w.balance, w.seq, r.request, r.id, now()
    FROM reserved r JOIN wanted w ON w.customer_id = r.customer_id
), promises AS (
  INSERT INTO promise (kind, key, payload, customer_id, settlement_id, due_at, state, created_at)
  SELECT 'b2c', ledger_row_key(24, r.id, 0), jsonb_build_object('payout_id', r.id), r.customer_id,
         run.id, now(), 6, now() FROM run, reserved r
), purses AS (
  UPDATE wallet w
     SET balance = w.balance + s.amount - coalesce(c.shillings, 0),
         seq = w.seq + s.bets + CASE WHEN c.account_id IS NULL THEN 0 ELSE 1 END
    FROM sums s LEFT JOIN wanted c ON c.account_id = s.account_id
   WHERE w.account_id = s.account_id
), fee AS (
  INSERT INTO transfer (key, kind, debit_account, credit_account, amount, event_id, ref, event_at)
  SELECT ledger_key(run.key, 'fee'), 5, run.pool_account, (SELECT id FROM account WHERE kind = 21),
         pool.staked - pool.net, run.key, run.id, now() FROM run, pool
), share AS (
  INSERT INTO settlement_share (settlement_id, place, outcome, staked, net)
  SELECT run.id, 1, run.winner, pool.won, pool.net FROM run, pool
), freed AS (
  INSERT INTO promise_release (settlement_id, released_at) SELECT run.id, now() FROM run
), closed AS (
  UPDATE market m SET status = 8 FROM run WHERE m.id = run.market_id
)
UPDATE settlement s
   SET state = 3, pool = pool.staked, net = pool.net, fee = pool.staked - pool.net,
       paid = pool.net, started_at = now(), settled_at = now()
  FROM run, pool WHERE s.id = run.id
