"""The organisation's statement, as its portal gives it to whoever downloads one: a CSV."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from simulator.books import MOVES, Books, Move, Organisation, Transaction

HEADER = (
    "Receipt No.", "Completion Time", "Initiation Time", "Details", "Transaction Status", "Paid In",
    "Withdrawn", "Balance", "Balance Confirmed", "Reason Type", "Other Party Info",
    "Linked Transaction ID", "A/C No.",
)  # fmt: skip
DATES = {"iso": "%Y-%m-%d %H:%M:%S", "dmy": "%d-%m-%Y %H:%M:%S"}
# "all" is the utility account with the charges taken out of it, which is how a house keeps its own.
ACCOUNTS = {
    "all": "Organization Account",
    "utility": "Utility Account",
    "working": "Working Account",
    "charges": "Charges Paid Account",
}


@dataclass(frozen=True)
class Row:
    """One line before it is written: `change` is what it did to the account."""

    receipt: str
    at: datetime
    details: str
    status: str
    shown: int  # what stands under Paid In or, negative, under Withdrawn
    reason: str
    party: str = ""
    linked: str = ""
    account: str = ""

    @property
    def change(self) -> int:
        return self.shown if self.status == "Completed" else 0


def written(
    books: Books,
    house: Organisation,
    *,
    account: str = "all",
    dates: str = "iso",
    since: datetime | None = None,
    until: datetime,
) -> str:
    """The whole file, newest line first; ValueError on an account or date form there is not."""
    if account not in ACCOUNTS or dates not in DATES:
        raise ValueError(f"accounts are {', '.join(ACCOUNTS)}; dates are {', '.join(DATES)}")
    form = DATES[dates]
    rows = list(_with_balances(books, house, account))
    kept = [pair for pair in rows if pair[0].at <= until and (since is None or pair[0].at >= since)]
    start = since or min((row.at for row, _ in kept), default=until)
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    lines.writerow(["Organization Name:", house.name])
    lines.writerow(["Short Code:", house.shortcode])
    lines.writerow(["Account:", ACCOUNTS[account]])
    lines.writerow(["Time Period:", f"From {start.strftime(form)} To {until.strftime(form)}"])
    lines.writerow([])
    lines.writerow(HEADER)
    lines.writerows(_cells(row, balance, form) for row, balance in kept)
    return out.getvalue()


def _cells(row: Row, balance: int, form: str) -> list[str]:
    at = row.at.strftime(form)
    paid_in = _money(row.shown) if row.shown > 0 else ""
    withdrawn = _money(row.shown) if row.shown < 0 else ""
    return [
        row.receipt, at, at, row.details, row.status, paid_in, withdrawn, _money(balance), "true",
        row.reason, row.party, row.linked, row.account,
    ]  # fmt: skip


def _with_balances(books: Books, house: Organisation, account: str) -> Iterator[tuple[Row, int]]:
    """Newest first, from what the account holds now backwards."""
    balance = {
        "all": house.utility + house.charges,
        "utility": house.utility,
        "working": house.working,
        "charges": house.charges,
    }[account]
    for row in reversed(list(_rows(books, house, account))):
        yield row, balance
        balance -= row.change


def _rows(books: Books, house: Organisation, account: str) -> Iterator[Row]:
    """Oldest first."""
    movements: list[Transaction | Move] = [*books.transactions, *books.moves]
    for one in sorted(movements, key=lambda one: one.number):
        if one.shortcode != house.shortcode:
            continue
        if isinstance(one, Move):
            yield from _moved(one, "working" if account == "working" else "utility", account)
            continue
        if account in ("all", "utility"):
            yield _payment(one)
        if account in ("all", "charges") and one.charge:
            yield _charge(one)


def _moved(moved: Move, pocket: str, account: str) -> Iterator[Row]:
    change = moved.into(pocket)
    if account == "charges" or not change:
        return
    reason = MOVES[moved.act][2]
    yield Row(moved.receipt, moved.at, reason, "Completed", change, reason, "Bank Account")


def _payment(line: Transaction) -> Row:
    party = f"{line.phone[:4]}****{line.phone[-4:]} - {line.name}"
    way = "from" if line.paid_in else "to"
    details = f"{line.reason} {way} {party}" + (f" Acc. {line.account}" if line.account else "")
    return Row(
        line.receipt, line.at, details, "Completed" if line.status == "Completed" else "Failed",
        line.amount if line.paid_in else -line.amount, line.reason, party, line.linked,
        line.account,
    )  # fmt: skip


def _charge(line: Transaction) -> Row:
    """It repeats the receipt of what it was charged for."""
    reason = f"{line.reason} Charge"
    return Row(line.receipt, line.at, reason, "Completed", -line.charge, reason)


def _money(amount: int) -> str:
    return f"{amount:,}.00"
