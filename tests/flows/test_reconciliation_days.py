"""A day of the simulated M-PESA beside our books: statement, pull and balance, over HTTP."""

from datetime import timedelta

import pytest

from core import balances, reconciliation, statement_import
from core.portal_dates import Form
from core.staff import Role
from core.statement_lines import Bucket
from demo.settings import B2C_SHORTCODE, PAYBILL
from tests import cashier, mpesa, people, teller
from tests.finance import post
from tests.flows import acts


@pytest.fixture
def finance(rt):
    return [people.member(rt, name, Role.FINANCE) for name in ("fatuma", "otieno")]


@pytest.fixture
def amina(rt, phone, work):
    """Amina, who has brought 500 by STK push."""
    customer = people.customer(rt, people.AMINA, "Amina Wanjiru")
    teller.ask(rt, customer, 500)
    acts.pay(phone(people.AMINA), work)
    return customer


@pytest.fixture
def bring_in(rt, network, finance):
    """`bring_in(PAYBILL)`: what its statement came to."""

    def read(shortcode, **asked):
        content = network.statement(shortcode, **asked).encode()
        with rt.transaction() as tx:
            return statement_import.bring_in(
                tx, content, by=finance[0], now=rt.now(), config=rt.config
            )

    return read


def gaps(rt):
    with rt.transaction() as tx:
        found = reconciliation.gaps(tx, now=rt.now())
    return [(one.what, one.receipt, one.amount) for one in found]


@pytest.mark.parametrize("dates", ["iso", "dmy"])
def test_a_day_is_reconciled_to_the_last_line(
    rt, network, phone, work, wait, amina, finance, bring_in, dates
):
    brian = people.customer(rt, people.BRIAN, "Brian Otieno")
    known = phone(people.BRIAN).pay_paybill(70, account="0712000002", deliver=False)
    nobodys = phone(people.STRANGER).pay_paybill(40, account="rent", deliver=False)
    network.settings(b2c_charges=True)
    cashier.withdraw(rt, amina, 200)
    moved = network.treasury("utility to bank", 30, shortcode=PAYBILL)
    work()

    first = bring_in(PAYBILL, dates=dates) if dates == "iso" else _kenyan(rt, network, finance)
    assert first.buckets == {
        Bucket.MATCHED: 1, Bucket.CHARGE: 0, Bucket.TREASURY: 1, Bucket.REVERSAL: 0,
        Bucket.SUSPENSE: 2,
    }  # fmt: skip
    assert gaps(rt) == [
        ("suspense", known, 70_00), ("suspense", nobodys, 40_00), ("treasury", moved, -30_00),
    ]  # fmt: skip
    second = bring_in(B2C_SHORTCODE)
    assert (second.buckets[Bucket.MATCHED], second.buckets[Bucket.CHARGE]) == (1, 1)

    work()  # M-PESA is asked, and answers
    assert mpesa.balance(rt, brian) == 70_00
    assert gaps(rt) == [("treasury", moved, -30_00)]
    post(rt, finance, "utility to bank", 30, moved, on=rt.now().date() - timedelta(days=1))
    work()
    assert gaps(rt) == []
    again = bring_in(PAYBILL, account="utility")  # the same lines from another download
    assert again.file.fresh == 0


def _kenyan(rt, network, finance):
    """Days first: early in the month a person has to say so."""
    content = network.statement(PAYBILL, dates="dmy").encode()
    with rt.transaction() as tx:
        return statement_import.bring_in(
            tx, content, by=finance[0], now=rt.now(), config=rt.config, dates=Form.DAY_FIRST
        )


def test_what_m_pesa_took_back_is_on_the_statement(rt, network, phone, work, amina, bring_in):
    (paid,) = network.transactions(phone=people.AMINA.removeprefix("+"))
    back = network.reverse(paid["receipt"])
    found = bring_in(PAYBILL)
    assert (found.buckets[Bucket.MATCHED], found.buckets[Bucket.REVERSAL]) == (1, 1)
    with rt.transaction() as tx:
        (gap,) = reconciliation.gaps(tx, now=rt.now())
    assert (gap.receipt, gap.linked, gap.amount) == (back, paid["receipt"], -500_00)


def test_the_pull_brings_what_nobody_told(rt, network, phone, work, wait, amina):
    phone(people.AMINA).pay_paybill(70, account="0712000001", deliver=False)
    work()
    assert mpesa.balance(rt, amina) == 500_00
    wait(minutes=61)
    work()
    assert mpesa.balance(rt, amina) == 570_00


def test_balances_agree_with_the_ledger(rt, network, work, wait, amina):
    wait(hours=7)  # the clock has asked once already
    with rt.transaction() as tx:
        balances.ask(tx, rt.now(), rt.config)
    work()
    wait(minutes=16)
    work()
    opening = {one["shortcode"]: one["opening"] for one in network.books()["organisations"]}
    with rt.transaction() as tx:
        newest = balances.latest(tx, limit=2)
    for one in newest:
        assert one.verdict is not None
        assert one.difference == opening[one.shortcode] * 100
    assert {one.shortcode for one in newest} == {PAYBILL, B2C_SHORTCODE}
