-- Paying a settlement in chunks: each is one transaction with its cursor, and writes everything it
-- leads to in a handful of statements, however many bets there are. First every bet is paid, in bet
-- order; then every customer is seen to, once for the whole market: one text, one payout.
-- The large statements are planned once, and by index: while a market is settled the statistics of
-- what it writes are old, and a plan made by them reads whole tables for every chunk.

-- Does the next p_limit bets or customers. A kill at any point resumes where it stopped. Answers how
-- many there were; 0 when nobody is left, or while the settlement is paused.
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
  done record;
  kept bigint := 0;
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement FOR UPDATE;
  IF run.state <> 2 OR run.paused_at IS NOT NULL THEN RETURN 0; END IF;
  IF run.cursor_place = 0 AND run.cursor_bet = 0
     AND EXISTS (SELECT FROM market WHERE id = run.market_id AND status = 5) THEN
    RETURN 0;  -- a void is proposed, and nothing has been paid yet
  END IF;

  LOOP
    SELECT * INTO share FROM settlement_share
     WHERE settlement_id = p_settlement AND place >= run.cursor_place
     ORDER BY place LIMIT 1;
    IF NOT FOUND THEN
      RETURN settle_people(p_settlement, p_limit, p_cashout_min, p_cashout_most, p_reset_hold);
    END IF;
    SELECT n.bets, n.people, n.stakes INTO bets, people, stakes
      FROM settle_next(run.market_id, share.outcome, run.cursor_bet, p_limit,
                       run.effective_close, share.late) n;
    EXIT WHEN bets IS NOT NULL;
    run.cursor_place := share.place + 1;
    run.cursor_bet := 0;
    run.cursor_staked := 0;
  END LOOP;

  -- In customer order, as everywhere: an UPDATE would take them in whatever order its plan has.
  PERFORM FROM wallet w WHERE w.customer_id = ANY (people) ORDER BY w.customer_id FOR UPDATE;
  SELECT * INTO done
    FROM settle_bets(p_settlement, share.place, run.cursor_staked, bets, people, stakes);
  IF done.owing THEN
    kept := settle_collect(p_settlement, bets);
  END IF;
  UPDATE settlement
     SET cursor_place = share.place, cursor_bet = bets[cardinality(bets)],
         cursor_staked = done.upto, collected = collected + kept,
         paid = paid + CASE WHEN share.refund THEN 0 ELSE done.given END,
         refunded = refunded + CASE WHEN share.refund THEN done.given ELSE 0 END
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

-- Three lists as rows. A function of its own, so that the planner expects many and plans once.
CREATE OR REPLACE FUNCTION settle_rows(p_one bigint[], p_two bigint[], p_three bigint[])
RETURNS TABLE (one bigint, two bigint, three bigint)
LANGUAGE sql IMMUTABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT * FROM unnest(p_one, p_two, p_three)
$$;

-- Dividends, transfers and wallets of some bets in one statement; the wallets are locked. What each
-- holds is read as it is raised, so that none is looked up twice.
-- p_staked is what had been staked on the place before them. Answers the cents given, what had been
-- staked with them, and whether somebody among them owes the house.
CREATE OR REPLACE FUNCTION settle_bets(
  p_settlement bigint, p_place smallint, p_staked bigint, p_bets bigint[], p_people bigint[],
  p_stakes bigint[], OUT given bigint, OUT upto bigint, OUT owing boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET random_page_cost = 1.1 AS $$
DECLARE
  run settlement;
  share settlement_share;
  pool_of bigint;
  move_kind smallint;
  moment timestamptz := app_now();
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement;
  SELECT * INTO STRICT share FROM settlement_share
   WHERE settlement_id = p_settlement AND place = p_place;
  SELECT pool_account INTO STRICT pool_of FROM market WHERE id = run.market_id;
  move_kind := CASE WHEN share.refund THEN 4 ELSE 3 END;

  WITH running AS (
    SELECT one AS id, two AS customer_id, three AS stake,
           p_staked + sum(three) OVER (ORDER BY one) AS upto
      FROM settle_rows(p_bets, p_people, p_stakes)
  ), parts AS MATERIALIZED (
    SELECT id, customer_id, r.upto,
           CASE WHEN share.net = share.staked THEN stake
                ELSE (div(r.upto * share.net, share.staked::numeric)
                      - div((r.upto - stake) * share.net, share.staked::numeric))::bigint
           END AS amount
      FROM running r
  ), purses AS (
    UPDATE wallet w SET balance = w.balance + s.amount, seq = w.seq + s.bets
      FROM (SELECT customer_id, sum(amount)::bigint AS amount, count(*) AS bets
              FROM parts GROUP BY customer_id) s
     WHERE w.customer_id = s.customer_id
    RETURNING w.customer_id, w.account_id, w.owed, OLD.balance, OLD.seq
  ), lines AS MATERIALIZED (
    SELECT p.*, w.account_id, w.owed,
           w.balance + sum(p.amount) OVER by_wallet AS balance_after,
           w.seq + row_number() OVER by_wallet AS seq_after
      FROM parts p JOIN purses w USING (customer_id)
    WINDOW by_wallet AS (PARTITION BY p.customer_id ORDER BY p.id)
  ), dividends AS (
    INSERT INTO dividend (settlement_id, bet_id, customer_id, amount, refund)
    SELECT p_settlement, id, customer_id, amount, share.refund FROM lines ORDER BY id
  ), moves AS (
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, credit_balance_after,
                          credit_seq, event_id, ref, event_at)
    SELECT ledger_row_key(move_kind, id, p_settlement), move_kind, pool_of, account_id, amount,
           balance_after, seq_after, run.key, id, moment
      FROM lines ORDER BY id
  )
  SELECT sum(l.amount)::bigint, max(l.upto)::bigint, bool_or(l.owed > 0) INTO given, upto, owing
    FROM lines l;
