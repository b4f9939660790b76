-- Paying a settlement's bets, chunk by chunk: each is one transaction with its cursor, and writes
-- everything its bets lead to in a handful of statements, however many bets there are.

-- Pays the next p_limit bets of one place, in bet order. A kill at any point resumes where it
-- stopped. Answers how many were paid; 0 when nobody is left, or while the settlement is paused.
CREATE OR REPLACE FUNCTION settle_chunk(
  p_settlement bigint, p_limit integer, p_cashout_min bigint, p_cashout_most bigint,
  p_reset_hold interval
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  run settlement;
  share settlement_share;
  bets bigint[];
  people bigint[];
  stakes bigint[];
  given bigint;
  upto bigint;
  odd boolean;
  moment timestamptz := app_now();
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement FOR UPDATE;
  IF run.state <> 2 OR run.paused_at IS NOT NULL THEN RETURN 0; END IF;

  LOOP
    SELECT * INTO share FROM settlement_share
     WHERE settlement_id = p_settlement AND place >= run.cursor_place
     ORDER BY place LIMIT 1;
    IF NOT FOUND THEN RETURN 0; END IF;
    SELECT n.bets, n.people, n.stakes INTO bets, people, stakes
      FROM settle_next(run.market_id, share.outcome, run.cursor_bet, p_limit,
                       run.effective_close, share.late) n;
    EXIT WHEN bets IS NOT NULL;
    run.cursor_place := share.place + 1;
    run.cursor_bet := 0;
    run.cursor_staked := 0;
  END LOOP;

  -- Every wallet of the chunk, in account order as everywhere; the next statement reads what the
  -- locks have waited for.
  PERFORM FROM wallet w WHERE w.customer_id = ANY (people) ORDER BY w.account_id FOR UPDATE;
  SELECT done.given, done.upto, done.odd INTO given, upto, odd
    FROM settle_pay(p_settlement, share.place, bets, people, stakes, p_cashout_min, p_cashout_most,
                    p_reset_hold, moment) done;
  IF odd THEN
    PERFORM settle_odd(p_settlement, bets, NOT share.refund, p_cashout_min, p_cashout_most,
                       p_reset_hold, moment);
  END IF;

  UPDATE settlement
     SET cursor_place = share.place, cursor_bet = bets[cardinality(bets)], cursor_staked = upto,
         paid = paid + CASE WHEN share.refund THEN 0 ELSE given END,
         refunded = refunded + CASE WHEN share.refund THEN given ELSE 0 END
   WHERE id = p_settlement;
  RETURN cardinality(bets);
END $$;

-- The next bets on an outcome after a bet, and with an effective close those on its one side. Two
-- statements, since only the second has to look at more than the index.
CREATE OR REPLACE FUNCTION settle_next(
  p_market bigint, p_outcome smallint, p_after bigint, p_limit integer,
  p_effective_close timestamptz, p_late boolean,
  OUT bets bigint[], OUT people bigint[], OUT stakes bigint[]
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF p_effective_close IS NULL THEN
    SELECT array_agg(b.id), array_agg(b.customer_id), array_agg(b.stake) INTO bets, people, stakes
      FROM (SELECT id, customer_id, stake FROM bet
             WHERE market_id = p_market AND outcome = p_outcome AND id > p_after
             ORDER BY id LIMIT p_limit) b;
  ELSE
    SELECT array_agg(b.id), array_agg(b.customer_id), array_agg(b.stake) INTO bets, people, stakes
      FROM (SELECT id, customer_id, stake FROM bet
             WHERE market_id = p_market AND outcome = p_outcome AND id > p_after
               AND (placed_at > p_effective_close) = p_late
             ORDER BY id LIMIT p_limit) b;
  END IF;
END $$;

-- Dividends, transfers, wallets, texts and cash-outs of a chunk in one statement, its wallets being
-- locked: a row that is written twice in a transaction costs more than twice. Wins of those who want
-- them on M-PESA are set aside at once; like the texts they are held until the settlement is
-- finished, which frees them with one row and rewrites none.
-- Answers the cents given, the running sum of stakes behind the last bet, and whether there are odd
-- ones that settle_odd has to see to.
CREATE OR REPLACE FUNCTION settle_pay(
  p_settlement bigint, p_place smallint, p_bets bigint[], p_people bigint[], p_stakes bigint[],
  p_least bigint, p_most bigint, p_reset_hold interval, p_moment timestamptz,
  OUT given bigint, OUT upto bigint, OUT odd boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  run settlement;
  share settlement_share;
  pool_of bigint;
  pending bigint := ledger_account(20::smallint, NULL, NULL, NULL);
  move_kind smallint;
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement;
  SELECT * INTO STRICT share FROM settlement_share
   WHERE settlement_id = p_settlement AND place = p_place;
  SELECT pool_account INTO STRICT pool_of FROM market WHERE id = run.market_id;
  move_kind := CASE WHEN share.refund THEN 4 ELSE 3 END;

  WITH running AS (
    SELECT id, customer_id, stake,
           CASE WHEN run.cursor_place = share.place THEN run.cursor_staked ELSE 0 END
           + sum(stake) OVER (ORDER BY id) AS upto
      FROM unnest(p_bets, p_people, p_stakes) AS n (id, customer_id, stake)
  ), parts AS (
    SELECT id, customer_id, r.upto,
           CASE WHEN share.net = share.staked THEN stake
                ELSE (div(r.upto * share.net, share.staked::numeric)
                      - div((r.upto - stake) * share.net, share.staked::numeric))::bigint
           END AS amount
      FROM running r
  ), lines AS MATERIALIZED (
    SELECT p.*, w.account_id, w.owed,
           w.balance + sum(p.amount) OVER by_wallet AS balance_after,
           w.seq + row_number() OVER by_wallet AS seq_after
      FROM parts p JOIN wallet w ON w.customer_id = p.customer_id
    WINDOW by_wallet AS (PARTITION BY p.customer_id ORDER BY p.id)
  ), winners AS MATERIALIZED (
    SELECT s.*, c.phone, c.auto_cashout AND NOT share.refund AS wants,
           CASE WHEN c.auto_cashout AND NOT share.refund AND s.owed = 0
                 AND s.amount / 100 * 100 BETWEEN p_least AND p_most
                 AND coalesce(c.pin_reset_at + p_reset_hold <= p_moment, true)  -- as withdrawals
                THEN s.amount / 100 * 100 ELSE 0 END AS cash
      FROM (SELECT account_id, customer_id, sum(amount)::bigint AS amount, count(*) AS bets,
                   min(id) AS first_bet, max(owed) AS owed, max(balance_after) AS balance,
                   max(seq_after) AS seq
              FROM lines GROUP BY account_id, customer_id) s
      JOIN customer c ON c.id = s.customer_id
  ), cashed AS MATERIALIZED (
    SELECT w.*, nextval('payout_id_seq') AS payout_id,
           ledger_row_key(21, first_bet, p_settlement) AS request,
           ledger_row_key(22, first_bet, p_settlement) AS key
      FROM winners w WHERE cash > 0
  ), dividends AS (
    INSERT INTO dividend (settlement_id, bet_id, customer_id, amount, refund)
    SELECT p_settlement, id, customer_id, amount, share.refund FROM lines ORDER BY id
  ), moves AS (
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, debit_balance_after,
                          debit_seq, credit_balance_after, credit_seq, event_id, ref, event_at)
    SELECT ledger_row_key(move_kind, id, p_settlement), move_kind, pool_of, account_id, amount,
           NULL, NULL, balance_after, seq_after, run.key, id, p_moment
      FROM lines
    UNION ALL
    SELECT ledger_row_key(6, payout_id, 0), 6, account_id, pending, cash,
           balance - cash, seq + 1, NULL, NULL, request, payout_id, p_moment
      FROM cashed
  ), payouts AS (
    INSERT INTO payout (id, key, request, customer_id, phone, amount, reason, settlement_id, state,
                        held_for, ocid, created_at)
    SELECT payout_id, key, request, customer_id, phone, cash, 2, p_settlement, 2, 1, uuidv7(),
           p_moment
      FROM cashed
  ), promises AS (
    INSERT INTO promise (kind, key, payload, customer_id, settlement_id, due_at, state, created_at)
    SELECT 'b2c', ledger_row_key(24, payout_id, 0), jsonb_build_object('payout_id', payout_id),
           customer_id, p_settlement, p_moment, 6, p_moment
      FROM cashed
  ), texts AS (
    INSERT INTO promise (kind, key, payload, customer_id, settlement_id, due_at, state, created_at)
    SELECT 'result', ledger_row_key(25, customer_id, p_settlement),
           jsonb_build_object('settlement', p_settlement), customer_id, p_settlement, p_moment, 6,
           p_moment
      FROM winners
    ON CONFLICT (key) DO NOTHING
  ), purses AS (
    UPDATE wallet w
       SET balance = n.balance - n.cash, seq = n.seq + CASE WHEN n.cash > 0 THEN 1 ELSE 0 END
      FROM winners n WHERE w.account_id = n.account_id
  )
  SELECT sums.given, sums.upto,
         (SELECT bool_or(owed > 0 OR wants AND amount / 100 * 100 > p_most) FROM winners)
    INTO given, upto, odd
    FROM (SELECT sum(l.amount)::bigint AS given, max(l.upto)::bigint AS upto FROM lines l) sums;
END $$;

-- The odd ones of a chunk, one by one: what a customer owes is taken from what came, and wins that
-- M-PESA takes in parts only are set aside in parts.
CREATE OR REPLACE FUNCTION settle_odd(
  p_settlement bigint, p_bets bigint[], p_wins boolean, p_least bigint, p_most bigint,
  p_reset_hold interval, p_moment timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  winner record;
  left_over bigint;
BEGIN
  FOR winner IN
    SELECT w.customer_id, d.first_bet, d.amount, w.owed,
           p_wins AND c.auto_cashout
             AND coalesce(c.pin_reset_at + p_reset_hold <= p_moment, true) AS wants
      FROM (SELECT customer_id, min(bet_id) AS first_bet, sum(amount)::bigint AS amount
              FROM dividend WHERE settlement_id = p_settlement AND bet_id = ANY (p_bets)
             GROUP BY customer_id) d
      JOIN wallet w ON w.customer_id = d.customer_id
      JOIN customer c ON c.id = d.customer_id
     WHERE w.owed > 0 OR d.amount / 100 * 100 > p_most
     ORDER BY w.account_id
  LOOP
    left_over := winner.amount;
    IF winner.owed > 0 THEN
      left_over := left_over - receivable_collect(
        ledger_row_key(23, winner.first_bet, p_settlement), winner.customer_id, left_over,
        p_moment);
    END IF;
    IF winner.wants AND left_over / 100 * 100 >= p_least THEN
      PERFORM payout_reserve(ledger_row_key(21, winner.first_bet, p_settlement),
                             winner.customer_id, left_over / 100 * 100, 2::smallint,
                             p_settlement, p_most);
    END IF;
  END LOOP;
END $$;
