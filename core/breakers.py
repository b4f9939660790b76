"""Breakers: a partner that fails again and again is left alone for a while, by every process.

Each of a partner's products has its own, kept in Redis. While one is open nothing is sent, so
nothing is in doubt that need not be; after that a single request tries the line for all. Losing
Redis closes them: they spare time and worry, and guard no money.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

NEVER = timedelta(0)
SHORTLY = timedelta(seconds=2)
FORGOTTEN = timedelta(days=1)  # after which nobody remembers that a product was ill

# Closed: 0. Open: the milliseconds that are left. Ended: 0 for the one that tries the line, which
# has it for `lease`; the others ask again shortly what it found.
ENTER = """
local now, lease, shortly = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ends = tonumber(redis.call('HGET', KEYS[1], 'ends') or 0)
if ends == 0 then return 0 end
if ends > now then return ends - now end
local tried = tonumber(redis.call('HGET', KEYS[1], 'tried') or 0)
if tried > now and tried <= now + lease then return math.min(shortly, tried - now) end
redis.call('HSET', KEYS[1], 'tried', now + lease)
return 0
"""

# 1 if this failure opens it. One that was sent before it opened changes nothing.
FAIL = """
local now, most, open_for = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ends = tonumber(redis.call('HGET', KEYS[1], 'ends') or 0)
if ends > now then return 0 end
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if ends == 0 and failures < most then return 0 end
redis.call('HSET', KEYS[1], 'ends', now + open_for)
redis.call('HDEL', KEYS[1], 'tried')
return 1
"""


@dataclass(frozen=True)
class Rule:
    """Opens after `failures` in a row, and stays open for `open_for`."""

    failures: int
    open_for: timedelta


def enter(redis: Redis, product: str, *, now: datetime, lease: timedelta) -> timedelta:
    """How long to stay away from `product`; nothing (falsy) for whoever may go.

    `lease` is how long a request takes at most: for that time the first one after a break goes
    alone.
    """
    try:
        left = _run(redis, ENTER, product, _ms(now), _length(lease), _length(SHORTLY))
    except RedisError as error:
        _away(error)
        return NEVER
    return timedelta(milliseconds=left)


def open_for(redis: Redis, product: str, *, now: datetime) -> timedelta:
    """How long `product` will still be left alone; nothing (falsy) if it is not, or who knows."""
    try:
        ends: Any = redis.hget(_key(product), "ends")
    except RedisError as error:
        _away(error)
        return NEVER
    return max(NEVER, timedelta(milliseconds=int(ends or 0) - _ms(now)))


def passed(redis: Redis, product: str) -> None:
    """Note that `product` answered: whatever failed before is forgiven."""
    try:
        if redis.delete(_key(product)):
            log.info("partner answers again", product=product)
    except RedisError as error:
        _away(error)


def failed(redis: Redis, product: str, rule: Rule, *, now: datetime, at_once: bool = False) -> None:
    """Note that `product` failed; `at_once` where trying again can only fail the same way."""
    most = 1 if at_once else rule.failures
    try:
        args = _ms(now), most, _length(rule.open_for), _length(FORGOTTEN)
        if _run(redis, FAIL, product, *args):
            seconds = rule.open_for.total_seconds()
            log.error("breaker opened", product=product, seconds=seconds)
    except RedisError as error:
        _away(error)


def _run(redis: Redis, script: str, product: str, *args: int) -> int:
    answer: Any = redis.eval(script, 1, _key(product), *map(str, args))
    return int(answer)


def _key(product: str) -> str:
    return f"breaker:{product}"


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _length(span: timedelta) -> int:
    return int(span / timedelta(milliseconds=1))


def _away(error: RedisError) -> None:
    log.warning("breakers are not kept", error=type(error).__name__)
