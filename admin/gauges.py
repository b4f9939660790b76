"""The figures of the house for Prometheus, read from Postgres and Redis at the scrape.

Counters kept in processes would be one set for each worker and lost with every fork; what is owed,
what waits and what is stuck is in the database anyway.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from rq import Worker
from rq.serializers import JSONSerializer
from sqlalchemy import text

from admin import mpesa_gauges
from core import breakers, strangers
from core.config_forms import DARAJA_PRODUCTS
from core.runtime import Runtime

# Name, help, labels, and a query whose columns are the labels and then the value.
GAUGES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (
        "outbox_depth",
        "Promises not kept yet, by kind.",
        ("topic",),
        "SELECT kind, count(*) FROM promise WHERE state IN (1, 2) GROUP BY kind",
    ),
    (
        "outbox_oldest_seconds",
        "How long the oldest promise has been due, by kind.",
        ("topic",),
        "SELECT kind, extract(epoch FROM app_now() - min(due_at)) FROM promise"
        " WHERE state IN (1, 2) AND due_at <= app_now() GROUP BY kind",
    ),
    (
        "outbox_unknown",
        "Promises whose end is in doubt, of the last day, by kind.",
        ("topic",),
        "SELECT kind, count(*) FROM promise"
        " WHERE state = 5 AND done_at > app_now() - interval '1 day' GROUP BY kind",
    ),
    (
        "callbacks_waiting",
        "Callbacks kept and not acted on yet, by door.",
        ("door",),
        "SELECT door, count(*) FROM callback WHERE state = 1 GROUP BY door",
    ),
    (
        "callbacks_stuck",
        "Callbacks that failed five times, by door.",
        ("door",),
        "SELECT door, count(*) FROM callback WHERE state = 3 GROUP BY door",
    ),
    (
        "scheduler_tick_age_seconds",
        "How long ago each tick was last done.",
        ("job",),
        "SELECT name, extract(epoch FROM clock_timestamp() - done_at) FROM tick",
    ),
    (
        "ledger_broken",
        "Invariants that the last proof of the books found broken, by name; none is well.",
        ("invariant",),
        "SELECT jsonb_array_elements_text(broken), 1 FROM"
        " (SELECT broken FROM ledger_proof ORDER BY id DESC LIMIT 1) last",
    ),
    (
        "ledger_proof_age_seconds",
        "How long ago the books were last proved, whatever it found.",
        (),
        "SELECT extract(epoch FROM app_now() - max(proved_at)) FROM ledger_proof"
        " HAVING count(*) > 0",
    ),
    (
        "payouts_open",
        "Payouts that have not ended, by state.",
        ("state",),
        "SELECT (ARRAY['requested', 'held', 'queued', 'sending', 'accepted', 'in_doubt',"
        " 'needs_human'])[state], count(*) FROM payout WHERE state < 8 GROUP BY 1",
    ),
    (
        "payouts_in_doubt_shillings",
        "Shillings that M-PESA may or may not have paid out.",
        (),
        "SELECT coalesce(sum(amount), 0) / 100 FROM payout WHERE state IN (6, 7)",
    ),
    (
        "payouts_in_doubt_seconds",
        "How long ago the oldest payout in doubt was sent.",
        (),
        "SELECT extract(epoch FROM app_now() - min(sending_at)) FROM payout WHERE state IN (6, 7)"
        " HAVING count(sending_at) > 0",
    ),
    (
        "payout_incidents_open",
        "Payouts that M-PESA paid too much, and that nobody has ended.",
        (),
        "SELECT count(*) FROM payout_incident WHERE state = 1",
    ),
    (
        "payouts_paused",
        "Whether payouts are paused, by reason.",
        ("reason",),
        "SELECT reason, 1 FROM payout_pause WHERE resumed_at IS NULL",
    ),
    (
        "suspense_receipts",
        "Payments for which nobody was found and that are still here.",
        (),
        "SELECT count(*) FROM account a JOIN mpesa_receipt r ON r.account_id = a.id"
        " WHERE a.kind = 25 AND r.reversed_at IS NULL AND NOT EXISTS"
        " (SELECT FROM refund f WHERE f.receipt = r.receipt AND f.state = 6)",
    ),
    (
        "refunds_open",
        "Money on its way back, by state: 4 in doubt, 5 a person has to look.",
        ("state",),
        "SELECT state::text, count(*) FROM refund WHERE state < 6 GROUP BY state",
    ),
    (
        "receipts_unsettled",
        "Payments that M-PESA denied, contradicted or never answered, until two people rule.",
        (),
        "SELECT count(*) FROM receipt_claim c LEFT JOIN mpesa_receipt r ON r.receipt = c.receipt"
        " WHERE c.state IN (3, 4, 5) AND r.confirmed_at IS NULL AND r.reversed_at IS NULL"
        " AND (c.state <> 3 OR r.receipt IS NOT NULL)",
    ),
    (
        "settlements_stopped",
        "Settlements that the house stopped: the book was not the one approved. A person looks.",
        (),
        "SELECT count(*) FROM settlement"
        " WHERE state < 3 AND paused_at IS NOT NULL AND paused_by IS NULL",
    ),
    (
        "db_connections",
        "Connections to the database, by state.",
        ("state",),
        "SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() GROUP BY 1",
    ),
)


class House(Collector):
    """Collects every figure, each time it is asked."""

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: to describe would be to collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Everything. A Redis that is away is a figure too."""
        with self.rt.transaction() as tx:
            for name, what, labels, query in GAUGES:
                yield _gauge(name, what, labels, tx.execute(text(query)))
            for name, what, labels, rows in mpesa_gauges.figures(self.rt, tx):
                yield _gauge(name, what, labels, rows)
        yield from _queues(self.rt)


def _queues(rt: Runtime) -> Iterator[Metric]:
    up = GaugeMetricFamily("redis_up", "Whether Redis answers.")
    try:
        waiting = [(name, "queued", queue.count) for name, queue in rt.queues.items()]
        failed = [
            (name, "failed", queue.failed_job_registry.get_job_count(cleanup=False))
            for name, queue in rt.queues.items()
        ]
        states: dict[str, int] = {}
        for worker in Worker.all(connection=rt.redis, serializer=JSONSerializer):
            state = str(worker.get_state())
            states[state] = states.get(state, 0) + 1
    except RedisError:
        up.add_metric([], 0)
        yield up
        return
    up.add_metric([], 1)
    yield up
    yield _gauge("rq_jobs", "Bells by queue.", ("queue", "status"), waiting + failed)
    yield _gauge("rq_workers", "Workers by state.", ("state",), states.items())
    yield from _line(rt)


def _line(rt: Runtime) -> Iterator[Metric]:
    """M-PESA's products that are left alone for now, and who was turned away at the doors."""
    alone = [
        (product, breakers.open_for(rt.redis, product, now=rt.now()).total_seconds())
        for product in DARAJA_PRODUCTS
    ]
    what = "Seconds for which a product of Daraja is left alone after failures."
    yield _gauge("daraja_left_alone_seconds", what, ("product",), alone)
    turned = list(strangers.counts(rt.redis))
    yield _gauge("doors_turned_away", "Who was not let in.", ("door", "reason"), turned)


def _gauge(name: str, what: str, labels: tuple[str, ...], rows: Iterable[Any]) -> Metric:
    gauge = GaugeMetricFamily(name, what, labels=labels)
    for *values, number in rows:
        gauge.add_metric([str(value) for value in values], float(number))
    return gauge
