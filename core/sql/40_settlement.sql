-- Settling a market in chunks: start counts the pool, each chunk pays its bets, finish proves zero.
-- Pari-mutuel: stakes P, on the winners W, fee floor(P * bp), net N = P - fee, but never below W
-- (the fee gives way). Winner i gets floor(C_i N/W) - floor(C_(i-1) N/W), C the running sum of
-- stakes in bet order, so that the parts add up to N to the cent in chunks of any size.
-- A refund is the same arithmetic with every outcome winning what was staked on it. Bets made after
-- the effective close are refunded before P is counted, and so are those on a withdrawn outcome, by
-- a settlement of its own.

-- Counts the pool and fixes who shares what. Does nothing when it has been started before.
CREATE OR REPLACE FUNCTION settle_start(p_settlement bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  run settlement;
  game market;
  staked_all bigint;
  counted bigint;
  staked_won bigint;
  net_all bigint;
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement FOR UPDATE;
  IF run.state <> 1 THEN RETURN; END IF;
  SELECT * INTO STRICT game FROM market WHERE id = run.market_id FOR UPDATE;
  IF run.paused_at IS NOT NULL OR run.due_at > app_now() OR NOT (
       run.withdraws IS NOT NULL
       OR (run.corrects IS NULL AND game.status = 6)
       OR (run.corrects IS NOT NULL AND game.status = 9 AND run.undone_at IS NOT NULL)) THEN
    RAISE EXCEPTION 'settlement % is not due', p_settlement USING ERRCODE = 'HL003';
  END IF;

  INSERT INTO settlement_share (settlement_id, place, outcome, late, refund, staked, net)
  SELECT p_settlement, row_number() OVER (ORDER BY b.late, b.outcome), b.outcome, b.late, true,
         b.staked, b.staked
    FROM settle_book(run.market_id, run.effective_close) b
    JOIN outcome o ON o.market_id = run.market_id AND o.number = b.outcome
   WHERE CASE WHEN run.withdraws IS NULL THEN o.withdrawn_at IS NULL
              ELSE b.outcome = run.withdraws END;
  SELECT coalesce(sum(staked), 0), coalesce(sum(staked) FILTER (WHERE NOT late), 0),
         coalesce(sum(staked) FILTER (WHERE NOT late AND run.winners @> to_jsonb(outcome)), 0)
    INTO staked_all, counted, staked_won
    FROM settlement_share WHERE settlement_id = p_settlement;
  IF run.withdraws IS NULL AND ledger_sum(game.pool_account) <> staked_all THEN
    RAISE EXCEPTION 'pool of market % is not the sum of its stakes', game.id
      USING ERRCODE = 'HL003';
  END IF;

  run.refunding := run.void OR staked_won = 0;
  net_all := counted;
  IF NOT run.refunding THEN
    net_all := greatest(staked_won, counted - div(counted::numeric * game.fee_bp, 10000)::bigint);
    PERFORM settle_winners(p_settlement, net_all - staked_won);
  END IF;
  UPDATE settlement
     SET state = 2, refunding = run.refunding, pool = staked_all, net = net_all,
         fee = counted - net_all, started_at = app_now()
   WHERE id = p_settlement;
  UPDATE market SET status = 7 WHERE id = game.id AND status = 6 AND run.withdraws IS NULL;
END $$;

-- What is staked on each outcome, in time and too late. Two statements, since only the second has to
-- look at more than the index.
CREATE OR REPLACE FUNCTION settle_book(p_market bigint, p_effective_close timestamptz)
RETURNS TABLE (outcome smallint, late boolean, staked bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF p_effective_close IS NULL THEN
    RETURN QUERY SELECT b.outcome, false, sum(b.stake)::bigint FROM bet b
      WHERE b.market_id = p_market GROUP BY b.outcome;
  ELSE
    RETURN QUERY SELECT b.outcome, b.placed_at > p_effective_close, sum(b.stake)::bigint FROM bet b
      WHERE b.market_id = p_market GROUP BY 1, 2;
  END IF;
END $$;

-- Leaves the winners' places and those of late bets. Tied outcomes get their stakes back and split
-- the rest, p_gain, equally; odd cents in outcome order.
CREATE OR REPLACE FUNCTION settle_winners(p_settlement bigint, p_gain bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  sides bigint;
BEGIN
  DELETE FROM settlement_share p USING settlement s
   WHERE p.settlement_id = p_settlement AND s.id = p_settlement
     AND NOT p.late AND NOT s.winners @> to_jsonb(p.outcome);
  SELECT count(*) INTO sides
    FROM settlement_share WHERE settlement_id = p_settlement AND NOT late;
  UPDATE settlement_share p
     SET refund = false,
         net = p.staked + p_gain / sides + CASE WHEN r.rank <= p_gain % sides THEN 1 ELSE 0 END
    FROM (SELECT place, row_number() OVER (ORDER BY place) AS rank
            FROM settlement_share WHERE settlement_id = p_settlement AND NOT late) r
   WHERE p.settlement_id = p_settlement AND p.place = r.place;
END $$;

-- Takes the fee and proves that the pool is empty; holds no wallet. Answers whether it is settled.
-- A withdrawn outcome's stakes leave the pool to the others, and the market as it is.
CREATE OR REPLACE FUNCTION settle_finish(p_settlement bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  run settlement;
  game market;
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement FOR UPDATE;
  IF run.state <> 2 THEN RETURN run.state = 3; END IF;
  IF run.paused_at IS NOT NULL OR run.paid + run.refunded + run.fee <> run.pool THEN
    RETURN false;
  END IF;
  IF EXISTS (SELECT FROM dividend d
              WHERE d.settlement_id = p_settlement AND d.customer_id > CASE
                WHEN run.cursor_place = 100 THEN run.cursor_bet ELSE 0 END) THEN
    RETURN false;  -- paid, but not everybody has been told yet
  END IF;
  SELECT * INTO STRICT game FROM market WHERE id = run.market_id FOR UPDATE;
  IF run.fee > 0 THEN
    PERFORM ledger_move(ledger_key(run.key, 'fee'), 5::smallint, game.pool_account,
                        ledger_account(21::smallint, NULL, NULL, NULL), run.fee, run.key,
                        run.id, app_now());
  END IF;
  IF run.withdraws IS NULL THEN
    IF ledger_sum(game.pool_account) <> 0 THEN
      RAISE EXCEPTION 'pool of market % is not empty', game.id USING ERRCODE = 'HL003';
    END IF;
    UPDATE market SET status = CASE WHEN run.void THEN 10 ELSE 8 END WHERE id = game.id;
  END IF;
  UPDATE settlement SET state = 3, settled_at = app_now() WHERE id = p_settlement;
  INSERT INTO promise_release (settlement_id, released_at) VALUES (p_settlement, app_now())
  ON CONFLICT DO NOTHING;
  RETURN true;
END $$;

-- Opens the settlement of an approved proposal, once; its numbers come from settle_start. A void
-- overtakes a result of which nothing has been paid, a correction takes the market out of its rest and
-- overtakes another that has taken nothing back,
-- and a withdrawn outcome takes no bets from here on: the caller holds the market's bets.
CREATE OR REPLACE FUNCTION settlement_open(p_proposal bigint, p_due_at timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  asked proposal;
  game bigint;
  gone smallint;
  wrong bigint;
  opened bigint;
BEGIN
  SELECT * INTO STRICT asked FROM proposal WHERE id = p_proposal;
  IF asked.state <> 2 OR asked.act NOT IN ('market.result', 'market.void', 'market.correction',
                                           'market.withdrawal') THEN
    RAISE EXCEPTION 'proposal % is no approved result', p_proposal USING ERRCODE = 'HL003';
  END IF;
  SELECT id INTO opened FROM settlement WHERE proposal_id = p_proposal;
  IF FOUND THEN RETURN opened; END IF;
  game := (asked.content->>'market')::bigint;
  gone := (asked.content->>'outcome')::smallint;
  wrong := (asked.content->>'corrects')::bigint;

  IF gone IS NOT NULL THEN
    UPDATE outcome SET withdrawn_at = app_now()
     WHERE market_id = game AND number = gone AND withdrawn_at IS NULL;
  ELSIF wrong IS NOT NULL THEN
    PERFORM FROM settlement s WHERE s.id = wrong AND s.state = 3 AND s.market_id = game;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'settlement % cannot be corrected', wrong USING ERRCODE = 'HL003';
    END IF;
    UPDATE settlement SET state = 4
     WHERE corrects = wrong AND state = 1 AND undo_bet = 0 AND undone_at IS NULL;
    UPDATE market SET status = 9 WHERE id = game AND status IN (8, 10);
  ELSE
    UPDATE settlement SET state = 4
     WHERE market_id = game AND withdraws IS NULL AND state < 3 AND cursor_place = 0
       AND cursor_bet = 0 AND asked.act = 'market.void';
    IF EXISTS (SELECT FROM settlement
                WHERE market_id = game AND withdraws IS NULL AND state <> 4) THEN
      RAISE EXCEPTION 'market % is being settled already', game USING ERRCODE = 'HL003';
    END IF;
    UPDATE market SET status = 6 WHERE id = game;
  END IF;
  INSERT INTO settlement (key, market_id, version, proposal_id, void, winners, state, proposed_by,
                          approved_by, approved_at, due_at, effective_close, withdraws, corrects)
  VALUES (gen_random_uuid(), game,
          (SELECT coalesce(max(version), 0) + 1 FROM settlement WHERE market_id = game),
          p_proposal, gone IS NULL AND asked.content->'winners' = '[]',
          coalesce(asked.content->'winners', '[]'), 1, asked.proposed_by, asked.decided_by,
          asked.decided_at, p_due_at, (asked.content->>'effective_close')::timestamptz, gone, wrong)
  RETURNING id INTO opened;
  RETURN opened;
END $$;

-- Holds a market's settlements that are under way, so that what is decided about it finds them as
-- they are. Before the market's own row, as everywhere.
CREATE OR REPLACE FUNCTION settlement_hold(p_market bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM FROM settlement WHERE market_id = p_market AND state < 3 ORDER BY id FOR UPDATE;
END $$;

-- Stops a settlement between two chunks, or with p_on lets it go on. p_by is empty where the house
-- itself stops it. Answers whether that changed anything.
CREATE OR REPLACE FUNCTION settlement_pause(p_settlement bigint, p_on boolean, p_by bigint)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE settlement
     SET paused_at = CASE WHEN NOT p_on THEN app_now() END,
         paused_by = CASE WHEN NOT p_on THEN p_by END
   WHERE id = p_settlement AND state < 3 AND (paused_at IS NOT NULL) = p_on;
  RETURN FOUND;
END $$;
