"""The ground tests stand on: one migrated template database, clones of it, and one wiped again."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from alembic import command
from alembic.config import Config as Alembic

from core.config import Config
from demo import settings
from demo.engines import Urls, running
from tests import standing

WIPE = Path(__file__).parent / "wipe.sql"
ADMIN_DATABASE = "postgres"  # where one connects to create another
CROWD = "60"  # connections: each thread of a test has one, where a web process has fewer threads
MOST_WIPES = 100  # of one database: deleted rows stay in its files, and slow what comes after

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Ground:
    """The engines of this process and the template on them; `worker` is its number among others."""

    urls: Urls
    template: str
    worker: int

    @contextlib.contextmanager
    def clone(self, name: str | None = None) -> Iterator[Urls]:
        """A database of one's own, as migrated, for as long as the block."""
        name = f"{self.template}_{name or next(_numbers)}"
        with created(self.urls, name, template=self.template):
            yield self.urls.for_database(name)


@contextlib.contextmanager
def prepared(worker: int) -> Iterator[Ground]:
    """Start engines and migrate the template.

    Each worker has engines of its own: transaction ids are counted by the server, so a long
    transaction of one worker would be seen in the pools and checkpoints of all.
    """
    with running(os.environ, throwaway=True) as engines:
        redis = f"{engines.redis.partition('?')[0]}?db={worker}"  # they may be shared after all
        urls = Urls(engines.database, engines.migration, redis)
        template = f"house_test_{os.getpid()}"
        with created(urls, template):
            migrate(config_for(urls.for_database(template)))
            _administer(urls.for_database(template), WIPE.read_text())
            yield Ground(urls, template, worker)


class Slate:
    """One database for test after test, wiped in between: a clone takes fifty times as long.

    What wiping cannot mend (a changed schema, a held lock, a cut connection) gets a new clone.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.wipes = 0
        self.lease = contextlib.ExitStack()
        self.owner: Any = None

    def clean(self) -> Urls:
        """The addresses of a house in which nothing has happened yet."""
        self.wipes += 1
        if self.owner is None or self.wipes > MOST_WIPES or not self._wiped():
            standing.forget()
            self.close()
            # By the same name, so that an engine that knows it can be used again.
            self.urls = self.lease.enter_context(self.ground.clone("slate"))
            self.owner = self.lease.enter_context(_connected(self.urls))
            self.wipes = 0
        return self.urls

    def close(self) -> None:
        """Give the database up."""
        self.lease.close()

    def _wiped(self) -> bool:
        with contextlib.suppress(psycopg2.Error), self.owner.cursor() as cursor:
            cursor.execute("SELECT kept.wipe(%s)", (standing.backends(),))
            return bool(cursor.fetchone()[0])
        return False


@contextlib.contextmanager
def created(urls: Urls, name: str, *, template: str = "template1") -> Iterator[None]:
    """A new database of the owner's, dropped at the end whoever is still connected."""
    # FILE_COPY takes a third of the time of the default, and nobody is writing to the template.
    postgres = urls.for_database(ADMIN_DATABASE)
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield
    finally:
        _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def migrate(config: Config, revision: str = "head") -> None:
    """What the release step does."""
    command.upgrade(alembic(config), revision)


def alembic(config: Config) -> Alembic:
    """Alembic on the database of `config`."""
    return Alembic("alembic.ini", attributes={"config": config})


def environment_for(urls: Urls, **more: str) -> dict[str, str]:
    """The variables of a process of the house under test; `more` are added or replaced."""
    return settings.house(urls, app_env="test") | {"DATABASE_CONNECTIONS": CROWD} | more


def config_for(urls: Urls, **more: str) -> Config:
    """The settings of the house under test."""
    return Config.from_env(environment_for(urls, **more))


def _administer(urls: Urls, statement: str) -> None:
    with _connected(urls) as owner, owner.cursor() as cursor:
        cursor.execute(statement)


@contextlib.contextmanager
def _connected(urls: Urls) -> Iterator[Any]:
    """A connection as the owner, where each statement stands alone."""
    with contextlib.closing(psycopg2.connect(urls.migration.replace("+psycopg2", ""))) as owner:
        owner.autocommit = True
        yield owner
