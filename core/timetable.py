"""What strikes when: every tick of the house."""

from collections.abc import Sequence
from datetime import timedelta

from core import sweeps
from core.runtime import Tick
from core.ticks import every

TICKS: Sequence[Tick] = (
    Tick("sweep", every(timedelta(seconds=1)), sweeps.sweep),
    Tick("forget_releases", every(timedelta(minutes=10)), sweeps.forget_releases),
)
