"""What operations ask: is the process alive, may it be sent requests, how is the house."""

from flask import Blueprint, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from admin.gauges import House
from core import crypto, runtime, stamp

READY_TIMEOUT = "SET LOCAL statement_timeout = 500"  # milliseconds

bp = Blueprint("health", __name__)


@bp.before_request
def guard() -> Response | None:
    """The two probes tell nothing and are open; the figures want their token."""
    if request.endpoint != "health.metrics":
        return None
    token = runtime.current().config.metrics_token.get_secret_value()
    if crypto.same(request.headers.get("Authorization", ""), f"Bearer {token}"):
        return None
    return Response("Unauthorized\n", 401, {"WWW-Authenticate": "Bearer"}, mimetype="text/plain")


@bp.get("/livez")
def livez() -> Response:
    """This process answers. It asks nobody else."""
    return Response("ok\n", mimetype="text/plain")


@bp.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Whether requests may be sent here, and what is missing.

    Without Redis the house is slower and says so, but people can bet and withdraw.
    """
    missing = _database()
    redis = _redis()
    return jsonify(ready=not missing, missing=missing, degraded=redis), 503 if missing else 200


@bp.get("/metrics")
def metrics() -> Response:
    """The figures of the house, counted as they stand now."""
    registry = CollectorRegistry()
    registry.register(House(runtime.current()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _database() -> list[str]:
    try:
        with runtime.current().transaction() as tx:
            tx.execute(text(READY_TIMEOUT))
            return [] if stamp.at_head(tx) else ["migrations"]
    except SQLAlchemyError:
        return ["database"]


def _redis() -> list[str]:
    try:
        runtime.current().redis.ping()
    except RedisError:
        return ["redis"]
    return []
