"""What M-PESA says our accounts hold, read twice a day and held against the ledger.

The two are compared at M-PESA's own moment, once what was under way has had time to be booked. A
difference that payments in flight explain is none; one that changes since the last reading is new.
"""

import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any, NamedTuple

import structlog
from sqlalchemy import CheckConstraint, Identity, Index, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import notices, orphans, outbox, payouts
from core.base import Base, Small
from core.config import Config
from core.errors import NotSent
from core.notices import BalanceNotice
from core.outbox import Errand, Outcome, Promise, Sent
from core.runtime import current

log = structlog.get_logger(__name__)

KIND, DOOR = "balance", "balance_result"
SETTLES = timedelta(minutes=15)  # until what M-PESA did before its answer is in our books
AGAIN = timedelta(hours=6)  # a tick may strike twice; what it does it does once
OPERATOR_TROUBLE = ("2001", "8006")  # results that payouts are paused for
PATIENCE = timedelta(minutes=30)  # with an answer that does not come
AMOUNT = re.compile(r"-?\d{1,13}(\.\d{1,2})?", re.ASCII)
ACCOUNTS = {
    "utility account": "utility",
    "working account": "working",
    "charges paid account": "charges",
}


class ReadingState(IntEnum):
    """Where a reading stands."""

    WAITING = 1
    ASKED = 2
    READ = 3
    COMPARED = 4
    LOST = 5  # no answer came; the next reading is a new one


class BalanceReading(Base):
    """One answer of M-PESA's; money in cents. `difference` is M-PESA's less ours."""

    __tablename__ = "balance_reading"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 5", name="state"),
        CheckConstraint(
            "(state IN (3, 4)) = (num_nonnulls(utility, read_at, answered_at) = 3)", name="read"
        ),
        CheckConstraint("(state = 4) = (verdict IS NOT NULL)", name="compared"),
        Index("ix_balance_reading_shortcode", "shortcode", "id"),
        Index(
            "ix_balance_reading_compare_at",
            "compare_at",
            postgresql_where="compare_at IS NOT NULL",
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    shortcode: Mapped[str]
    state: Mapped[int] = mapped_column(Small)
    conversation_id: Mapped[str | None] = mapped_column(unique=True)
    code: Mapped[str | None]
    utility: Mapped[int | None]
    working: Mapped[int | None]
    charges: Mapped[int | None]  # what M-PESA has taken and not settled yet: below zero
    ledger: Mapped[int | None]  # our utility account at `read_at`
    difference: Mapped[int | None]
    drift: Mapped[int | None]  # of the difference, since the reading before
    verdict: Mapped[str | None]  # 'agrees', 'in flight', 'differs'
    created_at: Mapped[datetime]
    asked_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]  # by M-PESA's clock
    answered_at: Mapped[datetime | None]
    compare_at: Mapped[datetime | None]


class Held(NamedTuple):
    """What an answer says, in cents."""

    utility: int
    working: int
    charges: int


def ask_by_clock(tx: Session, now: datetime, config: Config) -> None:
    """Ask, unless it was done a moment ago, or our operator is refused: each try may lock it."""
    recently = select(BalanceReading.id).where(BalanceReading.created_at > now - AGAIN)
    paused = payouts.paused(tx)
    refused = paused is not None and paused.reason in OPERATOR_TROUBLE
    if not refused and tx.scalar(recently.limit(1)) is None:
        ask(tx, now, config)


def ask(tx: Session, now: datetime, config: Config) -> list[BalanceReading]:
    """Have M-PESA asked what each of our shortcodes holds."""
    shortcodes = dict.fromkeys((config.mpesa_shortcode, config.mpesa_b2c_shortcode))
    asked = [
        BalanceReading(
            key=uuid.uuid4(), shortcode=shortcode, state=ReadingState.WAITING, created_at=now
        )
        for shortcode in shortcodes
        if shortcode
    ]
    tx.add_all(asked)
    tx.flush()
    for reading in asked:
        outbox.promise(tx, KIND, {"reading_id": reading.id}, key=reading.key, now=now)
    return asked


