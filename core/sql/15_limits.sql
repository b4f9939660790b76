-- Limits of play and exclusion. Kinds: 1 deposits, 2 stakes, 3 losses. Periods: 1 the Nairobi day,
-- 2 its week from Monday, 3 its month. Whatever changes them locks the wallet first, as a bet does.

-- When the period around a moment began.
CREATE OR REPLACE FUNCTION period_start(p_period smallint, p_moment timestamptz)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE
RETURN date_trunc(CASE p_period WHEN 1 THEN 'day' WHEN 2 THEN 'week' ELSE 'month' END,
                  p_moment AT TIME ZONE 'Africa/Nairobi') AT TIME ZONE 'Africa/Nairobi';

-- When it ends, and a limit starts anew.
CREATE OR REPLACE FUNCTION period_end(p_period smallint, p_moment timestamptz)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE
RETURN ((period_start(p_period, p_moment) AT TIME ZONE 'Africa/Nairobi')
        + CASE p_period WHEN 1 THEN interval '1 day' WHEN 2 THEN interval '7 days'
                        ELSE interval '1 month' END) AT TIME ZONE 'Africa/Nairobi';

-- What a customer has used of a limit since a moment, in cents: money that landed in the wallet,
-- however it came, and prompts still on their way; stakes; stakes less what came back, corrections
-- included.
CREATE OR REPLACE FUNCTION limit_used(p_customer bigint, p_kind smallint, p_since timestamptz)
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  purse bigint;
  staked bigint;
BEGIN
  SELECT account_id INTO purse FROM wallet WHERE customer_id = p_customer;
  IF p_kind = 1 THEN
    -- By its receipts: one deposit may be paid again and again, today and in a year.
    RETURN (SELECT coalesce(sum(r.amount), 0)
              FROM mpesa_receipt r LEFT JOIN transfer t ON t.id = r.attached_id
             WHERE r.account_id = purse AND r.reversed_at IS NULL
               AND coalesce(t.created_at, r.created_at) >= p_since)
         + (SELECT coalesce(sum(amount), 0) FROM deposit
             WHERE customer_id = p_customer AND state IN (1, 2, 3, 4, 7, 8)
               -- One whose end nobody ever learns must not use the limit up for good.
               AND created_at >= least(p_since, app_now() - interval '24 hours'));
  END IF;
  SELECT coalesce(sum(stake), 0) INTO staked FROM bet
   WHERE customer_id = p_customer AND placed_at >= p_since;
  IF p_kind = 2 THEN RETURN staked; END IF;
  RETURN staked
    - (SELECT coalesce(sum(amount), 0) FROM transfer
        WHERE credit_account = purse AND kind IN (3, 4) AND event_at >= p_since)
    + (SELECT coalesce(sum(amount), 0) FROM transfer
        WHERE debit_account = purse AND kind = 12 AND event_at >= p_since)
    + (SELECT coalesce(sum(t.amount), 0) FROM transfer t JOIN account a ON a.id = t.debit_account
        WHERE a.kind = 30 AND a.customer_id = p_customer AND t.kind = 14
          AND t.event_at >= p_since);
END $$;

