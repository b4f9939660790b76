"""`make demo` and `make story`: the whole house on one machine, and a story played on it."""

import argparse
import contextlib
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer
from honcho.process import Process

from demo import engines, settings
from simulator.keys import Keys

ROOT = Path(__file__).parents[1]
TOLD = ROOT / ".demo" / "environment"
INTERRUPTED = 130  # how honcho reports Ctrl-C
PORT = 8000  # of the house; the simulated world takes the next one


def main() -> None:
    """Start everything, play the story, and with `--stay` remain until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m demo.run", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="remain until Ctrl-C")
    stay = parser.parse_args().stay
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the engines are stopped
    with engines.running(os.environ, throwaway=False) as urls, engines.own_folder() as folder:
        environ = _environment(urls, folder / "mpesa.pem")
        _migrate(environ)
        with _told(environ) if stay else contextlib.nullcontext():
            sys.exit(_play(environ, stay=stay))


def _environment(urls: engines.Urls, key_file: Path) -> dict[str, str]:
    """What every process is told: those of the house, the simulated world and the story."""
    web_port, simulator_port = _ports(os.environ)
    web, simulator = (f"http://127.0.0.1:{port}" for port in (web_port, simulator_port))
    return {
        **os.environ,
        **settings.house(urls, app_env="demo", web=web, simulator=simulator),
        **settings.world(web=web, port=simulator_port, key_file=str(key_file)),
        "SIM_UTILITY_FLOAT": "0",  # the story brings it, so that the house has booked it as well
        "MPESA_CERTIFICATE": Keys(str(key_file)).certificate,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "HOST": "127.0.0.1",
        "PORT": str(web_port),
        "WEB_WORKERS": "1",
        "GRANIAN_LOG_LEVEL": "warning",
        "LOG_LEVEL": "WARNING",
        "DISPUTE_WINDOW": "0",  # nobody wants to wait an hour for the end of a story
    }


@contextlib.contextmanager
def _told(environ: Mapping[str, str]) -> Iterator[None]:
    """The demo's settings in a file while it runs, for `make flask`."""
    TOLD.parent.mkdir(exist_ok=True)
    ours = {name: value for name, value in environ.items() if os.environ.get(name) != value}
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in ours.items() if name != "PATH")
    TOLD.touch(mode=0o600)
    TOLD.write_text("".join(lines))
    try:
        yield
    finally:
        TOLD.unlink(missing_ok=True)


def _ports(environ: Mapping[str, str]) -> tuple[int, int]:
    """`PORT` and the next one; without it, the first two from 8000 on that are free."""
    if "PORT" in environ:
        return int(environ["PORT"]), int(environ["PORT"]) + 1
    first = next(port for port in range(PORT, PORT + 1_000, 2) if _free(port) and _free(port + 1))
    return first, first + 1


def _free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _migrate(environ: Mapping[str, str]) -> None:
    """What a release does; nothing of the house starts before it."""
    migrate = [sys.executable, "-m", "flask", "--app", "wsgi", "migrate"]
    if subprocess.run(migrate, env=environ, cwd=ROOT).returncode:
        sys.exit("The database could not be migrated.")


def _play(environ: Mapping[str, str], *, stay: bool) -> int:
    """Run the processes until one of them ends: Ctrl-C, a fault, or the story told."""
    manager = Manager(Unbroken(sys.stdout))
    manager._process_ctor = Tethered
    for name, command in _commands(stay=stay):
        manager.add_process(name, f"exec setpriv --pdeathsig TERM {command}", env=dict(environ))
    manager.loop()
    # Ctrl-C is how a demo that stays is meant to end.
    return 0 if stay and manager.returncode == INTERRUPTED else int(manager.returncode)


def _commands(*, stay: bool) -> Iterator[tuple[str, str]]:
    """The Procfile without its release step, the world outside, and the story."""
    python = shlex.quote(sys.executable)
    procfile = parse_procfile((ROOT / "Procfile").read_text())
    yield from ((name, line) for name, line in procfile.processes.items() if name != "release")
    yield "simulator", f"{python} -m simulator"
    yield "story", f"{python} -m demo.story{' --stay' if stay else ''}"


class Unbroken(Printer):  # type: ignore[misc]  # honcho carries no types
    """Prints while somebody reads: Ctrl-C on `make demo | tee log` ends tee before us."""

    def write(self, message: Any) -> None:
        with contextlib.suppress(BrokenPipeError):
            super().write(message)


class Tethered(Process):  # type: ignore[misc]  # honcho carries no types
    """A process that ends when this one does, even by SIGKILL; honcho alone would leave it."""

    def run(self, *arguments: Any) -> None:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        super().run(*arguments)


if __name__ == "__main__":
    main()
