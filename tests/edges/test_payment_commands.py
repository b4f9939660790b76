"""What staff type about payments: to let payouts go again, and who may."""

import pytest

import wsgi
from core import payouts, staff
from core.staff import Role
from tests import cashier


@pytest.fixture
def flask(rt):
    """`flask("payments", "list")`: the exit code, and what was printed."""
    runner = wsgi.create_app(rt).test_cli_runner()

    def run(*arguments):
        result = runner.invoke(args=list(arguments))
        return result.exit_code, result.output

    return run


@pytest.fixture
def people_of_the_house(rt):
    with rt.transaction() as tx:
        staff.add(tx, "akinyi", Role.FINANCE, now=rt.now())
        staff.add(tx, "kamau", Role.TRADER, now=rt.now())


def test_finance_lets_payouts_go_again_and_nobody_else(rt, flask, people_of_the_house):
    with rt.transaction() as tx:
        payouts.pause(tx, "1", "Our utility account is short.", now=rt.now())

    for name in ("kamau", "nobody"):
        assert flask("payments", "resume", "--as", name)[0] == 1
        assert cashier.is_paused(rt)

    code, words = flask("payments", "resume", "--as", "akinyi")
    assert (code, cashier.is_paused(rt)) == (0, False)
    assert "Our utility account is short." in words


def test_there_must_be_a_pause_to_end(rt, flask, people_of_the_house):
    code, words = flask("payments", "resume", "--as", "akinyi")

    assert (code, "not paused" in words) == (1, True)
