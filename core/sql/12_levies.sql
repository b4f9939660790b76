-- Levies: dated rates in basis points, and what they make of an amount. Kinds: 1 excise on deposits,
-- 2 withholding on withdrawals.

-- The rate of a levy at a moment; 0 where there is none.
CREATE OR REPLACE FUNCTION levy_bp(p_kind smallint, p_at timestamptz) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT coalesce((SELECT rate_bp FROM levy_rate
                    WHERE kind = p_kind AND from_at <= p_at
                    ORDER BY from_at DESC, id DESC LIMIT 1), 0)
$$;

-- What must leave the wallet so that p_net arrives, in cents; never a cent too little.
CREATE OR REPLACE FUNCTION levy_gross(p_net bigint, p_bp integer) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN CASE p_bp WHEN 0 THEN p_net ELSE ceil(p_net::numeric * 10000 / (10000 - p_bp))::bigint END;

-- The most whole shillings, in cents, that can arrive where p_gross may leave.
CREATE OR REPLACE FUNCTION levy_net(p_gross bigint, p_bp integer) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN CASE p_bp WHEN 0 THEN p_gross / 100 * 100
            ELSE div(p_gross::numeric * (10000 - p_bp), 1000000)::bigint * 100 END;
