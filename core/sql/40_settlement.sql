-- Settling a market in chunks: start counts the pool, each chunk pays its bets, finish proves zero.
-- Pari-mutuel: stakes P, on the winners W, fee floor(P * bp), net N = P - fee, but never below W
-- (the fee gives way). Winner i gets floor(C_i N/W) - floor(C_(i-1) N/W), C the running sum of
-- stakes in bet order, so that the parts add up to N to the cent in chunks of any size.
-- A refund is the same arithmetic with every outcome winning what was staked on it.

-- Counts the pool and fixes who shares what. Does nothing when it has been started before.
CREATE OR REPLACE FUNCTION settle_start(p_settlement bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  run settlement;
  game market;
  staked_all bigint;
  staked_won bigint;
  sides bigint;
  net_all bigint;
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement FOR UPDATE;
  IF run.state <> 1 THEN RETURN; END IF;
  SELECT * INTO STRICT game FROM market WHERE id = run.market_id FOR UPDATE;
  IF game.status <> 6 OR run.due_at > app_now() THEN
    RAISE EXCEPTION 'settlement % is not due', p_settlement USING ERRCODE = 'HL003';
  END IF;

  SELECT coalesce(sum(stake), 0),
         coalesce(sum(stake) FILTER (WHERE run.winners @> to_jsonb(outcome)), 0),
         count(DISTINCT outcome) FILTER (WHERE run.winners @> to_jsonb(outcome))
    INTO staked_all, staked_won, sides
    FROM bet WHERE market_id = run.market_id;
  IF ledger_sum(game.pool_account) <> staked_all THEN
    RAISE EXCEPTION 'pool of market % is not the sum of its stakes', game.id
      USING ERRCODE = 'HL003';
  END IF;

  run.refunding := run.void OR staked_won = 0;
  net_all := CASE WHEN run.refunding THEN staked_all
    ELSE greatest(staked_won, staked_all - div(staked_all::numeric * game.fee_bp, 10000)::bigint)
    END;
  -- Tied outcomes get their stakes back and split the rest equally, odd cents in outcome order.
  INSERT INTO settlement_share (settlement_id, outcome, staked, net)
  SELECT p_settlement, s.outcome, s.staked,
         CASE WHEN run.refunding THEN s.staked
              ELSE s.staked + (net_all - staked_won) / sides
                   + CASE WHEN s.place <= (net_all - staked_won) % sides THEN 1 ELSE 0 END END
    FROM (SELECT outcome, sum(stake)::bigint AS staked,
                 row_number() OVER (ORDER BY outcome) AS place
            FROM bet
           WHERE market_id = run.market_id
             AND (run.refunding OR run.winners @> to_jsonb(outcome))
           GROUP BY outcome) s;

  UPDATE settlement
     SET state = 2, refunding = run.refunding, pool = staked_all, net = net_all,
         fee = staked_all - net_all, started_at = app_now()
   WHERE id = p_settlement;
  UPDATE market SET status = 7 WHERE id = game.id;
END $$;

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
  IF run.state <> 2 THEN RETURN 0; END IF;
  SELECT pool_account INTO STRICT pool_of FROM market WHERE id = run.market_id;

  LOOP
    SELECT * INTO share FROM settlement_share
     WHERE settlement_id = p_settlement AND outcome >= run.cursor_outcome
     ORDER BY outcome LIMIT 1;
    IF NOT FOUND THEN RETURN 0; END IF;
    EXIT WHEN EXISTS (SELECT FROM bet WHERE market_id = run.market_id
                        AND outcome = share.outcome AND id > run.cursor_bet);
    run.cursor_outcome := share.outcome + 1;
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
    SELECT id, key, customer_id, stake FROM bet
     WHERE market_id = run.market_id AND outcome = share.outcome AND id > run.cursor_bet
     ORDER BY id LIMIT p_limit
  ), running AS (
    SELECT *, run.cursor_staked + sum(stake) OVER (ORDER BY id) AS upto FROM next_bets
  ), parts AS (
    SELECT id, key, customer_id, upto,
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
    SELECT p_settlement, id, customer_id, amount, run.refunding FROM lines
  ), moves AS (
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, credit_balance_after,
                          credit_seq, event_id, ref, event_at)
    SELECT ledger_key(key, 'dividend:' || p_settlement),
           CASE WHEN run.refunding THEN 4 ELSE 3 END,
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
     SET cursor_outcome = share.outcome, cursor_bet = done.last_bet, cursor_staked = done.upto,
         paid = paid + CASE WHEN run.refunding THEN 0 ELSE done.amount END,
         refunded = refunded + CASE WHEN run.refunding THEN done.amount ELSE 0 END
   WHERE id = p_settlement;
  PERFORM settle_promise(p_settlement, share.outcome, run.cursor_bet, done.last_bet, p_cashout_min,
                         p_cashout_most, p_reset_hold, moment);
  RETURN done.bets;
