"""Keeps a process on the M-PESA settings in force: it looks now and then, and needs no restart."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core import mpesa_settings, stamp
from core.config import Config
from core.crypto import Unopenable
from core.errors import NotSent, PartnerError
from core.runtime import Runtime, Sender

log = structlog.get_logger(__name__)

LOG_OUT = "log_out"  # the sender that drops the token of the credentials it was made with
WITH_TOKEN = ("mpesa_consumer_key", "mpesa_consumer_secret")
SHUT = "settings"


class Watch:
    """What `Runtime.refresh` asks, at the beginning of a request, a job, a tick or a command.

    Never in the middle of one, where it would take a second connection. `line` makes the senders of
    M-PESA for other settings.
    """

    def __init__(self, line: Callable[[Config], Mapping[str, Sender]]) -> None:
        self.line = line
        self.looked_at = float("-inf")
        self.looking = threading.Lock()
        self.stranger: str | None = None  # the stamp of a database that is not ours any more

    def __call__(self, rt: Runtime, at_once: bool) -> None:
        """Look, `at_once` or if it is time and nobody else does; what cannot be read now waits.

        Raises WrongDatabase from the moment on at which the database is another environment's.
        """
        if self.stranger:
            raise stamp.differs(rt.config.app_env, self.stranger)
        every = rt.config.mpesa_settings_look.total_seconds()
        fresh = time.monotonic() - self.looked_at < every
        if (fresh and not at_once) or not self.looking.acquire(blocking=at_once):
            return
        try:
            self._look(rt)
        except (DBAPIError, PoolTimeout) as away:
            log.warning("mpesa settings not read", error=type(away).__name__)
        finally:
            self.looked_at = time.monotonic()
            self.looking.release()

    def _look(self, rt: Runtime) -> None:
        with rt.transaction() as tx:
            stamped = stamp.environment(tx)
            if stamped != rt.config.app_env:
                self.stranger = stamped
                raise stamp.differs(rt.config.app_env, stamped)
            newest = mpesa_settings.version(tx, stamped)
            if newest == rt.mpesa_version:
                return
            try:
                values = mpesa_settings.in_force(tx, rt.config)
            except Unopenable as error:
                self._shut(rt, newest, error)
                return
        self._take(rt, newest, values)

    def _take(self, rt: Runtime, newest: int, values: Mapping[str, str]) -> None:
        before, drop = rt.config, rt.senders.get(LOG_OUT)
        rt.config = mpesa_settings.overlaid(before, values)
        rt.senders = {**rt.senders, **self.line(rt.config)}
        rt.mpesa_version, rt.mpesa_shut = newest, None
        log.warning("mpesa settings taken", count=len(values))
        if drop and any(getattr(before, name) != getattr(rt.config, name) for name in WITH_TOKEN):
            with suppress(PartnerError):  # Redis is away: the token dies by itself within the hour
                drop({})

    def _shut(self, rt: Runtime, newest: int, error: Unopenable) -> None:
        """The environment's values would be the wrong ones: nothing goes to M-PESA any more."""
        log.error("mpesa settings cannot be opened", reason=str(error))
        rt.senders = {**rt.senders, **dict.fromkeys(self.line(rt.config), _shut)}
        rt.mpesa_version, rt.mpesa_shut = newest, str(error)


def _shut(request: Mapping[str, Any]) -> Mapping[str, Any]:
    raise NotSent("the M-PESA settings in the database cannot be opened", code=SHUT)
