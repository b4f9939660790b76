"""The demo's staff: whoever reads the README comes in, and nowhere else is a code given out."""

import pytest
from flask.cli import ScriptInfo

from admin.commands import demo
from admin.commands.demo import PASSWORD, STAFF
from core import ledger
from core.ledger import AccountKind
from tests import teller
from tests.pages.browser import Browser


@pytest.fixture
def flask(rt, app):
    """`flask("demo", "seed")`: what it printed, and that it ended well or with `code`."""

    def run(*words, code=0):
        runner = app.test_cli_runner()
        result = runner.invoke(args=list(words), obj=ScriptInfo(create_app=lambda: app))
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_everybody_of_the_demo_comes_in(rt, app, flask):
    flask("demo", "seed")
    assert PASSWORD in flask("demo", "door")
    for name, role in STAFF.items():
        code = rt.attempt(lambda tx, name=name: demo._next_code(tx, name, rt.now(), rt.config))
        page = Browser(app).open("/admin/sign-in")
        page.press("Sign in", name=name, password=PASSWORD, code=code)
        assert page.title == "Home", page.messages
        page.sees(name, role)


def test_the_float_of_the_opening_is_booked_by_two(rt, flask):
    flask("demo", "seed")
    assert flask("demo", "float", "1000000", "--ref", "SKF1FLOAT1") == (
        "The float of KES 1,000,000 is booked.\n"
    )
    with rt.transaction() as tx:
        assert ledger.total(tx, AccountKind.MPESA_UTILITY) == 1_000_000_00
    assert teller.clean(rt)


def test_two_codes_serve_within_half_a_minute_and_then_one_waits(rt, app, flask):
    flask("demo", "seed")
    for _ in range(2):
        code = rt.attempt(lambda tx: demo._next_code(tx, "wanjiku", rt.now(), rt.config))
        page = Browser(app).open("/admin/sign-in")
        page.press("Sign in", name="wanjiku", password=PASSWORD, code=code)
        assert page.title == "Home"


def test_codes_are_shown_in_a_demo_alone(rt, flask):
    flask("demo", "seed")
    assert "on their owner's phone" in flask("staff", "code", "wanjiku", code=1)
    object.__setattr__(rt.config, "app_env", "demo")
    code = rt.attempt(lambda tx: demo._next_code(tx, "wanjiku", rt.now(), rt.config))
    assert len(code) == 6
