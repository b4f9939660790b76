"""settlements again: a correction that has taken nothing back gives way to another."""

from alembic import op

revision = "0016"
down_revision = "0015"

UP = (
    "ALTER TABLE settlement DROP CONSTRAINT uq_settlement_corrects",
    "CREATE UNIQUE INDEX uq_settlement_corrects ON settlement (corrects) WHERE state <> 4",
)
DOWN = (
    "DROP INDEX uq_settlement_corrects",
    "UPDATE settlement SET corrects = NULL WHERE state = 4",
    "ALTER TABLE settlement ADD CONSTRAINT uq_settlement_corrects UNIQUE (corrects)",
)


def upgrade() -> None:
    """One statement after the other."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """In the order that the references allow."""
    for statement in DOWN:
        op.execute(statement)
