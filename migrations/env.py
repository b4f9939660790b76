"""Runs migrations as the database's owner, then installs the money functions and the rights."""

import importlib
import pkgutil
from pathlib import Path

from alembic import context
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

import core
from core.base import Base
from core.config import Config

SQL = Path(core.__file__).parent / "sql"

# Money moves through functions only: the house may read these tables, and no more.
READ_ONLY = (
    "account",
    "wallet",
    "transfer",
    "checkpoint",
    "bet",
    "settlement",
    "settlement_share",
    "dividend",
    "mpesa_receipt",
    "payout_incident",
    "play_limit",
    "play_change",
    "audit_line",
    "audit_head",
    "alembic_version",
)


def run() -> None:
    """Whatever Alembic was asked for, in one transaction."""
    config: Config = context.config.attributes.get("config") or Config.from_env()
    context.config.attributes["environment"] = config.app_env
    if not _moving():
        _import_tables()
    engine = create_engine(config.migration_database_url or config.database_url, poolclass=NullPool)
    with engine.connect() as connection:
        # A migration that waits for a lock makes every bet behind it wait too: give up early.
        connection.execute(text("SET lock_timeout = '2s'"))
        connection.commit()
        context.configure(
            connection,
            target_metadata=Base.metadata,
            compare_type=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            context.run_migrations()
            if _moving() and _at_head():
                _install_functions(connection)
                _grant(connection, make_url(config.database_url).username)


def _import_tables() -> None:
    """Every module of core, so that checks and drafts see every table."""
    for module in pkgutil.iter_modules(core.__path__):
        importlib.import_module(f"core.{module.name}")


def _moving() -> bool:
    """Upgrades and downgrades name a destination; checks and listings do not."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def _at_head() -> bool:
    """The functions speak of tables that an older schema does not have."""
    heads = ScriptDirectory.from_config(context.config).get_heads()
    return set(context.get_context().get_current_heads()) == set(heads)


def _install_functions(connection: Connection) -> None:
    cursor = connection.connection.cursor()  # the driver's own: no parameters, so `%` is only `%`
    for path in sorted(SQL.glob("*.sql")):
        cursor.execute(path.read_text())


def _grant(connection: Connection, role: str | None) -> None:
    """What the house's role may do; nothing to say where it is the owner itself."""
    if role is None or role == connection.scalar(text("SELECT current_user")):
        return
    name = connection.dialect.identifier_preparer.quote(role)
    known = set(
        connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname='public'"))
    )
    closed = ", ".join(table for table in READ_ONLY if table in known)
    for statement in (
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
        f"REVOKE INSERT, UPDATE, DELETE ON {closed} FROM {name}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}",
        "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC",
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {name}",
    ):
        connection.execute(text(statement))


run()