END $$;

-- What customers owe is taken from what these bets brought, at once, before they could stake it again.
-- Answers the cents taken.
CREATE OR REPLACE FUNCTION settle_collect(p_settlement bigint, p_bets bigint[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  debtor record;
  taken bigint := 0;
BEGIN
  FOR debtor IN
    SELECT d.customer_id, d.first_bet, d.amount
      FROM (SELECT customer_id, min(bet_id) AS first_bet, sum(amount)::bigint AS amount
              FROM dividend WHERE settlement_id = p_settlement AND bet_id = ANY (p_bets)
             GROUP BY customer_id) d
      JOIN wallet w ON w.customer_id = d.customer_id
     WHERE w.owed > 0 ORDER BY w.account_id
  LOOP
    taken := taken + receivable_collect(
      ledger_row_key(23, debtor.first_bet, p_settlement), debtor.customer_id, debtor.amount,
      app_now());
  END LOOP;
  RETURN taken;
END $$;

-- Sees to the next p_limit customers who got something: a text, and their wins on M-PESA for those
-- who want them there at once, as far as they have not been staked again meanwhile. Text and payout
-- are held until the settlement is finished, which frees them with one row and rewrites none. While
-- this goes on the cursor holds the last customer, behind all places. Answers how many there were.
CREATE OR REPLACE FUNCTION settle_people(
  p_settlement bigint, p_limit integer, p_least bigint, p_most bigint, p_reset_hold interval
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
SET plan_cache_mode = force_generic_plan SET random_page_cost = 1.1 AS $$
DECLARE
  behind CONSTANT smallint := 100;
  run settlement;
  people bigint[];
  won bigint[];
  moment timestamptz := app_now();
  rate integer := levy_bp(2::smallint, moment);
  pending bigint := ledger_account(20::smallint, NULL, NULL, NULL);
  some_odd boolean;
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement;
  SELECT array_agg(d.customer_id), array_agg(d.won) INTO people, won
    FROM (SELECT customer_id,
                 coalesce(sum(amount) FILTER (WHERE NOT refund), 0)::bigint
                 - CASE WHEN run.collected > 0
                        THEN settle_collected(p_settlement, array_agg(bet_id)) ELSE 0 END AS won
            FROM dividend
           WHERE settlement_id = p_settlement
             AND customer_id > CASE WHEN run.cursor_place = behind THEN run.cursor_bet ELSE 0 END
           GROUP BY customer_id ORDER BY customer_id LIMIT p_limit) d;
  IF people IS NULL THEN RETURN 0; END IF;

  some_odd := EXISTS (SELECT FROM unnest(won) n WHERE n > p_most);  -- they take several moves
  PERFORM FROM wallet w WHERE w.customer_id = ANY (people) ORDER BY w.customer_id FOR UPDATE;
  WITH winners AS MATERIALIZED (
    SELECT n.one AS customer_id, n.two AS won, c.phone,
           c.auto_cashout AND n.two / 100 * 100 <= p_most
           AND coalesce(c.pin_reset_at + p_reset_hold <= moment, true) AS wanted,  -- as withdrawals
           (SELECT coalesce(sum(r.amount), 0) FROM mpesa_receipt r
             WHERE r.customer_id = n.one AND r.confirmed_at IS NULL AND r.reversed_at IS NULL
               AND r.direction = 1)::bigint AS unsure
      FROM settle_rows(people, won, NULL) n JOIN customer c ON c.id = n.one
  ), purses AS (
    UPDATE wallet w
       SET balance = w.balance
                     - levy_gross(levy_net(least(n.won, w.balance - n.unsure), rate), rate),
           seq = w.seq + 1
      FROM winners n
     WHERE n.wanted AND w.customer_id = n.customer_id AND w.owed = 0
       AND levy_net(least(n.won, w.balance - n.unsure), rate) >= p_least
    RETURNING w.customer_id, w.account_id, w.balance AS left_over, w.seq,
              OLD.balance - w.balance AS gross,
              levy_net(least(n.won, OLD.balance - n.unsure), rate) AS cash
  ), cashed AS MATERIALIZED (
    SELECT p.*, n.phone, nextval('payout_id_seq') AS payout_id,
           ledger_row_key(21, p.customer_id, p_settlement) AS request,
           ledger_row_key(22, p.customer_id, p_settlement) AS key
      FROM purses p JOIN winners n USING (customer_id)
  ), moves AS (
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, debit_balance_after,
                          debit_seq, event_id, ref, event_at)
    SELECT ledger_row_key(6, payout_id, 0), 6, account_id, pending, gross, left_over, seq, request,
           payout_id, moment
      FROM cashed
  ), payouts AS (
    INSERT INTO payout (id, key, request, customer_id, phone, amount, tax, reason, settlement_id,
                        state, held_for, ocid, created_at)
    SELECT payout_id, key, request, customer_id, phone, cash, gross - cash, 2, p_settlement, 2, 1,
           uuidv7(), moment
      FROM cashed
  ), promises AS (
    INSERT INTO promise (kind, key, payload, customer_id, settlement_id, due_at, state, created_at)
    SELECT 'b2c', ledger_row_key(24, payout_id, 0), jsonb_build_object('payout_id', payout_id),
           customer_id, p_settlement, moment, 6, moment
      FROM cashed
  )
  INSERT INTO promise (kind, key, payload, customer_id, settlement_id, due_at, state, created_at)
  SELECT 'result', ledger_row_key(25, customer_id, p_settlement),
         jsonb_build_object('settlement', p_settlement), customer_id, p_settlement, moment, 6, moment
    FROM winners;

  IF some_odd THEN
    PERFORM settle_odd(p_settlement, people, won, p_least, p_most, p_reset_hold, moment);
  END IF;
  UPDATE settlement SET cursor_place = behind, cursor_bet = people[cardinality(people)]
   WHERE id = p_settlement;
  RETURN cardinality(people);
END $$;

-- What was taken from a customer's bets in this settlement for what they owed, in cents.
CREATE OR REPLACE FUNCTION settle_collected(p_settlement bigint, p_bets bigint[]) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT coalesce(sum(amount), 0)::bigint FROM transfer
   WHERE key = ANY (SELECT ledger_row_key(23, bet, p_settlement) FROM unnest(p_bets) bet)
$$;

-- Wins that M-PESA takes in parts only are set aside in parts. The wallets are locked.
CREATE OR REPLACE FUNCTION settle_odd(
  p_settlement bigint, p_people bigint[], p_won bigint[], p_least bigint, p_most bigint,
  p_reset_hold interval, p_moment timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  winner record;
  rate integer := levy_bp(2::smallint, p_moment);
BEGIN
  FOR winner IN
    SELECT n.customer_id,
           levy_net(least(n.won, w.balance
                          - (SELECT coalesce(sum(r.amount), 0)::bigint FROM mpesa_receipt r
                              WHERE r.customer_id = n.customer_id AND r.confirmed_at IS NULL
                                AND r.reversed_at IS NULL AND r.direction = 1)), rate) AS cash
      FROM unnest(p_people, p_won) AS n (customer_id, won)
      JOIN wallet w ON w.customer_id = n.customer_id
      JOIN customer c ON c.id = n.customer_id
     WHERE c.auto_cashout AND w.owed = 0 AND n.won / 100 * 100 > p_most
       AND coalesce(c.pin_reset_at + p_reset_hold <= p_moment, true)
     ORDER BY w.account_id
  LOOP
    IF winner.cash >= p_least THEN
      PERFORM payout_reserve(ledger_row_key(21, winner.customer_id, p_settlement),
                             winner.customer_id, winner.cash, 2::smallint, p_settlement, p_most, rate);
    END IF;
  END LOOP;
END $$;
