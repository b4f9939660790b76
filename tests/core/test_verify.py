"""The proof of the books finds what is broken, and then no more money leaves."""

import contextlib
import json

import psycopg2
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import create_engine, select, text

from admin.gauges import House
from bench import big_ledger
from core import ledger, payouts, timetable
from core.ledger import AccountKind
from core.proofs import LedgerProof
from core.verify import INVARIANTS, prove, verify
from tests import games, standing

# Ways to break each, made by the database's owner with the triggers off.
BREAKS: dict[str, tuple[str, ...]] = {
    "debits equal credits": (
        "UPDATE transfer SET debit_account = 999",
        "UPDATE transfer SET credit_account = 999 WHERE kind = 5",
    ),
    "checkpoints are the sums they stand for": ("UPDATE checkpoint SET balance = balance + 1",),
    "wallets are the sum of their transfers": (
        "UPDATE wallet SET balance = balance + 1",
        "UPDATE account SET customer_id = 999 + id WHERE kind = 1",
        "DELETE FROM wallet",
    ),
    "what a customer owes is their receivable": (
        "UPDATE wallet SET owed = owed + 1",
        """INSERT INTO account (id, kind, customer_id) SELECT 998, 30, min(customer_id) FROM wallet;
           UPDATE transfer SET debit_account = 998 WHERE kind = 5""",
    ),
    "pools are stakes less what was given": (
        "DELETE FROM transfer WHERE kind = 2",
        """UPDATE transfer SET debit_account = (SELECT id FROM account WHERE kind = 12)
            WHERE kind = 3""",
        "UPDATE account SET market_id = 999 WHERE kind = 2",
    ),
    "settlements gave what they say": (
        "UPDATE settlement SET paid = paid - 1, fee = fee + 1",
        "UPDATE settlement SET reversed = 1",
        "UPDATE settlement SET undone_at = now()",
        "DELETE FROM transfer WHERE kind = 5",
        "UPDATE transfer SET kind = 4 WHERE kind = 3",
    ),
    "a dividend is its bet's share": (
        "UPDATE settlement_share SET net = net - 1",
        "UPDATE settlement_share SET late = true",
        "UPDATE dividend SET customer_id = customer_id + 1",
        "UPDATE dividend SET refund = true",
        "DELETE FROM dividend",
    ),
    "what is taken back is what was given": (
        "UPDATE transfer SET kind = 12 WHERE kind = 6",
        "UPDATE transfer SET kind = 14, debit_account = credit_account, credit_account = 999"
        " WHERE kind = 3",
    ),
    "what is pending is owed to payouts": (
        "UPDATE payout SET amount = amount + 100",
        "UPDATE payout SET state = 9, held_for = NULL",
    ),
    "a receipt is credited once": (
        "UPDATE transfer SET kind = 1 WHERE kind = 11",
        """INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, event_at,
                                      created_at)
           VALUES ('RKA0000009', 1, '600000', 100, 1, now(), now())""",
    ),
    "a payout has one end": (
        "UPDATE transfer SET key = gen_random_uuid() WHERE kind = 6",
        "UPDATE transfer SET amount = amount + 100 WHERE kind = 6",
        "UPDATE transfer SET ref = 999 WHERE kind = 6",
        "UPDATE payout SET state = 9, held_for = NULL",
        "UPDATE transfer SET kind = 22 WHERE kind = 3",
    ),
    "what is disputed belongs to open incidents": (
        """UPDATE account SET kind = 27 WHERE kind = 21""",
        """INSERT INTO payout_incident (key, payout_id, kind, receipt, shortcode, amount, tax,
                                        frozen, owed, source, state, event_at, created_at)
           SELECT gen_random_uuid(), min(id), 1, 'RKA0000008', '600000', 100, 0, 100, 0, 5, 1,
                  now(), now()
             FROM payout""",
    ),
    "what waits for its owner is what its receipts say": (
        "UPDATE transfer SET kind = 18 WHERE kind = 11",
        """INSERT INTO account (id, kind) VALUES (997, 25);
           UPDATE transfer SET credit_account = 997 WHERE kind = 5""",
        """INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, account_id,
                                      event_at, created_at)
           SELECT 'RKA0000008', 1, '600000', 100, 2, ledger_account(25::smallint, NULL, NULL, NULL),
                  now(), now()""",
    ),
    "what M-PESA took back is what it had brought": (
        "UPDATE transfer SET kind = 19 WHERE kind = 11",
        """INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, transfer_id,
                                      event_at, created_at, reversed_at, reversed_by)
           VALUES ('RKA0000007', 1, '600000', 100, 2, 999999, now(), now(), now(), 8)""",
    ),
    "what was restored had been taken back": (
        "UPDATE transfer SET kind = 23 WHERE kind = 11",
        """INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, restored_id,
                                      event_at, created_at, unmade_at)
           VALUES ('RKA0000003', 1, '600000', 100, 2, 999999, now(), now(), now())""",
    ),
    "a refund is paid once": (
        "UPDATE transfer SET kind = 17 WHERE kind = 11",
        """INSERT INTO mpesa_receipt (receipt, direction, shortcode, amount, source, event_at,
                                      created_at)
           VALUES ('RKA0000006', 1, '600000', 100, 2, now(), now()),
                  ('RKA0000005', 2, '600000', 100, 7, now(), now());
           INSERT INTO refund (key, receipt, method, amount, shortcode, state, ocid, paid_receipt,
                               created_at)
           VALUES (gen_random_uuid(), 'RKA0000006', 1, 100, '600000', 6, gen_random_uuid(),
                   'RKA0000005', now())""",
    ),
    "what the statement agreed with has not changed": (
        """INSERT INTO statement_file (id, sha256, shortcode, account, first_at, last_at, opening,
                                       paid_in, withdrawn, closing, lines, fresh, failed,
                                       imported_by, imported_at)
           SELECT 996, '', '600000', 'utility', now(), now(), 0, 100, 0, 100, 1, 1, 0, min(id),
                  now() FROM staff;
           INSERT INTO statement_line (file_id, shortcode, account, receipt, reason, amount,
                                       balance, completed_at, bucket, state, settled_at)
           VALUES (996, '600000', 'utility', 'RKA0000004', 'Pay Bill', 100, 100, now(), 1, 2,
                   now())""",
    ),
    "the M-PESA account is receipts in less receipts out": (
        """UPDATE transfer SET credit_account = (SELECT id FROM account WHERE kind = 10)
            WHERE kind = 5""",
    ),
    "treasury entries are posted once": ("UPDATE transfer SET kind = 15 WHERE kind = 11",),
    "adjustments are what two people approved": (
        """UPDATE transfer SET debit_account = ledger_account(32::smallint, NULL, NULL, NULL)
            WHERE kind = 11""",
        "UPDATE proposal SET act = 'adjustment' WHERE state = 2",
        """UPDATE transfer SET credit_account = ledger_account(32::smallint, NULL, NULL, NULL)
            WHERE kind = 11""",
    ),
    "closed days are what they were": (
        """INSERT INTO closed_day (day, proposal_id, closed_at)
           SELECT current_date + 1, min(id), now() FROM proposal""",
    ),
    "what the house holds is what it owes": (
        "UPDATE transfer SET credit_account = 999 WHERE kind = 5",
    ),
    "every bet has its stake and its end": (
        "UPDATE bet SET stake = stake + 1",
        "UPDATE bet SET customer_id = customer_id + 1",
        "DELETE FROM transfer WHERE kind = 2",
        "UPDATE transfer SET key = gen_random_uuid() WHERE kind = 2",
        "UPDATE transfer SET key = gen_random_uuid() WHERE kind = 3",
        "UPDATE transfer SET ref = 999 WHERE kind = 3",
        "UPDATE dividend SET amount = amount + 1",
    ),
    "tip purchases are their splits": (
        """INSERT INTO account (id, kind) VALUES (998, 22);
           UPDATE transfer SET credit_account = 998 WHERE kind = 5""",
    ),
    "balance-after chains are unbroken": (
        "UPDATE transfer SET debit_seq = 7 WHERE kind = 2",
        "UPDATE transfer SET credit_seq = NULL, credit_balance_after = NULL WHERE kind = 3",
        "UPDATE transfer SET debit_balance_after = debit_balance_after + 1 WHERE kind = 2",
        "UPDATE wallet SET seq = seq + 1",
        "DELETE FROM transfer",
    ),
}


