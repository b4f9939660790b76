"""settlements: acts, pauses, corrections and what customers owe after them."""

from alembic import op

revision = "0011"
down_revision = "0010"

UP: tuple[str, ...] = (
    # An outcome that takes no more bets; what was staked on it goes back.
    "ALTER TABLE outcome ADD withdrawn_at timestamptz",
    """
    ALTER TABLE settlement
      ADD withdraws smallint,
      ADD corrects bigint CONSTRAINT uq_settlement_corrects UNIQUE
        CONSTRAINT fk_settlement_corrects_settlement REFERENCES settlement,
      ADD reversed bigint NOT NULL DEFAULT 0,
      ADD undo_bet bigint NOT NULL DEFAULT 0,
      ADD undone_at timestamptz,
      DROP CONSTRAINT ck_settlement_state,
      ADD CONSTRAINT ck_settlement_state CHECK (state BETWEEN 1 AND 4),
      DROP CONSTRAINT ck_settlement_adds_up,
      ADD CONSTRAINT ck_settlement_adds_up CHECK (state <> 3 OR paid + refunded + fee = pool),
      ADD CONSTRAINT ck_settlement_reversed CHECK (reversed BETWEEN 0 AND pool)""",
    "CREATE INDEX ix_settlement_open ON settlement (due_at) WHERE state < 3",
)
DOWN: tuple[str, ...] = (
    "DROP INDEX ix_settlement_open",
    """
    ALTER TABLE settlement
      DROP CONSTRAINT ck_settlement_reversed,
      DROP CONSTRAINT ck_settlement_adds_up,
      ADD CONSTRAINT ck_settlement_adds_up CHECK (state < 3 OR paid + refunded + fee = pool),
      DROP CONSTRAINT ck_settlement_state,
      ADD CONSTRAINT ck_settlement_state CHECK (state BETWEEN 1 AND 3),
      DROP undone_at, DROP undo_bet, DROP reversed, DROP corrects, DROP withdraws""",
    "ALTER TABLE outcome DROP withdrawn_at",
)


def upgrade() -> None:
    """One statement after the other."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """In the order that the references allow."""
    for statement in DOWN:
        op.execute(statement)
