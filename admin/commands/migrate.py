"""`flask migrate`: what a release does before any other process of the new code starts."""

from pathlib import Path

import click
from alembic import command
from alembic.config import Config as Alembic

from core import runtime

ALEMBIC = Path(__file__).parents[2] / "alembic.ini"


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema, functions and rights included."""
    command.upgrade(Alembic(ALEMBIC, attributes={"config": runtime.current().config}), "head")
    click.echo("The database is at the head of the migrations.")
