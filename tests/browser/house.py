"""The whole house as its Procfile starts it, in a simulated world, for people with browsers."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from honcho.environ import parse_procfile
from sqlalchemy import text

import wsgi
from core import runtime, verify
from core.config import Config
from core.runtime import OFFSET_SECONDS, Runtime, TestClock
from core.staff import Role
from demo import settings
from demo.engines import Urls
from simulator import exchange
from simulator.driver import Network
from simulator.server import running
from simulator.settings import Settings
from tests import finance, people
from tests.doors import free_port
from tests.ground import environment_for

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds; a busy machine starts all processes in ten
LOOK_EVERY = 0.05
# Whatever the house waits for takes a moment here, so that no story does.
HASTE = {"SENDING_STUCK": "5", "STATUS_RETRY": "0.2,0.5,1,2,4", "PAYOUT_RESULT_WAIT": "5"}
SERVING = {"HOST": "127.0.0.1", "WEB_WORKERS": "1", "DATABASE_CONNECTIONS": "8"}


@dataclass
class House:
    """What a story needs: where its doors are, its runtime in this process, the world around it."""

    url: str
    rt: Runtime
    network: Network
    logs: Path
    processes: Mapping[str, subprocess.Popen[bytes]]  # by their names in the Procfile

    def wait(self, **span: float) -> None:
        """Move the clock of every process, and go on when each has looked at it."""
        seconds = round(timedelta(**span).total_seconds())
        with self.rt.transaction() as tx:
            tx.execute(text("UPDATE test_clock SET seconds = seconds + :more"), {"more": seconds})
        self.rt.clock = TestClock(self.rt.engine)
        seen = time.monotonic() + OFFSET_SECONDS
        until("every process looks at the clock", lambda: time.monotonic() > seen)

    @contextlib.contextmanager
    def resting(self, name: str) -> Iterator[None]:
        """One of its processes does nothing for as long as the block."""
        self.processes[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.processes[name].send_signal(signal.SIGCONT)

    def broken(self) -> list[str]:
        """The invariants of the ledger that do not hold."""
        return [finding.name for finding in verify.verify(self.rt) if not finding.holds]

    def faults(self) -> list[str]:
        """What its processes have complained about."""
        return [
            f"{log.stem}: {line}"
            for log in sorted(self.logs.glob("*.log"))
            for line in log.read_text(errors="replace").splitlines()
            if '"level":"error"' in line or line.startswith("Traceback")
        ]


def until(what: str, true: Callable[[], object], *, within: float = PATIENCE) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(LOOK_EVERY)


@contextlib.contextmanager
def open_house(urls: Urls, logs: Path) -> Iterator[House]:
    """A house for as long as the block: web server, workers, clock, and M-PESA outside."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    told = settings.world(web=url, port=0) | {"SIM_ANSWER_DELAY": "0.05"}
    with running(Settings.from_env(told)) as base:
        network = Network(base)
        environ = environment_for(
            urls,
            PUBLIC_URL=url,
            DARAJA_BASE_URL=base,
            AT_BASE_URL=base,
            MPESA_CERTIFICATE=network.certificate(),
            PORT=str(port),
            **HASTE,
            **SERVING,
        )
        with _runtime(environ) as rt, _processes(environ, logs) as processes:
            house = House(url, rt, network, logs, processes)
            until(f"the house answers; see {logs}", lambda: _answers(house))
            yield house


@contextlib.contextmanager
def _processes(
    environ: Mapping[str, str], logs: Path
) -> Iterator[Mapping[str, subprocess.Popen[bytes]]]:
    """Every line of the Procfile but the release, as long as the block and this process last."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    procfile = parse_procfile((ROOT / "Procfile").read_text())
    started = {}
    with contextlib.ExitStack() as waiting, contextlib.ExitStack() as stack:
        for name, line in procfile.processes.items():
            if name == "release":
                continue
            log = stack.enter_context((logs / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                ["sh", "-c", f"exec setpriv --pdeathsig KILL {line}"], cwd=ROOT, stdout=log,
                stderr=log, env={**os.environ, **environ, "PATH": path},
            )  # fmt: skip
            stack.callback(process.terminate)  # all of them are told before one is waited for
            waiting.callback(_wait_for, process)
            started[name] = process
        yield started


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    """Let it end in peace, within reason."""
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _runtime(environ: Mapping[str, str]) -> Iterator[Runtime]:
    """The same house in this process, to set a stage and to look at what has become of it."""
    rt = wsgi.build(Config.from_env(dict(environ)))
    runtime.install(rt)
    _fill_float(rt)
    yield rt
    rt.engine.dispose()
    rt.redis.close()


def _fill_float(rt: Runtime) -> None:
    """Have the books know what M-PESA holds for the house when it opens."""
    people_of_finance = [people.member(rt, name, Role.FINANCE) for name in ("achieng", "baraka")]
    float_ = Settings().utility_float
    finance.post(rt, people_of_finance, "owner in", 2 * float_, "OPENING")
    for shortcode in (settings.PAYBILL, settings.B2C_SHORTCODE):
        told = {"shortcode": shortcode}
        finance.post(rt, people_of_finance, "top up", float_, f"FLOAT {shortcode}", **told)


def _answers(house: House) -> bool:
    with contextlib.suppress(OSError):
        return exchange.send("GET", f"{house.url}/readyz").status == 200
    return False
