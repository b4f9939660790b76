"""A worker that dies on command: it forks for each job, and the child kills itself at one step.

A step is a commit (before it, and after it) or a request to a partner (before it, and with the
answer in hand); where it is told to be fine, every statement before it is sent as well.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event

import wsgi
from core import jobs, runtime
from core.config import Config
from core.runtime import Runtime
from tests.faults.workers import ROOT

JOBS = {"deliver": jobs.deliver, "process": jobs.process, "recover": jobs.recover}
AT_ONCE = 8  # children that run together


@dataclass(frozen=True)
class Order:
    """Do the job with this id, and die at that step; 0 is to live, and to count the steps."""

    job: str
    id: int
    at: int
    fine: bool = False


class Stepper:
    """The process that forks, as the tests speak to it."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.stepper"],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, orders: Sequence[Order]) -> list[int]:
        """How each ended: the steps it made, or minus the signal that killed it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([vars(order) for order in orders]) + "\n")
        self.process.stdin.flush()
        ended: list[int] = json.loads(self.process.stdout.readline())
        return ended

    def close(self) -> None:
        """It goes when nobody speaks to it any more."""
        self.process.communicate(timeout=30)


class Steps:
    """Counts the steps of this process, and ends it at one of them."""

    def __init__(self, at: int) -> None:
        self.at, self.made = at, 0

    def cross(self, *_: Any, **__: Any) -> None:
        """One more step; the last, if it is the one."""
        self.made += 1
        if self.made == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, rt: Runtime, *, fine: bool) -> None:
        """Stand wherever a step is made."""
        event.listen(rt.engine, "commit", self.cross)
        event.listen(rt.sessions, "after_commit", self.cross)
        if fine:
            event.listen(rt.engine, "before_cursor_execute", self.cross)
        rt.senders = {kind: self._watched(sender) for kind, sender in rt.senders.items()}

    def _watched(self, sender: Any) -> Any:
        def ask(request: Any) -> Any:
            self.cross()
            answer = sender(request)
            self.cross()
            return answer

        return ask


def main() -> None:
    """Read orders, a line of them at a time, until nobody gives any."""
    rt = wsgi.build(Config.from_env())  # its connections are each child's own: none is open here
    runtime.install(rt)
    for line in sys.stdin:
        orders = [Order(**order) for order in json.loads(line)]
        ended: list[int] = []
        for start in range(0, len(orders), AT_ONCE):
            children = [_forked(rt, order) for order in orders[start : start + AT_ONCE]]
            ended += [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


def _forked(rt: Runtime, order: Order) -> int:
    child = os.fork()
    if child:
        return child
    os.dup2(2, 1)  # its log is not an answer
    steps = Steps(order.at)
    steps.watch(rt, fine=order.fine)
    try:
        JOBS[order.job](order.id)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(255)
    os._exit(steps.made)


if __name__ == "__main__":
    main()
