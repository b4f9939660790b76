"""A wire to Redis that can be cut, frozen and mended, so that an outage is a real one."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit


class Wire:
    """Listens on a port of its own and passes everything on to the Redis of the tests."""

    def __init__(self, redis_url: str) -> None:
        self.parts = urlsplit(redis_url)
        self.whole = True
        self.flowing = threading.Event()
        self.flowing.set()
        self.ends: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The address of Redis at this end of the wire."""
        number = parse_qs(self.parts.query).get("db", [self.parts.path.strip("/") or "0"])[0]
        number = number if number.isdigit() else "0"
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}/{number}"

    def cut(self) -> None:
        """Every connection breaks, and no new one is made."""
        self.whole = False
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.ends.clear()

    def freeze(self) -> None:
        """Nothing breaks and nothing answers."""
        self.flowing.clear()

    def mend(self) -> None:
        """All is well again."""
        self.whole = True
        self.flowing.set()

    def close(self) -> None:
        """The wire is taken down."""
        self.flowing.set()
        self.cut()
        self.listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                if not self.whole:
                    near.close()
                    continue
                far = self._dial()
                self.ends += [near, far]
                for here, there in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(here, there), daemon=True).start()

    def _dial(self) -> socket.socket:
        if self.parts.scheme == "unix":
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.parts.path)
            return far
        return socket.create_connection((self.parts.hostname or "", self.parts.port or 6379))

    def _pass(self, here: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := here.recv(65_536):
                self.flowing.wait()
                there.sendall(chunk)
        for end in (here, there):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def strung(redis_url: str) -> Iterator[Wire]:
    """A wire for as long as the block."""
    wire = Wire(redis_url)
    try:
        yield wire
    finally:
        wire.close()
