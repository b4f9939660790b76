"""Everything that happens later: callbacks under way, retries, executions."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

CARRIERS = 24  # callbacks under way at once; each may wait a whole app timeout for a slow house


@dataclass(order=True)
class _Errand:
    due: float
    number: int
    act: Callable[[], object] = field(compare=False)
    counted: bool = field(compare=False)


class Courier:
    """Runs acts when they are due, on its own threads."""

    def __init__(self) -> None:
        lock = threading.Lock()
        self._work = threading.Condition(lock)  # there is an errand, or the end
        self._rest = threading.Condition(lock)  # there may be nothing left to do
        self._errands: list[_Errand] = []
        self._numbers = itertools.count()
        self._closed = False
        self._outstanding = 0
        self._carriers = 0
        self._idle = 0

    def later(self, seconds: float, act: Callable[[], object], *, counted: bool = True) -> None:
        """`counted` acts are those that `drained` waits for."""
        with self._work:
            due = time.monotonic() + max(0.0, seconds)
            errand = _Errand(due, next(self._numbers), act, counted)
            heapq.heappush(self._errands, errand)
            self._outstanding += counted
            if len(self._errands) > self._idle and self._carriers < CARRIERS:
                self._carriers += 1
                threading.Thread(target=self._carry, daemon=True, name="courier").start()
            self._work.notify()

    def forget(self) -> None:
        """Drops all that is not yet under way."""
        with self._work:
            self._outstanding -= sum(errand.counted for errand in self._errands)
            self._errands.clear()
            self._rest.notify_all()

    def drained(self, timeout: float) -> bool:
        """Waits until nothing counted is due or under way."""
        with self._rest:
            return self._rest.wait_for(lambda: self._outstanding == 0, timeout)

    def close(self) -> None:
        """Lets the threads go."""
        self.forget()
        with self._work:
            self._closed = True
            self._work.notify_all()

    def _carry(self) -> None:
        while (errand := self._next()) is not None:
            try:
                errand.act()
            except Exception:
                log.exception("an act of the simulated world failed")
            with self._work:
                self._outstanding -= errand.counted
                self._rest.notify_all()

    def _next(self) -> _Errand | None:
        with self._work:
            while not self._closed:
                wait = self._errands[0].due - time.monotonic() if self._errands else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._errands)
                self._idle += 1
                self._work.wait(wait)
                self._idle -= 1
            return None
