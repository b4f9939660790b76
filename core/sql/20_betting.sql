-- Placing a bet, and the totals of pools that are shown while it is open.

-- Takes the stake from the wallet into the market's pool, at most once per key. A refusal is an
-- answer, kept with the key and what was asked, so that a refused key stays refused. HL001: the key
-- was used for another bet. HL005: an isolation that could miss a close.
CREATE OR REPLACE FUNCTION place_bet(
  p_key uuid, p_customer bigint, p_market bigint, p_outcome smallint, p_stake bigint,
  p_channel smallint, p_session text, p_with_pin boolean, p_no_pin_limit bigint,
  OUT verdict text, OUT reason text, OUT facts jsonb,
  OUT bet_id bigint, OUT balance bigint, OUT again boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  asked jsonb := jsonb_build_object('customer', p_customer, 'market', p_market,
                                    'outcome', p_outcome, 'stake', p_stake);
  kept record;
  game record;
  person record;
  purse record;
  today date;
  moment timestamptz;
  free bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'a bet needs READ COMMITTED: an older snapshot could miss the close'
      USING ERRCODE = 'HL005';
  END IF;
  PERFORM ledger_hold_key(p_key);

  again := true;
  SELECT b.id, b.customer_id, b.market_id, b.outcome, b.stake, t.debit_balance_after INTO kept
    FROM bet b JOIN transfer t ON t.key = ledger_row_key(2, b.id, 0) WHERE b.key = p_key;
  IF FOUND THEN
    IF (kept.customer_id, kept.market_id, kept.outcome, kept.stake)
       IS DISTINCT FROM (p_customer, p_market, p_outcome, p_stake) THEN
      RAISE EXCEPTION 'bet key % was used for another bet', p_key USING ERRCODE = 'HL001';
    END IF;
    verdict := 'placed'; bet_id := kept.id; balance := kept.debit_balance_after;
    RETURN;
  END IF;
  SELECT e.reason, e.facts, e.args INTO kept FROM effect e WHERE e.key = p_key;
  IF FOUND THEN
    IF kept.args IS DISTINCT FROM asked THEN
      RAISE EXCEPTION 'bet key % was used for another bet', p_key USING ERRCODE = 'HL001';
    END IF;
    verdict := 'refused'; reason := kept.reason; facts := kept.facts;
    RETURN;
  END IF;
  again := false;

  <<decide>>
  BEGIN
    SELECT m.closes_at INTO game FROM market m WHERE m.id = p_market;
    IF game.closes_at IS NULL OR game.closes_at <= app_now() THEN
      reason := 'betting.market_closed';
      EXIT decide;
    END IF;
    -- Closing takes this lock alone: whoever holds it shared is in before the close, and the
    -- status read in the next statement is then the one that counts.
    PERFORM pg_advisory_xact_lock_shared(1, p_market::integer);
    SELECT m.status, m.opens_at, m.closes_at, m.min_stake, m.max_stake, m.pool_account,
           o.number AS outcome
      INTO game
      FROM market m LEFT JOIN outcome o ON o.market_id = m.id AND o.number = p_outcome
     WHERE m.id = p_market;
    moment := app_now();
    IF game.status = 3 THEN reason := 'betting.market_suspended'; EXIT decide; END IF;
    IF game.status <> 2 OR game.closes_at <= moment OR game.opens_at > moment THEN
      reason := 'betting.market_closed';
      EXIT decide;
    END IF;
    IF game.outcome IS NULL THEN reason := 'betting.no_such_outcome'; EXIT decide; END IF;
    IF p_stake < game.min_stake THEN
      reason := 'betting.stake_low'; facts := jsonb_build_object('min', game.min_stake);
      EXIT decide;
    END IF;
    IF p_stake > game.max_stake THEN
      reason := 'betting.stake_high'; facts := jsonb_build_object('max', game.max_stake);
      EXIT decide;
    END IF;

    today := (moment AT TIME ZONE 'Africa/Nairobi')::date;
    free := CASE WHEN p_with_pin THEN 0 ELSE p_stake END;
    UPDATE wallet w
       SET balance = w.balance - p_stake, seq = w.seq + 1, day = today,
           day_stake = p_stake + CASE WHEN w.day = today THEN w.day_stake ELSE 0 END,
           day_no_pin = free + CASE WHEN w.day = today THEN w.day_no_pin ELSE 0 END
     WHERE w.customer_id = p_customer AND w.balance >= p_stake
    RETURNING w.account_id, w.balance, w.seq, w.day_no_pin, old.day AS day_was,
              old.day_stake AS day_stake_was, old.day_no_pin AS day_no_pin_was INTO purse;
    IF NOT FOUND THEN
      SELECT w.balance INTO balance FROM wallet w WHERE w.customer_id = p_customer;
      reason := 'betting.short_of_funds';
      facts := jsonb_build_object('balance', coalesce(balance, 0), 'stake', p_stake,
                                  'short', p_stake - coalesce(balance, 0));
      balance := NULL;
      EXIT decide;
    END IF;

    -- The wallet is locked from here on, so two bets at once cannot both pass what follows.
    SELECT c.standing, c.kyc_verified_at, c.excluded_until INTO person
      FROM customer c WHERE c.id = p_customer;
    IF person.standing <> 2 OR person.kyc_verified_at IS NULL THEN
      reason := 'betting.not_verified';
    ELSIF person.excluded_until > moment THEN
      reason := 'betting.excluded';
      facts := jsonb_build_object('until', person.excluded_until);
    ELSIF NOT p_with_pin AND purse.day_no_pin > p_no_pin_limit THEN
      reason := 'betting.pin_needed';
      facts := jsonb_build_object('limit', p_no_pin_limit);
    END IF;
    IF reason IS NOT NULL THEN  -- as if the wallet had not been touched
      UPDATE wallet w
         SET balance = w.balance + p_stake, seq = w.seq - 1, day = purse.day_was,
             day_stake = purse.day_stake_was, day_no_pin = purse.day_no_pin_was
       WHERE w.account_id = purse.account_id;
      EXIT decide;
    END IF;

    INSERT INTO bet (key, customer_id, market_id, outcome, stake, channel, with_pin, session,
                     placed_at)
    VALUES (p_key, p_customer, p_market, p_outcome, p_stake, p_channel, p_with_pin, p_session,
            moment)
    RETURNING id INTO bet_id;
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, debit_balance_after,
                          debit_seq, event_id, ref, event_at)
    VALUES (ledger_row_key(2, bet_id, 0), 2, purse.account_id, game.pool_account, p_stake, purse.balance,
            purse.seq, p_key, bet_id, moment);
    verdict := 'placed'; balance := purse.balance;
    RETURN;
  END decide;

  verdict := 'refused';
  facts := coalesce(facts, '{}'::jsonb);
  INSERT INTO effect (key, channel, session, customer_id, verb, verdict, reason, facts, args,
                      created_at)
  VALUES (p_key, p_channel, p_session, p_customer, 'bet', 'refused', reason, facts,
          asked, app_now());
