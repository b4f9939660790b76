"""Where calls are kept between hops: in Redis, and in Postgres while Redis is down."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter
from redis.exceptions import RedisError

from core.runtime import Runtime
from ussd.calls import Call, Hop, Reply
from ussd.shelves import Held, PostgresShelf, RedisShelf, Shelf

log = structlog.get_logger(__name__)
T = TypeVar("T")

POLL = 0.02  # seconds between two looks whether another copy of this hop is done
GRACE = 0.5  # seconds a hop waits beyond the life of a hold, to take over from the dead
REDIS_REST = 2.0  # seconds Redis is left alone after a fault, so that not every hop waits for it

OUTAGE_HOPS = Counter(
    "ussd_outage_hops_total", "Hops whose call was kept in Postgres because Redis was down"
)


class Sessions:
    """The calls of a house. A hop takes its call, works, and puts it back or lets it go."""

    def __init__(self, rt: Runtime) -> None:
        self.hold = rt.config.ussd_hop_wait.total_seconds()
        self.redis = RedisShelf(rt)
        self.postgres = PostgresShelf(rt)
        self.fell_at: float | None = None

    def take(self, hop: Hop) -> Held | None:
        """Hold the call of a hop; while another copy of it is at work, wait. None if too long."""
        token = uuid.uuid4().hex
        for look in range(int((self.hold + GRACE) / POLL)):
            if look:
                time.sleep(POLL)
            held = self._reach(lambda shelf: shelf.take(hop.session, hop.phone, token, self.hold))
            if held:
                OUTAGE_HOPS.inc(held.shelf is self.postgres)
                return self._with_newest(held, begins=not hop.text)
        return None

    def put(self, held: Held, call: Call, entry: dict[str, Any]) -> Reply:
        """Keep the call and let go; what to reply.

        If the hold was lost to a copy of this hop, which then answered it, nothing is kept and
        its reply is the reply.
        """
        reply = Reply(call.more, call.reply)
        if held.shelf is self.redis:
            kept = self._reach(lambda shelf: shelf.put(held, call, entry))
        else:
            kept = self.postgres.put(held, call, entry)
        return reply if kept else self.earlier(held, call.digest) or reply

    def let_go(self, held: Held) -> None:
        """Leave the call as it is. A hold that cannot be let go dies by itself."""
        try:
            held.shelf.let_go(held)
        except RedisError as error:
            self._fell(error)

    def earlier(self, held: Held, digest: str) -> Reply | None:
        """What was replied to an earlier hop of this call, if it is remembered."""
        found = self._reach(lambda shelf: shelf.earlier(held.session, digest))
        return found or (self.postgres.earlier(held.session, digest) if self.fell_at else None)

    def peek(self, session: str) -> Call | None:
        """A call as it stands, without holding it."""
        return self._reach(lambda shelf: shelf.peek(session))

    def _reach(self, act: Callable[[Shelf], T]) -> T:
        """Do it with Redis, or with Postgres where Redis is not to be reached."""
        if self.fell_at is None or time.monotonic() - self.fell_at > REDIS_REST:
            try:
                return act(self.redis)
            except RedisError as error:
                self._fell(error)
        return act(self.postgres)

    def _with_newest(self, held: Held, *, begins: bool) -> Held:
        """The hold, with the call of an outage in it if that has gone further than Redis knows.

        Redis may have come back with what it held before, or with nothing. A process that saw it
        fall looks at both shelves until no call of then can be alive.
        """
        suspect = self.fell_at is not None and time.monotonic() - self.fell_at < self.redis.kept
        if held.shelf is self.postgres or not (suspect or (held.call is None and not begins)):
            return held
        try:
            other = self.postgres.peek(held.session)
        except BaseException:
            self.let_go(held)
            raise
        if other is None or (held.call is not None and held.call.seen >= other.seen):
            return held
        return replace(held, call=other)

    def _fell(self, error: RedisError) -> None:
        if self.fell_at is None or time.monotonic() - self.fell_at > self.redis.kept:
            log.warning("calls are kept in postgres: redis is down", error=type(error).__name__)
        self.fell_at = time.monotonic()
