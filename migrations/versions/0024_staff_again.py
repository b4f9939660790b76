"""staff again: wrong codes behind the door are counted apart, for anybody may try a name at it."""

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """A row comes with somebody's first try, or their next invitation."""
    op.execute("""
        CREATE TABLE staff_again (
          staff_id bigint CONSTRAINT pk_staff_again PRIMARY KEY
            CONSTRAINT fk_staff_again_staff_id_staff REFERENCES staff,
          tried bigint NOT NULL DEFAULT 0,
          forgiven bigint NOT NULL DEFAULT 0,
          locked_until timestamptz,
          CONSTRAINT ck_staff_again_tries CHECK (forgiven BETWEEN 0 AND tried)
        )
    """)


def downgrade() -> None:
    """Whoever was locked there may try again."""
    op.execute("DROP TABLE staff_again")
