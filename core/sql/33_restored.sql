-- Late truths: M-PESA proves a payment that two people had ruled was never made.

-- Credits a receipt once more whose money was taken back as never made: that receipt is proved now.
-- To the wallet less excise, where it repays what was owed for it and no other debt; to what is due
-- back where the customer may not play and owes nothing of it (who owes has played with it, and it
-- cannot go back whole); to suspense if it was there. Verdicts: 'credited',
-- 'refund_due', 'suspense', 'again' (there is nothing to restore).
CREATE OR REPLACE FUNCTION receipt_restore(
  p_receipt text, p_source smallint,
  OUT verdict text, OUT balance bigint, OUT tax bigint, OUT repaid bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kept mpesa_receipt;
  goes_to account;
  due bigint;
  owing bigint;
  event uuid;
  moved bigint;
  moment timestamptz := app_now();
BEGIN
  tax := 0;
  repaid := 0;
  PERFORM FROM deposit d JOIN mpesa_receipt r ON r.deposit_id = d.id
    WHERE r.receipt = p_receipt FOR UPDATE OF d;
  SELECT * INTO STRICT kept FROM mpesa_receipt WHERE receipt = p_receipt FOR UPDATE;
  IF kept.reversed_at IS NULL OR kept.unmade_at IS NULL OR kept.restored_id IS NOT NULL THEN
    verdict := 'again';
    RETURN;
  END IF;
  SELECT coalesce(sum(t.amount), 0) INTO owing FROM transfer t
   WHERE t.key = ledger_row_key(19, kept.transfer_id, 1);
  SELECT * INTO STRICT goes_to FROM account WHERE id = kept.account_id;
  IF goes_to.kind = 1 THEN  -- the wallet first, as an exclusion does
    PERFORM FROM wallet w WHERE w.account_id = goes_to.id FOR UPDATE;
    IF NOT customer_may_play(kept.customer_id)
       AND (SELECT least(w.owed, owing) = 0 FROM wallet w WHERE w.account_id = goes_to.id) THEN
      due := ledger_account(26::smallint, kept.customer_id, NULL, NULL);
      SELECT * INTO STRICT goes_to FROM account WHERE id = due;
    END IF;
  END IF;
  event := ledger_row_key(23, kept.transfer_id, 0);
  moved := ledger_move(event, 23::smallint,
                       ledger_account(10::smallint, NULL, NULL, kept.shortcode), goes_to.id,
                       kept.amount, event, kept.deposit_id, moment);
  IF goes_to.kind = 1 THEN
    tax := div(kept.amount::numeric * levy_bp(1::smallint, kept.event_at), 10000);
    IF tax > 0 THEN
      PERFORM ledger_move(ledger_key(event, 'excise'), 9::smallint, goes_to.id,
                          ledger_account(23::smallint, NULL, NULL, NULL), tax, event,
                          kept.deposit_id, moment);
    END IF;
    repaid := receivable_collect(ledger_key(event, 'collected'), kept.customer_id,
                                 least(owing, kept.amount - tax), moment);
  END IF;
  UPDATE mpesa_receipt
     SET account_id = goes_to.id, restored_id = moved, reversed_at = NULL, reversed_by = NULL,
         reversal = NULL, confirmed_at = moment, confirmed_by = p_source
   WHERE receipt = p_receipt;
  verdict := CASE goes_to.kind WHEN 1 THEN 'credited' WHEN 26 THEN 'refund_due'
                               ELSE 'suspense' END;
  SELECT w.balance INTO balance FROM wallet w WHERE w.customer_id = kept.customer_id;
END $$;
