-- Payouts and refunds that M-PESA paid although their money had gone back, or elsewhere, or was paid
-- already: somebody has the money twice, so as much of the wallet is set aside at once, and two people
-- post what is true.

-- Sets p_total aside from who has it twice: what the wallet has, and what it has not is owed. Nobody we
-- know has no wallet: then the house bears it.
CREATE OR REPLACE FUNCTION incident_set_aside(
  p_key uuid, p_customer bigint, p_total bigint, p_payout bigint, OUT frozen bigint, OUT owed bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  purse wallet;
  aside bigint := ledger_account(27::smallint, NULL, NULL, NULL);
  moment timestamptz := app_now();
BEGIN
  frozen := 0;
  IF p_customer IS NOT NULL THEN
    PERFORM ledger_open_wallet(p_customer);
    SELECT * INTO STRICT purse FROM wallet w WHERE w.customer_id = p_customer FOR UPDATE;
    frozen := least(purse.balance, p_total);
  END IF;
  owed := p_total - frozen;
  IF frozen > 0 THEN
    PERFORM ledger_move(ledger_key(p_key, 'frozen'), 20::smallint, purse.account_id, aside, frozen,
                        p_key, p_payout, moment);
  END IF;
  IF owed > 0 THEN
    UPDATE wallet w SET owed = w.owed + incident_set_aside.owed
     WHERE w.account_id = purse.account_id;
    PERFORM ledger_move(ledger_key(p_key, 'owed'), 20::smallint,
                        CASE WHEN p_customer IS NULL
                             THEN ledger_account(32::smallint, NULL, NULL, NULL)
                             ELSE ledger_account(30::smallint, p_customer, NULL, NULL) END,
                        aside, owed, p_key, p_payout, moment);
  END IF;
END $$;

-- It was not so: what was set aside goes back to the wallet, less what is still owed of it, or to the
-- house.
CREATE OR REPLACE FUNCTION incident_thaw(p_told payout_incident) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM ledger_move(ledger_key(p_told.key, 'thawed'), 21::smallint,
                      ledger_account(27::smallint, NULL, NULL, NULL),
                      CASE WHEN p_told.customer_id IS NULL
                           THEN ledger_account(32::smallint, NULL, NULL, NULL)
                           ELSE ledger_open_wallet(p_told.customer_id) END,
                      p_told.frozen + p_told.owed, p_told.key, p_told.payout_id, app_now());
  IF p_told.customer_id IS NOT NULL THEN
    PERFORM receivable_collect(ledger_key(p_told.key, 'collected'), p_told.customer_id, p_told.owed,
                               app_now());
  END IF;
END $$;

-- It was so: M-PESA's receipt is kept, and its money goes from the disputed account to the one that
-- M-PESA paid it from, with M-PESA's charge where it took one. False where the receipt has become
-- something else's meanwhile: nothing is moved.
CREATE OR REPLACE FUNCTION incident_booked(
  p_told payout_incident, p_key uuid, p_charged boolean
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  late_key uuid := ledger_key(p_key, 'late:' || p_told.receipt);
  through bigint := ledger_account(10::smallint, NULL, NULL, p_told.shortcode);
  moved bigint;
BEGIN
  INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, customer_id, payout_id,
                             account_id, event_at, created_at, confirmed_at, confirmed_by)
  VALUES (p_told.receipt, 2, p_told.shortcode, p_told.amount, p_told.source, p_told.customer_id,
          CASE WHEN p_told.kind = 1 THEN p_told.payout_id END, through, p_told.event_at, app_now(),
          app_now(), p_told.source)
  ON CONFLICT (receipt) DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  moved := ledger_move(late_key, 22::smallint, ledger_account(27::smallint, NULL, NULL, NULL),
                       through, p_told.amount, p_told.key, p_told.payout_id, p_told.event_at);
  UPDATE mpesa_receipt SET transfer_id = moved WHERE receipt = p_told.receipt;
  IF p_charged THEN
    PERFORM payout_charge(late_key, coalesce(p_told.payout_id, p_told.refund_id), through,
                          p_told.amount, p_told.key, p_told.event_at);
  END IF;
  RETURN true;
END $$;

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
  again boolean;
  total bigint;
  aside record;
  incident_key uuid;
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
  incident_key := ledger_key(owed.key, 'incident:' || p_receipt);
  SELECT * INTO aside FROM incident_set_aside(incident_key, owed.customer_id, total, p_payout);
  INSERT INTO payout_incident (key, payout_id, customer_id, kind, receipt, shortcode, amount, tax,
                               frozen, owed, source, state, event_at, created_at)
  VALUES (incident_key, p_payout, owed.customer_id, CASE WHEN again THEN 2 ELSE 1 END, p_receipt,
          p_shortcode, p_amount, total - p_amount, aside.frozen, aside.owed, p_source, 1,
          p_event_at, app_now());
  RETURN 'incident';
END $$;

-- M-PESA says that a refund was paid whose money is not there any more: somebody was given it when the
-- refund had failed, or it went back by another way. Whose it was has it twice. Verdicts as above.
CREATE OR REPLACE FUNCTION refund_disputed(
  p_refund bigint, p_receipt text, p_source smallint, p_event_at timestamptz
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  owed refund;
  kept mpesa_receipt;
  aside record;
  incident_key uuid;
BEGIN
  SELECT * INTO STRICT owed FROM refund WHERE id = p_refund FOR UPDATE;
  SELECT * INTO STRICT kept FROM mpesa_receipt WHERE receipt = owed.receipt FOR UPDATE;
  IF EXISTS (SELECT FROM payout_incident i
              WHERE i.receipt = p_receipt AND i.refund_id = p_refund) THEN
    RETURN 'known';
  END IF;
  IF EXISTS (SELECT FROM mpesa_receipt r WHERE r.receipt = p_receipt)
     OR EXISTS (SELECT FROM payout_incident i WHERE i.receipt = p_receipt) THEN
    RETURN 'conflict';
  END IF;
  incident_key := ledger_key(owed.key, 'incident:' || p_receipt);
  SELECT * INTO aside FROM incident_set_aside(incident_key, kept.customer_id, owed.amount, NULL);
  INSERT INTO payout_incident (key, refund_id, customer_id, kind, receipt, shortcode, amount, tax,
                               frozen, owed, source, state, event_at, created_at)
  VALUES (incident_key, p_refund, kept.customer_id, 3, p_receipt, owed.shortcode, owed.amount, 0,
          aside.frozen, aside.owed, p_source, 1, p_event_at, app_now());
  RETURN 'incident';
END $$;

-- Two people have looked at a refund's. Corrected: M-PESA did pay it. If its money is there after all
-- (the other refund has failed meanwhile) it was that refund, and nobody bears anything. Verdicts as
-- below, and 'refunding': another refund is under way, and has to be ended first.
CREATE OR REPLACE FUNCTION refund_incident_end(p_incident bigint, p_corrected boolean) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  told payout_incident;
  owed refund;
  verdict text;
  moment timestamptz := app_now();
BEGIN
  SELECT f.* INTO STRICT owed FROM refund f JOIN payout_incident i ON i.refund_id = f.id
   WHERE i.id = p_incident FOR UPDATE OF f;
  SELECT * INTO STRICT told FROM payout_incident WHERE id = p_incident FOR UPDATE;
  IF told.state <> 1 THEN RETURN 'over'; END IF;
  IF NOT p_corrected THEN
    PERFORM incident_thaw(told);
    UPDATE payout_incident SET state = 3, ended_at = moment WHERE id = p_incident;
    RETURN 'dismissed';
  END IF;
  PERFORM FROM mpesa_receipt WHERE receipt = owed.receipt FOR UPDATE;
  IF EXISTS (SELECT FROM refund f WHERE f.receipt = owed.receipt AND f.state < 6) THEN
    RETURN 'refunding';
  END IF;
  IF owed.state = 7 THEN
    verdict := refund_paid(owed.id, told.receipt, told.source, told.event_at);
    IF verdict = 'conflict' THEN RETURN verdict; END IF;
    IF verdict = 'paid' THEN
      PERFORM incident_thaw(told);
      UPDATE payout_incident SET state = 2, ended_at = moment WHERE id = p_incident;
      RETURN 'corrected';
    END IF;
  END IF;
  -- A reversal is free, a payment is not.
  IF NOT incident_booked(told, owed.key, owed.method = 2) THEN RETURN 'conflict'; END IF;
  UPDATE payout_incident SET state = 2, ended_at = moment WHERE id = p_incident;
  RETURN 'corrected';
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
  aside bigint := ledger_account(27::smallint, NULL, NULL, NULL);
  moment timestamptz := app_now();
BEGIN
  IF EXISTS (SELECT FROM payout_incident WHERE id = p_incident AND refund_id IS NOT NULL) THEN
    RETURN refund_incident_end(p_incident, p_corrected);
  END IF;
  SELECT p.* INTO STRICT owed FROM payout p JOIN payout_incident i ON i.payout_id = p.id
   WHERE i.id = p_incident FOR UPDATE OF p;
  SELECT * INTO STRICT told FROM payout_incident WHERE id = p_incident FOR UPDATE;
  IF told.state <> 1 THEN RETURN 'over'; END IF;

  IF NOT p_corrected THEN
    PERFORM incident_thaw(told);
    UPDATE payout_incident SET state = 3, ended_at = moment WHERE id = p_incident;
    RETURN 'dismissed';
  END IF;

  IF NOT incident_booked(told, owed.key, true) THEN RETURN 'conflict'; END IF;
  IF told.tax > 0 THEN
    PERFORM ledger_move(ledger_key(owed.key, 'withholding'), 10::smallint, aside,
                        ledger_account(24::smallint, NULL, NULL, NULL), told.tax, told.key,
                        owed.id, told.event_at);
  END IF;
  UPDATE payout_incident SET state = 2, ended_at = moment WHERE id = p_incident;
  RETURN 'corrected';
END $$;
