-- Adjustments that two people make: money given to one customer, what one owes written off, and money
-- kept that cannot be sent back.

-- Whether a debt of the customer's may yet be undone: an incident that nobody has ended, or a payment
-- ruled never made less than thirty days ago, for so long M-PESA may still be heard to prove it.
CREATE OR REPLACE FUNCTION debt_is_open(p_customer bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM payout_incident i
                  WHERE i.customer_id = p_customer AND i.state = 1 AND i.owed > 0)
      OR EXISTS (SELECT FROM mpesa_receipt r
                  WHERE r.customer_id = p_customer AND r.unmade_at > app_now() - interval '30 days'
                    AND r.reversed_at IS NOT NULL AND r.restored_id IS NULL)
$$;

-- Posts what the approved proposal says, once. A credit comes out of adjustments and repays what is
-- owed first; a write-off takes from what is owed and touches no wallet. Verdicts: 'done', 'over' (less
-- is owed than was to be written off), 'open' (why it is owed may yet turn out untrue, which would give
-- it back a second time): only the first moves anything.
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
    IF debt_is_open(p_customer) THEN
      verdict := 'open';
      RETURN;
    END IF;
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

-- Keeps a payment that nobody can be sent: M-PESA moves whole shillings, and it has cents. From suspense,
-- or what is due back, to adjustments. Verdicts: 'kept', 'elsewhere' (it is not there to be kept).
CREATE OR REPLACE FUNCTION receipt_adjust(p_receipt text, p_proposal bigint) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kept mpesa_receipt;
  event uuid := md5('kept:' || p_receipt)::uuid;
  pocket bigint := ledger_account(32::smallint, NULL, NULL, NULL);
BEGIN
  SELECT * INTO STRICT kept FROM mpesa_receipt WHERE receipt = p_receipt FOR UPDATE;
  IF kept.amount % 100 = 0 OR kept.confirmed_at IS NULL OR kept.reversed_at IS NOT NULL
     OR receipt_in_incident(p_receipt)
     OR EXISTS (SELECT FROM refund f WHERE f.receipt = p_receipt AND f.state <> 7)
     OR NOT EXISTS (SELECT FROM account WHERE id = kept.account_id AND kind IN (25, 26)) THEN
    RETURN 'elsewhere';
  END IF;
  PERFORM ledger_move(event, 11::smallint, kept.account_id, pocket, kept.amount, event, p_proposal,
                      app_now());
  UPDATE mpesa_receipt SET account_id = pocket WHERE receipt = p_receipt;
  RETURN 'kept';
END $$;
