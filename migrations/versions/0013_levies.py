"""levies: dated rates, and the tax on what is paid out."""

from alembic import op

revision = "0013"
down_revision = "0012"

UP = (
    # It takes one argument more; the new one is installed behind the migrations.
    "DROP FUNCTION IF EXISTS payout_reserve(uuid, bigint, bigint, smallint, bigint, bigint)",
    # It answers more than it did: the new one is installed behind the migrations.
    "DROP FUNCTION IF EXISTS credit_receipt(text, text, bigint, smallint, bigint, timestamptz,"
    " boolean)",
    """
    CREATE TABLE levy_rate (
      id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_levy_rate PRIMARY KEY,
      kind smallint NOT NULL,
      rate_bp integer NOT NULL,
      from_at timestamptz NOT NULL,
      proposal_id bigint NOT NULL CONSTRAINT fk_levy_rate_proposal_id_proposal REFERENCES proposal,
      CONSTRAINT uq_levy_rate_proposal_id_kind UNIQUE (proposal_id, kind),
      CONSTRAINT ck_levy_rate_kind CHECK (kind IN (1, 2)),
      CONSTRAINT ck_levy_rate_rate CHECK (rate_bp BETWEEN 0 AND 5000)
    )""",
    "CREATE INDEX ix_levy_rate_kind ON levy_rate (kind, from_at)",
    # What was due is not rewritten: a new rate is a new row.
    """
    CREATE TRIGGER levy_rate_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON levy_rate
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()""",
    "ALTER TABLE payout ADD tax bigint NOT NULL DEFAULT 0,"
    " ADD CONSTRAINT ck_payout_tax CHECK (tax >= 0)",
)

DOWN = ("ALTER TABLE payout DROP tax", "DROP TABLE levy_rate")


def upgrade() -> None:
    """One statement after the other."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """In the order that the references allow."""
    for statement in DOWN:
        op.execute(statement)
