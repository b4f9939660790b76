-- What M-PESA charges for a payout, by dated bands, and the books as they stood at a moment.

-- Books the charge for a payout that has arrived: M-PESA takes it from the account it left by. The
-- band is the lowest that reaches the amount, of the newest tariff of that moment; none, no charge.
CREATE OR REPLACE FUNCTION payout_charge(
  p_key uuid, p_payout bigint, p_through bigint, p_amount bigint, p_event uuid,
  p_event_at timestamptz
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  cents bigint := (
    SELECT charge FROM tariff
     WHERE from_at = (SELECT max(from_at) FROM tariff WHERE from_at <= p_event_at)
       AND upto >= p_amount ORDER BY upto LIMIT 1);
BEGIN
  IF coalesce(cents, 0) > 0 THEN
    PERFORM ledger_move(ledger_key(p_key, 'charge'), 16::smallint,
                        ledger_account(31::smallint, NULL, NULL, NULL), p_through, cents, p_event,
                        p_payout, p_event_at);
  END IF;
  RETURN coalesce(cents, 0);
END $$;

-- Debits and credits by kind of account and shortcode, of everything booked before a moment.
CREATE OR REPLACE FUNCTION trial_balance(p_before timestamptz)
RETURNS TABLE (kind smallint, shortcode text, debits numeric, credits numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT a.kind, coalesce(a.shortcode, ''), sum(s.debit), sum(s.credit)
    FROM (SELECT debit_account AS account, amount AS debit, 0::bigint AS credit
            FROM transfer WHERE created_at < p_before
          UNION ALL
          SELECT credit_account, 0, amount FROM transfer WHERE created_at < p_before) s
    JOIN account a ON a.id = s.account
   GROUP BY 1, 2 ORDER BY 1, 2
$$;
