"""The house's own business by the command line: limits, levies, treasury, closed days."""

import re
from datetime import timedelta

from core.say import NAIROBI
from demo.settings import B2C_SHORTCODE, PAYBILL


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
    assert "too young" in flask(f"play of-age {who} --as salma", code=1)


def test_levies(flask, wait):
    assert flask("levy show") == "There are no rates.\n"
    seen = named(flask("levy propose kenya-2025 --from +2h --note 'Act' --as fatuma"))
    flask(f"levy approve {seen} --as fatuma", code=1)
    assert "2 rates from" in flask(f"levy approve {seen} --as otieno")
    assert "5.00%" in flask("levy show")
    assert flask("levy report --from 2026-01-01 --to 2027-01-01 --csv").startswith("day,levy")
    flask("levy propose kenya-2025 --from now --note x --as fatuma", code=1)


def test_treasury_and_days(flask, rt, amina, wait):
    seen = named(flask("treasury propose 'owner in' 1,000 --ref B1 --note capital --as fatuma"))
    assert "waits" in (told := flask("treasury list"))
    assert "KES          1,000" in told
    assert "posted: owner in 1,000" in flask(f"treasury approve B1 {seen} --as otieno")
    flask(f"treasury propose 'top up' 5,000 --ref B2 --shortcode {PAYBILL} --note x --as fatuma", 1)
    flask("treasury propose 'owner out' 10 --ref B3 --note x --as fatuma")
    assert flask("treasury refuse B3 --as otieno") == "refused\n"
    balance = flask("treasury balance").splitlines()
    assert balance[0].split() == ["account", "shortcode", "debits", "credits"]
    assert len({len(line) for line in balance}) == 1

    bands = named(flask("treasury tariff 100=0 1500=5 --from +1h --note list --as fatuma"))
    assert "up to 1,500: 5" in flask(f"treasury tariff --hash {bands} --as otieno")
    flask("treasury tariff 100:0 --from +1h --as fatuma", code=2)

    day = f"{rt.now().astimezone(NAIROBI):%Y-%m-%d}"
    assert f"{day} is not over" in flask(f"treasury close-day {day} --as fatuma", code=1)
    wait(days=1)
    signed = flask(f"treasury close-day {day} --as fatuma")
    assert re.search(r"BANK +2,000 +0\n", signed)
    closing = named(signed)
    assert "closed" in flask(f"treasury close-day {day} --hash {closing} --as otieno")
    assert flask(f"treasury report --from {day} --to {day}").splitlines()[1].startswith(day)


def test_what_is_missing_is_said(flask):
    told = flask("treasury propose 'top up' 10 --ref B1 --note x --as fatuma", code=1)
    assert PAYBILL in told
    assert B2C_SHORTCODE in told
    assert "--from" in flask("treasury tariff 100=0 --as fatuma", code=2)
    assert "--as" in flask("treasury tariff 100=0 --from +1h", code=2)
    assert "which bands" in flask("treasury tariff --from +1h --as fatuma", code=2)
    assert "either" in flask(f"treasury tariff 100=0 --hash {'0' * 64} --as fatuma", code=2)
    assert "needs a name" in flask("staff add ' ' --role trader", code=1)
    told = flask("treasury propose 'owner in' 10 --ref B1 --note x --as salma", code=1)
    assert "(finance, admin)" in told


def test_nothing_is_said_in_a_line(flask):
    assert flask("treasury list") == "Nothing proposed, nothing posted.\n"
    assert flask("treasury tariff") == "There is no tariff.\n"
    assert flask("levy report --from 2026-01-01 --to 2026-01-02") == "Nothing to be filed.\n"
    assert flask("customer debts") == "Nobody owes anything.\n"


def test_days_are_closed_in_turn_and_the_next_is_named(flask, rt, wait):
    first, third = (rt.now().astimezone(NAIROBI).date() + timedelta(days=n) for n in (0, 2))
    wait(days=4)
    closing = named(flask(f"treasury close-day {first} --as fatuma"))
    flask(f"treasury close-day {first} --hash {closing} --as otieno")
    said = flask(f"treasury close-day {third} --as fatuma", code=1)
    assert f"the next is {first + timedelta(days=1)}" in said
