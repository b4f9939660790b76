-- Money that goes back to who paid it. States of a refund: 1 queued, 2 sending, 3 accepted, 4 in doubt,
-- 5 needs a person, 6 paid, 7 failed. Only a failed one lets another begin (uq_refund_receipt).

-- The money has gone back: it leaves suspense, or what was due, through M-PESA. Verdicts: 'paid',
-- 'duplicate', 'conflict' (the receipt belongs to something else, or it was paid with another),
-- 'incident' (what it was to send back is not there any more, or another refund of it is under way):
-- only the first moves anything. A refund that had failed was paid after all: that is booked too.
CREATE OR REPLACE FUNCTION refund_paid(
  p_refund bigint, p_receipt text, p_source smallint, p_event_at timestamptz
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  owed refund;
  kept mpesa_receipt;
  through bigint;
  moved bigint;
  moment timestamptz := app_now();
BEGIN
  SELECT * INTO STRICT owed FROM refund WHERE id = p_refund FOR UPDATE;
  IF owed.state = 6 THEN
    -- A reversal undoes its payment once: the stand-in for its receipt and its own name are one.
    RETURN CASE WHEN owed.paid_receipt = p_receipt
                     OR owed.method = 1 AND owed.receipt || 'R' IN (owed.paid_receipt, p_receipt)
                THEN 'duplicate' ELSE 'conflict' END;
  END IF;
  SELECT * INTO STRICT kept FROM mpesa_receipt WHERE receipt = owed.receipt FOR UPDATE;
  IF kept.reversed_at IS NOT NULL
     OR NOT EXISTS (SELECT FROM account WHERE id = kept.account_id AND kind IN (25, 26))
     OR EXISTS (SELECT FROM refund f
                 WHERE f.receipt = owed.receipt AND f.id <> p_refund AND f.state <> 7) THEN
    RETURN 'incident';
  END IF;
  through := ledger_account(10::smallint, NULL, NULL, owed.shortcode);
  INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, customer_id, account_id,
                             event_at, created_at, confirmed_at, confirmed_by)
  VALUES (p_receipt, 2, owed.shortcode, owed.amount, p_source, kept.customer_id, through,
          p_event_at, moment, moment, p_source)
  ON CONFLICT (receipt) DO NOTHING;
  IF NOT FOUND THEN RETURN 'conflict'; END IF;
  moved := ledger_move(ledger_key(owed.key, 'paid'), 17::smallint, kept.account_id, through,
                       owed.amount, owed.key, p_refund, p_event_at);
  UPDATE mpesa_receipt SET transfer_id = moved WHERE receipt = p_receipt;
  IF owed.method = 2 THEN  -- a reversal is free, a payment is not
    PERFORM payout_charge(owed.key, p_refund, through, owed.amount, owed.key, p_event_at);
  END IF;
  UPDATE refund
     SET state = 6, paid_receipt = p_receipt, code = '0', ask_at = NULL, ended_at = moment
   WHERE id = p_refund;
  RETURN 'paid';
END $$;

-- Begins to send a receipt's money back, if it is there to be sent, surely came, and no other refund
-- of it is alive; null otherwise. The receipt's row is held, so that nobody gives it away meanwhile.
CREATE OR REPLACE FUNCTION refund_open(
  p_receipt text, p_method smallint, p_phone text, p_shortcode text, p_proposal bigint
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kept mpesa_receipt;
  opened bigint;
BEGIN
  SELECT * INTO kept FROM mpesa_receipt
   WHERE receipt = p_receipt AND direction = 1 AND reversed_at IS NULL
     AND confirmed_at IS NOT NULL
   FOR UPDATE;
  IF NOT FOUND OR receipt_in_incident(p_receipt)
     OR NOT EXISTS (SELECT FROM account WHERE id = kept.account_id AND kind IN (25, 26)) THEN
    RETURN NULL;
  END IF;
  INSERT INTO refund (key, receipt, method, amount, phone, shortcode, state, proposal_id, ocid,
                      created_at)
  VALUES (gen_random_uuid(), p_receipt, p_method, kept.amount, p_phone,
          coalesce(p_shortcode, kept.shortcode), 1, p_proposal, gen_random_uuid(), app_now())
  ON CONFLICT (receipt) WHERE state <> 7 DO NOTHING
  RETURNING id INTO opened;
  RETURN opened;
END $$;
