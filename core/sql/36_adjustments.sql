-- Adjustments that two people make to one customer: money given, and what is owed written off.

-- Posts what the approved proposal says, once. A credit comes out of adjustments and repays what is
-- owed first; a write-off takes from what is owed and touches no wallet. Verdicts: 'done', 'over' (less
-- is owed than was to be written off: nothing is moved).
CREATE OR REPLACE FUNCTION adjust_customer(
  p_proposal bigint, p_customer bigint, p_amount bigint, p_write_off boolean,
  OUT verdict text, OUT repaid bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  event uuid := ledger_row_key(11, p_proposal, 0);
  pocket bigint := ledger_account(32::smallint, NULL, NULL, NULL);
  purse bigint := ledger_open_wallet(p_customer);
  moment timestamptz := app_now();
BEGIN
  repaid := 0;
  verdict := 'done';
  PERFORM FROM wallet w WHERE w.account_id = purse FOR UPDATE;
  IF p_write_off THEN
    UPDATE wallet w SET owed = w.owed - p_amount
     WHERE w.account_id = purse AND w.owed >= p_amount;
    IF NOT FOUND THEN
      verdict := 'over';
      RETURN;
    END IF;
    PERFORM ledger_move(event, 11::smallint, pocket,
                        ledger_account(30::smallint, p_customer, NULL, NULL), p_amount, event,
                        p_proposal, moment);
    RETURN;
  END IF;
  PERFORM ledger_move(event, 11::smallint, pocket, purse, p_amount, event, p_proposal, moment);
  repaid := receivable_collect(ledger_key(event, 'collected'), p_customer, p_amount, moment);
END $$;
