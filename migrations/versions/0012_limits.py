"""limits: what customers may deposit, stake and lose, and when they may not play."""

from alembic import op

revision = "0012"
down_revision = "0011"

UP = (
    """
    CREATE TABLE play_limit (
      customer_id bigint CONSTRAINT fk_play_limit_customer_id_customer REFERENCES customer,
      kind smallint,
      period smallint,
      amount bigint NOT NULL,
      set_at timestamptz NOT NULL,
      rise bigint,
      rise_lifts boolean NOT NULL DEFAULT false,
      rise_due_at timestamptz,
      CONSTRAINT pk_play_limit PRIMARY KEY (customer_id, kind, period),
      CONSTRAINT ck_play_limit_kind CHECK (kind BETWEEN 1 AND 3),
      CONSTRAINT ck_play_limit_period CHECK (period BETWEEN 1 AND 3),
      CONSTRAINT ck_play_limit_amount CHECK (amount >= 0),
      CONSTRAINT ck_play_limit_rise CHECK (rise > amount),
      CONSTRAINT ck_play_limit_waiting
        CHECK ((rise_due_at IS NULL) = (rise IS NULL AND NOT rise_lifts))
    )""",
    """
    CREATE TABLE play_change (
      id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_play_change PRIMARY KEY,
      key uuid NOT NULL CONSTRAINT uq_play_change_key UNIQUE,
      customer_id bigint NOT NULL
        CONSTRAINT fk_play_change_customer_id_customer REFERENCES customer,
      act text NOT NULL,
      kind smallint,
      period smallint,
      amount bigint,
      until timestamptz,
      staff_id bigint CONSTRAINT fk_play_change_staff_id_staff REFERENCES staff,
      created_at timestamptz NOT NULL
    )""",
    "CREATE INDEX ix_play_change_customer_id ON play_change (customer_id, id)",
    """
    CREATE TRIGGER play_change_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON play_change
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change()""",
    # Whoever wanted a break gets it, whoever asks otherwise.
    """
    CREATE FUNCTION exclusion_guard() RETURNS trigger
    LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
    BEGIN
      IF OLD.excluded_until > app_now()
         AND (NEW.excluded_until IS NULL OR NEW.excluded_until < OLD.excluded_until) THEN
        RAISE EXCEPTION 'an exclusion is not lifted early' USING ERRCODE = 'HL004';
      END IF;
      RETURN NEW;
    END $$""",
    """
    CREATE TRIGGER customer_exclusion_guard BEFORE UPDATE OF excluded_until ON customer
    FOR EACH ROW EXECUTE FUNCTION exclusion_guard()""",
)

DOWN = (
    "DROP TRIGGER customer_exclusion_guard ON customer",
    "DROP FUNCTION exclusion_guard",
    "DROP TABLE play_change",
    "DROP TABLE play_limit",
)


def upgrade() -> None:
    """One statement after the other."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """In the order that the references allow."""
    for statement in DOWN:
        op.execute(statement)
