"""The age of the API operator's password: M-PESA lets none live for longer than ninety days."""

from datetime import date, datetime

import structlog

from core.config import Config
from core.runtime import Runtime
from core.say import NAIROBI

log = structlog.get_logger(__name__)

LIVES, ALERT_FROM = 90, 80  # days


def age(config: Config, *, now: datetime) -> int | None:
    """Its age in days, by Nairobi's calendar; None where nobody has written down when it was set.

    A date that has not come yet counts as today.
    """
    if config.mpesa_password_set_on is None:
        return None
    today: date = now.astimezone(NAIROBI).date()
    return max(0, (today - config.mpesa_password_set_on).days)


def check(rt: Runtime) -> None:
    """The daily look. It stops nothing: M-PESA will, if nobody sets a new one."""
    days = age(rt.config, now=rt.now())
    if days is None:
        if rt.config.app_env == "production":
            log.error("operator password has no date")
    elif days >= ALERT_FROM:
        log.error("operator password is old", count=days, left=LIVES - days)
