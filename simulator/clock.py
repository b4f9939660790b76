"""Nairobi's time, which is what M-PESA writes into its dates."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

NAIROBI = ZoneInfo("Africa/Nairobi")

_ahead = timedelta()


def nairobi_now() -> datetime:
    return datetime.now(NAIROBI) + _ahead


def set_ahead(seconds: float) -> None:
    """From now on the world's dates are so much later than the machine's: as the house's may be."""
    global _ahead
    _ahead = timedelta(seconds=seconds)
