-- What customers owe the house: money that a corrected settlement could not take back any more.
-- wallet.owed says how much, and is what the customer's receivable account holds.

-- Takes of the wallet what the customer owes, at most p_most and never more than is there. The
-- transfer's key is p_key: the same key answers what it took before. Answers the cents.
CREATE OR REPLACE FUNCTION receivable_collect(
  p_key uuid, p_customer bigint, p_most bigint, p_moment timestamptz
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  purse wallet;
  taken bigint;
BEGIN
  SELECT * INTO purse FROM wallet w WHERE w.customer_id = p_customer FOR UPDATE;
  SELECT t.amount INTO taken FROM transfer t WHERE t.key = p_key;
  IF FOUND THEN RETURN taken; END IF;
  taken := least(purse.owed, purse.balance, p_most);
  IF taken IS NULL OR taken <= 0 THEN RETURN 0; END IF;
  UPDATE wallet w SET balance = w.balance - taken, owed = w.owed - taken, seq = w.seq + 1
   WHERE w.account_id = purse.account_id RETURNING * INTO purse;
  INSERT INTO transfer (key, kind, debit_account, credit_account, amount, debit_balance_after,
                        debit_seq, event_id, ref, event_at)
  VALUES (p_key, 13, purse.account_id, ledger_account(30::smallint, p_customer, NULL, NULL), taken,
          purse.balance, purse.seq, p_key, p_customer, p_moment);
  RETURN taken;
END $$;
