"""Worker processes as a supervisor sees them: started, watched, and killed without a word."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from core import ticks
from core.runtime import Runtime

ROOT = Path(__file__).parents[2]
PATIENCE = 60  # seconds; a busy machine starts a process in five


def until(what: str, true: Callable[[], object], *, within: float = PATIENCE) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.02)


class Crew:
    """The house's workers, and a clock that strikes in this process."""

    def __init__(self, environ: dict[str, str], rt: Runtime, logs: Path) -> None:
        self.environ = {**os.environ, **environ}
        self.rt, self.logs = rt, logs
        self.hired: list[subprocess.Popen[bytes]] = []
        self.stop = threading.Event()
        self.striking: threading.Thread | None = None

    def hire(self, queue: str) -> subprocess.Popen[bytes]:
        """A worker of a queue, as the Procfile starts it."""
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "worker", queue]
        with (self.logs / f"{queue}-{len(self.hired)}.log").open("wb") as log:
            worker = subprocess.Popen(command, cwd=ROOT, env=self.environ, stdout=log, stderr=log)
        self.hired.append(worker)
        return worker

    def start_clock(self) -> None:
        """Strike every tick from now on."""
        self.striking = threading.Thread(target=ticks.run, args=(self.rt, self.stop))
        self.striking.start()

    def close(self) -> None:
        """Everybody goes."""
        self.stop.set()
        if self.striking:
            self.striking.join()
        for worker in self.hired:
            kill(worker)


def kill(worker: subprocess.Popen[bytes]) -> None:
    """The machine of the worker is gone, with the process that had its job."""
    if worker.poll() is None:
        worker.send_signal(signal.SIGSTOP)  # or it would see its child die, and act on it
        for child in children(worker):
            os.kill(child, signal.SIGKILL)
        worker.kill()
    worker.wait()


def children(worker: subprocess.Popen[bytes]) -> list[int]:
    """The processes that a worker has forked and that still run."""
    path = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    return [int(child) for child in path.read_text().split()]
