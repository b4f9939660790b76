"""`flask worker <queue>`: a worker on one queue, until it is told to stop."""

import click

from admin.commands.common import serving
from core import outbox, workers


@click.command()
@click.argument("queue", type=click.Choice(outbox.QUEUES))
@click.option("--burst", is_flag=True, help="End when the queue is empty.")
def worker(queue: str, burst: bool) -> None:
    """Keep promises and act on callbacks of one QUEUE."""
    workers.run(serving(), queue, burst=burst)
