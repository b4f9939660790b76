"""Dear to make, the same for every test: warm connections, compiled statements, an application."""

from typing import Any

from flask import Flask
from pydantic import SecretStr
from sqlalchemy import Engine, event

import wsgi
from core import runtime
from core.config import Config
from core.runtime import Runtime

FEW = 4  # a worker's own database, and those that single tests ask for beside it
PATIENT = 10.0  # seconds for Redis, which a busy machine may let stand a moment in a test
MANY = 8  # connections; more come of a crowd of threads, and the next test has none

_engines: dict[str, Engine] = {}
_backends: set[int] = set()
_applications: dict[tuple[str, SecretStr], Flask] = {}


def built(config: Config) -> Runtime:
    """A house as `wsgi.py` builds it, on the engine of the tests before."""
    known = f"{config.database_url} {config.database_connections}"
    engine = _engines.pop(known, None) or _made(config)
    _engines[known] = engine
    while len(_engines) > FEW:
        _engines.pop(next(iter(_engines))).dispose()
    rt = wsgi.build(config, engine)
    rt.redis.connection_pool.connection_kwargs["socket_timeout"] = PATIENT
    return rt


def ended(rt: Runtime) -> None:
    """Give a house back. Its connections stay for the next one, if they are few and all are in."""
    pool: Any = rt.engine.pool
    if pool.checkedout() or pool.checkedin() > MANY:
        rt.engine.dispose()
    rt.redis.close()


def backends() -> list[int]:
    """The processes of the database behind connections that stay."""
    return list(_backends)


def forget() -> None:
    """No connection stays: the database itself goes."""
    for engine in _engines.values():
        engine.dispose()
    _backends.clear()


def application(rt: Runtime) -> Flask:
    """The application of this house, perhaps made for one before it: it looks up whose it is.

    For whoever leaves the application itself as it is.
    """
    known = (rt.config.app_env, rt.config.secret_key)
    if known not in _applications:
        _applications[known] = wsgi.create_app(rt)
    runtime.install(rt)
    return _applications[known]


def _made(config: Config) -> Engine:
    engine = wsgi.database(config)
    event.listen(engine, "connect", lambda made, _: _backends.add(made.info.backend_pid))
    return engine
