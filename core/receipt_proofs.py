"""What must hold of money that waits, was taken back, or was sent back: its part of the proof.

Each query gives the rows that break its rule, and may use `sums` as core/verify.py has it.
"""

# What lies in suspense, and what is due back to each customer, is what their receipts say; and what
# left suspense for an owner is one receipt each.
WAITING = """
    SELECT a.kind, a.customer_id AS customer, coalesce(s.total, 0) AS held,
           coalesce(told.cents, 0) AS receipts
      FROM account a
      LEFT JOIN sums s ON s.account = a.id
      LEFT JOIN (SELECT r.account_id, sum(r.amount) AS cents
                   FROM mpesa_receipt r
                   LEFT JOIN refund f ON f.receipt = r.receipt AND f.state = 6
                  WHERE r.direction = 1 AND r.reversed_at IS NULL AND f.id IS NULL
                  GROUP BY r.account_id) told ON told.account_id = a.id
     WHERE a.kind IN (25, 26) AND coalesce(s.total, 0) <> coalesce(told.cents, 0)
    UNION ALL
    SELECT NULL, r.customer_id, t.amount, r.amount
      FROM (SELECT * FROM mpesa_receipt WHERE attached_id IS NOT NULL) r
      FULL JOIN (SELECT t.id, t.amount, t.credit_account, a.kind AS held
                   FROM transfer t LEFT JOIN account a ON a.id = t.debit_account
                  WHERE t.kind = 18) t ON t.id = r.attached_id
     WHERE r.receipt IS NULL OR t.id IS NULL
        OR (t.amount, t.held) IS DISTINCT FROM (r.amount, 25)
        OR (t.credit_account IS DISTINCT FROM r.account_id AND r.restored_id IS NULL)
"""

# M-PESA takes back what it brought: a receipt whole, from its owner and nobody else. What was
# restored had been taken back before, and may be once more.
TAKEN_BACK = """
    SELECT r.receipt, r.amount, t.cents AS moved
      FROM (SELECT r.receipt, r.amount, r.shortcode, c.transfer_id, a.customer_id AS whose
              FROM mpesa_receipt r
             CROSS JOIN LATERAL
                   (SELECT r.transfer_id WHERE r.restored_id IS NOT NULL
                                            OR r.reversed_at IS NOT NULL
                    UNION ALL
                    SELECT r.restored_id WHERE r.restored_id IS NOT NULL
                                           AND r.reversed_at IS NOT NULL) c
              LEFT JOIN account a ON a.id = r.account_id) r
      FULL JOIN (SELECT t.ref, sum(t.amount) AS cents, min(d.customer_id) AS first,
                        max(d.customer_id) AS last, min(c.shortcode) AS shortcode,
                        bool_and(c.kind = 10) AS through
                   FROM transfer t
                   LEFT JOIN account d ON d.id = t.debit_account
                   LEFT JOIN account c ON c.id = t.credit_account
                  WHERE t.kind = 19 GROUP BY t.ref) t ON t.ref = r.transfer_id
     WHERE r.receipt IS NULL OR t.ref IS NULL OR t.cents <> r.amount
        OR t.through IS NOT TRUE OR t.shortcode IS DISTINCT FROM r.shortcode
        OR coalesce(t.first, r.whose) IS DISTINCT FROM r.whose
        OR coalesce(t.last, r.whose) IS DISTINCT FROM r.whose
"""

# A refund is paid once, whole, from where its receipt lies, under a receipt of its own.
REFUNDS = """
    SELECT coalesce(f.id, t.ref) AS refund, f.amount, t.amount AS moved
      FROM (SELECT f.id, f.key, f.amount, r.amount AS brought, r.account_id, p.transfer_id
              FROM refund f
              JOIN mpesa_receipt r ON r.receipt = f.receipt
              LEFT JOIN mpesa_receipt p ON p.receipt = f.paid_receipt
             WHERE f.state = 6) f
      FULL JOIN (SELECT id, key, ref, amount, debit_account FROM transfer WHERE kind = 17) t
        ON t.id = f.transfer_id
     WHERE f.id IS NULL OR t.id IS NULL OR t.ref <> f.id OR t.key <> ledger_key(f.key, 'paid')
        OR (t.amount, f.brought, t.debit_account)
           IS DISTINCT FROM (f.amount, f.amount, f.account_id)
"""

# What two people took back as never made came once more only where the books say so: whole, through
# M-PESA, to where the receipt's money is, or was until its owner was found.
RESTORED = """
    SELECT r.receipt, r.amount, t.amount AS moved
      FROM (SELECT * FROM mpesa_receipt WHERE restored_id IS NOT NULL) r
      FULL JOIN (SELECT t.id, t.amount, t.credit_account, a.kind AS through, a.shortcode
                   FROM transfer t LEFT JOIN account a ON a.id = t.debit_account
                  WHERE t.kind = 23) t ON t.id = r.restored_id
     WHERE r.receipt IS NULL OR t.id IS NULL
        OR (t.amount, t.through, t.shortcode) IS DISTINCT FROM (r.amount, 10, r.shortcode)
        OR (t.credit_account IS DISTINCT FROM r.account_id
            AND coalesce(r.attached_id, 0) < r.restored_id)
"""
