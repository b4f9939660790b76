"""staff doors: wrong tries at the door are counted by address, so that no stranger shuts it."""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """What was counted by name alone stays, and counts towards the higher ceiling."""
    op.execute("""
        CREATE TABLE staff_door (
          staff_id bigint CONSTRAINT fk_staff_door_staff_id_staff REFERENCES staff,
          network text,
          tried bigint NOT NULL DEFAULT 0,
          forgiven bigint NOT NULL DEFAULT 0,
          locked_until timestamptz,
          right_at timestamptz,
          CONSTRAINT pk_staff_door PRIMARY KEY (staff_id, network),
          CONSTRAINT ck_staff_door_tries CHECK (forgiven BETWEEN 0 AND tried)
        )
    """)


def downgrade() -> None:
    """Whoever was locked out from somewhere may try again."""
    op.execute("DROP TABLE staff_door")
