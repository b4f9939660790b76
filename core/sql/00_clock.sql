-- The moment to reason with in SQL: the machine's clock, plus an offset that only demo and test may
-- set (a trigger of migration 0001 sees to it), so that a demonstration can reach tomorrow.
CREATE OR REPLACE FUNCTION app_now() RETURNS timestamptz
LANGUAGE plpgsql VOLATILE PARALLEL RESTRICTED SET search_path = public, pg_temp AS $$
BEGIN
    RETURN clock_timestamp() + (SELECT seconds FROM test_clock) * interval '1 second';
END $$;
