"""Rates: how often something may be done, counted in Redis for every process together.

Losing Redis lifts them: a partner's own limit is still there, and its refusal sends nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

LONGEST = timedelta(minutes=10)  # what anybody is told to wait; a longer queue begins anew
SKEW = timedelta(seconds=5)  # between the clocks of two machines, at most
NOW = timedelta(0)

# `tat` is when the bucket will be full again. Whoever would wait longer than `patience` is given
# a turn of his own instead, so that those who were sent away do not come back all at once.
# A `tat` further off than the rate could have put it is of a clock that was set back since; so is
# a turn, or the queue is longer than anybody waits, and two share each place in it.
TAKE = """
local now, step, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local patience, longest, skew = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local tat = tonumber(redis.call('HGET', KEYS[1], 'tat') or 0)
if tat < now or tat > now + burst * step + patience + skew then tat = now end
local wait = math.max(0, tat - (burst - 1) * step - now)
redis.call('PEXPIRE', KEYS[1], math.ceil(burst * step + 2 * longest))
if wait <= patience then
    redis.call('HSET', KEYS[1], 'tat', string.format('%.3f', tat + step))
    return {1, math.ceil(wait)}
end
local turn = tonumber(redis.call('HGET', KEYS[1], 'turn') or 0)
if turn > now + longest then turn = 0 end
turn = math.max(turn + step, now + wait)
redis.call('HSET', KEYS[1], 'turn', string.format('%.3f', turn))
return {0, math.ceil(math.min(turn - now, longest))}
"""


@dataclass(frozen=True)
class Rate:
    """So many a second, and so many at once after a rest."""

    per_second: float
    at_once: int

    @property
    def step(self) -> float:
        """Milliseconds from one to the next."""
        return 1000 / self.per_second


@dataclass(frozen=True)
class Turn:
    """Whether one may go after `wait`; if not, `wait` is when to ask again."""

    granted: bool
    wait: timedelta


def take(redis: Redis, name: str, rate: Rate, *, now: datetime, patience: timedelta = NOW) -> Turn:
    """Ask for a turn of `name`, to be had within `patience`."""
    args = rate.step, rate.at_once, _ms(patience), _ms(LONGEST), _ms(SKEW)
    try:
        answer: Any = redis.eval(TAKE, 1, _key(name), *map(str, (_moment(now), *args)))
    except RedisError as error:
        log.warning("rates are not kept", error=type(error).__name__)
        return Turn(True, NOW)
    granted, wait = answer
    return Turn(bool(granted), timedelta(milliseconds=int(wait)))


def exhaust(redis: Redis, name: str, rate: Rate, *, now: datetime) -> None:
    """Begin again with nothing at hand, since whoever counts at the other end said too many."""
    tat = _moment(now) + rate.at_once * rate.step
    try:
        redis.hset(_key(name), "tat", f"{tat:.3f}")
        redis.pexpire(_key(name), int(rate.at_once * rate.step + 2 * _ms(LONGEST)))
    except RedisError as error:
        log.warning("rates are not kept", error=type(error).__name__)


def _key(name: str) -> str:
    return f"rate:{name}"


def _moment(now: datetime) -> float:
    return round(now.timestamp() * 1000, 3)


def _ms(span: timedelta) -> float:
    return span / timedelta(milliseconds=1)
