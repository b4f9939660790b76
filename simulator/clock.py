"""Nairobi's time, which is what M-PESA writes into its dates."""

from datetime import datetime
from zoneinfo import ZoneInfo

NAIROBI = ZoneInfo("Africa/Nairobi")


def nairobi_now() -> datetime:
    return datetime.now(NAIROBI)
