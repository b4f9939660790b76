-- The moment to reason with in SQL: the machine's clock, plus an offset that only demo and test may
-- set (a trigger of migration 0001 sees to it), so that a demonstration can reach tomorrow. Without
-- a SET clause it melts into the statement that calls it.
CREATE OR REPLACE FUNCTION app_now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL RESTRICTED AS $$
  SELECT clock_timestamp() + (SELECT seconds FROM public.test_clock) * interval '1 second'
$$;
