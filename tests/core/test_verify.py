"""The proof of the books finds what is broken, and then no more money leaves."""

import contextlib

import pytest
from sqlalchemy import create_engine, text

from core import payouts, timetable
from core.verify import INVARIANTS, prove, verify
from tests import games

# One break for each query, made by the database's owner with the triggers off.
BREAKS = {
    "debits equal credits": "UPDATE transfer SET debit_account = 999",
    "wallets are the sum of their transfers": "UPDATE wallet SET balance = balance + 1",
    "pools are stakes less what was given": "DELETE FROM transfer WHERE kind = 2",
    "settlements gave what they say": "UPDATE dividend SET amount = amount + 1",
    "what is pending is owed to payouts": "UPDATE payout SET amount = amount + 100",
    "a receipt is credited once": "UPDATE transfer SET kind = 1 WHERE kind = 11",
    "a payout has one end": "UPDATE payout SET key = gen_random_uuid()",
    "the M-PESA account is receipts in less receipts out": """
        UPDATE transfer SET credit_account = (SELECT id FROM account WHERE kind = 10)
         WHERE kind = 5""",
    "what the house holds is what it owes": """
        UPDATE transfer SET credit_account = 999 WHERE kind = 5""",
    "every bet has its stake and its end": "UPDATE bet SET stake = stake + 1",
    "balance-after chains are unbroken": "UPDATE transfer SET debit_seq = 7 WHERE kind = 2",
}


@pytest.fixture
def told(rt, amina, brian, wanjiku, kamau):
    """A house with a settled market and a payout on its way."""
    with rt.transaction() as tx:
        tx.execute(text("SELECT ledger_account(10::smallint, NULL, NULL, '600000')"))
    derby = games.derby(rt, wanjiku)
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)
    assert all(finding.holds for finding in verify(rt))


def test_each_invariant_can_be_broken_and_is_then_found(rt, told):
    with as_owner(rt) as connection:
        for name, broken in BREAKS.items():
            with connection.begin_nested() as attempt:
                connection.execute(text(broken))
                found = {finding.name for finding in prove(connection) if not finding.holds}
                assert name in found, (name, found)
                attempt.rollback()


def test_every_invariant_has_its_break():
    assert {name for _, name, _ in INVARIANTS} == set(BREAKS)


def test_broken_books_stop_payouts(rt, told):
    timetable.prove_books(rt)
    with rt.transaction() as tx:
        assert payouts.paused(tx) is None

    with as_owner(rt) as connection:
        connection.execute(text(BREAKS["wallets are the sum of their transfers"]))
    timetable.prove_books(rt)

    with rt.transaction() as tx:
        assert payouts.paused(tx).reason == "ledger_broken"


@contextlib.contextmanager
def as_owner(rt):
    """A connection that may do what nobody does: change the past."""
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as connection:
        for table in ("transfer", "bet", "dividend"):
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        yield connection
    owner.dispose()
