"""late truths: a payment ruled never made that M-PESA proves, and what follows from it."""

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
)
DOWN = (
    # It takes one argument more; the older one is installed by whoever runs the older house.
    "DROP FUNCTION IF EXISTS receipt_reverse(text, text, smallint, timestamptz, boolean)",
    "DROP FUNCTION IF EXISTS receipt_restore(text, smallint)",
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
