"""treasury: the house's own moves of money, what M-PESA charges, and closed days."""

from alembic import op

revision = "0014"
down_revision = "0013"

UP = (
    """
    CREATE TABLE treasury_entry (
      id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_treasury_entry PRIMARY KEY,
      proposal_id bigint NOT NULL CONSTRAINT uq_treasury_entry_proposal_id UNIQUE
        CONSTRAINT fk_treasury_entry_proposal_id_proposal REFERENCES proposal,
      transfer_id bigint NOT NULL CONSTRAINT uq_treasury_entry_transfer_id UNIQUE,
      act text NOT NULL,
      amount bigint NOT NULL,
      value_date date NOT NULL,
      reference text NOT NULL,
      posted_at timestamptz NOT NULL,
      CONSTRAINT ck_treasury_entry_amount CHECK (amount > 0)
    )""",
    """
    CREATE TABLE tariff (
      from_at timestamptz,
      upto bigint,
      charge bigint NOT NULL,
      proposal_id bigint NOT NULL CONSTRAINT fk_tariff_proposal_id_proposal REFERENCES proposal,
      CONSTRAINT pk_tariff PRIMARY KEY (from_at, upto),
      CONSTRAINT ck_tariff_charge CHECK (upto > 0 AND charge >= 0)
    )""",
    """
    CREATE TABLE closed_day (
      day date CONSTRAINT pk_closed_day PRIMARY KEY,
      proposal_id bigint NOT NULL CONSTRAINT uq_closed_day_proposal_id UNIQUE
        CONSTRAINT fk_closed_day_proposal_id_proposal REFERENCES proposal,
      closed_at timestamptz NOT NULL
    )""",
    """
    CREATE TABLE day_balance (
      day date CONSTRAINT fk_day_balance_day_closed_day REFERENCES closed_day,
      kind smallint,
      shortcode text NOT NULL DEFAULT '',
      debits numeric NOT NULL,
      credits numeric NOT NULL,
      CONSTRAINT pk_day_balance PRIMARY KEY (day, kind, shortcode)
    )""",
    # The moment of the books is the house's, which a test can move, and its past is found at once.
    "ALTER TABLE transfer ALTER created_at SET DEFAULT app_now()",
    "CREATE INDEX ix_transfer_created_at ON transfer USING brin (created_at)",
    *(
        f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()"""
        for table in ("treasury_entry", "tariff", "closed_day", "day_balance")
    ),
)

DOWN = (
    "DROP INDEX ix_transfer_created_at",
    "ALTER TABLE transfer ALTER created_at SET DEFAULT clock_timestamp()",
    "DROP TABLE day_balance",
    "DROP TABLE closed_day",
    "DROP TABLE tariff",
    "DROP TABLE treasury_entry",
)


def upgrade() -> None:
    """One statement after the other."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """In the order that the references allow."""
    for statement in DOWN:
        op.execute(statement)
