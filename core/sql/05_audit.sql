-- Adds a line to the audit log: canonical JSON that holds at, by, action, channel, subject and facts,
-- chained to the line before by SHA-256. The head's row makes writers queue, so ids have no gaps;
-- call it last in a transaction, for they wait until it commits. Answers the line's id.
CREATE OR REPLACE FUNCTION audit_write(p_body text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  head record;
  said jsonb := p_body::jsonb;
  link text;
BEGIN
  SELECT lines, hash INTO STRICT head FROM audit_head FOR UPDATE;
  link := encode(sha256(convert_to(head.hash || p_body, 'UTF8')), 'hex');
  INSERT INTO audit_line (id, at, staff_id, action, channel, subject, body, prev, hash)
  VALUES (head.lines + 1, (said->>'at')::timestamptz, (said->>'by')::bigint, said->>'action',
          said->>'channel', said->>'subject', p_body, head.hash, link);
  UPDATE audit_head SET lines = head.lines + 1, hash = link;
  RETURN head.lines + 1;
END $$;
