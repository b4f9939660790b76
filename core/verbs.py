"""Verbs: calls of the hot money functions, prepared once a connection, straight to the driver.

SQLAlchemy spends more on a statement than Postgres spends on a bet. What is called thousands of
times a second therefore skips its layers, and keeps its transactions, its pool and its errors.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import psycopg2
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Verb:
    """A function of the database, by name and the SQL types of its arguments."""

    name: str
    types: Sequence[str]

    @property
    def preparation(self) -> str:
        """What a connection hears once."""
        numbers = ", ".join(f"${n}" for n in range(1, len(self.types) + 1))
        types = ", ".join(self.types)
        call = f"SELECT * FROM {self.name}({numbers})"  # noqa: S608 - a name of ours
        return f"PREPARE {self.name} ({types}) AS {call}"

    @property
    def execution(self) -> str:
        """What it hears each time."""
        return f"EXECUTE {self.name} ({', '.join(['%s'] * len(self.types))})"


def call(tx: Session, verb: Verb, *arguments: object) -> tuple[Any, ...]:
    """The row the function answers, its columns in their order.

    Pending changes of `tx` are not flushed first. Raises DBAPIError as SQLAlchemy does.
    """
    connection = tx.connection()
    if verb.name not in connection.info:
        connection.exec_driver_sql(verb.preparation)
        connection.info[verb.name] = verb.execution
    statement = connection.info[verb.name]
    try:
        with contextlib.closing(connection.connection.cursor()) as cursor:
            cursor.execute(statement, arguments)
            return tuple(cursor.fetchone() or ())
    except psycopg2.Error as error:
        raise _translated(connection, statement, error) from error


def _translated(connection: Connection, statement: str, error: psycopg2.Error) -> BaseException:
    """The error as SQLAlchemy would have raised it; the arguments stay out of it and of the log."""
    dead = connection.dialect.is_disconnect(cast(Any, error), connection.connection, None)
    if dead:
        connection.invalidate(error)
    return DBAPIError.instance(
        statement,
        None,
        error,
        psycopg2.Error,
        hide_parameters=True,
        connection_invalidated=dead,
        dialect=connection.dialect,
    )
