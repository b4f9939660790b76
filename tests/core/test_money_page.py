"""`docs/money.md` is run: its story is played, and its tables are what the ledger then says."""

import re
import uuid
from pathlib import Path

import pytest
from sqlalchemy import text

from core import customers, deposits, ledger, payouts, receipts
from core.effects import Channel
from core.ledger import AccountKind
from core.payments import Deposit
from core.receipts import Source
from core.verify import verify
from tests import games, people

PAGE = (Path(__file__).parents[2] / "docs" / "money.md").read_text()
STORY = PAGE[PAGE.index("## A story") : PAGE.index("## Bets")]
SETTLED = re.findall(
    r"^\| ([\d.]+) \| ([\d.]+) \| 5% \| ([\d.]+) \| ([\d.]+) \|", PAGE, re.MULTILINE
)
TIED = re.findall(r"^" + r"\| ([\d.]+) " * 6 + r"\|$", PAGE, re.MULTILINE)
NAMES = {2: "pool", 10: "mpesa_utility", 20: "payouts_pending", 21: "fees"}


def test_the_story_of_the_money_page(rt, wanjiku, kamau):
    house = Storyteller(rt, wanjiku, kamau)
    parts = STORY.split("\n**")[1:]
    steps = (
        lambda: house.deposit("amina", 100, "RKA0000001"),
        lambda: house.deposit("brian", 200, "RKA0000002"),
        house.both_bet,
        house.yes_wins,
        lambda: house.payout_arrives("RKB0000001"),
        house.withdrawal_fails,
    )
    assert len(parts) == len(steps)
    for part, step in zip(parts, steps, strict=True):
        before = len(house.transfers())
        step()
        written = rows(part.partition("At the end")[0])
        assert [list(line) for line in house.transfers()[before:]] == written, part[:60]

    held = dict(rows(parts[-1].partition("At the end")[2]))
    assert held == {name: house.balance(name) for name in held}
    assert all(finding.holds for finding in verify(rt))


@pytest.mark.parametrize("line", SETTLED)
def test_the_settlements_of_the_money_page(rt, wanjiku, kamau, line):
    won, staked, paid, kept = (round(float(cell) * 100) for cell in line)
    someone = people.customer(rt, people.AMINA, "Amina Wanjiru", money=2_000_00)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE customer SET auto_cashout = false"))
    derby = games.derby(rt, wanjiku)
    for outcome, stake in ((1, won), (2, staked - won)):
        if stake:
            games.placed(rt, someone, derby, outcome, stake / 100)

    run = games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    with rt.transaction() as tx:
        given = tx.execute(
            text("SELECT paid, fee FROM settlement WHERE id = :id"), {"id": run.id}
        ).one()
    assert tuple(given) == (paid if won else 0, kept)


@pytest.mark.parametrize("line", TIED)
def test_the_dead_heats_of_the_money_page(rt, wanjiku, kamau, line):
    *staked, first, second, kept = (round(float(cell) * 100) for cell in line)
    someone = people.customer(rt, people.AMINA, "Amina Wanjiru", money=2_000_00)
    race = games.derby(rt, wanjiku, "1", "X", "2")
    for outcome, stake in enumerate(staked, 1):
        if stake:
            games.placed(rt, someone, race, outcome, stake / 100)

    run = games.settle(rt, race, (1, 2), proposer=wanjiku, approver=kamau)

    with rt.transaction() as tx:
        nets = dict(
            tx.execute(
                text("SELECT outcome, net FROM settlement_share WHERE settlement_id = :id"),
                {"id": run.id},
            ).all()
        )
        fee = tx.scalar(text("SELECT fee FROM settlement WHERE id = :id"), {"id": run.id})
    assert (nets.get(1, 0), nets.get(2, 0), fee) == (first, second, kept)


class Storyteller:
    """Plays the page's steps through the house's own verbs."""

    def __init__(self, rt, wanjiku, kamau):
        self.rt, self.staff = rt, (wanjiku, kamau)
        self.amina = people.customer(rt, people.AMINA, "Amina Wanjiru")
        self.brian = people.customer(rt, people.BRIAN, "Brian Otieno")
        self.derby = games.derby(rt, wanjiku)

    def deposit(self, name, shillings, receipt):
        with self.rt.transaction() as tx:
            asked = deposits.ask(tx, **self.decision(tx, getattr(self, name), shillings))
        with self.rt.transaction() as tx:
            receipts.credit(
                tx,
                tx.get_one(Deposit, asked.deposit_id),
                receipt=receipt,
                amount=shillings * 100,
                source=Source.STK,
                at=self.rt.now(),
                confirmed=True,
            )

    def both_bet(self):
        games.placed(self.rt, self.amina, self.derby, 1, 100)
        games.placed(self.rt, self.brian, self.derby, 2, 200)

    def yes_wins(self):
        games.settle(self.rt, self.derby, 1, proposer=self.staff[0], approver=self.staff[1])

    def payout_arrives(self, receipt):
        with self.rt.transaction() as tx:
            tx.execute(
                text(
                    "SELECT payout_paid(id, :receipt, :shortcode, amount, 5::smallint, app_now())"
                    " FROM payout"
                ),
                {"receipt": receipt, "shortcode": self.rt.config.mpesa_shortcode},
            )

    def withdrawal_fails(self):
        self.deposit("amina", 50, "RKA0000003")
        with self.rt.transaction() as tx:
            reserved = payouts.withdraw(tx, **self.decision(tx, self.amina, 50))
        with self.rt.transaction() as tx:
            tx.execute(
                text("SELECT payout_release(:id, 9::smallint, '2040', 'not registered')"),
                {"id": reserved.payout_ids[0]},
            )

    def decision(self, tx, customer, shillings):
        return {
            "key": uuid.uuid4(),
            "customer": customers.find(tx, customer.phone),
            "amount": shillings * 100,
            "channel": Channel.USSD,
            "session": "test",
            "now": self.rt.now(),
            "config": self.rt.config,
        }

    def transfers(self):
        """(debit, credit, amount) of every transfer, in the page's words and order."""
        with self.rt.transaction() as tx:
            found = tx.execute(
                text(
                    "SELECT d.kind AS debit, d.customer_id AS payer, c.kind AS credit,"
                    " c.customer_id AS payee, t.amount FROM transfer t"
                    " JOIN account d ON d.id = t.debit_account"
                    " JOIN account c ON c.id = t.credit_account ORDER BY t.id"
                )
            ).all()
        return [
            (self.named(row.debit, row.payer), self.named(row.credit, row.payee), cents(row.amount))
            for row in found
        ]

    def named(self, kind, customer_id):
        if kind == AccountKind.WALLET:
            return "wallet:amina" if customer_id == self.amina.id else "wallet:brian"
        return NAMES[kind]

    def balance(self, name):
        kind = next((kind for kind, known in NAMES.items() if known == name), None)
        with self.rt.transaction() as tx:
            if kind is not None:
                return cents(ledger.total(tx, AccountKind(kind)))
            return cents(ledger.balance(tx, getattr(self, name.partition(":")[2]).id))


def rows(part):
    """The cells of the tables in a part of the page, without their heads."""
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] not in ("debit", "account") and "---" not in row[0]]


def cents(amount):
    return f"{amount // 100}.{amount % 100:02}"
