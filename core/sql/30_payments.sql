-- Money that crosses to and from M-PESA: crediting receipts, reserving, paying and releasing payouts.
-- Each locks its intent first (deposit or payout), then the wallet, and acts at most once.

-- Sets money aside for a payout and promises it, once per key: wallet -> payouts pending, p_amount to
-- arrive and the withholding on it, in parts
-- of at most p_most that are as equal as whole shillings allow (so no part is too small to send).
-- With a settlement the promise is held until that is released. Answers the first part's id.
-- For callers that know that the wallet has it: HL002 if it has not, HL001 if the key was used for
-- something else. No advisory locks: a settlement reserves thousands in one transaction, and the
-- wallet's row serialises whoever shares a key.
CREATE OR REPLACE FUNCTION payout_reserve(
  p_key uuid, p_customer bigint, p_amount bigint, p_reason smallint, p_settlement bigint,
  p_most bigint DEFAULT 25000000, p_rate integer DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  purse wallet;
  known record;
  payee text;
  pending bigint := ledger_account(20::smallint, NULL, NULL, NULL);
  moment timestamptz := app_now();
  parts bigint := greatest(div(p_amount + p_most - 1, p_most), 1);
  shillings bigint := p_amount / 100;
  part_key uuid;
  part_amount bigint;
  part_tax bigint;
  arrived bigint := 0;
  rate integer := coalesce(p_rate, levy_bp(2::smallint, moment));
  part_id bigint;
  first_id bigint;
BEGIN
  SELECT * INTO STRICT purse FROM wallet WHERE customer_id = p_customer FOR UPDATE;
  SELECT min(id) AS id, sum(amount) AS amount, min(customer_id) AS customer_id,
         min(reason) AS reason, min(settlement_id) AS settlement_id
    INTO known FROM payout WHERE request = p_key;
  IF known.id IS NOT NULL THEN
    IF (known.amount, known.customer_id, known.reason, known.settlement_id)
       IS DISTINCT FROM (p_amount::numeric, p_customer, p_reason, p_settlement) THEN
      RAISE EXCEPTION 'payout key % was used for something else', p_key USING ERRCODE = 'HL001';
    END IF;
    RETURN known.id;
  END IF;
  IF purse.balance < levy_gross(p_amount, rate) THEN
    RAISE EXCEPTION 'wallet % has less than %', purse.account_id, levy_gross(p_amount, rate) USING ERRCODE = 'HL002';
  END IF;
  IF p_amount <> shillings * 100 THEN
    RAISE EXCEPTION 'M-PESA moves whole shillings, not % cents', p_amount USING ERRCODE = 'HL006';
  END IF;

  SELECT phone INTO STRICT payee FROM customer WHERE id = p_customer;
  FOR part IN 1..parts LOOP
    part_key := ledger_key(p_key, 'part:' || part);
    part_amount := (div(shillings * part, parts) - div(shillings * (part - 1), parts)) * 100;
    -- Of the running sum, so that the taxes of the parts add up to that of the whole.
    part_tax := levy_gross(arrived + part_amount, rate) - levy_gross(arrived, rate) - part_amount;
    arrived := arrived + part_amount;
    INSERT INTO payout (key, request, customer_id, phone, amount, tax, reason, settlement_id, state,
                        held_for, ocid, created_at)
    VALUES (part_key, p_key, p_customer, payee, part_amount, part_tax, p_reason, p_settlement,
            CASE WHEN p_settlement IS NULL THEN 3 ELSE 2 END,
            CASE WHEN p_settlement IS NOT NULL THEN 1 END, gen_random_uuid(), moment)
    RETURNING id INTO part_id;
    first_id := coalesce(first_id, part_id);
    UPDATE wallet SET balance = balance - part_amount - part_tax, seq = seq + 1
     WHERE account_id = purse.account_id RETURNING * INTO purse;
    INSERT INTO transfer (key, kind, debit_account, credit_account, amount, debit_balance_after,
                          debit_seq, event_id, ref, event_at)
    VALUES (ledger_row_key(6, part_id, 0), 6, purse.account_id, pending, part_amount + part_tax,
            purse.balance, purse.seq, p_key, part_id, moment);
    INSERT INTO promise (kind, key, payload, customer_id, settlement_id, due_at, state, created_at)
    VALUES ('b2c', ledger_row_key(24, part_id, 0), jsonb_build_object('payout_id', part_id),
            p_customer, p_settlement, moment, CASE WHEN p_settlement IS NULL THEN 1 ELSE 6 END,
            moment);
  END LOOP;
  RETURN first_id;
END $$;

-- A customer's own withdrawal: decides, reserves, and keeps the answer with the key, yes or no.
-- The wallet is locked first, so that what is checked is what is taken. `promises` are new ones, to
-- ring for. HL001 as above.
CREATE OR REPLACE FUNCTION withdraw(
  p_key uuid, p_customer bigint, p_amount bigint, p_least bigint, p_most bigint,
  p_reset_hold interval, p_channel smallint, p_session text, p_now timestamptz,
  OUT verdict text, OUT reason text, OUT facts jsonb, OUT again boolean, OUT promises bigint[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  asked jsonb := jsonb_build_object('customer', p_customer, 'amount', p_amount);
  kept effect;
  purse wallet;
  free bigint;
  rate integer := levy_bp(2::smallint, p_now);
  total bigint := levy_gross(p_amount, rate);
  person customer;
BEGIN
  SELECT * INTO STRICT purse FROM wallet w WHERE w.customer_id = p_customer FOR UPDATE;
  SELECT * INTO kept FROM effect e WHERE e.key = p_key;
  IF FOUND THEN
    IF kept.verb <> 'withdraw' OR kept.args IS DISTINCT FROM asked THEN
      RAISE EXCEPTION 'key % was used for something else', p_key USING ERRCODE = 'HL001';
    END IF;
    verdict := kept.verdict; reason := kept.reason; facts := kept.facts; again := true;
    RETURN;
  END IF;
  again := false;
  facts := '{}';

  SELECT * INTO STRICT person FROM customer WHERE id = p_customer;
  SELECT greatest(purse.balance - coalesce(sum(r.amount), 0), 0) INTO free
    FROM mpesa_receipt r
   WHERE r.customer_id = p_customer AND r.confirmed_at IS NULL AND r.reversed_at IS NULL
     AND r.account_id = purse.account_id;
  IF person.kyc_verified_at IS NULL THEN
    reason := 'customers.sign_up_first';
  ELSIF p_amount < p_least THEN
    reason := 'money.withdraw_low'; facts := jsonb_build_object('min', p_least);
  ELSIF p_amount % 100 <> 0 THEN
    reason := 'money.whole_shillings';
  ELSIF person.pin_reset_at + p_reset_hold > p_now THEN
    reason := 'money.withdraw_after_reset';
    facts := jsonb_build_object('until', person.pin_reset_at + p_reset_hold);
  ELSIF purse.owed > 0 AND EXISTS (SELECT FROM mpesa_receipt r
                                    WHERE r.customer_id = p_customer AND r.reversed_at IS NOT NULL)
  THEN
    reason := 'money.withdraw_reversed'; facts := jsonb_build_object('owed', purse.owed);
  ELSIF p_amount > purse.balance THEN
    reason := 'money.withdraw_short';
    facts := jsonb_build_object('amount', p_amount, 'balance', purse.balance);
  ELSIF total > purse.balance THEN
    reason := 'money.withdraw_short_levy';
    facts := jsonb_build_object('amount', p_amount, 'tax', total - p_amount,
                                'balance', purse.balance);
  ELSIF EXISTS (SELECT FROM settlement n
                  JOIN dividend d ON d.settlement_id = n.corrects AND d.customer_id = p_customer
                                 AND d.bet_id > n.undo_bet
                 WHERE n.state = 1 AND n.corrects IS NOT NULL AND n.undone_at IS NULL) THEN
    reason := 'money.withdraw_correcting';  -- it is about to be taken back
  ELSIF total > free THEN
    reason := 'money.withdraw_unconfirmed';
    facts := jsonb_build_object('free', free, 'waiting', purse.balance - free);
  END IF;

  verdict := CASE WHEN reason IS NULL THEN 'done' ELSE 'refused' END;
  IF reason IS NULL THEN
    PERFORM payout_reserve(p_key, p_customer, p_amount, 1::smallint, NULL, p_most, rate);
    SELECT jsonb_build_object('amount', p_amount, 'tax', total - p_amount,
                              'balance', purse.balance - total,
                              'payouts', jsonb_agg(p.id ORDER BY p.id)),
           array_agg(owed.id ORDER BY p.id)
      INTO facts, promises
      FROM payout p JOIN promise owed ON owed.key = ledger_row_key(24, p.id, 0)
     WHERE p.request = p_key;
  END IF;
  INSERT INTO effect (key, channel, session, customer_id, verb, verdict, reason, facts, args,
                      created_at)
  VALUES (p_key, p_channel, p_session, p_customer, 'withdraw', verdict, reason, facts, asked,
          p_now);
END $$;

-- A payout has arrived: its reserve leaves through M-PESA. Verdicts: 'paid', 'duplicate', 'mismatch'
-- (another amount), 'conflict' (the receipt belongs to something else), and where the reserve is not
-- there any more 'incident' or 'known', as payout_disputed has it.
CREATE OR REPLACE FUNCTION payout_paid(
  p_payout bigint, p_receipt text, p_shortcode text, p_amount bigint, p_source smallint,
  p_event_at timestamptz
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  owed payout;
  moved bigint;
  through bigint;
  moment timestamptz := app_now();
BEGIN
  SELECT * INTO STRICT owed FROM payout WHERE id = p_payout FOR UPDATE;
  IF owed.receipt = p_receipt THEN RETURN 'duplicate'; END IF;
  IF owed.amount <> p_amount THEN RETURN 'mismatch'; END IF;
  IF owed.state IN (8, 9, 10) THEN
    RETURN payout_disputed(p_payout, p_receipt, p_shortcode, p_amount, p_source, p_event_at);
  END IF;
  through := ledger_account(10::smallint, NULL, NULL, p_shortcode);
  INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, customer_id, payout_id,
                             account_id, event_at, created_at, confirmed_at, confirmed_by)
  VALUES (p_receipt, 2, p_shortcode, p_amount, p_source, owed.customer_id, p_payout,
          through, p_event_at, moment, moment, p_source)
  ON CONFLICT (receipt) DO NOTHING;
  IF NOT FOUND THEN RETURN 'conflict'; END IF;
  moved := ledger_move(ledger_key(owed.key, 'paid'), 7::smallint,
                       ledger_account(20::smallint, NULL, NULL, NULL), through,
                       p_amount, owed.request, p_payout, p_event_at);
  UPDATE mpesa_receipt SET transfer_id = moved WHERE receipt = p_receipt;
  PERFORM payout_charge(owed.key, p_payout, through, p_amount, owed.request, p_event_at);
  IF owed.tax > 0 THEN
    PERFORM ledger_move(ledger_key(owed.key, 'withholding'), 10::smallint,
                        ledger_account(20::smallint, NULL, NULL, NULL),
                        ledger_account(24::smallint, NULL, NULL, NULL), owed.tax, owed.request,
                        p_payout, p_event_at);
  END IF;
  UPDATE payout
     SET state = 8, receipt = p_receipt, shortcode = p_shortcode, code = '0', failure = NULL,
         held_for = NULL, ask_at = NULL, ended_at = moment
   WHERE id = p_payout;
  RETURN 'paid';
END $$;

-- A payout is proved not to have been paid: its reserve goes back to the wallet. p_state is FAILED
-- or CANCELLED. Verdicts: 'released', 'duplicate' (it was given back before), 'paid' (too late).
CREATE OR REPLACE FUNCTION payout_release(
  p_payout bigint, p_state smallint, p_code text, p_failure text
) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  owed payout;
  moment timestamptz := app_now();
BEGIN
  IF p_state NOT IN (9, 10) THEN
    RAISE EXCEPTION '% ends no payout', p_state USING ERRCODE = 'HL006';
  END IF;
  SELECT * INTO STRICT owed FROM payout WHERE id = p_payout FOR UPDATE;
  IF owed.state = 8 THEN RETURN 'paid'; END IF;
  IF owed.state IN (9, 10) THEN RETURN 'duplicate'; END IF;
  PERFORM ledger_move(ledger_key(owed.key, 'release'), 8::smallint,
                      ledger_account(20::smallint, NULL, NULL, NULL),
                      ledger_open_wallet(owed.customer_id), owed.amount + owed.tax, owed.request,
                      p_payout,
                      moment);
  PERFORM receivable_collect(ledger_key(owed.key, 'collected'), owed.customer_id,
                             owed.amount + owed.tax, moment);
  UPDATE payout
     SET state = p_state, code = p_code, failure = p_failure, held_for = NULL, ask_at = NULL,
         ended_at = moment
   WHERE id = p_payout;
  RETURN 'released';
END $$;
