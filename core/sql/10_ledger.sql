-- The ledger: accounts, and the one movement of money that every verb is made of.
-- Only these functions write ledger rows; the application's role may execute them and no more.
-- Faults (our mistakes, never a customer's) are raised: HL001 key used twice for different things,
-- HL002 a wallet would fall below zero, HL003 settlement does not add up.

-- The key of one part of an event whose own key is p_key: the same parts give the same key.
CREATE OR REPLACE FUNCTION ledger_key(p_key uuid, p_part text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN md5(p_key::text || ':' || p_part)::uuid;

-- The key of the one transfer of that kind for a row: a bet's stake, its dividend in a settlement
-- (p_scope). In the order of the rows, so that the index grows at its end and stays in memory.
CREATE OR REPLACE FUNCTION ledger_row_key(p_kind integer, p_row bigint, p_scope bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (lpad(to_hex(p_row), 16, '0') || lpad(to_hex(p_kind), 4, '0')
        || lpad(to_hex(p_scope), 12, '0'))::uuid;

-- Two requests with one key wait for each other here, so the second finds the first one's answer.
CREATE OR REPLACE FUNCTION ledger_hold_key(p_key uuid) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
  SELECT pg_advisory_xact_lock(uuid_hash_extended(p_key, 0));
END;

-- The account of that kind and owner, opened when it is asked for the first time.
CREATE OR REPLACE FUNCTION ledger_account(
  p_kind smallint, p_customer bigint, p_market bigint, p_shortcode text
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  found_id bigint;
BEGIN
  -- No index knows IS NOT DISTINCT FROM: with it alone every account of the kind would be read.
  IF p_customer IS NOT NULL THEN
    SELECT id INTO found_id FROM account
     WHERE kind = p_kind AND customer_id = p_customer
       AND market_id IS NOT DISTINCT FROM p_market
       AND shortcode IS NOT DISTINCT FROM p_shortcode;
  ELSIF p_market IS NOT NULL THEN
    SELECT id INTO found_id FROM account
     WHERE kind = p_kind AND customer_id IS NULL AND market_id = p_market
       AND shortcode IS NOT DISTINCT FROM p_shortcode;
  ELSE
    SELECT id INTO found_id FROM account
     WHERE kind = p_kind AND customer_id IS NULL AND market_id IS NULL
       AND shortcode IS NOT DISTINCT FROM p_shortcode;
  END IF;
  IF found_id IS NULL THEN
    INSERT INTO account (kind, customer_id, market_id, shortcode)
    VALUES (p_kind, p_customer, p_market, p_shortcode)
    ON CONFLICT (kind, customer_id, market_id, shortcode) DO NOTHING
    RETURNING id INTO found_id;
  END IF;
  IF found_id IS NULL THEN  -- someone else opened it between the two statements
    SELECT id INTO STRICT found_id FROM account
     WHERE kind = p_kind
       AND customer_id IS NOT DISTINCT FROM p_customer
       AND market_id IS NOT DISTINCT FROM p_market
       AND shortcode IS NOT DISTINCT FROM p_shortcode;
  END IF;
  RETURN found_id;
END $$;

-- A customer's wallet, opened once; answers its account.
CREATE OR REPLACE FUNCTION ledger_open_wallet(p_customer bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  wallet_account bigint := ledger_account(1::smallint, p_customer, NULL, NULL);
BEGIN
  INSERT INTO wallet (account_id, customer_id) VALUES (wallet_account, p_customer)
  ON CONFLICT (account_id) DO NOTHING;
  RETURN wallet_account;
END $$;

-- Moves p_amount cents from the debited to the credited account, once per key; answers the
-- transfer. Wallets carry their balance, sequence and balance-after; house accounts carry none,
-- since one hot total row would make every bet wait for every other.
CREATE OR REPLACE FUNCTION ledger_move(
  p_key uuid, p_kind smallint, p_debit bigint, p_credit bigint, p_amount bigint,
  p_event uuid, p_ref bigint, p_event_at timestamptz
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  done transfer;
  moved bigint;
  debit_after bigint;
  debit_at bigint;
  credit_after bigint;
  credit_at bigint;
BEGIN
  PERFORM ledger_hold_key(p_key);
  SELECT * INTO done FROM transfer WHERE key = p_key;
  IF FOUND THEN
    IF (done.kind, done.debit_account, done.credit_account, done.amount, done.ref)
       IS DISTINCT FROM (p_kind, p_debit, p_credit, p_amount, p_ref) THEN
      RAISE EXCEPTION 'transfer key % was used for something else', p_key USING ERRCODE = 'HL001';
    END IF;
    RETURN done.id;
  END IF;

  -- Two wallets are locked in account order, so that no two moves wait in a circle.
  IF p_credit < p_debit THEN
    UPDATE wallet SET balance = balance + p_amount, seq = seq + 1 WHERE account_id = p_credit
    RETURNING balance, seq INTO credit_after, credit_at;
  END IF;
  UPDATE wallet SET balance = balance - p_amount, seq = seq + 1
   WHERE account_id = p_debit AND balance >= p_amount
  RETURNING balance, seq INTO debit_after, debit_at;
  IF NOT FOUND AND EXISTS (SELECT FROM wallet WHERE account_id = p_debit) THEN
    RAISE EXCEPTION 'wallet % has less than %', p_debit, p_amount USING ERRCODE = 'HL002';
  END IF;
  IF p_credit > p_debit THEN
    UPDATE wallet SET balance = balance + p_amount, seq = seq + 1 WHERE account_id = p_credit
    RETURNING balance, seq INTO credit_after, credit_at;
  END IF;

  INSERT INTO transfer (key, kind, debit_account, credit_account, amount, debit_balance_after,
                        debit_seq, credit_balance_after, credit_seq, event_id, ref, event_at)
  VALUES (p_key, p_kind, p_debit, p_credit, p_amount, debit_after,
          debit_at, credit_after, credit_at, p_event, p_ref, p_event_at)
  RETURNING id INTO moved;
  RETURN moved;
END $$;

-- Credits less debits of an account, in cents: the newest checkpoint and what came after it.
CREATE OR REPLACE FUNCTION ledger_sum(p_account bigint) RETURNS numeric
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  since xid8 := '0'::xid8;
  total numeric := 0;
BEGIN
  SELECT c.below, c.balance INTO since, total FROM checkpoint c
   WHERE c.account_id = p_account
     AND c.cluster = (SELECT system_identifier FROM pg_control_system());
  IF NOT FOUND THEN
    since := '0'::xid8;
    total := 0;
  END IF;
  RETURN total
    + coalesce((SELECT sum(amount) FROM transfer
                 WHERE credit_account = p_account AND xact_id >= since), 0)
    - coalesce((SELECT sum(amount) FROM transfer
                 WHERE debit_account = p_account AND xact_id >= since), 0);
END $$;

-- Folds what is surely finished into the account's checkpoint. Ids commit out of order, so the line
-- is drawn at the oldest transaction still running, never at the highest id seen. A checkpoint made
-- on another cluster is started anew: a restored dump counts its transactions from the beginning.
CREATE OR REPLACE FUNCTION ledger_checkpoint(p_account bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  here bigint := (SELECT system_identifier FROM pg_control_system());
  mark xid8 := pg_snapshot_xmin(pg_current_snapshot());
  since xid8 := '0'::xid8;
  total numeric := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(5, p_account::integer);
  SELECT below, balance INTO since, total FROM checkpoint
   WHERE account_id = p_account AND cluster = here;
  IF NOT FOUND THEN
    since := '0'::xid8;
    total := 0;
  END IF;
  total := total
    + coalesce((SELECT sum(amount) FROM transfer WHERE credit_account = p_account
                  AND xact_id >= since AND xact_id < mark), 0)
    - coalesce((SELECT sum(amount) FROM transfer WHERE debit_account = p_account
                  AND xact_id >= since AND xact_id < mark), 0);
  INSERT INTO checkpoint (account_id, below, balance, cluster, made_at)
  VALUES (p_account, greatest(mark, since), total, here, app_now())
  ON CONFLICT (account_id) DO UPDATE
    SET below = excluded.below, balance = excluded.balance, cluster = excluded.cluster,
        made_at = excluded.made_at;
END $$;
