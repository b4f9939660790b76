"""ground: the stamp of the environment, the clock, and the effects of every channel."""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The first of its kind; `core/sql/00_clock.sql` holds the living one. Later migrations may use it
# as a default before those files are installed.
APP_NOW = """
CREATE FUNCTION app_now() RETURNS timestamptz
LANGUAGE plpgsql VOLATILE PARALLEL RESTRICTED SET search_path = public, pg_temp AS $$
BEGIN
    RETURN clock_timestamp() + (SELECT seconds FROM test_clock) * interval '1 second';
END $$
"""

GUARD_TEST_CLOCK = """
CREATE FUNCTION test_clock_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND EXISTS (
        SELECT FROM house_stamp WHERE environment IN ('demo', 'test')
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the clock may be set in demo and test only'
        USING ERRCODE = 'insufficient_privilege';
END $$
"""

GUARD_HOUSE_STAMP = """
CREATE FUNCTION house_stamp_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND EXISTS (
        SELECT FROM pg_class
        WHERE oid = 'house_stamp'::regclass AND pg_has_role(relowner, 'MEMBER')
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'only the owner of the database may stamp it'
        USING ERRCODE = 'insufficient_privilege';
END $$
"""


def upgrade() -> None:
    """Stamp the database with the environment it is made for, once and for all."""
    stamp = op.create_table(
        "house_stamp",
        sa.Column("id", sa.Boolean, server_default=sa.true()),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column(
            "stamped_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_house_stamp"),
        sa.CheckConstraint("id", name="ck_house_stamp_one"),
        sa.CheckConstraint(
            "environment IN ('demo', 'test', 'sandbox', 'production')",
            name="ck_house_stamp_environment",
        ),
    )
    op.bulk_insert(stamp, [{"environment": context.config.attributes["environment"]}])
    clock = op.create_table(
        "test_clock",
        sa.Column("id", sa.Boolean, server_default=sa.true()),
        sa.Column("seconds", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_test_clock"),
        sa.CheckConstraint("id", name="ck_test_clock_one"),
    )
    op.bulk_insert(clock, [{"seconds": 0}])
    op.execute(APP_NOW)
    op.execute(GUARD_TEST_CLOCK)
    op.execute(GUARD_HOUSE_STAMP)
    for table in ("test_clock", "house_stamp"):
        op.execute(
            f"CREATE TRIGGER {table}_guard BEFORE INSERT OR UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_guard()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_keep BEFORE TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_guard()"
        )
    op.create_table(
        "effect",
        sa.Column("key", sa.Uuid),
        sa.Column("channel", sa.SmallInteger, nullable=False),
        sa.Column("session", sa.Text, nullable=False),
        sa.Column("customer_id", sa.BigInteger),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("facts", JSONB, nullable=False),
        sa.Column("args", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_effect"),
    )


def downgrade() -> None:
    """Back to bare ground."""
    op.drop_table("effect")
    op.drop_table("test_clock")
    op.drop_table("house_stamp")
    op.execute("DROP FUNCTION test_clock_guard, house_stamp_guard, app_now")
