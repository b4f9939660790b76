"""The ground tests stand on: one migrated template database, and quick clones of it."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Self

import psycopg2
from alembic import command
from alembic.config import Config as Alembic

from core.config import Config
from demo import settings
from demo.engines import Urls, running

ADMIN_DATABASE = "postgres"  # where one connects to create another

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Ground:
    """The engines of this run and the template on them; `worker` tells parallel workers apart."""

    urls: Urls
    template: str
    worker: int = 0

    @contextlib.contextmanager
    def clone(self) -> Iterator[Urls]:
        """A database of one's own, as migrated, for as long as the block."""
        name = f"{self.template}_{self.worker}_{next(_numbers)}"
        with created(self.urls, name, template=self.template):
            yield Urls(
                database=self.urls.for_database(name).database,
                migration=self.urls.for_database(name).migration,
                redis=_redis_database(self.urls.redis, self.worker),
            )

    def message(self) -> dict[str, Any]:
        """What another process needs to stand on the same ground."""
        return {"urls": asdict(self.urls), "template": self.template}

    @classmethod
    def from_message(cls, message: dict[str, Any], worker: int) -> Self:
        """The ground another process prepared."""
        return cls(Urls(**message["urls"]), message["template"], worker)


@contextlib.contextmanager
def prepared() -> Iterator[Ground]:
    """Start the engines and migrate the template."""
    with running(os.environ, throwaway=True) as urls:
        template = f"house_test_{os.getpid()}"
        with created(urls, template):
            migrate(config_for(urls.for_database(template)))
            yield Ground(urls, template)


@contextlib.contextmanager
def created(urls: Urls, name: str, *, template: str = "template1") -> Iterator[None]:
    """A new database of the owner's, dropped at the end whoever is still connected."""
    # FILE_COPY takes a third of the time of the default, and nobody is writing to the template.
    _administer(urls, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield
    finally:
        _administer(urls, f"DROP DATABASE {name} WITH (FORCE)")


def migrate(config: Config, revision: str = "head") -> None:
    """What the release step does."""
    command.upgrade(alembic(config), revision)


def alembic(config: Config) -> Alembic:
    """Alembic on the database of `config`."""
    return Alembic("alembic.ini", attributes={"config": config})


def environment_for(urls: Urls, **more: str) -> dict[str, str]:
    """The variables of a process of the house under test; `more` are added or replaced."""
    return settings.house(urls, app_env="test") | {"DATABASE_CONNECTIONS": "16"} | more


def config_for(urls: Urls, **more: str) -> Config:
    """The settings of the house under test."""
    return Config.from_env(environment_for(urls, **more))


def _administer(urls: Urls, statement: str) -> None:
    dsn = urls.for_database(ADMIN_DATABASE).migration.replace("+psycopg2", "")
    with contextlib.closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def _redis_database(url: str, number: int) -> str:
    return f"{url.partition('?')[0]}?db={number}"
