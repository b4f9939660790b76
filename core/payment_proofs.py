"""What must hold of money that crosses to and from M-PESA: the queries of its part of the proof.

Each gives the rows that break its rule, and may use `sums` as core/verify.py has it.
"""

PENDING = """
    SELECT held.cents AS pending, owed.cents AS payouts
      FROM (SELECT coalesce(sum(s.total), 0) AS cents
              FROM account a JOIN sums s ON s.account = a.id WHERE a.kind = 20) held,
           (SELECT coalesce(sum(amount + tax), 0) AS cents FROM payout WHERE state < 8) owed
     WHERE held.cents <> owed.cents
"""

RECEIPTS = """
    SELECT r.receipt, r.amount, t.id AS transfer, t.kind, t.amount AS moved
      FROM mpesa_receipt r
      FULL JOIN (SELECT id, kind, amount,
                        CASE kind WHEN 1 THEN debit_account ELSE credit_account END AS through
                   FROM transfer WHERE kind IN (1, 7, 17, 22)) t ON t.id = r.transfer_id
      LEFT JOIN account a ON a.id = t.through
     WHERE r.receipt IS NULL OR t.id IS NULL OR r.amount <> t.amount
        OR (r.direction, t.kind) NOT IN ((1, 1), (2, 7), (2, 17), (2, 22))
        OR (a.kind, a.shortcode) IS DISTINCT FROM (10, r.shortcode)
"""

# An incident that was corrected is a payment beside that end, which taxes what had gone back whole.
PAYOUTS = """
    SELECT p.id AS payout, p.state,
           count(*) FILTER (WHERE t.key = ledger_row_key(6, p.id, 0)) AS reserved,
           count(*) FILTER (WHERE t.key = ledger_key(p.key, 'paid')) AS paid,
           count(*) FILTER (WHERE t.key = ledger_key(p.key, 'release')) AS released
      FROM payout p
      LEFT JOIN (SELECT payout_id, count(*) AS late, count(*) FILTER (WHERE tax > 0) AS taxed
                   FROM payout_incident WHERE state = 2 GROUP BY payout_id) i
        ON i.payout_id = p.id
      LEFT JOIN transfer t ON t.ref = p.id AND t.kind IN (6, 7, 8, 10, 22)
                          AND t.amount = CASE WHEN t.kind IN (7, 22) THEN p.amount
                                              WHEN t.kind = 10 THEN p.tax
                                              ELSE p.amount + p.tax END
     GROUP BY p.id, p.state, p.tax, i.late, i.taxed
    HAVING (count(*) FILTER (WHERE t.kind = 6 AND t.key = ledger_row_key(6, p.id, 0)),
            count(*) FILTER (WHERE t.kind = 7 AND t.key = ledger_key(p.key, 'paid')),
            count(*) FILTER (WHERE t.kind = 8 AND t.key = ledger_key(p.key, 'release')),
            count(*) FILTER (WHERE t.kind = 10 AND t.key = ledger_key(p.key, 'withholding')),
            count(*) FILTER (WHERE t.kind = 22), count(t.id))
           IS DISTINCT FROM
           (1::bigint, (p.state = 8)::int::bigint, (p.state > 8)::int::bigint,
            (p.state = 8 AND p.tax > 0)::int + coalesce(i.taxed, 0), coalesce(i.late, 0),
            1 + (p.state > 7)::int + (p.state = 8 AND p.tax > 0)::int
            + coalesce(i.taxed, 0) + coalesce(i.late, 0))
    UNION ALL
    SELECT t.ref, NULL, NULL, NULL, t.id
      FROM transfer t
      LEFT JOIN payout p ON p.id = t.ref
      LEFT JOIN payout_incident i
        ON i.key = t.event_id AND i.kind = 3 AND t.kind IN (20, 21, 22) AND t.ref IS NULL
     WHERE t.kind IN (6, 7, 8, 10, 20, 21, 22) AND p.id IS NULL AND i.id IS NULL
"""

