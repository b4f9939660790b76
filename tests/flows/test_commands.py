"""The command line: what staff type, on a real house."""

import json
import shlex

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import create_engine, text

from core import stamp
from core.runtime import Runtime
from tests import standing


@pytest.fixture
def flask(rt: Runtime):
    """`flask("market", "show", "101")`: what it printed, and that it went well."""
    runner: FlaskCliRunner = standing.application(rt).test_cli_runner()

    def run(*arguments: str, code: int | tuple[int, ...] = 0) -> str:
        result = runner.invoke(args=list(arguments))
        assert result.exit_code in (code if isinstance(code, tuple) else (code,)), result.output
        return result.output

    return run


def owner_says(rt: Runtime, statement: str) -> None:
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as connection:
        connection.execute(text(statement))
    owner.dispose()


def test_a_market_from_draft_to_approval_by_two_people(flask):
    for name in ("wanjiku", "kamau"):
        flask("staff", "add", name, "--role", "trader")
    made = json.loads(
        flask(
            *("market", "create", "Rain on Saturday?", "--outcome", "Yes", "--outcome", "No"),
            *("--closes", "+2h", "--as", "wanjiku", "--json"),
        )
    )
    code = str(made["code"])
    flask("market", "open", code, "--as", "wanjiku")
    assert json.loads(flask("market", "show", code, "--json"))["status"] == "open"
    flask("market", "close", code, "--as", "wanjiku")
    proposed = json.loads(
        flask(
            *("market", "propose", code, "--winner", "1", "--source", "met office"),
            *("--as", "wanjiku", "--json"),
        )
    )

    own = flask("market", "approve", code, "--hash", proposed["hash"], "--as", "wanjiku", code=1)
    other = flask("market", "approve", code, "--hash", "0" * 64, "--as", "kamau", code=1)
    assert own != other
    approved = flask("market", "approve", code, "--hash", proposed["hash"], "--as", "kamau")

    assert "will be settled" in approved
    assert json.loads(flask("market", "show", code, "--json"))["settlement"]["state"] == "approved"


def test_a_void_and_a_no(flask):
    flask("demo", "seed")
    flask("market", "close", "101", "--as", "wanjiku")
    told = flask("market", "void", "101", "--source", "abandoned", "--as", "wanjiku")
    assert "all stakes go back" in told

    flask("market", "refuse", "101", "--as", "kamau")

    assert json.loads(flask("market", "show", "101", "--json"))["status"] == "closed"


@pytest.mark.parametrize(
    "typed",
    [
        "market open 999 --as nobody",
        "market open 999 --as wanjiku",
        "market show 999",
        "market show -1",
        "market create Q --outcome A --outcome B --closes soon --as wanjiku",
        "market create Q --outcome A --outcome B --closes +0s --as wanjiku",
        "market create Q --outcome A --outcome B --closes 2020-01-01 --as wanjiku",
        "market create Q --outcome A --closes +2h --as wanjiku",
        "market create '' --outcome A --outcome B --closes +2h --as wanjiku",
        "market create Q --outcome A --outcome B --closes +2h --as juma",
        "staff add wanjiku --role trader",
        "staff add x --role king",
        "customer show 0202345678",
        "customer show 0712000009",
        "customer show zero",
        "payments list --phone zero",
        "payments list --limit 0",
        "payments show P1",
        "payments show P99999999999999999999",
        "payments show ''",
        "worker everything",
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(flask, typed):
    flask("demo", "seed")

    said = flask(*shlex.split(typed), code=(1, 2))

    assert "Error: " in said
    assert "Traceback" not in said


def test_nobody_acts_by_name_alone_outside_demo_and_test(rt: Runtime, flask):
    flask("demo", "seed")
    owner_says(rt, "UPDATE house_stamp SET environment = 'sandbox'")
    rt.config = rt.config.model_copy(update={"app_env": "sandbox"})

    output = flask("market", "close", "101", "--as", "wanjiku", code=1)

    assert "Code of wanjiku" in output
    assert json.loads(flask("market", "show", "101", "--json"))["status"] == "open"
    assert "Only a demo" in flask("demo", "seed", code=1)


def test_a_command_refuses_the_database_of_another_environment(rt: Runtime, flask):
    owner_says(rt, "UPDATE house_stamp SET environment = 'production'")

    assert "stamped production" in flask("ledger", "verify", code=1)


def test_a_command_refuses_an_older_schema_until_it_is_migrated(rt: Runtime, flask):
    with rt.transaction() as tx:
        assert stamp.at_head(tx)
        head = tx.scalar(text("SELECT version_num FROM alembic_version"))
    owner_says(rt, "UPDATE alembic_version SET version_num = '0000'")
    assert "run the release" in flask("market", "show", "101", code=1)

    owner_says(rt, f"UPDATE alembic_version SET version_num = '{head}'")
    flask("migrate")

    flask("ledger", "verify")


def test_the_demo_is_furnished_once(flask):
    first = flask("demo", "seed")
    again = flask("demo", "seed")

    assert first != again
    markets = [flask("market", "show", str(code)) for code in range(101, 107)]
    assert all("(open)" in market for market in markets)
    flask("market", "show", "107", code=1)


def test_the_books_are_proved_and_a_forged_balance_is_found(rt: Runtime, flask, amina):
    assert "BROKEN" not in flask("ledger", "verify")

    owner_says(rt, "UPDATE wallet SET balance = balance + 1")

    found = json.loads(flask("ledger", "verify", "--json", code=1))
    assert [one["name"] for one in found if not one["holds"]]
    owner_says(rt, "UPDATE wallet SET balance = balance - 1")
    assert "BROKEN" not in flask("ledger", "verify")


def test_a_customer_is_shown_by_any_form_of_the_number(flask, amina):
    by_seven = json.loads(flask("customer", "show", "0712000001", "--json"))
    by_code = json.loads(flask("customer", "show", "+254 712 000 001", "--json"))

    assert by_seven == by_code
    assert by_seven["name"] == "Amina Wanjiru"
    assert by_seven["standing"] == "active"
    assert "pin" not in " ".join(by_seven)
