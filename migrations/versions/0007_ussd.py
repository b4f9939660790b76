"""ussd: transcripts of hops, notices of ended sessions, and sessions while Redis is down."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        "ussd_hop",
        sa.Column("id", sa.BigInteger, sa.Identity()),
        sa.Column("stream_id", sa.Text),
        sa.Column("session", sa.Text, nullable=False),
        sa.Column("hop", sa.BigInteger, nullable=False),
        sa.Column("phone", sa.Text, nullable=False),
        sa.Column("customer_id", sa.BigInteger),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("network", sa.Text, nullable=False),
        sa.Column("screen", sa.Text, nullable=False),
        sa.Column("typed", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("more", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ussd_hop"),
        sa.UniqueConstraint("stream_id", name="uq_ussd_hop_stream_id"),
    )
    op.create_index("ix_ussd_hop_session", "ussd_hop", ["session", "hop"])
    op.create_index("ix_ussd_hop_customer_id", "ussd_hop", ["customer_id", "at"])
    op.create_index("ix_ussd_hop_at", "ussd_hop", ["at"])
    op.create_table(
        "ussd_end",
        sa.Column("session", sa.Text),
        sa.Column("phone", sa.Text, nullable=False),
        sa.Column("customer_id", sa.BigInteger),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("network", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("screen", sa.Text),
        sa.Column("typed", sa.Text, nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("hops", sa.BigInteger),
        sa.Column("milliseconds", sa.BigInteger),
        sa.Column("cost", sa.BigInteger),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("session", name="pk_ussd_end"),
    )
    op.create_index("ix_ussd_end_at", "ussd_end", ["at"])
    op.create_index("ix_ussd_end_phone", "ussd_end", ["phone", "at"])
    op.create_table(
        "ussd_session",
        sa.Column("session", sa.Text),
        sa.Column("phone", sa.Text, nullable=False),
        sa.Column("state", sa.Text),
        sa.Column("replies", JSONB, nullable=False, server_default="{}"),
        sa.Column("token", sa.Uuid),
        sa.Column("held_until", MOMENT),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("session", name="pk_ussd_session"),
        sa.CheckConstraint("(token IS NULL) = (held_until IS NULL)", name="ck_ussd_session_held"),
    )
    op.create_index("ix_ussd_session_phone", "ussd_session", ["phone", "at"])
    op.create_index("ix_ussd_session_at", "ussd_session", ["at"])


def downgrade() -> None:
    """Transcripts and notices are lost with their tables; so are calls of an outage."""
    for table in ("ussd_session", "ussd_end", "ussd_hop"):
        op.drop_table(table)
