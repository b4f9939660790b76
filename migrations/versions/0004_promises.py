"""promises: what is owed to the outside, what came back from it, and when the clock last struck."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NOW = sa.text("app_now()")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Outbox, inbox, clock."""
    _promise()
    _callback()
    op.create_table(
        "tick",
        sa.Column("name", sa.Text),
        sa.Column("slot", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_tick"),
    )


def downgrade() -> None:
    """No promises."""
    for table in ("tick", "callback", "promise_release", "promise"):
        op.drop_table(table)


def _promise() -> None:
    op.create_table(
        "promise",
        sa.Column("id", sa.BigInteger, sa.Identity()),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Uuid, nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("customer_id", sa.BigInteger),
        sa.Column("settlement_id", sa.BigInteger),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("state", sa.SmallInteger, server_default="1", nullable=False),
        sa.Column("attempts", sa.SmallInteger, server_default="0", nullable=False),
        sa.Column("claimed_at", MOMENT),
        sa.Column("receipt", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("trace", sa.Text),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("done_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_promise"),
        sa.UniqueConstraint("key", name="uq_promise_key"),
        sa.CheckConstraint("state BETWEEN 1 AND 7", name="ck_promise_state"),
        sa.CheckConstraint("state <> 2 OR claimed_at IS NOT NULL", name="ck_promise_claimed"),
        # Rows are rewritten in place twice, then left alone: leave them room on their page.
        postgresql_with={"fillfactor": "80"},
    )
    for name, columns, state in (
        ("ix_promise_due", ["due_at", "id"], 1),
        ("ix_promise_claimed", ["claimed_at"], 2),
        ("ix_promise_held", ["settlement_id", "id"], 6),
    ):
        op.create_index(name, "promise", columns, postgresql_where=sa.text(f"state = {state}"))
    op.create_table(
        "promise_release",
        sa.Column("settlement_id", sa.BigInteger, autoincrement=False),
        sa.Column("released_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("settlement_id", name="pk_promise_release"),
    )


def _callback() -> None:
    op.create_table(
        "callback",
        sa.Column("id", sa.BigInteger, sa.Identity()),
        sa.Column("door", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.SmallInteger, server_default="1", nullable=False),
        sa.Column("attempts", sa.SmallInteger, server_default="0", nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("verdict", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("trace", sa.Text),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_callback"),
        sa.CheckConstraint("state BETWEEN 1 AND 3", name="ck_callback_state"),
    )
    op.create_index(
        "ix_callback_due", "callback", ["due_at", "id"], postgresql_where=sa.text("state = 1")
    )
    op.create_index("ix_callback_received_at", "callback", ["received_at"])
