"""`flask clock`: the process that has everything done in time. Two of them do nothing twice."""

import signal
import threading
from types import FrameType

import click

from admin.commands.common import serving
from core import ticks


@click.command()
def clock() -> None:
    """Strike the house's ticks until told to stop."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    ticks.run(serving(), stop)
