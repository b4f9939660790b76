"""Every shilling of a wallet has its origin, and what has none is said."""

import json
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core import adjustments, explain, ledger, proposals
from core.explain import Explanation
from core.ledger import AccountKind, TransferKind
from core.staff import Role
from tests import affairs, people, standing
from tests.core.test_verify import as_owner

# Each makes one line of that kind say what is wrong with it.
BREAKS = (
    ("UPDATE bet SET stake = stake + 1", "stake", "the bet is of"),
    ("UPDATE bet SET customer_id = customer_id + 9", "stake", "unexplained"),
    ("UPDATE dividend SET amount = amount + 1", "won", "the dividend is of"),
    ("UPDATE settlement_share SET net = net - 5", "won", "not the bet's share"),
    ("UPDATE settlement_share SET late = true", "won", "not the bet's share"),
    ("UPDATE mpesa_receipt SET amount = amount + 1", "deposit", "the receipt is of"),
    ("UPDATE mpesa_receipt SET transfer_id = NULL", "deposit", "unexplained"),
    ("UPDATE payout SET amount = amount + 100", "reserve", "the payout is of"),
    ("UPDATE transfer SET ref = 999 WHERE kind = 8", "release", "unexplained"),
    ("UPDATE transfer SET kind = 77 WHERE kind = 8", "77", "unexplained"),
    ("UPDATE transfer SET amount = amount + 1 WHERE kind = 2", "stake", "balance should be"),
    ("DELETE FROM transfer WHERE kind = 2 AND ref = 1", "won", "line 3 is missing"),
)


@pytest.fixture
def busy(rt, amina, brian, wanjiku, kamau):
    """Amina has a line of every sort."""
    affairs.of(rt, amina, brian, wanjiku, kamau)


def explained(rt, customer, since=None):
    with rt.transaction() as tx:
        explain.snapshot(tx)
        story = Explanation(tx, customer.id, since)
        return list(story.lines()), story


def origin_of(lines, kind):
    return next(line.origin for line in lines if line.kind == kind)


def test_each_line_is_traced_to_where_it_came_from(rt, amina, busy):
    lines, story = explained(rt, amina)

    receipt = origin_of(lines, "deposit")
    assert (receipt["receipt"], receipt["payer"]) == ("QAB1234567", people.AMINA)
    assert (receipt["told_by"], receipt["confirmed_by"]) == ("stk", "stk")
    stake = origin_of(lines, "stake")
    assert (stake["pick"], stake["channel"]) == ("Yes", "ussd")
    won = origin_of(lines, "won")
    assert (won["bet"], won["share"]) == (stake["bet"], "10000 x 28500 / 10000")
    assert (won["proposed_by"], won["approved_by"]) == ("wanjiku", "kamau")
    reserved = [line.origin for line in lines if line.kind == "reserve"]
    assert [one["state"] for one in reserved] == ["failed", "queued"]
    assert origin_of(lines, "release")["payout"] == reserved[0]["payout"]

    assert [line.seq for line in lines] == list(range(1, 10))
    assert story.recomputed == story.balance == lines[-1].balance
    assert story.faults == []
    unexplained = [line for line in lines if line.problems]
    assert {line.kind for line in unexplained} == {"adjustment"}, "nobody decided these"
    assert {line.problems for line in unexplained} == {("unexplained",)}
    assert story.problems == len(unexplained) == 2


def test_what_does_not_fit_is_a_problem_of_its_line(rt, amina, busy):
    with as_owner(rt) as connection:
        for broken, kind, problem in BREAKS:
            with Session(connection, join_transaction_mode="create_savepoint") as tx:
                tx.execute(text(broken))  # undone at the end of the block
                lines = list(Explanation(tx, amina.id).lines())
            told = [found for line in lines if line.kind == kind for found in line.problems]
            assert any(found.startswith(problem) for found in told), (broken, told)