-- The limit of some kinds that p_amount more would break, the one with the least left first; all
-- null where none would be.
CREATE OR REPLACE FUNCTION limit_broken(
  p_customer bigint, p_kinds smallint[], p_amount bigint, p_moment timestamptz,
  OUT kind smallint, OUT facts jsonb
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  SELECT l.kind,
         jsonb_build_object('limit', l.amount, 'used', greatest(u.used, 0),
                            'left', greatest(l.amount - u.used, 0),
                            'period', l.period, 'until', period_end(l.period, p_moment))
    INTO kind, facts
    FROM play_limit l,
         LATERAL (SELECT limit_used(p_customer, l.kind, period_start(l.period, p_moment)) AS used) u
   WHERE l.customer_id = p_customer AND l.kind = ANY (p_kinds) AND u.used + p_amount > l.amount
   ORDER BY l.amount - u.used, l.kind, l.period LIMIT 1;
END $$;

-- Whether a bet of p_stake would break a limit; its wallet is locked. Reason null: it would not.
CREATE OR REPLACE FUNCTION bet_limit(
  p_customer bigint, p_stake bigint, p_moment timestamptz, OUT reason text, OUT facts jsonb
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  broken record;
BEGIN
  SELECT * INTO broken FROM limit_broken(p_customer, ARRAY[2, 3]::smallint[], p_stake, p_moment);
  reason := CASE broken.kind WHEN 2 THEN 'betting.limit_stake' WHEN 3 THEN 'betting.limit_loss' END;
  facts := broken.facts;
END $$;

-- Sets, cuts or lifts (p_amount null) one limit. A first limit and a cut hold at once and end a rise
-- that waits; a rise, and lifting, wait p_wait for a second yes. Answers what it came to: 'set',
-- 'waiting' (until p_due), 'none' (there is nothing to lift).
CREATE OR REPLACE FUNCTION limit_set(
  p_key uuid, p_customer bigint, p_kind smallint, p_period smallint, p_amount bigint,
  p_staff bigint, p_moment timestamptz, p_wait interval, OUT verdict text, OUT due timestamptz
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kept play_limit;
BEGIN
  PERFORM FROM wallet WHERE customer_id = p_customer FOR UPDATE;
  SELECT * INTO kept FROM play_limit
   WHERE customer_id = p_customer AND kind = p_kind AND period = p_period;
  verdict := 'set';
  IF NOT FOUND THEN
    IF p_amount IS NULL THEN
      verdict := 'none';
      RETURN;
    END IF;
    INSERT INTO play_limit (customer_id, kind, period, amount, set_at)
    VALUES (p_customer, p_kind, p_period, p_amount, p_moment);
  ELSIF p_amount <= kept.amount THEN
    UPDATE play_limit
       SET amount = p_amount, set_at = p_moment, rise = NULL, rise_lifts = false,
           rise_due_at = NULL
     WHERE customer_id = p_customer AND kind = p_kind AND period = p_period;
  ELSE
    verdict := 'waiting';
    due := p_moment + p_wait;
    UPDATE play_limit
       SET rise = p_amount, rise_lifts = p_amount IS NULL, rise_due_at = due
     WHERE customer_id = p_customer AND kind = p_kind AND period = p_period;
  END IF;
  UPDATE wallet SET limited = true WHERE customer_id = p_customer AND NOT limited;
  INSERT INTO play_change (key, customer_id, act, kind, period, amount, until, staff_id, created_at)
  VALUES (p_key, p_customer, 'limit ' || verdict, p_kind, p_period, p_amount, due, p_staff,
          p_moment);
END $$;

-- The second yes to a rise. Answers 'set', 'lifted', 'early' (until p_due), 'lapsed' (the rise is
-- forgotten) or 'none'.
CREATE OR REPLACE FUNCTION limit_confirm(
  p_key uuid, p_customer bigint, p_kind smallint, p_period smallint, p_moment timestamptz,
  p_lapse interval, OUT verdict text, OUT due timestamptz
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kept play_limit;
BEGIN
  PERFORM FROM wallet WHERE customer_id = p_customer FOR UPDATE;
  SELECT * INTO kept FROM play_limit
   WHERE customer_id = p_customer AND kind = p_kind AND period = p_period
     AND rise_due_at IS NOT NULL;
  due := kept.rise_due_at;
  verdict := CASE WHEN due IS NULL THEN 'none' WHEN p_moment < due THEN 'early'
                  WHEN p_moment > due + p_lapse THEN 'lapsed'
                  WHEN kept.rise_lifts THEN 'lifted' ELSE 'set' END;
  IF verdict IN ('none', 'early') THEN RETURN; END IF;
  IF verdict = 'lifted' THEN
    DELETE FROM play_limit
     WHERE customer_id = p_customer AND kind = p_kind AND period = p_period;
    UPDATE wallet w SET limited = EXISTS (SELECT FROM play_limit WHERE customer_id = p_customer)
     WHERE w.customer_id = p_customer;
  ELSE
    UPDATE play_limit
       SET amount = CASE WHEN verdict = 'set' THEN rise ELSE amount END,
           set_at = CASE WHEN verdict = 'set' THEN p_moment ELSE set_at END,
           rise = NULL, rise_lifts = false, rise_due_at = NULL
     WHERE customer_id = p_customer AND kind = p_kind AND period = p_period;
  END IF;
  INSERT INTO play_change (key, customer_id, act, kind, period, amount, created_at)
  VALUES (p_key, p_customer, 'limit ' || verdict, p_kind, p_period, kept.rise, p_moment);
END $$;

-- No play until a moment; an exclusion that lasts longer stays. Behind the wallet's lock, so that a
-- bet is before it or refused. Answers until when it holds.
CREATE OR REPLACE FUNCTION exclude_until(
  p_key uuid, p_customer bigint, p_until timestamptz, p_act text, p_staff bigint,
  p_moment timestamptz
) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kept record;
BEGIN
  -- The customer's row first, as whoever asks for a deposit does.
  PERFORM FROM customer WHERE id = p_customer FOR NO KEY UPDATE;
  PERFORM FROM wallet WHERE customer_id = p_customer FOR UPDATE;
  SELECT customer_id, act, until INTO kept FROM play_change WHERE key = p_key;
  IF FOUND THEN
    IF (kept.customer_id, kept.act) IS DISTINCT FROM (p_customer, p_act) THEN
      RAISE EXCEPTION 'key % was used for something else', p_key USING ERRCODE = 'HL001';
    END IF;
    RETURN kept.until;
  END IF;
  UPDATE customer SET excluded_until = greatest(excluded_until, p_until)
   WHERE id = p_customer RETURNING excluded_until AS until INTO STRICT kept;
  INSERT INTO play_change (key, customer_id, act, until, staff_id, created_at)
  VALUES (p_key, p_customer, p_act, kept.until, p_staff, p_moment);
  RETURN kept.until;
END $$;

-- A birth date under the age, or support's word that it was a slip: kept, and never altered.
CREATE OR REPLACE FUNCTION under_age(
  p_customer bigint, p_act text, p_until timestamptz, p_staff bigint, p_moment timestamptz
) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO play_change (key, customer_id, act, until, staff_id, created_at)
  VALUES (gen_random_uuid(), p_customer, p_act, p_until, p_staff, p_moment)
$$;
