"""late truths: payments ruled never made that M-PESA proves, refunds that M-PESA paid too late."""

from alembic import op

revision = "0025"
down_revision = "0024"

UP = (
    "DROP FUNCTION IF EXISTS receipt_reverse(text, text, smallint, timestamptz)",
    """
    ALTER TABLE mpesa_receipt
      ADD unmade_at timestamptz,
      ADD restored_id bigint CONSTRAINT uq_mpesa_receipt_restored_id UNIQUE,
      ADD CONSTRAINT ck_mpesa_receipt_restored
        CHECK (restored_id IS NULL OR unmade_at IS NOT NULL)""",
    # What two people have ruled so far is in their proposals.
    """
    UPDATE mpesa_receipt r SET unmade_at = r.reversed_at
      FROM proposal p
     WHERE p.subject = 'receipt:' || r.receipt AND p.act = 'receipt' AND p.state = 2
       AND p.content ->> 'act' = 'never' AND r.reversed_by = 8""",
    # An incident is of a payout, or of a refund.
    """
    ALTER TABLE payout_incident
      ALTER payout_id DROP NOT NULL,
      ADD refund_id bigint CONSTRAINT fk_payout_incident_refund_id_refund REFERENCES refund,
      ADD customer_id bigint,
      ADD key uuid CONSTRAINT uq_payout_incident_key UNIQUE,
      DROP CONSTRAINT ck_payout_incident_kind,
      ADD CONSTRAINT ck_payout_incident_kind CHECK (kind BETWEEN 1 AND 3),
      ADD CONSTRAINT ck_payout_incident_subject
        CHECK ((kind = 3) = (refund_id IS NOT NULL)
               AND (kind = 3) = (payout_id IS NULL))""",
    """
    UPDATE payout_incident i
       SET customer_id = p.customer_id, key = md5(p.key::text || ':incident:' || i.receipt)::uuid
      FROM payout p WHERE p.id = i.payout_id""",
    "ALTER TABLE payout_incident ALTER key SET NOT NULL",
    "CREATE INDEX ix_payout_incident_refund_id ON payout_incident (refund_id)",
)
DOWN = (
    # It takes one argument more; the older one is installed by whoever runs the older house.
    "DROP FUNCTION IF EXISTS receipt_reverse(text, text, smallint, timestamptz, boolean)",
    "DROP FUNCTION IF EXISTS receipt_restore(text, smallint)",
    "DROP FUNCTION IF EXISTS incident_thaw(payout_incident)",
    "DROP FUNCTION IF EXISTS incident_booked(payout_incident, uuid, boolean)",
    "DELETE FROM payout_incident WHERE kind = 3",
    """
    ALTER TABLE payout_incident
      DROP CONSTRAINT ck_payout_incident_subject,
      DROP CONSTRAINT ck_payout_incident_kind,
      ADD CONSTRAINT ck_payout_incident_kind CHECK (kind BETWEEN 1 AND 2),
      DROP refund_id,
      DROP customer_id,
      DROP key,
      ALTER payout_id SET NOT NULL""",
    """
    ALTER TABLE mpesa_receipt
      DROP CONSTRAINT ck_mpesa_receipt_restored,
      DROP unmade_at,
      DROP restored_id""",
)


def upgrade() -> None:
    """Whatever was ruled so before is known by its proposal."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """The ledger keeps what was restored; the older house's proof will not know it."""
    for statement in DOWN:
        op.execute(statement)
