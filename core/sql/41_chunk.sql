-- Paying a settlement's bets, chunk by chunk, and promising what each chunk owes the outside.

-- What a chunk owes the outside: one text a customer and market, and the payouts of those who want
-- their wins on M-PESA at once. All are held until the settlement is finished, which frees them with
-- one row and rewrites none.
CREATE OR REPLACE FUNCTION settle_promise(
  p_settlement bigint, p_outcome smallint, p_after bigint, p_upto bigint, p_cashout_min bigint,
  p_cashout_most bigint, p_reset_hold interval, p_now timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  run settlement;
  winner record;
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement;
  INSERT INTO promise (kind, key, payload, customer_id, settlement_id, due_at, state, created_at)
  SELECT 'result', ledger_key(run.key, 'result:' || customer_id),
         jsonb_build_object('settlement', run.id), customer_id, run.id, p_now, 6, p_now
    FROM bet WHERE market_id = run.market_id AND outcome = p_outcome
                AND id > p_after AND id <= p_upto
   GROUP BY customer_id ORDER BY customer_id
  ON CONFLICT (key) DO NOTHING;

  IF run.refunding THEN RETURN; END IF;
  FOR winner IN
    SELECT c.id, sum(d.amount)::bigint / 100 * 100 AS shillings
      FROM bet b
      JOIN dividend d ON d.settlement_id = run.id AND d.bet_id = b.id
      JOIN customer c ON c.id = b.customer_id
     WHERE b.market_id = run.market_id AND b.outcome = p_outcome
       AND b.id > p_after AND b.id <= p_upto AND c.auto_cashout
       AND coalesce(c.pin_reset_at + p_reset_hold <= p_now, true)  -- as for withdrawals
     GROUP BY c.id
    HAVING sum(d.amount)::bigint / 100 * 100 >= p_cashout_min
     ORDER BY c.id
  LOOP
    PERFORM payout_reserve(
      ledger_key(run.key, 'cashout:' || p_outcome || ':' || p_upto || ':' || winner.id),
      winner.id, winner.shillings, 2::smallint, run.id, p_cashout_most);
  END LOOP;
END $$;

-- Pays the next p_limit bets, in (outcome, bet) order, in one transaction with its cursor: a kill at
-- any point resumes where it stopped. Answers how many were paid; 0 when nobody is left.
CREATE OR REPLACE FUNCTION settle_chunk(
  p_settlement bigint, p_limit integer, p_cashout_min bigint, p_cashout_most bigint,
  p_reset_hold interval
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  run settlement;
  share settlement_share;
  pool_of bigint;
  moment timestamptz := app_now();
  done record;
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement FOR UPDATE;
  IF run.state <> 2 OR run.paused_at IS NOT NULL THEN RETURN 0; END IF;
  SELECT pool_account INTO STRICT pool_of FROM market WHERE id = run.market_id;

  LOOP
    SELECT * INTO share FROM settlement_share
     WHERE settlement_id = p_settlement AND place >= run.cursor_place
     ORDER BY place LIMIT 1;
    IF NOT FOUND THEN RETURN 0; END IF;
    EXIT WHEN EXISTS (SELECT FROM bet WHERE market_id = run.market_id
                        AND outcome = share.outcome AND id > run.cursor_bet);
    run.cursor_place := share.place + 1;
    run.cursor_bet := 0;
    run.cursor_staked := 0;
  END LOOP;

  -- Every wallet of the chunk, in account order as everywhere; the next statement reads what the
  -- locks have waited for.
  PERFORM FROM wallet w
    WHERE w.customer_id IN (SELECT customer_id FROM bet
                             WHERE market_id = run.market_id AND outcome = share.outcome
                               AND id > run.cursor_bet
                             ORDER BY id LIMIT p_limit)
    ORDER BY w.account_id FOR UPDATE;

  WITH next_bets AS (
    SELECT id, customer_id, stake FROM bet
     WHERE market_id = run.market_id AND outcome = share.outcome AND id > run.cursor_bet
     ORDER BY id LIMIT p_limit
  ), running AS (
    SELECT *, run.cursor_staked + sum(stake) OVER (ORDER BY id) AS upto FROM next_bets
  ), parts AS (
    SELECT id, customer_id, upto,
           (div(upto * share.net, share.staked::numeric)
            - div((upto - stake) * share.net, share.staked::numeric))::bigint AS amount
      FROM running
  ), lines AS (
    SELECT p.*, w.account_id,
           w.balance + sum(p.amount) OVER by_wallet AS balance_after,
           w.seq + row_number() OVER by_wallet AS seq_after
      FROM parts p JOIN wallet w ON w.customer_id = p.customer_id
    WINDOW by_wallet AS (PARTITION BY p.customer_id ORDER BY p.id)
  ), dividends AS (
    INSERT INTO dividend (settlement_id, bet_id, customer_id, amount, refund)
    SELECT p_settlement, id, customer_id, amount, share.refund FROM lines
  ), moves AS (
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, credit_balance_after,
                          credit_seq, event_id, ref, event_at)
    SELECT ledger_row_key(CASE WHEN share.refund THEN 4 ELSE 3 END, id, p_settlement),
           CASE WHEN share.refund THEN 4 ELSE 3 END,
           pool_of, account_id, amount, balance_after, seq_after, run.key, id, moment
      FROM lines
  ), purses AS (
    UPDATE wallet w SET balance = w.balance + sums.amount, seq = w.seq + sums.bets
      FROM (SELECT account_id, sum(amount) AS amount, count(*) AS bets
              FROM lines GROUP BY account_id) sums
     WHERE w.account_id = sums.account_id
  )
  SELECT count(*) AS bets, sum(amount)::bigint AS amount, max(id) AS last_bet,
         max(upto)::bigint AS upto INTO done
    FROM lines;

  UPDATE settlement
     SET cursor_place = share.place, cursor_bet = done.last_bet, cursor_staked = done.upto,
         paid = paid + CASE WHEN share.refund THEN 0 ELSE done.amount END,
         refunded = refunded + CASE WHEN share.refund THEN done.amount ELSE 0 END
   WHERE id = p_settlement;
  PERFORM settle_promise(p_settlement, share.outcome, run.cursor_bet, done.last_bet, p_cashout_min,
                         p_cashout_most, p_reset_hold, moment);
  RETURN done.bets;
END $$;
