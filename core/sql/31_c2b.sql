-- Money that M-PESA brings, and takes back: crediting receipts, keeping what is nobody's, reversals.
-- A receipt's row says where its money is now (account_id). Intents are locked before it, wallets after.

-- Credits one receipt of M-PESA's to whom it is for, once, whoever brings it. The registry row, the
-- transfer and the intent change together or not at all. With p_attach, money that waits in suspense
-- under this receipt is handed over instead. Verdicts: 'credited' (to the wallet), 'refund_due' (the
-- customer may not play: it is owed back), 'duplicate' (this receipt was credited to this intent
-- before), 'conflict' (it was something else's: nothing is moved).
CREATE OR REPLACE FUNCTION credit_receipt(
  p_receipt text, p_shortcode text, p_amount bigint, p_source smallint, p_deposit bigint,
  p_event_at timestamptz, p_confirmed boolean, p_attach boolean DEFAULT false,
  OUT verdict text, OUT balance bigint, OUT tax bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  intent deposit;
  kept mpesa_receipt;
  given record;
  attached boolean := false;
  moment timestamptz := app_now();
BEGIN
  SELECT * INTO STRICT intent FROM deposit WHERE id = p_deposit FOR UPDATE;
  INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, customer_id, deposit_id,
                             event_at, created_at, confirmed_at, confirmed_by)
  VALUES (p_receipt, 1, p_shortcode, p_amount, p_source, intent.customer_id, p_deposit,
          p_event_at, moment, CASE WHEN p_confirmed THEN moment END,
          CASE WHEN p_confirmed THEN p_source END)
  ON CONFLICT (receipt) DO NOTHING;
  IF NOT FOUND THEN
    SELECT * INTO STRICT kept FROM mpesa_receipt WHERE receipt = p_receipt FOR UPDATE;
    attached := p_attach AND (kept.shortcode, kept.amount) = (p_shortcode, p_amount)
                AND receipt_in_suspense(p_receipt);
    IF NOT attached THEN
      verdict := CASE WHEN (kept.direction, kept.deposit_id, kept.shortcode, kept.amount)
                           IS NOT DISTINCT FROM (1::smallint, p_deposit, p_shortcode, p_amount)
                      THEN 'duplicate' ELSE 'conflict' END;
      RETURN;
    END IF;
  END IF;

  SELECT * INTO given
    FROM receipt_give(p_deposit, p_receipt, p_amount, p_event_at,
                      CASE WHEN attached THEN kept.account_id
                           ELSE ledger_account(10::smallint, NULL, NULL, p_shortcode) END,
                      CASE WHEN attached THEN 18 ELSE 1 END::smallint);
  UPDATE mpesa_receipt
     SET account_id = given.owed, customer_id = intent.customer_id, deposit_id = p_deposit,
         transfer_id = CASE WHEN attached THEN transfer_id ELSE given.moved END,
         attached_id = CASE WHEN attached THEN given.moved END
   WHERE receipt = p_receipt;
  verdict := CASE WHEN given.may_play THEN 'credited' ELSE 'refund_due' END;
  tax := given.levy;
  SELECT w.balance INTO balance FROM wallet w WHERE w.customer_id = intent.customer_id;
END $$;

-- Whether money that comes for the customer may be played with; what may not is owed back.
CREATE OR REPLACE FUNCTION customer_may_play(p_customer bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT c.standing = 2 AND c.kyc_verified_at IS NOT NULL
         AND (c.excluded_until IS NULL OR c.excluded_until <= app_now())
    FROM customer c WHERE c.id = p_customer
$$;

-- Moves a receipt's money to its customer, and ends its intent: the wallet, less excise, or what is
-- due back to somebody who may not play.
CREATE OR REPLACE FUNCTION receipt_give(
  p_deposit bigint, p_receipt text, p_amount bigint, p_event_at timestamptz, p_from bigint,
  p_kind smallint, OUT may_play boolean, OUT owed bigint, OUT moved bigint, OUT levy bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  intent deposit;
  foreseen boolean;
BEGIN
  SELECT * INTO STRICT intent FROM deposit WHERE id = p_deposit;
  -- The wallet first, as an exclusion does: this credit is before it, or sees it.
  PERFORM FROM wallet WHERE customer_id = intent.customer_id FOR UPDATE;
  may_play := customer_may_play(intent.customer_id);
  UPDATE deposit
     SET state = 9, credited_at = coalesce(credited_at, app_now()), code = '0', reason = NULL,
         ask_at = NULL
   WHERE id = p_deposit;
  -- A prompt that is still on its way was held against the customer's own limits when it was asked
  -- for. Whatever else comes is now: by hand, by a claimed code, more than was asked for, again, or
  -- when the prompt had been given up and its place in the limit with it.
  foreseen := p_amount <= intent.amount AND intent.created_at >= app_now() - interval '24 hours'
              AND (intent.state IN (1, 2, 3, 4, 7)
                   OR intent.state = 8 AND intent.sending_at IS NOT NULL);
  may_play := may_play AND (
    foreseen OR (SELECT b.kind IS NULL
                   FROM limit_broken(intent.customer_id, ARRAY[1]::smallint[], p_amount,
                                     app_now()) b));
  owed := CASE WHEN may_play THEN ledger_open_wallet(intent.customer_id)
               ELSE ledger_account(26::smallint, intent.customer_id, NULL, NULL) END;
  moved := ledger_move(
    ledger_key(intent.key, CASE p_kind WHEN 1 THEN 'receipt:' ELSE 'attach:' END || p_receipt),
    p_kind, p_from, owed, p_amount, intent.key, intent.id, p_event_at);
  -- Excise at the rate of the moment at which the money moved, down to the cent; what is owed back
  -- is not taxed.
  levy := CASE WHEN may_play THEN div(p_amount::numeric * levy_bp(1::smallint, p_event_at), 10000)
               ELSE 0 END;
  IF levy > 0 THEN
    PERFORM ledger_move(ledger_key(intent.key, 'excise:' || p_receipt), 9::smallint, owed,
                        ledger_account(23::smallint, NULL, NULL, NULL), levy, intent.key,
                        intent.id, p_event_at);
  END IF;
END $$;

-- Whether M-PESA says that it was sent back too late, and nobody has said yet what is true.
CREATE OR REPLACE FUNCTION receipt_in_incident(p_receipt text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM payout_incident i JOIN refund f ON f.id = i.refund_id
                  WHERE f.receipt = p_receipt AND i.state = 1)
$$;

-- Whether the receipt's money waits for an owner: nothing has been done with it, or is being done.
CREATE OR REPLACE FUNCTION receipt_in_suspense(p_receipt text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM mpesa_receipt r JOIN account a ON a.id = r.account_id AND a.kind = 25
                  WHERE r.receipt = p_receipt AND r.reversed_at IS NULL)
         AND NOT EXISTS (SELECT FROM refund f WHERE f.receipt = p_receipt AND f.state <> 7)
         AND NOT receipt_in_incident(p_receipt)
$$;

-- M-PESA agrees, on a second channel, with the notice a receipt was credited on. Verdicts:
-- 'confirmed', 'again', 'mismatch' (nothing is written), 'unknown' (no such receipt).
CREATE OR REPLACE FUNCTION confirm_receipt(
  p_receipt text, p_shortcode text, p_amount bigint, p_source smallint
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kept mpesa_receipt;
BEGIN
  SELECT * INTO kept FROM mpesa_receipt WHERE receipt = p_receipt AND direction = 1 FOR UPDATE;
  IF NOT FOUND THEN RETURN 'unknown'; END IF;
  IF (kept.shortcode, kept.amount) IS DISTINCT FROM (p_shortcode, p_amount) THEN
    RETURN 'mismatch';
  END IF;
  IF kept.confirmed_at IS NOT NULL OR kept.reversed_at IS NOT NULL THEN RETURN 'again'; END IF;
  UPDATE mpesa_receipt SET confirmed_at = app_now(), confirmed_by = p_source
   WHERE receipt = p_receipt;
  RETURN 'confirmed';
END $$;

-- What a channel knows of a registered receipt beside its money: who paid (a whole number is better
-- than a masked one) and what was typed as the account. Nothing that is known is forgotten.
CREATE OR REPLACE FUNCTION enrich_receipt(p_receipt text, p_payer text, p_bill_ref text)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  UPDATE mpesa_receipt
     SET payer = CASE WHEN payer IS NULL OR (payer LIKE '%*%' AND p_payer NOT LIKE '%*%')
                      THEN coalesce(p_payer, payer) ELSE payer END,
         bill_ref = coalesce(bill_ref, p_bill_ref)
   WHERE receipt = p_receipt AND direction = 1
     AND (payer IS NULL OR payer LIKE '%*%' OR bill_ref IS NULL)
$$;

-- Keeps money that came for nobody we know, once. Verdicts: 'suspense', 'duplicate' (it waits there
-- already), 'conflict' (the receipt is registered otherwise: nothing is moved).
CREATE OR REPLACE FUNCTION suspense_keep(
  p_receipt text, p_shortcode text, p_amount bigint, p_source smallint, p_event_at timestamptz,
  p_confirmed boolean
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kept mpesa_receipt;
  waits bigint := ledger_account(25::smallint, NULL, NULL, NULL);
  event uuid := md5('suspense:' || p_receipt)::uuid;
  moment timestamptz := app_now();
BEGIN
  INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, account_id, event_at,
                             created_at, confirmed_at, confirmed_by)
  VALUES (p_receipt, 1, p_shortcode, p_amount, p_source, waits, p_event_at, moment,
          CASE WHEN p_confirmed THEN moment END, CASE WHEN p_confirmed THEN p_source END)
  ON CONFLICT (receipt) DO NOTHING;
  IF NOT FOUND THEN
    SELECT * INTO STRICT kept FROM mpesa_receipt WHERE receipt = p_receipt;
    RETURN CASE WHEN (kept.direction, kept.account_id, kept.shortcode, kept.amount)
                     IS NOT DISTINCT FROM (1::smallint, waits, p_shortcode, p_amount)
                THEN 'duplicate' ELSE 'conflict' END;
  END IF;
  UPDATE mpesa_receipt
     SET transfer_id = ledger_move(event, 1::smallint,
                                   ledger_account(10::smallint, NULL, NULL, p_shortcode), waits,
                                   p_amount, event, NULL, p_event_at)
   WHERE receipt = p_receipt;
  RETURN 'suspense';
END $$;

-- M-PESA took a payment back, or it never was one: our books follow. From a wallet as far as that
-- reaches, with payouts that have surely not left; the rest is what the customer owes. With p_unmade
-- there was no such payment, say two people, whom M-PESA may prove wrong (receipt_restore). Verdicts:
-- 'reversed', 'again', 'unknown', 'outgoing' (a payment of ours), 'refund' (a refund of ours is
-- under way or paid: that has to be ended first, nothing is moved).
CREATE OR REPLACE FUNCTION receipt_reverse(
  p_receipt text, p_reversal text, p_source smallint, p_event_at timestamptz,
  p_unmade boolean DEFAULT false, OUT verdict text, OUT taken bigint, OUT owed bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  kept mpesa_receipt;
  held smallint;
  through bigint;
  levy bigint := 0;
  came bigint;
  event uuid;
BEGIN
  taken := 0;
  owed := 0;
  SELECT * INTO kept FROM mpesa_receipt WHERE receipt = p_receipt FOR UPDATE;
  verdict := CASE WHEN NOT FOUND THEN 'unknown' WHEN kept.direction <> 1 THEN 'outgoing'
                  WHEN kept.reversed_at IS NOT NULL THEN 'again'
                  WHEN EXISTS (SELECT FROM refund f WHERE f.receipt = p_receipt AND f.state <> 7)
                  THEN 'refund' ELSE 'reversed' END;
  IF verdict = 'again' AND NOT p_unmade AND kept.unmade_at IS NOT NULL AND kept.restored_id IS NULL THEN
    -- It was made, and M-PESA took it back itself: the money is out already, and comes no more.
    UPDATE mpesa_receipt SET unmade_at = NULL, reversed_by = p_source, reversal = p_reversal
     WHERE receipt = p_receipt;
  END IF;
  IF verdict <> 'reversed' THEN RETURN; END IF;
  SELECT kind INTO STRICT held FROM account WHERE id = kept.account_id;
  through := ledger_account(10::smallint, NULL, NULL, kept.shortcode);
  came := coalesce(kept.restored_id, kept.transfer_id);
  event := ledger_row_key(19, came, 0);
  IF held = 1 THEN
    SELECT coalesce(sum(t.amount), 0) INTO levy
      FROM deposit d
      JOIN transfer t
        ON t.key = CASE WHEN kept.restored_id IS NULL OR kept.attached_id > kept.restored_id
                        THEN ledger_key(d.key, 'excise:' || p_receipt)
                        ELSE ledger_key(ledger_row_key(23, kept.transfer_id, 0), 'excise') END
     WHERE d.id = kept.deposit_id;
    taken := wallet_gather(kept.customer_id, kept.amount - levy);
    owed := kept.amount - levy - taken;
  ELSE
    taken := kept.amount;
  END IF;
  IF taken > 0 THEN
    PERFORM ledger_move(event, 19::smallint, kept.account_id, through, taken, event,
                        came, p_event_at);
  END IF;
  IF owed > 0 THEN
    PERFORM ledger_move(ledger_row_key(19, came, 1), 19::smallint,
                        ledger_account(30::smallint, kept.customer_id, NULL, NULL), through, owed,
                        event, came, p_event_at);
    UPDATE wallet w SET owed = w.owed + receipt_reverse.owed WHERE w.customer_id = kept.customer_id;
  END IF;
  IF levy > 0 THEN  -- there was no deposit, so there is no tax on it
    PERFORM ledger_move(ledger_row_key(19, came, 2), 19::smallint,
                        ledger_account(23::smallint, NULL, NULL, NULL), through, levy, event,
                        came, p_event_at);
  END IF;
  UPDATE mpesa_receipt
     SET reversed_at = app_now(), reversed_by = p_source, reversal = p_reversal,
         unmade_at = CASE WHEN p_unmade THEN app_now() ELSE unmade_at END
   WHERE receipt = p_receipt;
END $$;

-- How much of p_wanted the wallet can give, payouts that have surely not left cancelled for it. The
-- payouts are held before the wallet, as everywhere; the wallet stays locked.
CREATE OR REPLACE FUNCTION wallet_gather(p_customer bigint, p_wanted bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  waiting bigint[];
  one bigint;
  there bigint;
BEGIN
  SELECT array_agg(held.id) INTO waiting
    FROM (SELECT id FROM payout
           WHERE customer_id = p_customer
             AND (state IN (1, 3) OR (state = 2 AND held_for <> 3))
           ORDER BY id FOR UPDATE) held;
  SELECT balance INTO STRICT there FROM wallet WHERE customer_id = p_customer FOR UPDATE;
  FOREACH one IN ARRAY coalesce(waiting, '{}') LOOP
    EXIT WHEN there >= p_wanted;
    PERFORM payout_release(one, 10::smallint, 'reversed', NULL);
    SELECT balance INTO STRICT there FROM wallet WHERE customer_id = p_customer;
  END LOOP;
  RETURN least(there, p_wanted);
END $$;