@pytest.fixture
def told(rt, amina, brian, wanjiku, kamau):
    """A house with a settled market and a payout on its way."""
    with rt.transaction() as tx:
        tx.execute(text("SELECT ledger_account(10::smallint, NULL, NULL, '600000')"))
        ledger.checkpoint(tx, ledger.account(tx, AccountKind.BANK))
    derby = games.derby(rt, wanjiku)
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)
    assert all(finding.holds for finding in verify(rt))


def test_each_invariant_can_be_broken_and_is_then_found(rt, told):
    with as_owner(rt) as connection:
        for name, broken in ((name, one) for name, ways in BREAKS.items() for one in ways):
            with connection.begin_nested() as attempt:
                connection.execute(text(broken))
                found = {finding.name: finding.broken for finding in prove(connection)}
                assert found[name], (name, broken)
                attempt.rollback()


def test_every_invariant_has_its_break():
    assert {name for _, name, _ in INVARIANTS} == set(BREAKS)


def test_broken_books_stop_payouts(rt, told):
    timetable.prove_books(rt)
    with rt.transaction() as tx:
        assert payouts.paused(tx) is None

    with as_owner(rt) as connection:
        connection.execute(text("UPDATE wallet SET balance = balance + 1"))
    timetable.prove_books(rt)

    with rt.transaction() as tx:
        assert payouts.paused(tx).reason == "ledger_broken"
        kept = tx.scalars(select(LedgerProof).order_by(LedgerProof.id)).all()
    wallets = ["wallets are the sum of their transfers", "balance-after chains are unbroken"]
    assert [proof.broken for proof in kept] == [[], wallets]


