"""The figures of M-PESA's side: balances, differences, what the statements and the list show."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from core import operator_password
from core.runtime import Runtime

Figure = tuple[str, str, tuple[str, ...], Sequence[Any]]
"""Name, help, labels, and rows of the labels' values and then the figure's."""

NEWEST = (
    "SELECT DISTINCT ON (shortcode) * FROM balance_reading WHERE state {}"
    " ORDER BY shortcode, id DESC"
)
READ, COMPARED = NEWEST.format("IN (3, 4)"), NEWEST.format("= 4")

QUERIES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (
        "mpesa_balance_shillings",
        "What M-PESA said last that our accounts hold.",
        ("shortcode", "account"),
        "SELECT r.shortcode, held.account, held.cents / 100.0"  # noqa: S608 - the names are ours
        f" FROM ({READ}) r, LATERAL (VALUES ('utility', r.utility), ('working', r.working),"
        " ('charges', r.charges)) held (account, cents) WHERE held.cents IS NOT NULL",
    ),
    (
        "mpesa_balance_age_seconds",
        "How old that is.",
        ("shortcode",),
        "SELECT shortcode, extract(epoch FROM app_now() - read_at)"  # noqa: S608
        f" FROM ({READ}) r",
    ),
    (
        "mpesa_difference_shillings",
        "By how much M-PESA's account was above our ledger at the last comparison.",
        ("shortcode", "verdict"),
        "SELECT shortcode, verdict, difference / 100.0"  # noqa: S608
        f" FROM ({COMPARED}) r",
    ),
    (
        "statement_lines_open",
        "Lines of M-PESA's statement that our books do not have, by what they are.",
        ("bucket",),
        "SELECT (ARRAY['matched', 'charge', 'treasury', 'reversal', 'suspense'])[bucket], count(*)"
        " FROM statement_line WHERE state = 1 GROUP BY bucket",
    ),
    (
        "statement_age_seconds",
        "How old the newest imported line is.",
        ("shortcode",),
        "SELECT shortcode, extract(epoch FROM app_now() - max(last_at)) FROM statement_file"
        " WHERE account = 'utility' GROUP BY shortcode",
    ),
    (
        "pull_age_seconds",
        "How long ago the time ended until which M-PESA's list of payments has been read.",
        ("shortcode",),
        "SELECT shortcode, extract(epoch FROM app_now() - max(end_at)) FROM pull_window"
        " WHERE state = 2 GROUP BY shortcode",
    ),
)


def figures(rt: Runtime, tx: Session) -> Iterator[Figure]:
    """Every figure, read now."""
    for name, what, labels, query in QUERIES:
        yield name, what, labels, tx.execute(text(query)).all()
    low = tx.execute(
        text(f"SELECT utility < :least FROM ({READ}) r WHERE shortcode = :shortcode"),  # noqa: S608
        {"least": rt.config.float_low, "shortcode": rt.config.mpesa_b2c_shortcode},
    )
    yield "float_low", "Whether the account that payouts leave from is low.", (), low.all()
    days = operator_password.age(rt.config, now=rt.now())
    what = "Age of the API operator's password; M-PESA lets it die at 90."
    yield "operator_password_days", what, (), [] if days is None else [(days,)]
