"""The composition root: settings, engines, partners and doors, put together once a process."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import structlog
from flask import Flask, Response, g, request
from flask.cli import ScriptInfo
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from werkzeug.exceptions import HTTPException

import admin.api.web
import admin.cli
import admin.health
import admin.pages.web
import mpesa.web
import sms.web
import ussd.transcripts
import ussd.web
from core import doors, log, outbox, runtime, stamp, timetable
from core.config import Config, ConfigFaults
from core.mpesa_watch import Watch
from core.runtime import Runtime, Sender, TestClock, Tick
from core.ticks import every
from mpesa.daraja import Daraja
from sms.gateway import Aggregator

events = structlog.get_logger(__name__)

POOL_SECONDS = 3  # a request that finds no free connection by then would be too late anyway
# A lock that is not given soon is better asked for again; no statement of a request is long.
SESSION = "-c lock_timeout=1500 -c statement_timeout=5000 -c timezone=UTC"
REST_SECONDS = 0.5  # after which a connection is no longer simply believed to live
REDIS_SECONDS = 0.5  # a Redis that is slower than this is taken for dead, and done without

DOORS = (
    ussd.web.bp, sms.web.bp, mpesa.web.bp, admin.health.bp, admin.pages.web.bp, admin.api.web.bp,
)  # fmt: skip


def build(config: Config, engine: Engine | None = None) -> Runtime:
    """Everything a process of the house stands on; an engine that is at hand may be used again."""
    engine = engine or database(config)
    redis = store(config)
    # Time may be played with only where the database allows it; see migration 0001.
    playing = config.app_env in ("demo", "test")
    clock: Callable[[], datetime] = TestClock(engine) if playing else lambda: datetime.now(UTC)
    return Runtime(
        config=config,
        engine=engine,
        redis=redis,
        queues={
            name: Queue(name, connection=redis, serializer=JSONSerializer) for name in outbox.QUEUES
        },
        senders=partners(config, redis, clock),
        clock=clock,
        ticks=(*timetable.TICKS, Tick("transcripts", every(timedelta(seconds=5)), transcripts)),
        watch=Watch(lambda changed: Daraja(changed, redis, clock).senders()),
        trial=lambda tried: Daraja(tried, redis, clock, apart="trial:").senders(),
    )


def database(config: Config) -> Engine:
    """A small pool: on a few cores more connections only wait for each other."""
    engine = create_engine(
        config.database_url,
        pool_size=config.database_connections,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        isolation_level="READ COMMITTED",
        connect_args={"options": SESSION, "connect_timeout": POOL_SECONDS},
        hide_parameters=True,  # an error message is no place for a customer's data
    )
    _mistrust_the_rested(engine)
    return engine


def _mistrust_the_rested(engine: Engine) -> None:
    """Try a connection before use if it has rested: Postgres may have been restarted meanwhile.

    One that was in use a moment ago is believed, so a busy house pays no round trip for this; if it
    is dead after all, `Runtime.attempt` tries again.
    """

    def rest(connection: Any, record: Any) -> None:
        record.info["rested_from"] = time.monotonic()

    def wake(connection: Any, record: Any, proxy: Any) -> None:
        if time.monotonic() - record.info.get("rested_from", time.monotonic()) < REST_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as dead:
            raise DisconnectionError from dead  # and the pool makes another

    event.listen(engine, "checkin", rest)
    event.listen(engine, "checkout", wake)


def store(config: Config) -> Redis:
    """Redis, for as long as it answers at once; the second try is for a connection gone stale."""
    return Redis.from_url(
        config.redis_url,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )


def partners(config: Config, redis: Redis, clock: Callable[[], datetime]) -> dict[str, Sender]:
    """The senders of every kind of promise."""
    return Aggregator(config).senders() | Daraja(config, redis, clock).senders()


def transcripts(rt: Runtime) -> None:
    """The tick: move what callers saw and typed from Redis to Postgres."""
    with rt.transaction() as tx:
        ussd.transcripts.move(tx, rt.redis, rt.now())


def create_app(rt: Runtime) -> Flask:
    """The house as a web application and as a command line."""
    runtime.install(rt)
    app = Flask(__name__, static_folder=None)
    app.config.update(
        SECRET_KEY=rt.config.secret_key.get_secret_value(),
        MAX_CONTENT_LENGTH=doors.BODY_LIMIT,
        MAX_FORM_MEMORY_SIZE=doors.BODY_LIMIT,
    )
    app.before_request(_begin)
    app.after_request(_log)
    app.teardown_request(_end)
    admin.pages.web.install(app, rt.config)
    app.register_error_handler(HTTPException, _refuse)
    app.register_error_handler(Exception, _fail)
    for door in DOORS:
        app.register_blueprint(door)
    admin.cli.add_to(app)
    return app


def _begin() -> None:
    g.began, g.scope = time.perf_counter(), ExitStack()
    g.scope.enter_context(log.traced())
    if request.blueprint != admin.health.bp.name:  # a probe asks nobody but what it probes
        runtime.current().refresh()


def _log(response: Response) -> Response:
    """One event a request. The route, never the path: that may hold a token."""
    route = request.url_rule.rule if request.url_rule else None
    seconds = round(time.perf_counter() - g.began, 4)
    events.info(
        "request", method=request.method, route=route, status=response.status_code, seconds=seconds
    )
    return response


def _end(error: BaseException | None) -> None:
    g.scope.close()


def _refuse(error: HTTPException) -> Response:
    """A request that no door could read: a short answer, and nothing of it back."""
    if request.path.startswith(admin.api.web.PREFIX):
        return admin.api.web.of_http(error)
    if admin.pages.web.is_page(request.path):
        return admin.pages.web.of_http(error)
    return Response(f"{error.name}\n", status=error.code, mimetype="text/plain")


def _fail(error: Exception) -> Response:
    """A bug, or an engine that is away: logged with its trace, and the caller told no more."""
    events.error("request failed", exc_info=error)
    if admin.pages.web.is_page(request.path):
        return admin.pages.web.of_bug(error)
    return Response("Sorry, that did not work. Please try again.\n", 500, mimetype="text/plain")


def _started() -> Flask:
    """The application of this process. A server wants the right database under it; a command
    looks for itself, for one of them is there to make it right."""
    try:
        config = Config.from_env()
    except ConfigFaults as faults:
        raise SystemExit(str(faults)) from None
    log.configure(config.log_level)
    rt = build(config)
    if not _commanded():
        with rt.transaction() as tx:
            stamp.check(tx, config.app_env)
        rt.refresh()
        if rt.mpesa_shut:
            raise SystemExit(f"the M-PESA settings cannot be opened: {rt.mpesa_shut}")
    return create_app(rt)


def _commanded() -> bool:
    """Whether `flask` is asking. (A server may have a command line of its own.)"""
    context = click.get_current_context(silent=True)
    return context is not None and context.find_object(ScriptInfo) is not None


def __getattr__(name: str) -> Any:
    """`wsgi:app`, made when a server or the command line asks for it; tests make their own."""
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = _started()
    return globals()["app"]