END $$;

-- Takes the fee and proves that the pool is empty; holds no wallet. Answers whether it is settled.
CREATE OR REPLACE FUNCTION settle_finish(p_settlement bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  run settlement;
  game market;
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement FOR UPDATE;
  IF run.state <> 2 THEN RETURN run.state = 3; END IF;
  IF run.paid + run.refunded + run.fee <> run.pool THEN RETURN false; END IF;
  SELECT * INTO STRICT game FROM market WHERE id = run.market_id FOR UPDATE;
  IF run.fee > 0 THEN
    PERFORM ledger_move(ledger_key(run.key, 'fee'), 5::smallint, game.pool_account,
                        ledger_account(21::smallint, NULL, NULL, NULL), run.fee, run.key,
                        run.id, app_now());
  END IF;
  IF ledger_sum(game.pool_account) <> 0 THEN
    RAISE EXCEPTION 'pool of market % is not empty', game.id USING ERRCODE = 'HL003';
  END IF;
  UPDATE settlement SET state = 3, settled_at = app_now() WHERE id = p_settlement;
  UPDATE market SET status = CASE WHEN run.void THEN 10 ELSE 8 END WHERE id = game.id;
  INSERT INTO promise_release (settlement_id, released_at) VALUES (p_settlement, app_now())
  ON CONFLICT DO NOTHING;
  RETURN true;
END $$;

-- Opens the settlement of an approved result, once; its numbers come from settle_start.
CREATE OR REPLACE FUNCTION settlement_open(p_proposal bigint, p_due_at timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  asked proposal;
  game bigint;
  opened bigint;
BEGIN
  SELECT * INTO STRICT asked FROM proposal WHERE id = p_proposal;
  IF asked.state <> 2 OR asked.act NOT IN ('market.result', 'market.void') THEN
    RAISE EXCEPTION 'proposal % is no approved result', p_proposal USING ERRCODE = 'HL003';
  END IF;
  game := (asked.content->>'market')::bigint;
  INSERT INTO settlement (key, market_id, version, proposal_id, void, winners, state, proposed_by,
                          approved_by, approved_at, due_at)
  VALUES (gen_random_uuid(), game,
          (SELECT coalesce(max(version), 0) + 1 FROM settlement WHERE market_id = game),
          p_proposal, asked.act = 'market.void',
          CASE WHEN asked.act = 'market.void' THEN '[]'::jsonb
               ELSE jsonb_build_array((asked.content->>'winner')::smallint) END,
          1, asked.proposed_by, asked.decided_by, asked.decided_at, p_due_at)
  ON CONFLICT (proposal_id) DO NOTHING
  RETURNING id INTO opened;
  IF opened IS NULL THEN
    SELECT id INTO opened FROM settlement WHERE proposal_id = p_proposal;
  END IF;
  RETURN opened;
END $$;
