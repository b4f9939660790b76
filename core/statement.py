"""A customer's statement: what came, what went, and what is still waiting, newest first.

A line is a move of the wallet, or a deposit that has not reached it. Each branch is paged by a key
of its own (the wallet's number of a move, the deposit's id), and the two are merged by time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core import ledger, money
from core.ledger import TransferKind, Wallet
from core.money import Cents
from core.say import NAIROBI, say

NEWEST = 2**63 - 1  # a cursor before anything was shown
SHORT = 5  # lines of a statement by SMS


class Kind(StrEnum):
    """What a line is about."""

    DEPOSIT = "deposit"
    BET = "bet"
    PAYOUT = "payout"
    OTHER = "other"


class State(StrEnum):
    """How it stands."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class Period(StrEnum):
    """How far back, by the Nairobi calendar."""

    TODAY = "today"
    WEEK = "week"  # today and the six days before
    MONTH = "month"  # since the first of this month

    def since(self, now: datetime) -> datetime:
        """The moment it begins."""
        day = now.astimezone(NAIROBI).replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Period.MONTH:
            return day.replace(day=1)
        return day - timedelta(days=6) if self is Period.WEEK else day


MOVES: dict[Kind, tuple[TransferKind, ...]] = {
    Kind.DEPOSIT: (
        TransferKind.DEPOSIT,
        TransferKind.EXCISE,
        TransferKind.ATTACHED,
        TransferKind.REVERSED,
        TransferKind.RESTORED,
    ),
    Kind.BET: (TransferKind.STAKE, TransferKind.WON, TransferKind.REFUND, TransferKind.REVERSAL),
    Kind.PAYOUT: (
        TransferKind.RESERVE,
        TransferKind.RELEASE,
        TransferKind.WITHHOLDING,
        TransferKind.FROZEN,
        TransferKind.THAWED,
    ),
}
KIND_OF = {move: kind for kind, moves in MOVES.items() for move in moves}
MOVES[Kind.OTHER] = tuple(move for move in TransferKind if move not in KIND_OF)

WORDS: dict[int, str] = {
    TransferKind.DEPOSIT: "deposit",
    TransferKind.STAKE: "stake",
    TransferKind.WON: "won",
    TransferKind.REFUND: "refund",
    TransferKind.RESERVE: "payout",
    TransferKind.RELEASE: "returned",
    TransferKind.EXCISE: "excise",
    TransferKind.WITHHOLDING: "tax",
    TransferKind.ADJUSTMENT: "adjustment",
    TransferKind.REVERSAL: "corrected",
    TransferKind.REPAYMENT: "repaid",
    TransferKind.ATTACHED: "deposit",
    TransferKind.REVERSED: "reversed",
    TransferKind.RESTORED: "restored",
    TransferKind.FROZEN: "frozen",
    TransferKind.THAWED: "thawed",
}


@dataclass(frozen=True)
class Cursor:
    """Where a page ended: the last move and the last deposit that were shown."""

    seq: int = NEWEST
    deposit: int = NEWEST


@dataclass(frozen=True)
class Line:
    """One line. Of a deposit that has not arrived there is no `seq`, no balance and no sign."""

    seq: int | None
    kind: Kind
    word: str  # of `money.move_*`
    state: State
    amount: Cents  # positive for what came, negative for what went
    balance: Cents | None  # after it
    at: datetime
    ref: int | None  # the bet, deposit or payout
    code: int | None  # of the market
    name: str | None  # a deposit's reference
    receipt: str | None
    reason: str | None  # a sentence's key, where it failed

    @property
    def bet(self) -> int | None:
        """The bet it belongs to."""
        return self.ref if self.kind is Kind.BET else None

    def words(self, lang: str, *, long: bool = False) -> str:
        """The line as its owner reads it; `long` with the time of the day."""
        what = say(f"money.move_{self.word}", lang, code=self.code or "")
        amount = money.show(abs(self.amount))
        sign = "" if self.seq is None else "+" if self.amount > 0 else "-"
        facts = {"at": self.at, "what": what.strip(), "amount": sign + amount}
        sentence = f"money.entry_{self.state}" if long else f"money.line_{self.state}"
        return say(sentence, lang, **facts)


@dataclass(frozen=True)
class Page:
    """Some lines, newest first, and where to go on; `older` is None at the end."""

    lines: Sequence[Line]
    older: Cursor | None


def page(
    tx: Session,
    customer_id: int,
    *,
    kind: Kind | None = None,
    state: State | None = None,
    since: datetime | None = None,
    cursor: Cursor = Cursor(),
    limit: int = 20,
) -> Page:
    """The lines after `cursor` that fit every filter, `limit` at most."""
    wallet = tx.scalar(select(Wallet.account_id).where(Wallet.customer_id == customer_id))
    rows = tx.execute(
        LINES,
        {
            "customer": customer_id,
            "wallet": wallet,
            "seq": cursor.seq,
            "deposit": cursor.deposit,
            "kinds": None if kind is None else [int(move) for move in MOVES[kind]],
            "deposits": kind in (None, Kind.DEPOSIT),
            "state": state,
            "since": since,
            "limit": limit + 1,
        },
    ).all()
    shown = rows[:limit]
    older = Cursor(
        seq=min((row.seq for row in shown if row.seq is not None), default=cursor.seq),
        deposit=min((row.ref for row in shown if row.seq is None), default=cursor.deposit),
    )
    return Page([_line(row) for row in shown], older if len(rows) > limit else None)


