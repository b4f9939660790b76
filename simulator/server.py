"""The simulated world as a WSGI application, and a way to run it beside a test."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from simulator import control, control_mpesa, control_phones, page
from simulator.aggregator import ussd
from simulator.aggregator import web as aggregator
from simulator.daraja import stk
from simulator.daraja import web as daraja
from simulator.settings import Settings
from simulator.world import World

LOOK_EVERY = 0.5  # seconds

control.bp.register_blueprint(control_phones.bp)
control.bp.register_blueprint(control_mpesa.bp)


def create_app(world: World) -> Flask:
    app = Flask(__name__)
    app.extensions["world"] = world
    app.config["MAX_CONTENT_LENGTH"] = 1_000_000
    for blueprint in (daraja.bp, aggregator.bp, control.bp, page.bp):
        app.register_blueprint(blueprint)
    return app


def bind(world: World) -> BaseWSGIServer:
    """A server that listens but does not serve yet; port 0 takes a free one."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    told = world.settings
    return make_server(told.host, told.port, create_app(world), threaded=True)


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """The base URL of a world that lives as long as the block."""
    world = World(settings)
    server = bind(world)
    serving = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    serving.start()
    stop = watch_time(world)
    try:
        yield f"http://{settings.host}:{server.server_port}"
    finally:
        stop.set()
        server.shutdown()
        serving.join()
        server.server_close()
        world.courier.close()


def watch_time(world: World) -> threading.Event:
    """Ends what took too long, from now until the event is set."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(LOOK_EVERY):
            ussd.expire(world)
            stk.expire(world)

    threading.Thread(target=watch, daemon=True, name="time").start()
    return stop