def test_the_alarm_lasts_until_a_proof_is_clean_again(rt, told):
    def alarms():
        registry = CollectorRegistry()
        registry.register(House(rt))
        return [
            line for line in generate_latest(registry).decode().splitlines()
            if line.startswith(("ledger_broken{", "payouts_paused{"))
        ]  # fmt: skip

    timetable.prove_books(rt)
    assert alarms() == []
    with as_owner(rt) as connection:
        connection.execute(text("UPDATE wallet SET owed = 5"))
    timetable.prove_books(rt)
    assert alarms() == [
        'ledger_broken{invariant="what a customer owes is their receivable"} 1.0',
        'payouts_paused{reason="ledger_broken"} 1.0',
    ]
    with as_owner(rt) as connection:
        connection.execute(text("UPDATE wallet SET owed = 0"))
    timetable.prove_books(rt)
    assert alarms() == ['payouts_paused{reason="ledger_broken"} 1.0'], "a person ends the pause"


@pytest.mark.timeout(600)
def test_a_large_ledger_is_proved_within_a_minute(rt, counts):
    owner = psycopg2.connect(rt.config.migration_database_url.replace("+psycopg2", ""))
    with contextlib.closing(owner):
        owner.autocommit = True
        made = big_ledger.fill(
            owner,
            transfers=counts.transfers,
            customers=counts.transfers // 4,
            markets=counts.transfers // 400,
        )
    assert abs(made - counts.transfers) < counts.transfers // 20

    told = standing.application(rt).test_cli_runner().invoke(args=["ledger", "verify", "--json"])

    facts = json.loads(told.output)
    assert told.exit_code == 0, facts
    assert [fact["invariant"] for fact in facts] == [number for number, _, _ in INVARIANTS]
    assert not [fact for fact in facts if fact["broken"]]
    assert sum(fact["seconds"] for fact in facts) < 60
    assert "nothing may have moved" in next(one["note"] for one in facts if one["invariant"] == 9)


def test_the_command_says_what_is_broken_and_fails(rt, told):
    with as_owner(rt) as connection:
        connection.execute(text("UPDATE wallet SET owed = 5"))
    runner = standing.application(rt).test_cli_runner()

    said = runner.invoke(args=["ledger", "verify"])
    written = runner.invoke(args=["ledger", "verify", "--json"])

    assert (said.exit_code, written.exit_code) == (1, 1)
    assert "BROKEN  2  what a customer owes is their receivable" in said.output
    broken = {fact["name"]: fact["broken"] for fact in json.loads(written.output)}
    assert broken["what a customer owes is their receivable"][0]["owed"] == 5


@contextlib.contextmanager
def as_owner(rt):
    """A connection that may do what nobody does: change the past."""
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as connection:
        for table in ("transfer", "bet", "dividend"):
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        yield connection
    owner.dispose()