def take_result(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """M-PESA's answer, found by the id of our question; it comes once, or never."""
    told = notices.balance(payload)
    if told is None:
        return "unreadable"
    reading = _named(tx, told.correlation)
    if reading is None:  # it may have crossed the answer that holds its id
        return orphans.keep(tx, DOOR, told, now=now)
    return _answer(reading, told, now=now)


def take_timeout(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """The question timed out in M-PESA's queue."""
    reading = _named(tx, notices.timed_out(payload)[0])
    if reading is None:
        return "unmatched"
    if reading.state == ReadingState.ASKED:
        reading.state = ReadingState.LOST
    return "not final"


def sweep(tx: Session, now: datetime, config: Config) -> None:
    """Compare the readings whose time has come, and give up on those that were not answered."""
    for orphan in orphans.known(tx, DOOR, BalanceReading.conversation_id):
        reading = _named(tx, orphan.correlation)
        assert reading is not None, "its conversation id is in the table"
        verdict = _answer(reading, BalanceNotice.from_kept(orphan.notice), now=now)
        orphans.match(orphan, verdict, now=now)
    due = (
        select(BalanceReading)
        .where(BalanceReading.compare_at <= now)
        .order_by(BalanceReading.id)
        .with_for_update(skip_locked=True)
    )
    for reading in tx.scalars(due).all():
        _compare(tx, reading)
    silent = (
        select(BalanceReading)
        .where(BalanceReading.state == ReadingState.ASKED, BalanceReading.asked_at < now - PATIENCE)
        .with_for_update(skip_locked=True)
    )
    for reading in tx.scalars(silent):
        log.warning("no balance came", ids=[reading.id])
        reading.state = ReadingState.LOST


def latest(tx: Session, *, limit: int = 20) -> Sequence[BalanceReading]:
    """The newest readings first."""
    newest = select(BalanceReading).order_by(BalanceReading.id.desc()).limit(limit)
    return tx.scalars(newest).all()


def read(accounts: str) -> Held | None:
    """`Working Account|KES|700000.00|...&Utility Account|...` in cents; None without a utility.

    Of each account the current balance counts: what is reserved has not left.
    """
    found: dict[str, int] = {}
    for account in accounts.split("&"):
        cells = [cell.strip() for cell in account.split("|")]
        name = ACCOUNTS.get(cells[0].lower())
        if name is None or len(cells) < 3 or not AMOUNT.fullmatch(cells[2]):
            continue
        found[name] = int(Decimal(cells[2]) * 100)
    if "utility" not in found:
        return None
    return Held(found["utility"], found.get("working", 0), found.get("charges", 0))


def _answer(reading: BalanceReading, told: BalanceNotice, *, now: datetime) -> str:
    if reading.state != ReadingState.ASKED:
        return "again"
    reading.code = told.code
    held = read(told.accounts) if told.code == notices.OK else None
    if held is None:
        log.error("balance not told", result_code=told.code)
        reading.state = ReadingState.LOST
        return "refused"
    reading.utility, reading.working, reading.charges = held
    reading.read_at = min(told.at or now, now)
    reading.state, reading.answered_at, reading.compare_at = ReadingState.READ, now, now + SETTLES
    _watch_float(reading, current().config)
    return "read"


def _begin(tx: Session, promise: Promise, now: datetime) -> dict[str, Any] | None:
    reading = _held(tx, promise)
    if reading.state != ReadingState.WAITING:
        return None
    reading.state, reading.asked_at = ReadingState.ASKED, now
    return {"shortcode": reading.shortcode}


def _finish(tx: Session, promise: Promise, outcome: Outcome, now: datetime) -> None:
    reading = _held(tx, promise)
    if isinstance(outcome, Sent):
        reading.conversation_id = outcome.answer["conversation_id"]
        for orphan in orphans.of(tx, DOOR, outcome.answer["conversation_id"]):
            verdict = _answer(reading, BalanceNotice.from_kept(orphan.notice), now=now)
            orphans.match(orphan, verdict, now=now)
    elif reading.state == ReadingState.ASKED:
        again = isinstance(outcome.error, NotSent)
        reading.state = ReadingState.WAITING if again else ReadingState.LOST
        reading.code = outcome.error.code


ERRAND = Errand(KIND, outbox.MONEY, _begin, _finish, when_lost="unknown")


def _watch_float(reading: BalanceReading, config: Config) -> None:
    """Payouts leave from one account only, and stop when it is empty."""
    assert reading.utility is not None
    if reading.shortcode == config.mpesa_b2c_shortcode and reading.utility < config.float_low:
        log.error("float is low", balance=reading.utility)


def _compare(tx: Session, reading: BalanceReading) -> None:
    """Hold a reading against the ledger as it stood then, in so far as it is known by now."""
    assert reading.utility is not None
    assert reading.read_at is not None
    facts = {"shortcode": reading.shortcode, "at": reading.read_at}
    ours = tx.execute(text(OURS), facts).one()
    before = tx.scalar(
        select(BalanceReading.difference)
        .where(
            BalanceReading.shortcode == reading.shortcode,
            BalanceReading.id < reading.id,
            BalanceReading.state == ReadingState.COMPARED,
        )
        .order_by(BalanceReading.id.desc())
        .limit(1)
    )
    # Charges lie beside the utility account until M-PESA settles them; our books take them at once.
    difference = reading.utility + (reading.charges or 0) - int(ours.ledger)
    reading.ledger, reading.difference = int(ours.ledger), difference
    reading.drift = difference - (before or 0)
    reading.verdict = _verdict(difference, ours)
    reading.state, reading.compare_at = ReadingState.COMPARED, None
    if reading.verdict == "differs" and (reading.drift or before is None):
        log.error("balance differs", amount=difference, balance=reading.utility)


def _verdict(difference: int, ours: Any) -> str:
    """What may have left M-PESA and not our books makes it less there, and the other way round."""
    if difference == 0:
        return "agrees"
    return "in flight" if -int(ours.leaving) <= difference <= int(ours.coming) else "differs"


def _named(tx: Session, conversation: str) -> BalanceReading | None:
    if not conversation:
        return None
    named = select(BalanceReading).where(BalanceReading.conversation_id == conversation)
    return tx.scalar(named.with_for_update())


def _held(tx: Session, promise: Promise) -> BalanceReading:
    return tx.get_one(BalanceReading, promise.payload["reading_id"], with_for_update=True)


# Our account now, less what has happened since by M-PESA's time. That was booked after that moment
# too, but for clocks that differ, so a day before it is far enough to look.
OURS = """
    SELECT -coalesce(ledger_sum(a.id), 0) - coalesce((
             SELECT sum(CASE WHEN t.debit_account = a.id THEN t.amount ELSE -t.amount END)
               FROM transfer t
              WHERE a.id IN (t.debit_account, t.credit_account) AND t.event_at > :at
                AND t.created_at > CAST(:at AS timestamptz) - interval '1 day'), 0) AS ledger,
           (SELECT coalesce(sum(p.amount + coalesce((SELECT max(charge) FROM tariff), 0)), 0)
              FROM payout p
             WHERE p.state IN (4, 5, 6, 7) AND p.shortcode = a.shortcode) +
           (SELECT coalesce(sum(f.amount + coalesce((SELECT max(charge) FROM tariff), 0)), 0)
              FROM refund f
             WHERE f.state IN (2, 3, 4, 5) AND f.shortcode = a.shortcode) AS leaving,
           (SELECT coalesce(sum(d.amount), 0) FROM deposit d
             WHERE d.state IN (2, 3, 4, 7, 8) AND d.shortcode = a.shortcode
               AND d.created_at > CAST(:at AS timestamptz) - interval '1 day') +
           (SELECT coalesce(sum(c.amount), 0) FROM receipt_claim c
             WHERE c.deposit_id IS NULL AND c.state = 1 AND c.shortcode = a.shortcode
               AND NOT EXISTS (SELECT FROM mpesa_receipt r WHERE r.receipt = c.receipt)) AS coming
      FROM (SELECT ledger_account(10::smallint, NULL, NULL, :shortcode) AS id,
                   CAST(:shortcode AS text) AS shortcode) a
"""