# What is set aside for incidents is what the open ones say, to the cent and from the right people.
DISPUTED = """
    SELECT held.cents AS disputed, told.cents AS incidents
      FROM (SELECT coalesce(sum(s.total), 0) AS cents
              FROM account a JOIN sums s ON s.account = a.id WHERE a.kind = 27) held,
           (SELECT coalesce(sum(frozen + owed), 0) AS cents FROM payout_incident
             WHERE state = 1) told
     WHERE held.cents <> told.cents
    UNION ALL
    SELECT i.frozen + i.owed, coalesce(m.cents, 0)
      FROM payout_incident i
      LEFT JOIN (SELECT t.event_id, sum(t.amount) AS cents, min(a.customer_id) AS customer_id,
                        max(a.customer_id) AS other
                   FROM transfer t JOIN account a ON a.id = t.debit_account
                  WHERE t.kind = 20 GROUP BY t.event_id) m
        ON m.event_id = i.key
     WHERE (m.cents, m.customer_id, m.other)
           IS DISTINCT FROM (i.frozen + i.owed, i.customer_id, i.customer_id)
    UNION ALL
    SELECT i.amount, NULL
      FROM payout_incident i LEFT JOIN mpesa_receipt r ON r.receipt = i.receipt
     WHERE i.state = 2 AND (r.direction, r.amount) IS DISTINCT FROM (2::smallint, i.amount)
"""

UTILITY = """
    SELECT a.shortcode, coalesce(-s.total, 0) AS ledger, coalesce(rows.cents, 0) AS receipts
      FROM account a
      LEFT JOIN sums s ON s.account = a.id
      LEFT JOIN (SELECT shortcode,
                        sum(CASE WHEN direction = 2 THEN -amount
                                 WHEN reversed_at IS NULL THEN amount ELSE 0 END) AS cents
                   FROM mpesa_receipt GROUP BY shortcode) rows ON rows.shortcode = a.shortcode
      LEFT JOIN LATERAL (
        SELECT sum(CASE WHEN t.debit_account = a.id THEN t.amount ELSE -t.amount END) AS cents
          FROM transfer t JOIN treasury_entry e ON e.transfer_id = t.id
         WHERE a.id IN (t.debit_account, t.credit_account)) moved ON true
      LEFT JOIN LATERAL (
        SELECT sum(t.amount) AS cents
          FROM transfer t
          LEFT JOIN payout p ON p.id = t.ref
          LEFT JOIN refund f ON f.id = t.ref AND f.state = 6 AND t.key = ledger_key(f.key, 'charge')
          LEFT JOIN refund b ON b.id = t.ref
          LEFT JOIN payout_incident i
            ON i.key = t.event_id AND i.state = 2
           AND t.key = ledger_key(ledger_key(CASE i.kind WHEN 3 THEN b.key ELSE p.key END,
                                             'late:' || i.receipt), 'charge')
         WHERE t.kind = 16 AND t.credit_account = a.id
           AND (i.id IS NOT NULL OR f.id IS NOT NULL
                OR (p.state = 8 AND t.key = ledger_key(p.key, 'charge'))))
           charged ON true
     WHERE a.kind = 10
       AND coalesce(-s.total, 0) <> coalesce(rows.cents, 0) + coalesce(moved.cents, 0)
                                    - coalesce(charged.cents, 0)
"""

# What M-PESA's statement was found to agree with is still so: nobody has changed the registry.
STATED = """
    SELECT l.id AS line, l.receipt, l.amount, r.amount AS registered
      FROM statement_line l
      LEFT JOIN mpesa_receipt r ON r.receipt = l.receipt
     WHERE l.bucket = 1
       AND (r.receipt IS NULL OR r.shortcode <> l.shortcode OR r.amount <> abs(l.amount)
            OR r.direction <> CASE WHEN l.amount > 0 THEN 1 ELSE 2 END)
"""
