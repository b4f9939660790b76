-- Placing a bet, and the totals of pools that are shown while it is open.

-- Takes the stake from the wallet into the market's pool, at most once per key. A refusal is an
-- answer, kept with the key and what was asked, so that a refused key stays refused. HL001: the key
-- was used for another bet. HL005: an isolation that could miss a close.
--
-- A bet that stands is five statements. The wallet's row is what serialises: whoever asks with the
-- same key asks for the same customer, and finds behind that lock what the other one left.
CREATE OR REPLACE FUNCTION place_bet(
  p_key uuid, p_customer bigint, p_market bigint, p_outcome smallint, p_stake bigint,
  p_channel smallint, p_session text, p_with_pin boolean, p_no_pin_limit bigint,
  OUT verdict text, OUT reason text, OUT facts jsonb,
  OUT bet_id bigint, OUT balance bigint, OUT again boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  game record;
  purse record;
  person record;
  today date;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'a bet needs READ COMMITTED: an older snapshot could miss the close'
      USING ERRCODE = 'HL005';
  END IF;
  again := false;

  -- Closing takes this lock alone: whoever holds it shared is in before the close, and the status
  -- read in the next statement is then the one that counts.
  PERFORM pg_advisory_xact_lock_shared(1, p_market::integer);
  SELECT m.status, m.opens_at, m.closes_at, m.min_stake, m.max_stake, m.pool_account,
         o.number AS outcome, o.withdrawn_at, app_now() AS moment
    INTO game
    FROM market m LEFT JOIN outcome o ON o.market_id = m.id AND o.number = p_outcome
   WHERE m.id = p_market;
  reason := CASE
    WHEN game.status = 3 THEN 'betting.market_suspended'
    WHEN game.status = 2 AND game.opens_at > game.moment THEN 'betting.market_not_yet'
    WHEN game.status IS DISTINCT FROM 2 OR game.closes_at <= game.moment
      THEN 'betting.market_closed'
    WHEN game.outcome IS NULL THEN 'betting.no_such_outcome'
    WHEN game.withdrawn_at IS NOT NULL THEN 'betting.outcome_withdrawn'
    WHEN p_stake < game.min_stake THEN 'betting.stake_low'
    WHEN p_stake > game.max_stake THEN 'betting.stake_high'
  END;

  IF reason IS NULL THEN
    today := (game.moment AT TIME ZONE 'Africa/Nairobi')::date;
    UPDATE wallet w
       SET balance = w.balance - p_stake, seq = w.seq + 1, day = today,
           day_stake = p_stake + CASE WHEN w.day = today THEN w.day_stake ELSE 0 END,
           day_no_pin = CASE WHEN p_with_pin THEN 0 ELSE p_stake END
                        + CASE WHEN w.day = today THEN w.day_no_pin ELSE 0 END
     WHERE w.customer_id = p_customer AND w.balance >= p_stake
    RETURNING w.account_id, w.balance, w.seq, w.day_no_pin, w.limited, old.day AS day_was,
              old.day_stake AS day_stake_was, old.day_no_pin AS day_no_pin_was INTO purse;
    IF NOT FOUND THEN
      -- Nobody on a break, and nobody of the house, is asked for money.
      SELECT CASE WHEN c.excluded_until > game.moment THEN 'betting.excluded'
                  WHEN EXISTS (SELECT FROM staff s WHERE s.phone = c.phone AND s.active)
                    THEN 'betting.of_the_house'
                  ELSE 'betting.short_of_funds' END,
             CASE WHEN c.excluded_until > game.moment
                  THEN jsonb_build_object('until', c.excluded_until) END
        INTO reason, facts FROM customer c WHERE c.id = p_customer;
      reason := coalesce(reason, 'betting.short_of_funds');
    ELSE
      -- The wallet is locked from here on, so two bets at once cannot both pass what follows.
      SELECT c.standing = 2 AND c.kyc_verified_at IS NOT NULL AS verified, c.excluded_until,
             EXISTS (SELECT FROM effect e WHERE e.key = p_key) AS refused,
             EXISTS (SELECT FROM staff s WHERE s.phone = c.phone AND s.active) AS of_the_house
        INTO person FROM customer c WHERE c.id = p_customer;
      IF person.refused THEN
        reason := 'kept';
      ELSIF NOT person.verified THEN
        reason := 'betting.not_verified';
      ELSIF person.of_the_house THEN
        reason := 'betting.of_the_house';
      ELSIF person.excluded_until > game.moment THEN
        reason := 'betting.excluded';
        facts := jsonb_build_object('until', person.excluded_until);
      ELSIF NOT p_with_pin AND purse.day_no_pin > p_no_pin_limit THEN
        reason := 'betting.pin_needed';
        facts := jsonb_build_object('limit', p_no_pin_limit);
      ELSIF purse.limited THEN
        SELECT l.reason, l.facts INTO reason, facts
          FROM bet_limit(p_customer, p_stake, game.moment) l;
      END IF;
      IF reason IS NULL THEN
        INSERT INTO bet (key, customer_id, market_id, outcome, stake, channel, with_pin, session,
                         placed_at)
        VALUES (p_key, p_customer, p_market, p_outcome, p_stake, p_channel, p_with_pin, p_session,
                game.moment)
        ON CONFLICT (key) DO NOTHING
        RETURNING id INTO bet_id;
        IF FOUND THEN
          INSERT INTO transfer (key, kind, debit_account, credit_account, amount,
                                debit_balance_after, debit_seq, event_id, ref, event_at)
          VALUES (ledger_row_key(2, bet_id, 0), 2, purse.account_id, game.pool_account, p_stake,
                  purse.balance, purse.seq, p_key, bet_id, game.moment);
          verdict := 'placed'; balance := purse.balance;
          RETURN;
        END IF;
        reason := 'kept';
      END IF;
      UPDATE wallet w  -- as if it had not been touched
         SET balance = w.balance + p_stake, seq = w.seq - 1, day = purse.day_was,
             day_stake = purse.day_stake_was, day_no_pin = purse.day_no_pin_was
       WHERE w.account_id = purse.account_id;
    END IF;
  END IF;

  SELECT * INTO verdict, reason, facts, bet_id, balance, again
    FROM bet_refused(p_key, p_customer, p_market, p_outcome, p_stake, p_channel, p_session, reason,
                     coalesce(facts, CASE reason
                       WHEN 'betting.stake_low' THEN jsonb_build_object('min', game.min_stake)
                       WHEN 'betting.stake_high' THEN jsonb_build_object('max', game.max_stake)
                       WHEN 'betting.market_not_yet' THEN
                         jsonb_build_object('until', game.opens_at)
                       ELSE '{}'::jsonb END));
END $$;

-- The no to a bet, kept with its key; or the answer that this key was given before, yes or no.
CREATE OR REPLACE FUNCTION bet_refused(
  p_key uuid, p_customer bigint, p_market bigint, p_outcome smallint, p_stake bigint,
  p_channel smallint, p_session text, p_reason text, p_facts jsonb,
  OUT verdict text, OUT reason text, OUT facts jsonb,
  OUT bet_id bigint, OUT balance bigint, OUT again boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  asked jsonb := jsonb_build_object('customer', p_customer, 'market', p_market,
                                    'outcome', p_outcome, 'stake', p_stake);
  kept record;
  held bigint;
BEGIN
  SELECT w.balance INTO held FROM wallet w WHERE w.customer_id = p_customer FOR UPDATE;
  SELECT b.id, t.debit_balance_after AS balance,
         jsonb_build_object('customer', b.customer_id, 'market', b.market_id,
                            'outcome', b.outcome, 'stake', b.stake) AS args
    INTO kept
    FROM bet b JOIN transfer t ON t.key = ledger_row_key(2, b.id, 0) WHERE b.key = p_key;
  IF FOUND THEN
    verdict := 'placed'; bet_id := kept.id; balance := kept.balance; again := true;
  ELSE
    verdict := 'refused'; reason := p_reason; again := false;
    facts := CASE p_reason WHEN 'betting.short_of_funds'
      THEN jsonb_build_object('balance', coalesce(held, 0), 'stake', p_stake,
                              'short', p_stake - coalesce(held, 0))
      ELSE p_facts END;
    INSERT INTO effect (key, channel, session, customer_id, verb, verdict, reason, facts, args,
                        created_at)
    VALUES (p_key, p_channel, p_session, p_customer, 'bet', 'refused', p_reason, facts, asked,
            app_now())
    ON CONFLICT (key) DO NOTHING;
    IF FOUND THEN RETURN; END IF;
    SELECT e.reason, e.facts, e.args INTO STRICT kept FROM effect e WHERE e.key = p_key;
    reason := kept.reason; facts := kept.facts; again := true;
  END IF;
  IF kept.args IS DISTINCT FROM asked THEN
    RAISE EXCEPTION 'bet key % was used for another bet', p_key USING ERRCODE = 'HL001';
  END IF;
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
