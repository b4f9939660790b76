"""How often the tests that repeat themselves do so: quick for every day, full before a release."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """One set of counts."""

    steps: int  # of the stateful machine
    schedules: int  # of threads against each other
    kills: int  # of processes
    cases: int  # of fuzz, a route


QUICK = Counts(steps=1_000, schedules=50, kills=6, cases=50)
FULL = Counts(steps=10_000, schedules=1_000, kills=100, cases=1_000)
