"""api keys: keys by which programs act for staff, and the requests that were taken from them."""

from alembic import op

revision = "0022"
down_revision = "0021"

UP = (
    """
    CREATE TABLE api_key (
      id text NOT NULL CONSTRAINT pk_api_key PRIMARY KEY,
      staff_id bigint NOT NULL CONSTRAINT fk_api_key_staff_id REFERENCES staff,
      name text NOT NULL,
      secret text NOT NULL,
      created_at timestamptz NOT NULL,
      used_at timestamptz,
      revoked_at timestamptz
    )""",
    "CREATE INDEX ix_api_key_staff_id ON api_key (staff_id)",
    """
    CREATE TABLE api_nonce (
      key_id text NOT NULL CONSTRAINT fk_api_nonce_key_id REFERENCES api_key,
      nonce text NOT NULL,
      signed_at timestamptz NOT NULL,
      CONSTRAINT pk_api_nonce PRIMARY KEY (key_id, nonce)
    )""",
    "CREATE INDEX ix_api_nonce_signed_at ON api_nonce (signed_at)",
)

DOWN = ("DROP TABLE api_nonce", "DROP TABLE api_key")


def upgrade() -> None:
    """One statement after the other."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """In the order that the references allow."""
    for statement in DOWN:
        op.execute(statement)
