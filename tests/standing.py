"""Dear to make and the same for every test: an engine's compiled statements, an application."""

from flask import Flask
from pydantic import SecretStr
from sqlalchemy import Engine

import wsgi
from core import runtime
from core.config import Config
from core.runtime import Runtime

FEW = 4  # a worker's own database, and those that single tests ask for beside it

_engines: dict[str, Engine] = {}
_applications: dict[tuple[str, SecretStr], Flask] = {}


def built(config: Config) -> Runtime:
    """A house as `wsgi.py` builds it, on an engine other tests have used; its pool is empty."""
    known = f"{config.database_url} {config.database_connections}"
    engine = _engines.pop(known, None) or wsgi.database(config)
    _engines[known] = engine
    while len(_engines) > FEW:
        del _engines[next(iter(_engines))]
    return wsgi.build(config, engine)


def application(rt: Runtime) -> Flask:
    """The application of this house, perhaps made for one before it: it looks up whose it is.

    For whoever leaves the application itself as it is.
    """
    known = (rt.config.app_env, rt.config.secret_key)
    if known not in _applications:
        _applications[known] = wsgi.create_app(rt)
    runtime.install(rt)
    return _applications[known]
