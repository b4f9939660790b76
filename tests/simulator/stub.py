"""A house of cardboard: keeps every callback it gets, and answers USSD as the test says."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PATIENCE = 30  # seconds, on a busy machine

Screen = Callable[[dict[str, str]], str]


def echo(hop: dict[str, str]) -> str:
    return f"CON You typed {hop['text'] or 'nothing'}"


def slowly(seconds: float, reply: str) -> Screen:
    def screen(_: dict[str, str]) -> str:
        time.sleep(seconds)
        return reply

    return screen


class StubHouse:
    def __init__(self) -> None:
        self.arrived = threading.Condition()
        self.kept: list[tuple[str, Any]] = []
        self.screen: Screen = echo
        self.verdict: dict[str, str] | None = None  # what it says to a payment it is asked about
        self.failures = 0  # how many callbacks are still answered with a 500
        house = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                door = urlsplit(self.path).path.strip("/")
                status, words = house.answer(door, self.headers["Content-Type"], body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(words.encode())))
                self.end_headers()
                self.wfile.write(words.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, door: str, kind: str, body: bytes) -> tuple[int, str]:
        told = (
            json.loads(body)
            if kind == "application/json"
            else dict(parse_qsl(body.decode(), keep_blank_values=True))
        )
        with self.arrived:
            self.kept.append((door, told))
            self.arrived.notify_all()
            if self.failures:
                self.failures -= 1
                return 500, "not now"
            screen, verdict = self.screen, self.verdict
        if door.endswith("may"):
            return 200, "" if verdict is None else json.dumps(verdict)
        return 200, screen(told) if door.endswith("ussd") else "ok"

    def got(self, door: str) -> list[Any]:
        with self.arrived:
            return [body for kept, body in self.kept if kept == door]

    def awaits(self, door: str, count: int = 1) -> list[Any]:
        """The callbacks at a door once there are so many; fewer after half a minute are a fault."""
        with self.arrived:
            enough = self.arrived.wait_for(lambda: len(self.got(door)) >= count, PATIENCE)
        assert enough, f"{len(self.got(door))} callbacks at {door}, not {count}"
        return self.got(door)

    def clear(self) -> None:
        with self.arrived:
            self.kept.clear()
            self.screen, self.verdict, self.failures = echo, None, 0

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
