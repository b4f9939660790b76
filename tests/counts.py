"""How often the tests that repeat themselves do so: quick for every day, full before a release."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """One set of counts."""

    steps: int  # of the stateful machine
    schedules: int  # of threads against each other
    kills: int  # of processes
    cases: int  # of fuzz, a route
    closes: int  # of markets that are being bet on
    kill_houses: int  # with five settlements each, broken off by kills
    crowd: int  # of bets in each of these
    transfers: int  # in the ledger that is proved against the clock


QUICK = Counts(
    steps=1_000,
    schedules=50,
    kills=6,
    cases=50,
    closes=200,
    kill_houses=1,
    crowd=20_000,
    transfers=20_000,
)
FULL = Counts(
    steps=10_000,
    schedules=1_000,
    kills=100,
    cases=1_000,
    closes=1_000,
    kill_houses=4,
    crowd=200_000,
    transfers=1_000_000,
)


def chosen() -> Counts:
    """The full counts with LONG=1, as `make test-long` sets it."""
    return FULL if os.environ.get("LONG") else QUICK
