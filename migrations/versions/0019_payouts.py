"""payouts: held for a second person, incidents of those paid twice, and steps that no one takes."""

from alembic import op

revision = "0019"
down_revision = "0018"

# What no program may do, whatever its fault: move a payout that has ended, cancel one that may have
# left, or send one again under an id that has been sent.
FORBIDDEN = """
  OLD.state <> NEW.state AND (
    OLD.state >= 8
    OR (OLD.state BETWEEN 4 AND 7 AND NEW.state = 10)
    OR ((OLD.state > 4 OR OLD.held_for = 3) AND NEW.state IN (3, 4) AND NEW.attempt = OLD.attempt)
  )
"""

UP = (
    "ALTER TABLE payout ADD COLUMN approved_at timestamptz",
    """
    CREATE TABLE payout_incident (
      id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_payout_incident PRIMARY KEY,
      payout_id bigint NOT NULL CONSTRAINT fk_payout_incident_payout_id_payout REFERENCES payout,
      kind smallint NOT NULL,
      receipt text NOT NULL CONSTRAINT uq_payout_incident_receipt UNIQUE,
      shortcode text NOT NULL,
      amount bigint NOT NULL,
      tax bigint NOT NULL,
      frozen bigint NOT NULL,
      owed bigint NOT NULL,
      source smallint NOT NULL,
      state smallint NOT NULL,
      event_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL,
      ended_at timestamptz,
      CONSTRAINT ck_payout_incident_kind CHECK (kind BETWEEN 1 AND 2),
      CONSTRAINT ck_payout_incident_state CHECK (state BETWEEN 1 AND 3),
      CONSTRAINT ck_payout_incident_ended CHECK ((state = 1) = (ended_at IS NULL)),
      CONSTRAINT ck_payout_incident_parts
        CHECK (amount > 0 AND tax >= 0 AND frozen >= 0 AND owed >= 0
               AND frozen + owed = amount + tax)
    )""",
    "CREATE INDEX ix_payout_incident_payout_id ON payout_incident (payout_id)",
    "CREATE INDEX ix_payout_incident_open ON payout_incident (id) WHERE state = 1",
    # A push whose answer was lost is looked for by the time of its sending.
    "CREATE INDEX ix_deposit_lost ON deposit (sending_at) WHERE checkout_request_id IS NULL",
    """
    CREATE FUNCTION payout_refuse_step() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'payout % does not go from state % to %', OLD.id, OLD.state, NEW.state
        USING ERRCODE = 'HL006';
    END $$""",
    f"""
    CREATE TRIGGER payout_steps BEFORE UPDATE ON payout FOR EACH ROW WHEN ({FORBIDDEN})
    EXECUTE FUNCTION payout_refuse_step()""",
)
DOWN = (
    "DROP TRIGGER payout_steps ON payout",
    "DROP FUNCTION payout_refuse_step()",
    "DROP INDEX ix_deposit_lost",
    "DROP TABLE payout_incident",
    "ALTER TABLE payout DROP COLUMN approved_at",
)


def upgrade() -> None:
    """One statement after the other."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """In the order that the references allow."""
    for statement in DOWN:
        op.execute(statement)
