"""A house with its doors open on a port of this machine, as `wsgi.py` builds it."""

import contextlib
import socket
import threading
from collections.abc import Iterator

from werkzeug.serving import make_server

from core.config import Config
from core.runtime import Runtime
from tests import standing


def free_port() -> int:
    """Where a house's doors will open."""
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def open_house(config: Config, port: int) -> Iterator[Runtime]:
    """The house, serving from a thread of this process for as long as the block."""
    rt = standing.built(config)
    server = make_server("127.0.0.1", port, standing.application(rt), threaded=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    serving.start()
    yield rt
    server.shutdown()
    serving.join()
    server.server_close()
    standing.ended(rt)