def one(
    tx: Session, customer_id: int, *, seq: int | None = None, deposit: int | None = None
) -> Line | None:
    """The customer's move of that number, or the deposit that is not among the moves."""
    if seq is not None:
        found = page(tx, customer_id, cursor=Cursor(seq=seq + 1, deposit=0), limit=1)
    else:
        assert deposit is not None, "a line is a move or a deposit"
        found = page(tx, customer_id, cursor=Cursor(seq=0, deposit=deposit + 1), limit=1)
    line = found.lines[0] if found.lines else None
    wanted = line is not None and (line.seq == seq if seq is not None else line.ref == deposit)
    return line if wanted else None


def short(tx: Session, customer_id: int, lang: str) -> dict[str, Any] | None:
    """The facts of `sms.statement`: the newest lines and the balance. None where nothing moved."""
    lines = page(tx, customer_id, limit=SHORT).lines
    if not lines:
        return None
    written = "\n".join(line.words(lang) for line in lines)
    return {"lines": written, "balance": ledger.balance(tx, customer_id)}


# The moves are read from the newest down, in the order of their index, and joined to what they are
# about only as far as the page goes. In each branch the time never rises, so that no merge can pass
# over a line: a deposit keeps M-PESA's time, which may be older than the moves before it.
LINES = text("""
    WITH moves AS (
      SELECT m.seq, m.kind, m.amount, m.balance, m.event_at AS at, m.ref, g.code, NULL AS name,
             coalesce(r.receipt, proved.receipt, late.receipt, o.receipt) AS receipt,
             o.failure AS reason, s.state
        FROM (SELECT id, credit_seq AS seq, kind, amount, credit_balance_after AS balance, event_at,
                     ref
                FROM transfer WHERE credit_account = :wallet AND credit_seq < :seq
              UNION ALL
              SELECT id, debit_seq, kind, -amount, debit_balance_after, event_at, ref
                FROM transfer WHERE debit_account = :wallet AND debit_seq < :seq) m
        LEFT JOIN mpesa_receipt r
          ON r.transfer_id = CASE m.kind WHEN 1 THEN m.id WHEN 19 THEN m.ref END
        LEFT JOIN mpesa_receipt proved
          ON proved.restored_id = CASE m.kind WHEN 23 THEN m.id WHEN 19 THEN m.ref END
        LEFT JOIN mpesa_receipt late ON late.attached_id = CASE m.kind WHEN 18 THEN m.id END
        LEFT JOIN payout o ON m.kind IN (6, 8, 10, 20, 21) AND o.id = m.ref
        LEFT JOIN bet b ON m.kind IN (2, 3, 4, 12) AND b.id = m.ref
        LEFT JOIN market g ON g.id = b.market_id
       CROSS JOIN LATERAL (SELECT CASE
               WHEN m.kind IN (6, 10) AND o.state < 8 THEN 'waiting'
               WHEN m.kind IN (6, 10) AND o.state > 8 THEN 'failed'
               WHEN m.kind = 2 AND g.status NOT IN (8, 10) THEN 'waiting'
               ELSE 'done' END AS state) s
       WHERE (CAST(:kinds AS integer[]) IS NULL OR m.kind = ANY (CAST(:kinds AS integer[])))
         AND (CAST(:since AS timestamptz) IS NULL OR m.event_at >= :since)
         AND (CAST(:state AS text) IS NULL OR s.state = :state)
       ORDER BY m.seq DESC LIMIT :limit
    ), waiting AS (
      SELECT NULL::bigint AS seq, 1::smallint AS kind, d.amount, NULL::bigint AS balance,
             d.created_at AS at, d.id AS ref, NULL::bigint AS code, d.ref AS name,
             (SELECT min(r.receipt) FROM mpesa_receipt r WHERE r.deposit_id = d.id) AS receipt,
             d.reason, s.state
        FROM deposit d
       CROSS JOIN LATERAL
             (SELECT CASE WHEN d.state IN (5, 6) THEN 'failed' ELSE 'waiting' END AS state) s
       WHERE :deposits AND d.customer_id = :customer AND d.id < :deposit
         AND NOT EXISTS (SELECT FROM mpesa_receipt r
                          WHERE r.deposit_id = d.id AND r.account_id = :wallet)
         AND (CAST(:since AS timestamptz) IS NULL OR d.created_at >= :since)
         AND (CAST(:state AS text) IS NULL OR s.state = :state)
       ORDER BY d.id DESC LIMIT :limit
    )
    SELECT * FROM (
      SELECT *, min(at) OVER (ORDER BY seq DESC) AS place FROM moves
      UNION ALL
      SELECT *, min(at) OVER (ORDER BY ref DESC) FROM waiting) told
     ORDER BY place DESC, seq DESC NULLS FIRST, ref DESC LIMIT :limit
""")


def _line(row: Any) -> Line:
    return Line(
        seq=row.seq,
        kind=KIND_OF.get(row.kind, Kind.OTHER),
        word=WORDS.get(row.kind, "other"),
        state=State(row.state),
        amount=Cents(row.amount),
        balance=None if row.balance is None else Cents(row.balance),
        at=row.at,
        ref=row.ref,
        code=row.code,
        name=row.name,
        receipt=row.receipt,
        reason=row.reason,
    )
