"""shares: a settlement in places, keys of bets' transfers in bet order, what a wallet owes."""

from alembic import op

revision = "0009"
down_revision = "0008"

UP = (
    "DROP FUNCTION IF EXISTS settle_promise(bigint, smallint, bigint, bigint, bigint, bigint,"
    " interval, timestamptz)",
    # A place is one group of bets that shares one sum: an outcome's, or those made too late.
    "ALTER TABLE settlement_share ADD place smallint, ADD late boolean NOT NULL DEFAULT false,"
    " ADD refund boolean NOT NULL DEFAULT false",
    "UPDATE settlement_share p SET place = outcome, refund = s.refunding FROM settlement s"
    " WHERE s.id = p.settlement_id",
    "ALTER TABLE settlement_share DROP CONSTRAINT pk_settlement_share,"
    " ALTER outcome SET NOT NULL, ADD CONSTRAINT pk_settlement_share"
    " PRIMARY KEY (settlement_id, place)",
    "ALTER TABLE settlement RENAME cursor_outcome TO cursor_place",
    "ALTER TABLE settlement ADD effective_close timestamptz,"
    " ADD collected bigint NOT NULL DEFAULT 0, ADD paused_at timestamptz,"
    " ADD paused_by bigint CONSTRAINT fk_settlement_paused_by_staff REFERENCES staff",
    "ALTER TABLE wallet ADD owed bigint NOT NULL DEFAULT 0,"
    " ADD limited boolean NOT NULL DEFAULT false,"
    " ADD CONSTRAINT ck_wallet_owed CHECK (owed >= 0)",
    # Keys in bet order fall on the same pages of their index; random ones touch a page each.
    "ALTER TABLE transfer DISABLE TRIGGER transfer_append_only",
    "UPDATE transfer t SET key = (lpad(to_hex(t.ref), 16, '0')"
    " || lpad(to_hex(t.kind::integer), 4, '0')"
    " || lpad(to_hex(coalesce(s.id, 0)), 12, '0'))::uuid"
    " FROM bet b LEFT JOIN settlement s ON s.market_id = b.market_id"
    " WHERE b.id = t.ref AND (t.kind = 2 OR t.kind IN (3, 4) AND t.event_id = s.key)",
    "ALTER TABLE transfer ENABLE TRIGGER transfer_append_only",
    "DROP INDEX ix_transfer_event_id",
    "CREATE INDEX ix_transfer_event_id ON transfer (event_id) WHERE kind NOT IN (2, 3, 4)",
    # A bet's dividend is asked for with its settlement: the primary key finds it.
    "DROP INDEX ix_dividend_bet_id",
)

DOWN = (
    "CREATE INDEX ix_dividend_bet_id ON dividend (bet_id)",
    "DROP INDEX ix_transfer_event_id",
    "CREATE INDEX ix_transfer_event_id ON transfer (event_id)",
    "ALTER TABLE transfer DISABLE TRIGGER transfer_append_only",
    "UPDATE transfer t SET key = b.key FROM bet b WHERE b.id = t.ref AND t.kind = 2",
    "UPDATE transfer t SET key = md5(b.key::text || ':dividend:' || s.id)::uuid"
    " FROM bet b JOIN settlement s ON s.market_id = b.market_id"
    " WHERE b.id = t.ref AND t.kind IN (3, 4) AND t.event_id = s.key",
    "ALTER TABLE transfer ENABLE TRIGGER transfer_append_only",
    "ALTER TABLE wallet DROP owed, DROP limited",
    "ALTER TABLE settlement DROP effective_close, DROP collected, DROP paused_at, DROP paused_by",
    "ALTER TABLE settlement RENAME cursor_place TO cursor_outcome",
    "ALTER TABLE settlement_share DROP CONSTRAINT pk_settlement_share, DROP place, DROP late,"
    " DROP refund, ADD CONSTRAINT pk_settlement_share PRIMARY KEY (settlement_id, outcome)",
)


def upgrade() -> None:
    """Everything in place."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Late bets' shares have no place in the older form: only a simple house goes back."""
    for statement in DOWN:
        op.execute(statement)
