"""Migrations: numbered, in one line, reversible, and in step with the models."""

import re

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from core.config import Config
from demo.engines import Urls
from tests.ground import alembic, config_for
from tests.house import tree

VERSIONS = sorted((tree.ROOT / "migrations" / "versions").glob("*.py"))


def test_migrations_are_numbered_in_one_line() -> None:
    script = ScriptDirectory(str(tree.ROOT / "migrations"))
    for number, path in enumerate(VERSIONS, 1):
        assert re.fullmatch(rf"{number:04}_[a-z0-9_]+\.py", path.name), f"{path}: `make migration`"
        previous = f"{number - 1:04}" if number > 1 else None
        assert script.get_revision(f"{number:04}").down_revision == previous, path.name


def test_models_match_migrations(config: Config) -> None:
    command.check(alembic(config))  # says what differs; the cure is a migration


def test_migrations_go_down_and_up_again(config: Config) -> None:
    command.downgrade(alembic(config), "base")
    engine = create_engine(config.migration_database_url)
    left = inspect(engine).get_table_names()
    engine.dispose()
    assert left == ["alembic_version"], "a downgrade forgot what its upgrade made"
    command.upgrade(alembic(config), "head")
    command.check(alembic(config))


def test_each_migration_stands_alone(urls: Urls) -> None:
    """A release may stop after any of them."""
    config = config_for(urls)
    command.downgrade(alembic(config), "base")
    for path in VERSIONS:
        command.upgrade(alembic(config), path.name[:4])
        command.downgrade(alembic(config), "-1")
        command.upgrade(alembic(config), path.name[:4])
