"""M-PESA's simulated books held against ours: `flask simulator compare`."""

import json

import click
import pytest

from admin.commands import simulator
from demo.settings import B2C_SHORTCODE, PAYBILL
from tests import cashier, people, standing, teller
from tests.flows import acts


@pytest.fixture
def compare(rt):
    """`compare()`: what it printed, and with what it ended."""
    runner = standing.application(rt).test_cli_runner()

    def run(*options):
        ended = runner.invoke(args=["simulator", "compare", *options])
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended.output, ended.exit_code

    return run


@pytest.fixture
def paid_in(rt, phone, work):
    """Amina, who has brought 500 by STK push."""
    customer = people.customer(rt, people.AMINA, "Amina Wanjiru")
    teller.ask(rt, customer, 500)
    acts.pay(phone(people.AMINA), work)
    return customer


def test_books_that_agree(rt, compare, paid_in, network, phone, work):
    assert compare() == ("M-PESA's books and ours agree: 1 lines, every account to the cent.\n", 0)
    for account in (people.AMINA, "NOBODY"):  # one is hers, the other waits for an owner
        phone(people.AMINA).pay_paybill(70, account=account)
    cashier.withdraw(rt, paid_in, 100)
    work()
    output, code = compare()
    assert (code, "4 lines" in output) == (0, True), output
    assert compare("--json") == ("[]\n", 0)


def test_money_that_only_one_of_them_knows(compare, paid_in, network, phone):
    receipt = phone(people.AMINA).pay_paybill(70, account="NOBODY", deliver=False)
    output, code = compare()
    assert code == 1
    assert output.splitlines() == [
        f"receipt {receipt}: M-PESA says in 70 at {PAYBILL}, we say nothing",
        f"utility of {PAYBILL}: M-PESA says 570, we say 500",
    ]
    (pushed,) = (one["receipt"] for one in network.transactions() if one["amount"] == 500)
    back = network.reverse(pushed)
    output, code = compare()
    assert (code, len(output.splitlines())) == (1, 3)
    assert f"receipt {back}: M-PESA says out 500 at {PAYBILL}, we say nothing" in output


def test_a_world_that_has_forgotten(compare, paid_in, network):
    network.reset()
    told, code = compare("--json")
    found = {one["what"].split()[0]: one for one in json.loads(told)}
    assert code == 1
    assert found["utility"] == {"what": f"utility of {PAYBILL}", "theirs": "0", "ours": "500"}
    assert found["receipt"]["theirs"] == "nothing"


def test_charges_and_moves_that_we_did_not_book(rt, compare, paid_in, network, work):
    network.settings(b2c_charges=True)
    cashier.withdraw(rt, paid_in, 200)
    network.treasury("utility to working", 40, shortcode=PAYBILL)
    work()
    output, code = compare()
    assert code == 1
    assert output.splitlines() == [
        f"utility of {PAYBILL}: M-PESA says 460, we say 500",
        f"working of {PAYBILL}: M-PESA says 40, we say 0",
        f"utility of {B2C_SHORTCODE}: M-PESA says -205, we say -200",
        "charges: M-PESA says 5, we say 0",
    ]
    network.settings(b2c_charges=False)


def test_a_world_that_does_not_answer():
    with pytest.raises(click.ClickException, match="does not answer"):
        simulator.their_books("http://127.0.0.1:9")
