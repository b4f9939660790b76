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
  INSERT INTO settlement_share (settlement_id, place, outcome, staked, net, refund)
  SELECT p_settlement, s.place, s.outcome, s.staked,
         CASE WHEN run.refunding THEN s.staked
              ELSE s.staked + (net_all - staked_won) / sides
                   + CASE WHEN s.place <= (net_all - staked_won) % sides THEN 1 ELSE 0 END END,
         run.refunding
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
