"""`make demo`, as a stranger would start it: the story comes true, and nothing is left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.house import tree

OPEN = "simulated world on"  # the last process has begun
PATIENCE = 120  # seconds for a whole story on a busy machine
CHAPTERS = (
    "dialled", "signed up", "deposited", "bet on two handsets", "settled", "paid out",
    "ledger clean", "simulator books equal", "compared", "The whole story came true.",
)  # fmt: skip


@pytest.fixture
def demo() -> Iterator[subprocess.Popen[str]]:
    """`make demo` on engines and ports of its own."""
    ours = ("DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL")
    environ = {name: value for name, value in os.environ.items() if name not in ours}
    command = [sys.executable, "-m", "demo.run", "--stay"]
    demo = subprocess.Popen(
        command,
        cwd=tree.ROOT,
        env=environ | {"PORT": str(_two_free_ports())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with demo:
        yield demo
        demo.kill()


@pytest.mark.timeout(2 * PATIENCE)
def test_the_story_comes_true_and_ctrl_c_leaves_nothing(demo: subprocess.Popen[str]) -> None:
    told = _listen(demo, until="Ctrl-C")
    for chapter in CHAPTERS:
        assert chapter in told, told
    assert "differs" not in told, told  # from the first reading of M-PESA's balance on
    family = _family(demo.pid)
    assert len(family) > 8, "the engines, five processes of the house, the world and the story"

    os.killpg(demo.pid, signal.SIGINT)

    demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 0
    assert not [process for process in family if _runs(process)]


def test_ctrl_c_ends_everything_when_nobody_reads_any_more(demo: subprocess.Popen[str]) -> None:
    """As in `make demo | tee log`, where it ends tee as well."""
    _listen(demo, until=OPEN)
    family = _family(demo.pid)
    assert demo.stdout is not None
    demo.stdout.close()

    os.killpg(demo.pid, signal.SIGINT)

    demo.wait(timeout=PATIENCE)
    assert not [process for process in family if _runs(process)]


def test_a_demo_that_is_killed_takes_everything_with_it(demo: subprocess.Popen[str]) -> None:
    _listen(demo, until=OPEN)
    family = _family(demo.pid)
    assert len(family) > 8

    demo.kill()

    deadline = time.monotonic() + 30
    while left := [process for process in family if _runs(process)]:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.1)


def _listen(demo: subprocess.Popen[str], *, until: str) -> str:
    assert demo.stdout is not None
    told = ""
    for line in demo.stdout:
        told += line
        if until in line:
            return told
    raise AssertionError(f"it ended before {until!r}:\n{told}")


def _family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children = f"/proc/{pid}/task/{pid}/children"
    with open(children) as listed:
        return [pid, *(one for child in listed.read().split() for one in _family(int(child)))]


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as status:
            return status.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _two_free_ports() -> int:
    """A port that is free, and the one after it too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
