"""Explain this balance: a wallet walked from its first transfer, each line traced to its origin.

At every step the balance is computed anew and compared with the one that was kept, and the line is
compared with the receipt, bet, settlement or payout it came from. What does not fit is a problem of
that line, and so is a line whose origin nobody can name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from core.ledger import TransferKind, Wallet
from core.money import Cents
from core.origins import Origin, origins

AT_ONCE = 1_000  # lines of a page
KINDS = {int(kind): kind.name.lower() for kind in TransferKind}
NOWHERE = Origin(problems=["unexplained"])


@dataclass(frozen=True)
class ExplainedLine:
    """One move of the wallet. `origin` says what it came from, `problems` what does not fit."""

    seq: int
    at: datetime  # when it happened; M-PESA's time where M-PESA moved it
    kind: str
    transfer: int
    amount: Cents  # positive for what came, negative for what went
    balance: Cents  # after it, as it was kept
    origin: Mapping[str, Any]
    problems: tuple[str, ...]


@dataclass
class Explanation:
    """A wallet's history. Walk `lines` to the end; then the figures below are those of all of it.

    With `since` the lines before it are proved and counted, and not shown. Figures are cents.
    """

    tx: Session
    customer_id: int
    since: datetime | None = None
    opening: int = 0  # what the lines that are not shown come to
    recomputed: int = 0
    count: int = 0
    problems: int = 0
    balance: int = 0  # as the wallet has it
    owed: int = 0
    faults: list[str] = field(default_factory=list)  # of the wallet as a whole

    def lines(self) -> Iterator[ExplainedLine]:
        """Every line since `since`, the oldest first."""
        wallet = self.tx.scalar(select(Wallet).where(Wallet.customer_id == self.customer_id))
        if wallet is None:
            return
        while rows := _page(self.tx, wallet.account_id, after=self.count):
            hidden = self._hidden(rows)
            known = origins(self.tx, self.customer_id, rows[hidden:])
            for place, row in enumerate(rows):
                problems = self._proved(row)
                if place >= hidden:
                    yield self._explained(row, known.get(row.id, NOWHERE), problems)
                else:
                    self.opening = self.recomputed
                    self.problems += bool(problems)
        self._closed(wallet)

    def _hidden(self, rows: Sequence[Any]) -> int:
        """How many of the rows come before the first that is to be shown."""
        if self.since is None:
            return 0
        for place, row in enumerate(rows):
            if row.event_at >= self.since:
                self.since = None  # whatever follows is shown, though M-PESA may have dated it back
                return place
        return len(rows)

    def _proved(self, row: Any) -> list[str]:
        """What is wrong with the line's place in the chain, which goes on from the amounts."""
        problems = []
        self.count += 1
        self.recomputed += row.amount
        if row.seq != self.count:
            problems.append(f"line {self.count} is missing")
            self.count = row.seq
        if row.balance != self.recomputed:
            problems.append(f"balance should be {self.recomputed}")
        return problems

    def _explained(self, row: Any, origin: Origin, problems: Sequence[str]) -> ExplainedLine:
        found = (*problems, *origin.problems)
        self.problems += bool(found)
        return ExplainedLine(
            seq=row.seq,
            at=row.event_at,
            kind=KINDS.get(row.kind, str(row.kind)),
            transfer=row.id,
            amount=Cents(row.amount),
            balance=Cents(row.balance),
            origin=origin.facts,
            problems=found,
        )

    def _closed(self, wallet: Wallet) -> None:
        """Compare where the chain ended with what the wallet says."""
        self.balance, self.owed = wallet.balance, wallet.owed
        if wallet.balance != self.recomputed:
            self.faults.append(f"the wallet has {wallet.balance}, its lines {self.recomputed}")
        if wallet.seq != self.count:
            self.faults.append(f"the wallet counts {wallet.seq} lines, there are {self.count}")
        stray = self.tx.scalar(STRAY, {"wallet": wallet.account_id})
        if stray:
            self.faults.append(f"{stray} transfers of the wallet are not among its lines")
        receivable = self.tx.scalar(OWED, {"customer": self.customer_id})
        if receivable != wallet.owed:
            self.faults.append(f"the wallet owes {wallet.owed}, its receivable is {receivable}")


def snapshot(tx: Session) -> None:
    """Have the transaction, as its first statement, see one moment and write nothing."""
    tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def _page(tx: Session, wallet: int, *, after: int) -> Sequence[Any]:
    return tx.execute(LINES, {"wallet": wallet, "after": after, "limit": AT_ONCE}).all()


LINES = text("""
    (SELECT id, kind, credit_seq AS seq, amount, credit_balance_after AS balance, event_id, ref,
            event_at
       FROM transfer WHERE credit_account = :wallet AND credit_seq > :after
      ORDER BY credit_seq LIMIT :limit)
    UNION ALL
    (SELECT id, kind, debit_seq, -amount, debit_balance_after, event_id, ref, event_at
       FROM transfer WHERE debit_account = :wallet AND debit_seq > :after
      ORDER BY debit_seq LIMIT :limit)
     ORDER BY seq LIMIT :limit
""")

STRAY = text("""
    SELECT (SELECT count(*) FROM transfer WHERE credit_account = :wallet AND credit_seq IS NULL)
           + (SELECT count(*) FROM transfer WHERE debit_account = :wallet AND debit_seq IS NULL)
""")

OWED = text("""
    SELECT coalesce(-sum(ledger_sum(id)), 0)::bigint FROM account
     WHERE kind = 30 AND customer_id = :customer
""")
