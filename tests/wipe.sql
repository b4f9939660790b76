-- What the tests' databases have beside the house's schema: a way back to how a migration leaves it.
CREATE SCHEMA kept;

-- Every table that is not empty at the start, as it was.
DO $$
DECLARE
  name text;
  filled boolean;
BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO filled;
    IF filled THEN
      EXECUTE format('CREATE TABLE kept.%I AS TABLE public.%I', name, name);
    END IF;
  END LOOP;
END $$;

-- Changes whenever a table, column, constraint, trigger or function does.
CREATE FUNCTION kept.schema_mark() RETURNS text LANGUAGE sql AS $$
  SELECT md5(string_agg(mark, ',' ORDER BY mark)) FROM (
    SELECT concat('class', oid, ':', xmin) FROM pg_class
     WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat('column', a.attrelid, '.', a.attnum, ':', a.xmin)
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat('constraint', oid, ':', xmin) FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat('trigger', oid, ':', xmin) FROM pg_trigger
    UNION ALL
    SELECT concat('function', oid, ':', xmin) FROM pg_proc
     WHERE pronamespace = 'public'::regnamespace
  ) marks (mark)
$$;

-- Rows, sequences and strangers' connections go; false where only a new database would do.
-- Those of the tests themselves stay where they are at rest.
CREATE FUNCTION kept.wipe(p_ours integer[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  name text;
  filled boolean;
BEGIN
  IF (SELECT mark FROM kept.schema_as_made) <> kept.schema_mark() THEN
    RETURN false;
  END IF;
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND NOT (pid = ANY (p_ours) AND state = 'idle');
  SET LOCAL lock_timeout = '2s';
  SET LOCAL session_replication_role = replica; -- no trigger guards a row, no reference its order
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO filled;
    IF filled THEN
      EXECUTE format('DELETE FROM public.%I', name);
    END IF;
  END LOOP;
  FOR name IN
    SELECT tablename FROM pg_tables WHERE schemaname = 'kept' AND tablename <> 'schema_as_made'
  LOOP
    EXECUTE format('INSERT INTO public.%I OVERRIDING SYSTEM VALUE TABLE kept.%I', name, name);
  END LOOP;
  PERFORM setval(format('%I.%I', schemaname, sequencename), start_value, false)
    FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL;
  RETURN true;
END $$;

CREATE TABLE kept.schema_as_made AS SELECT kept.schema_mark() AS mark;