END $$;

-- Adds to the outcomes' shown totals what has surely been staked since the last look. Display only:
-- settlement counts the bets themselves. Answers how many bets were new.
CREATE OR REPLACE FUNCTION pool_refresh() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  here bigint := (SELECT system_identifier FROM pg_control_system());
  mark bigint := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
  since bigint;
  fresh bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(3, 0) THEN
    RETURN 0;  -- somebody else is at it
  END IF;
  SELECT below INTO since FROM pool_mark WHERE cluster = here;
  IF NOT FOUND THEN
    UPDATE outcome SET staked = 0 WHERE staked <> 0;
    since := 0;
  END IF;
  WITH news AS (
    SELECT market_id, outcome, sum(stake) AS staked, count(*) AS bets FROM bet
     WHERE xact >= since AND xact < mark GROUP BY market_id, outcome
  ), added AS (
    UPDATE outcome o SET staked = o.staked + n.staked FROM news n
     WHERE o.market_id = n.market_id AND o.number = n.outcome
  )
  SELECT coalesce(sum(bets), 0) INTO fresh FROM news;
  INSERT INTO pool_mark (below, cluster, refreshed_at) VALUES (mark, here, app_now())
  ON CONFLICT (id) DO UPDATE
    SET below = excluded.below, cluster = excluded.cluster, refreshed_at = excluded.refreshed_at;
  RETURN fresh;
END $$;
