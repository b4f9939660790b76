-- Payouts that M-PESA paid although they had been given back, or paid already: the customer has the
-- money twice, so as much of the wallet is set aside at once, and two people post what is true.

-- M-PESA says that a payout was paid whose money is not there any more. What it paid (and the tax on
-- it, where that went back too) goes from the wallet to the disputed account, and what the wallet
-- does not have is owed. Verdicts: 'incident', 'known' (this receipt was told before), 'conflict'
-- (the receipt is something else's: nothing is moved).
CREATE OR REPLACE FUNCTION payout_disputed(
  p_payout bigint, p_receipt text, p_shortcode text, p_amount bigint, p_source smallint,
  p_event_at timestamptz
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  owed payout;
  purse wallet;
  again boolean;
  total bigint;
  there bigint;
  incident_key uuid;
  aside bigint := ledger_account(27::smallint, NULL, NULL, NULL);
  moment timestamptz := app_now();
BEGIN
  SELECT * INTO STRICT owed FROM payout WHERE id = p_payout FOR UPDATE;
  IF EXISTS (SELECT FROM payout_incident i
              WHERE i.receipt = p_receipt AND i.payout_id = p_payout) THEN
    RETURN 'known';
  END IF;
  IF EXISTS (SELECT FROM mpesa_receipt r WHERE r.receipt = p_receipt)
     OR EXISTS (SELECT FROM payout_incident i WHERE i.receipt = p_receipt) THEN
    RETURN 'conflict';
  END IF;

  -- What went back to the wallet came with its tax, once. Any further payment is the amount alone.
  again := owed.state = 8 OR EXISTS (SELECT FROM payout_incident i
                                      WHERE i.payout_id = p_payout AND i.kind = 1 AND i.state < 3);
  total := p_amount + CASE WHEN again THEN 0 ELSE owed.tax END;
  PERFORM ledger_open_wallet(owed.customer_id);
  SELECT * INTO STRICT purse FROM wallet w WHERE w.customer_id = owed.customer_id FOR UPDATE;
  there := least(purse.balance, total);
  incident_key := ledger_key(owed.key, 'incident:' || p_receipt);
  INSERT INTO payout_incident (payout_id, kind, receipt, shortcode, amount, tax, frozen, owed,
                               source, state, event_at, created_at)
  VALUES (p_payout, CASE WHEN again THEN 2 ELSE 1 END, p_receipt, p_shortcode, p_amount,
          total - p_amount, there, total - there, p_source, 1, p_event_at, moment);
  IF there > 0 THEN
    PERFORM ledger_move(ledger_key(incident_key, 'frozen'), 20::smallint, purse.account_id, aside,
                        there, incident_key, p_payout, moment);
  END IF;
  IF total > there THEN
    UPDATE wallet w SET owed = w.owed + total - there WHERE w.account_id = purse.account_id;
    PERFORM ledger_move(ledger_key(incident_key, 'owed'), 20::smallint,
                        ledger_account(30::smallint, owed.customer_id, NULL, NULL), aside,
                        total - there, incident_key, p_payout, moment);
  END IF;
  RETURN 'incident';
END $$;

-- Two people have looked. Corrected: M-PESA did pay it, and the receipt, the tax and M-PESA's charge
-- are booked. Dismissed: it did not, and what was set aside goes back to the wallet, less what is
-- still owed of it. Verdicts: 'corrected', 'dismissed', 'over' (it had ended), 'conflict' (the
-- receipt has become something else's meanwhile: nothing is moved).
CREATE OR REPLACE FUNCTION payout_incident_end(p_incident bigint, p_corrected boolean) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  told payout_incident;
  owed payout;
  incident_key uuid;
  late_key uuid;
  through bigint;
  moved bigint;
  aside bigint := ledger_account(27::smallint, NULL, NULL, NULL);
  moment timestamptz := app_now();
BEGIN
  SELECT p.* INTO STRICT owed FROM payout p JOIN payout_incident i ON i.payout_id = p.id
   WHERE i.id = p_incident FOR UPDATE OF p;
  SELECT * INTO STRICT told FROM payout_incident WHERE id = p_incident FOR UPDATE;
  IF told.state <> 1 THEN RETURN 'over'; END IF;
  incident_key := ledger_key(owed.key, 'incident:' || told.receipt);

  IF NOT p_corrected THEN
    PERFORM ledger_move(ledger_key(incident_key, 'thawed'), 21::smallint, aside,
                        ledger_open_wallet(owed.customer_id), told.frozen + told.owed,
                        incident_key, owed.id, moment);
    PERFORM receivable_collect(ledger_key(incident_key, 'collected'), owed.customer_id, told.owed,
                               moment);
    UPDATE payout_incident SET state = 3, ended_at = moment WHERE id = p_incident;
    RETURN 'dismissed';
  END IF;

  late_key := ledger_key(owed.key, 'late:' || told.receipt);
  through := ledger_account(10::smallint, NULL, NULL, told.shortcode);
  INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, customer_id, payout_id,
                             account_id, event_at, created_at, confirmed_at, confirmed_by)
  VALUES (told.receipt, 2, told.shortcode, told.amount, told.source, owed.customer_id,
          CASE WHEN told.kind = 1 THEN owed.id END, through, told.event_at, moment, moment,
          told.source)
  ON CONFLICT (receipt) DO NOTHING;
  IF NOT FOUND THEN RETURN 'conflict'; END IF;
  moved := ledger_move(late_key, 22::smallint, aside, through, told.amount, incident_key, owed.id,
                       told.event_at);
  UPDATE mpesa_receipt SET transfer_id = moved WHERE receipt = told.receipt;
  PERFORM payout_charge(late_key, owed.id, through, told.amount, incident_key, told.event_at);
  IF told.tax > 0 THEN
    PERFORM ledger_move(ledger_key(owed.key, 'withholding'), 10::smallint, aside,
                        ledger_account(24::smallint, NULL, NULL, NULL), told.tax, incident_key,
                        owed.id, told.event_at);
  END IF;
  UPDATE payout_incident SET state = 2, ended_at = moment WHERE id = p_incident;
  RETURN 'corrected';
END $$;
