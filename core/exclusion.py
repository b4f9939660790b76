"""Exclusion: a break from play, short or long, that nobody ends early."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from core.errors import Refusal
from core.money import Cents
from core.say import NAIROBI

COOL_OFFS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
MONTHS = (6, 12, 24, 60)  # of a self-exclusion


@dataclass(frozen=True)
class MonthOfPlay:
    """What a customer did in one calendar month in Nairobi, in cents."""

    month: str  # 2026-11
    deposited: Cents
    staked: Cents
    returned: Cents
    withdrawn: Cents

    @property
    def result(self) -> Cents:
        """What came back less what was staked: below zero is a loss."""
        return Cents(self.returned - self.staked)


def cool_off(
    tx: Session,
    *,
    key: uuid.UUID,
    customer_id: int,
    length: str,
    now: datetime,
    staff_id: int | None = None,
) -> datetime:
    """A short break ("24h", "7d", "30d"); until when it holds. Money can still be withdrawn."""
    if length not in COOL_OFFS:
        raise Refusal("customers.break_length")
    return _exclude(
        tx, key, customer_id, now + COOL_OFFS[length], f"cool off {length}", staff_id, now
    )


def self_exclude(
    tx: Session,
    *,
    key: uuid.UUID,
    customer_id: int,
    months: int,
    now: datetime,
    staff_id: int | None = None,
) -> datetime:
    """No play for 6 months or more; until when. Not to be lifted before, by anybody."""
    if months not in MONTHS:
        raise Refusal("customers.break_length")
    until = _months_later(now, months)
    return _exclude(tx, key, customer_id, until, f"self-exclusion {months} months", staff_id, now)


def play_history(tx: Session, customer_id: int, *, months: int = 12) -> Sequence[MonthOfPlay]:
    """The customer's play month by month, the newest first; months without any are left out."""
    rows = tx.execute(HISTORY, {"customer": customer_id, "months": months})
    return [
        MonthOfPlay(
            row.month,
            Cents(int(row.deposited)),
            Cents(int(row.staked)),
            Cents(int(row.returned)),
            Cents(int(row.withdrawn)),
        )
        for row in rows
    ]


def _exclude(
    tx: Session,
    key: uuid.UUID,
    customer_id: int,
    until: datetime,
    act: str,
    staff_id: int | None,
    now: datetime,
) -> datetime:
    held = func.exclude_until(key, customer_id, until, act, staff_id, now)
    kept: datetime = tx.scalars(select(held)).one()
    return kept


def _months_later(now: datetime, months: int) -> datetime:
    """The same time of the day so many months on; the last of the month where there is no such."""
    local = now.astimezone(NAIROBI)
    years, month = divmod(local.month - 1 + months, 12)
    for day in range(local.day, 0, -1):
        try:
            return local.replace(year=local.year + years, month=month + 1, day=day)
        except ValueError:  # the 31st of a month of thirty days
            continue
    raise AssertionError("every month has a first")


# By kind of transfer: 1 and 18 deposit, 19 one that M-PESA took back, 2 stake, 3 and 4 what came
# back, 12 what a correction took back, 6 and 8 what was set aside for a payout and what of it was
# given back.
HISTORY = text("""
    SELECT to_char(t.event_at AT TIME ZONE 'Africa/Nairobi', 'YYYY-MM') AS month,
           coalesce(sum(t.amount) FILTER (WHERE t.kind IN (1, 18)), 0)
             - coalesce(sum(t.amount) FILTER (WHERE t.kind = 19), 0) AS deposited,
           coalesce(sum(t.amount) FILTER (WHERE t.kind = 2), 0) AS staked,
           coalesce(sum(t.amount) FILTER (WHERE t.kind IN (3, 4)), 0)
             - coalesce(sum(t.amount) FILTER (WHERE t.kind = 12), 0) AS returned,
           coalesce(sum(t.amount) FILTER (WHERE t.kind = 6), 0)
             - coalesce(sum(t.amount) FILTER (WHERE t.kind = 8), 0) AS withdrawn
      FROM wallet w JOIN transfer t ON w.account_id IN (t.credit_account, t.debit_account)
     WHERE w.customer_id = :customer AND t.kind IN (1, 2, 3, 4, 6, 8, 12, 18, 19)
     GROUP BY 1 ORDER BY 1 DESC LIMIT :months
""")
