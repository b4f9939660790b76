"""phone moved: since when a staff phone is another one, for a new start of its owner waits then."""

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Phones that were changed before are dated by the approvals that changed them."""
    op.execute("ALTER TABLE staff ADD COLUMN phone_moved_at timestamptz")
    op.execute("""
        UPDATE staff SET phone_moved_at = moved.at FROM (
          SELECT (content->>'id')::bigint AS id, max(decided_at) AS at FROM proposal
           WHERE act = 'staff phone' AND state = 2 GROUP BY 1
        ) AS moved WHERE moved.id = staff.id
    """)


def downgrade() -> None:
    """A new start may follow another phone at once again."""
    op.execute("ALTER TABLE staff DROP COLUMN phone_moved_at")
