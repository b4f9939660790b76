"""Strangers at the doors: who is turned away is counted, and who keeps knocking is put off.

Only they are limited. A partner who is who he says is never told to slow down: what is refused to
M-PESA it does not send again.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

from core import rates
from core.doors import Turned
from core.rates import Rate

log = structlog.get_logger(__name__)

OFTEN = Rate(1, 60)  # how often one address is told, and written down, why it may not come in
PUT_OFF = Turned(429, "often")
COUNTS = "doors:turned"


def turn_away(redis: Redis, door: str, turned: Turned, address: str, *, now: datetime) -> Turned:
    """How to turn away who knocked at `door`: as the door said, or without more words."""
    _count(redis, door, turned.reason)
    if not rates.take(redis, f"turned:{address}", OFTEN, now=now).granted:
        return PUT_OFF
    log.warning("turned away", door=door, reason=turned.reason, status=turned.status)
    return turned


def counts(redis: Redis) -> Iterator[tuple[str, str, int]]:
    """How many were turned away, by door and reason, for as long as Redis remembers."""
    try:
        told: Any = redis.hgetall(COUNTS)
    except RedisError:
        return
    for name, count in told.items():
        door, _, reason = name.decode().partition(" ")
        yield door, reason, int(count)


def _count(redis: Redis, door: str, reason: str) -> None:
    try:
        redis.hincrby(COUNTS, f"{door} {reason}", 1)
    except RedisError as error:
        log.warning("strangers are not counted", error=type(error).__name__)