def test_levies_corrections_debts_and_decisions_are_traced(rt, amina, busy):
    """The rarer moves, as the ledger has them; whoever makes them is tested elsewhere."""
    fatuma, otieno = (people.member(rt, name, Role.FINANCE) for name in ("fatuma", "otieno"))
    with rt.transaction() as tx:
        wallet = ledger.open_wallet(tx, amina.id)
        owing = ledger.account(tx, AccountKind.RECEIVABLE, customer_id=amina.id)
        duty = ledger.account(tx, AccountKind.EXCISE_PAYABLE)
        bank = ledger.account(tx, AccountKind.BANK)
        deposit = tx.execute(text("SELECT id, key FROM deposit WHERE state = 9")).one()
        run = tx.execute(text("SELECT s.id, s.key, m.pool_account AS pool FROM settlement s"
                              " JOIN market m ON m.id = s.market_id")).one()  # fmt: skip
        yes = approved(tx, fatuma, otieno, now=rt.now())
        for kind, debit, credit, event, ref in (
            (TransferKind.EXCISE, wallet, duty, deposit.key, deposit.id),
            (TransferKind.REVERSAL, wallet, run.pool, run.key, 1),
            (TransferKind.OWING, owing, run.pool, run.key, 1),
            (TransferKind.REPAYMENT, wallet, owing, None, None),
            (TransferKind.ADJUSTMENT, bank, wallet, None, yes.id),
        ):
            ledger.move(
                tx, key=uuid.uuid4(), kind=kind, debit=debit, credit=credit, amount=5_00,
                at=rt.now(), event=event, ref=ref,
            )  # fmt: skip

    lines, story = explained(rt, amina)

    *_, levy, reversal, repaid, decided = lines
    assert levy.origin["receipt"] == "QAB1234567"
    assert levy.origin["of"] == 90_00
    assert (reversal.origin["bet"], reversal.origin["was"]) == (1, 285_00)
    assert repaid.origin == {"owed_before": 5_00, "for_settlements": str(run.id)}
    assert decided.origin["approved_by"] == "otieno"
    assert not [line for line in (levy, reversal, repaid, decided) if line.problems]
    assert story.faults == []


def approved(tx, fatuma, otieno, *, now):
    """A proposal of one that another has approved."""
    content = {"wallet": "amina", "amount": 5_00}
    asked = proposals.propose(
        tx, act=adjustments.ACT, subject="amina", content=content, note="Receipt QX was ours",
        by=fatuma.id, now=now, lasts=timedelta(hours=1),
    )  # fmt: skip
    seen = asked.content_hash
    proposals.approve(tx, asked, seen_hash=seen, content=content, by=otieno.id, now=now)
    return asked


def test_the_wallet_itself_is_compared_with_its_lines(rt, amina, busy):
    with as_owner(rt) as connection:
        connection.execute(
            text("UPDATE wallet SET balance = balance + 7, seq = seq + 1, owed = owed + 3")
        )
    _, story = explained(rt, amina)
    assert len(story.faults) == 3


def test_lines_before_a_moment_are_proved_and_not_shown(rt, amina, busy, wait):
    whole, story = explained(rt, amina)
    wait(days=2)
    since = rt.now()
    wait(minutes=1)
    affairs.deposited(rt, amina, 25, "QAB7654321")

    lines, later = explained(rt, amina, since)

    assert [line.origin["receipt"] for line in lines] == ["QAB7654321"]
    assert (later.opening, later.count) == (story.balance, len(whole) + 1)
    assert later.recomputed == later.balance == story.balance + 25_00


def test_a_long_history_is_walked_page_by_page(rt, amina, busy, monkeypatch):
    whole, _ = explained(rt, amina)
    monkeypatch.setattr(explain, "AT_ONCE", 2)
    assert explained(rt, amina)[0] == whole


def test_the_command_prints_what_a_program_can_read(rt, amina, busy):
    runner = standing.application(rt).test_cli_runner()

    said = runner.invoke(args=["customer", "explain", "0712000001"])
    written = runner.invoke(args=["customer", "explain", "0712000001", "--json"])
    nobody = runner.invoke(args=["customer", "explain", "0799999999"])

    facts = json.loads(written.output)
    assert (said.exit_code, written.exit_code) == (1, 1), "two lines have no origin"
    assert facts["recomputed"] == facts["balance"]
    assert [line["seq"] for line in facts["lines"]] == list(range(1, 10))
    assert "+285.00" in said.output
    assert "share 10000 x 28500 / 10000" in said.output
    assert "PROBLEM: unexplained" in said.output
    assert nobody.exit_code == 1


def test_a_clean_wallet_is_no_problem(rt):
    someone = people.customer(rt, people.AMINA, "Amina Wanjiru")
    affairs.deposited(rt, someone, 90, "QAB1234567")
    told = (
        standing.application(rt)
        .test_cli_runner()
        .invoke(args=["customer", "explain", "0712000001"])
    )
    assert told.exit_code == 0, told.output
    assert "1 lines come to 90.00" in told.output


def test_the_statement_command(rt, amina, busy):
    runner = standing.application(rt).test_cli_runner()
    asked = ["customer", "statement", "0712000001", "--kind", "payout"]
    assert "To M-PESA -70, waiting" in runner.invoke(args=asked).output
    (only,) = json.loads(runner.invoke(args=[*asked, "--state", "failed", "--json"]).output)
    assert (only["amount"], only["reason"]) == (-6000, "money.why_not_on_mpesa")
    assert runner.invoke(args=[*asked, "--period", "today", "--limit", "1"]).output.count("\n") == 1
