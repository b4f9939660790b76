"""The ledger by function call: moves, keys, balances, checkpoints, and what it refuses."""

import uuid
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core import ledger
from core.ledger import AccountKind, TransferKind

NOON = datetime(2026, 3, 7, 9, 0, tzinfo=UTC)


def test_house_accounts_are_opened_once(rt):
    with rt.transaction() as tx:
        first = ledger.account(tx, AccountKind.MPESA_UTILITY, shortcode="600111")
        again = ledger.account(tx, AccountKind.MPESA_UTILITY, shortcode="600111")
        other = ledger.account(tx, AccountKind.MPESA_UTILITY, shortcode="600222")

    assert first == again != other


def test_money_moves_once_per_key(rt):
    key = uuid.uuid4()
    for _ in range(3):
        move(rt, key, 500_00)

    with rt.transaction() as tx:
        assert ledger.account_balance(tx, AccountKind.BANK) == 500_00
        assert ledger.account_balance(tx, AccountKind.ADJUSTMENTS) == 500_00


def test_a_key_used_for_something_else_is_a_fault(rt):
    key = uuid.uuid4()
    move(rt, key, 500_00)

    with pytest.raises(DBAPIError) as fault:
        move(rt, key, 501_00)

    assert fault.value.orig.pgcode == "HL001"


def test_transfers_are_never_changed_or_removed(ground, rt, urls):
    move(rt, uuid.uuid4(), 1_00)
    for statement in (
        "UPDATE transfer SET amount = 2",
        "DELETE FROM transfer",
        "TRUNCATE transfer",
    ):
        with pytest.raises(DBAPIError), rt.transaction() as tx:
            tx.execute(text(statement))


def test_the_house_role_cannot_write_ledger_rows(rt):
    for statement in (
        "INSERT INTO account (kind) VALUES (12)",
        "UPDATE wallet SET balance = 1",
        "INSERT INTO transfer (key, kind, debit_account, credit_account, amount, event_id,"
        " event_at) VALUES (gen_random_uuid(), 1, 1, 2, 5, gen_random_uuid(), now())",
    ):
        with pytest.raises(DBAPIError, match="permission denied"), rt.transaction() as tx:
            tx.execute(text(statement))


def test_a_checkpoint_changes_no_balance(rt):
    for shillings in (10, 20, 30):
        move(rt, uuid.uuid4(), shillings * 100)
        with rt.transaction() as tx:
            ledger.checkpoint(tx, ledger.account(tx, AccountKind.BANK))
    move(rt, uuid.uuid4(), 5_00)

    with rt.transaction() as tx:
        assert ledger.account_balance(tx, AccountKind.BANK) == 65_00


def test_a_checkpoint_misses_no_transfer_that_commits_after_it(rt):
    """Ids and commits come in different orders: the one in flight must not be folded away."""
    move(rt, uuid.uuid4(), 2_00)  # opens the accounts
    with rt.sessions() as slow:
        _move(slow, uuid.uuid4(), 7_00)  # has its id, and is not committed
        move(rt, uuid.uuid4(), 1_00)
        with rt.transaction() as tx:
            ledger.checkpoint(tx, ledger.account(tx, AccountKind.BANK))
        slow.commit()

    with rt.transaction() as tx:
        assert ledger.account_balance(tx, AccountKind.BANK) == 10_00


def move(rt, key, amount):
    with rt.transaction() as tx:
        _move(tx, key, amount)


def _move(tx, key, amount):
    ledger.move(
        tx,
        key=key,
        kind=TransferKind.ADJUSTMENT,
        debit=ledger.account(tx, AccountKind.BANK),
        credit=ledger.account(tx, AccountKind.ADJUSTMENTS),
        amount=amount,
        at=NOON,
    )
