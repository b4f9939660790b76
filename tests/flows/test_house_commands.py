"""The house's own business by the command line: limits, levies, treasury, closed days."""

import re
import shlex

import pytest

import wsgi
from core.say import NAIROBI
from core.staff import Role
from demo.settings import PAYBILL
from tests import people


@pytest.fixture
def flask(rt):
    """`flask("treasury list")`: what it printed, and that it ended with `code`."""
    runner = wsgi.create_app(rt).test_cli_runner()
    for name in ("fatuma", "otieno"):
        people.member(rt, name, Role.FINANCE)
    people.member(rt, "salma", Role.SUPPORT)

    def run(typed, code=0):
        result = runner.invoke(args=shlex.split(typed))
        assert "Traceback" not in result.output
        assert result.exit_code == code, result.output
        return result.output

    return run


def named(output):
    """The hash that a proposal is approved by."""
    return re.search(r"[0-9a-f]{64}", output)[0]


def test_limits_and_breaks(flask, amina, wait):
    who = amina.phone
    assert flask(f"play limit {who} stake day 100 --as salma") == "set\n"
    assert "waits for a yes" in flask(f"play limit {who} stake day 500 --as salma")
    assert "from" in flask(f"play confirm {who} stake day --as salma", code=1)
    wait(hours=25)
    assert flask(f"play confirm {who} stake day --as salma") == "set\n"
    assert "no play until" in flask(f"play break {who} 6m --as salma")
    assert "STAKE DAY: 500, left 500" in flask(f"play history {who}")
    assert "not" in flask(f"play break {who} 24h --as fatuma", code=1)  # finance is not support
    assert "Nobody" in flask("play history 0799000000", code=1)


def test_levies(flask, wait):
    assert "no" not in flask("levy show")
    seen = named(flask("levy propose kenya-2025 --from +2h --note 'Act' --as fatuma"))
    flask(f"levy approve {seen} --as fatuma", code=1)
    assert "2 rates from" in flask(f"levy approve {seen} --as otieno")
    assert "5.00%" in flask("levy show")
    assert flask("levy report --from 2026-01-01 --to 2027-01-01 --csv").startswith("day,levy")
    flask("levy propose kenya-2025 --from now --note x --as fatuma", code=1)


def test_treasury_and_days(flask, rt, amina, wait):
    seen = named(flask("treasury propose 'owner in' 1,000 --ref B1 --note capital --as fatuma"))
    assert "waits" in flask("treasury list")
    assert "posted: owner in 1,000" in flask(f"treasury approve B1 {seen} --as otieno")
    flask(f"treasury propose 'top up' 5,000 --ref B2 --shortcode {PAYBILL} --note x --as fatuma", 1)
    flask("treasury propose 'owner out' 10 --ref B3 --note x --as fatuma")
    assert flask("treasury refuse B3 --as otieno") == "refused\n"
    assert "BANK" in flask("treasury balance")

    bands = named(flask("treasury tariff 100=0 1500=5 --from +1h --note list --as fatuma"))
    assert "up to 1,500: 5" in flask(f"treasury tariff --hash {bands} --as otieno")
    flask("treasury tariff 100:0 --from +1h --as fatuma", code=2)

    day = f"{rt.now().astimezone(NAIROBI):%Y-%m-%d}"
    flask(f"treasury close-day {day} --as fatuma", code=1)
    wait(days=1)
    closing = named(flask(f"treasury close-day {day} --as fatuma"))
    assert "closed" in flask(f"treasury close-day {day} --hash {closing} --as otieno")
    assert flask(f"treasury report --from {day} --to {day}").splitlines()[1].startswith(day)
