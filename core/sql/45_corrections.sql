-- Correcting a settlement: what it gave is taken back into the pool, in chunks, before the new one
-- shares the pool out again. Nothing is rewritten; every line names the bet and the settlement whose
-- dividend it takes back.

-- Takes back the next p_limit payouts or bets of the settlement that p_settlement corrects: payouts
-- that have not been sent go back to their wallets, then each dividend from its wallet as far as that
-- reaches, the rest as a debt, and last the fee. Answers how much it did; 0 when all is back, when
-- there is nothing to correct, and while it is paused.
CREATE OR REPLACE FUNCTION correct_chunk(p_settlement bigint, p_limit integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  run settlement;
  wrong settlement;
  pool_of bigint;
  did bigint;
  upto bigint;
  taken bigint;
BEGIN
  SELECT * INTO STRICT run FROM settlement WHERE id = p_settlement FOR UPDATE;
  IF run.corrects IS NULL OR run.state <> 1 OR run.undone_at IS NOT NULL
     OR run.paused_at IS NOT NULL OR run.due_at > app_now() THEN RETURN 0; END IF;
  SELECT * INTO STRICT wrong FROM settlement WHERE id = run.corrects;
  SELECT pool_account INTO STRICT pool_of FROM market WHERE id = run.market_id;

  did := correct_payouts(wrong.id, least(p_limit, 200));
  IF did > 0 THEN RETURN did; END IF;

  SELECT c.did, c.upto, c.taken INTO did, upto, taken
    FROM correct_bets(wrong.id, p_settlement, run.undo_bet, p_limit, pool_of) c;
  IF did > 0 THEN
    UPDATE settlement SET undo_bet = upto WHERE id = p_settlement;
    UPDATE settlement SET reversed = reversed + taken WHERE id = wrong.id;
    RETURN did;
  END IF;

  IF wrong.reversed <> wrong.paid + wrong.refunded THEN
    RAISE EXCEPTION 'settlement % was not taken back whole', wrong.id USING ERRCODE = 'HL003';
  END IF;
  IF wrong.fee > 0 THEN
    PERFORM ledger_move(ledger_key(wrong.key, 'fee taken back'), 12::smallint,
                        ledger_account(21::smallint, NULL, NULL, NULL), pool_of, wrong.fee,
                        wrong.key, wrong.id, app_now());
  END IF;
  UPDATE settlement SET reversed = reversed + wrong.fee WHERE id = wrong.id;
  UPDATE settlement SET undone_at = app_now() WHERE id = p_settlement;
  RETURN 1;
END $$;

-- Gives the next payouts of a settlement that surely have not left back to their wallets. One that is
-- on its way, in doubt, or waits for M-PESA's word about an earlier attempt counts as gone. The
-- payouts are held before the wallets, as everywhere.
CREATE OR REPLACE FUNCTION correct_payouts(p_wrong bigint, p_limit integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  waiting bigint[];
  one bigint;
BEGIN
  SELECT array_agg(held.id) INTO waiting
    FROM (SELECT id FROM payout
           WHERE settlement_id = p_wrong AND (state = 3 OR (state = 2 AND held_for IN (1, 2, 4, 5)))
           ORDER BY id LIMIT p_limit FOR UPDATE) held;
  IF waiting IS NULL THEN RETURN 0; END IF;
  PERFORM FROM wallet w
    WHERE w.customer_id IN (SELECT customer_id FROM payout WHERE id = ANY (waiting))
    ORDER BY w.customer_id FOR UPDATE;
  FOREACH one IN ARRAY waiting LOOP
    PERFORM payout_release(one, 10::smallint, 'corrected', NULL);
  END LOOP;
  RETURN cardinality(waiting);
END $$;

-- Takes the next dividends back, in bet order, in one statement, and promises each customer a text
-- that waits for the new settlement. Answers how many there were, the last bet, and the cents.
CREATE OR REPLACE FUNCTION correct_bets(
  p_wrong bigint, p_new bigint, p_after bigint, p_limit integer, p_pool bigint,
  OUT did bigint, OUT upto bigint, OUT taken bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  event uuid;
  bets bigint[];
  people bigint[];
  moment timestamptz := app_now();
BEGIN
  SELECT key INTO STRICT event FROM settlement WHERE id = p_wrong;
  SELECT array_agg(d.bet_id), array_agg(d.customer_id) INTO bets, people
    FROM (SELECT bet_id, customer_id FROM dividend
           WHERE settlement_id = p_wrong AND bet_id > p_after ORDER BY bet_id LIMIT p_limit) d;
  did := coalesce(cardinality(bets), 0);
  IF did = 0 THEN RETURN; END IF;
  PERFORM FROM wallet w WHERE w.customer_id = ANY (people) ORDER BY w.customer_id FOR UPDATE;
  -- Who cannot give all of it back is going to owe: the accounts for that, before they are needed.
  PERFORM ledger_account(30::smallint, w.customer_id, NULL, NULL)
     FROM wallet w JOIN dividend d ON d.customer_id = w.customer_id
    WHERE d.settlement_id = p_wrong AND d.bet_id = ANY (bets)
    GROUP BY w.account_id HAVING sum(d.amount) > w.balance ORDER BY w.account_id;

  WITH lines AS MATERIALIZED (
    SELECT d.bet_id, d.customer_id, d.amount, w.account_id, w.seq, w.balance,
           least(w.balance, sum(d.amount) OVER chain) AS gone,
           least(w.balance, sum(d.amount) OVER chain - d.amount) AS gone_before,
           row_number() OVER chain AS place
      FROM dividend d JOIN wallet w ON w.customer_id = d.customer_id
     WHERE d.settlement_id = p_wrong AND d.bet_id = ANY (bets)
    WINDOW chain AS (PARTITION BY d.customer_id ORDER BY d.bet_id)
  ), moves AS (
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, debit_balance_after,
                          debit_seq, event_id, ref, event_at)
    SELECT ledger_row_key(31, bet_id, p_wrong), 12, account_id, p_pool, gone - gone_before,
           balance - gone, seq + place, event, bet_id, moment
      FROM lines WHERE gone > gone_before ORDER BY bet_id
  ), debts AS (
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, event_id, ref, event_at)
    SELECT ledger_row_key(32, l.bet_id, p_wrong), 14, a.id, p_pool,
           l.amount - (l.gone - l.gone_before), event, l.bet_id, moment
      FROM lines l JOIN account a ON a.kind = 30 AND a.customer_id = l.customer_id
     WHERE l.amount > l.gone - l.gone_before ORDER BY l.bet_id
  ), purses AS (
    UPDATE wallet w SET balance = w.balance - s.back, owed = w.owed + s.amount - s.back,
                        seq = w.seq + s.moved
      FROM (SELECT account_id, sum(amount) AS amount, sum(gone - gone_before) AS back,
                   count(*) FILTER (WHERE gone > gone_before) AS moved
              FROM lines GROUP BY account_id) s
     WHERE w.account_id = s.account_id
  ), texts AS (
    INSERT INTO promise (kind, key, payload, customer_id, settlement_id, due_at, state, created_at)
    SELECT DISTINCT ON (customer_id) 'result', ledger_row_key(34, customer_id, p_new),
           jsonb_build_object('settlement', p_new, 'corrects', p_wrong), customer_id, p_new, moment,
           6, moment
      FROM lines ORDER BY customer_id
    ON CONFLICT (key) DO NOTHING
  )
  SELECT max(l.bet_id), sum(l.amount)::bigint INTO upto, taken FROM lines l;
END $$;
