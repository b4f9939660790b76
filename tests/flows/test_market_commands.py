"""Running markets from the command line, as a trader does on a match day."""

import json
import shlex
from datetime import timedelta

import pytest
from flask.testing import FlaskCliRunner

from core.runtime import Runtime
from core.say import NAIROBI
from core.settling import refresh_pools
from tests import games, standing


@pytest.fixture
def flask(rt: Runtime, wanjiku):
    """`flask("market show 101")`: what it printed, and that it went as it should."""
    runner: FlaskCliRunner = standing.application(rt).test_cli_runner()

    def run(typed: str, *more: str, code: int | tuple[int, ...] = 0) -> str:
        result = runner.invoke(args=[*shlex.split(typed), *more])
        assert "Traceback" not in result.output
        assert result.exit_code in (code if isinstance(code, tuple) else (code,)), result.output
        return result.output

    return run


@pytest.fixture
def derby(flask):
    flask(
        "market create 'Gor v AFC' --outcome Gor --outcome Draw --outcome AFC --category soka"
        " --closes +3h --min-stake 50 --max-stake 5,000 --as wanjiku"
    )
    return "101"


def test_a_match_day(flask, derby, rt, amina, brian):
    shown = json.loads(flask(f"market show {derby} --json"))
    assert (shown["status"], shown["category"]) == ("draft", "Football")
    assert (shown["min_stake"], shown["max_stake"]) == (50_00, 5_000_00)
    flask(
        f"market edit {derby} --question 'Gor v Ingwe' --outcome Gor --outcome Ingwe --as wanjiku"
    )
    assert "is open." in flask(f"market open {derby} --as wanjiku")
    assert "is paused" in flask(f"market suspend {derby} --reason rain --as wanjiku")
    assert "goes on" in flask(f"market resume {derby} --as wanjiku")
    assert "closes 20" in flask(f"market move {derby} --closes +5h --reason late --as wanjiku")
    with rt.transaction() as tx:
        market = games.markets.by_code(tx, 101)
    games.placed(rt, amina, market, 1, 300)
    games.placed(rt, amina, market, 1, 60)
    games.placed(rt, brian, market, 2, 120)
    refresh_pools(rt)

    shown = json.loads(flask(f"market show {derby} --json"))
    assert (shown["pool"], shown["imbalance_bp"]) == (480_00, 5_000)
    first = shown["outcomes"][0]
    assert {name: first[name] for name in ("name", "staked", "bets", "backers", "share_bp")} == {
        "name": "Gor", "staked": 360_00, "bets": 2, "backers": 1, "share_bp": 7_500,
    }  # fmt: skip
    told = flask(f"market show {derby}")
    assert "pool KES 480, imbalance 50%" in told
    assert "1. Gor: 360 (75%, bets 2, backers 1, KES 1 brings 1.26)" in told
    listed = flask("market list")
    assert "101 open" in listed
    assert "KES 480" in listed
    flask(f"market close {derby} --as wanjiku")
    acts = [
        line.split(": ")[1].split()[0] for line in flask(f"market history {derby}").splitlines()
    ]
    assert acts == ["draft", "edit", "open", "suspend", "resume", "move", "close"]


def test_a_lopsided_market_says_what_it_would_cost_the_house(flask, derby, rt, amina):
    flask(f"market open {derby} --as wanjiku")
    with rt.transaction() as tx:
        market = games.markets.by_code(tx, 101)
    games.placed(rt, amina, market, 1, 400)
    refresh_pools(rt)
    assert "imbalance 100%" in (told := flask(f"market show {derby}"))
    assert "costs KES 20 of the fee" in told


def test_a_market_that_opens_later_says_when(flask):
    flask("market create Later --outcome A --outcome B --opens +1h --closes +3h --as wanjiku")
    assert "can be bet on from 20" in flask("market open 101 --as wanjiku")


def test_lists_are_by_status_and_category(flask, derby):
    assert "draft" in flask("market list")
    assert flask("market list --status open") == "There are none.\n"
    assert "Gor v AFC" in flask("market list --status draft --category SOKA")
    assert flask("market list --category Rugby") == "There are none.\n"
    assert json.loads(flask("market list --json"))[0]["code"] == 101


def test_categories_are_listed_and_added(flask):
    assert "Football / Soka" in flask("market categories")
    assert "is a category" in flask("market add-category Chess Sataranji --as wanjiku")
    assert "Chess / Sataranji" in flask("market categories")
    assert "already" in flask("market add-category chess Bao --as wanjiku", code=1)


@pytest.mark.parametrize(
    "typed",
    [
        "market create 'Call 0712345678' --outcome A --outcome B --closes +2h --as wanjiku",
        "market create Q --outcome A --outcome Kuma --closes +2h --as wanjiku",
        "market create Q --outcome A --outcome B --closes +2h --category Chess --as wanjiku",
        "market create Q --outcome A --outcome B --closes +2h --min-stake 0 --as wanjiku",
        "market create Q --outcome A --outcome B --closes +2h --min-stake ten --as wanjiku",
        "market create Q --outcome A --outcome B --closes +2h --max-stake 10 --as wanjiku",
        "market edit 101 --as wanjiku",
        "market edit 999 --question Q --as wanjiku",
        "market suspend 101 --reason rain --as wanjiku",
        "market suspend 101 --as wanjiku",
        "market resume 101 --as wanjiku",
        "market move 101 --closes +5h --reason rain --as wanjiku",
        "market move 101 --closes soon --reason rain --as wanjiku",
        "market history 999",
        "market list --status nearly",
        "market list --category Chess",
        "market list --limit 0",
        "market import nowhere.csv --as wanjiku",
        "market import /tmp --as wanjiku",
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(flask, derby, typed):
    assert "Error: " in flask(typed, code=(1, 2))


def test_a_file_is_looked_at_first_and_written_when_asked(flask, rt, tmp_path):
    day = (rt.now() + timedelta(days=2)).astimezone(NAIROBI).strftime("%Y-%m-%d %H:%M")
    file, lines = tmp_path / "fixtures.csv", ["question,category,outcomes,opens_at,closes_at"]
    lines += [f"Match {n},Football,Home|Draw|Away,,{day}" for n in range(3)]
    file.write_text("\r\n".join(lines), encoding="utf-8-sig")

    assert "3 markets would be drafted. To write them add --yes." in flask(
        "market import --as wanjiku", str(file)
    )
    assert flask("market list") == "There are none.\n"
    told = flask("market import --yes --as wanjiku", str(file))
    assert "3 markets are drafted: 101, 102, 103." in told
    again = json.loads(flask("market import --yes --json --as wanjiku", str(file)))
    assert (again["new"], again["known"], again["codes"]) == (0, 3, [])

    file.write_text("\n".join([*lines, f"Kuma,Football,A|B,,{day}", "Q,Football,A|B,,never"]))
    for typed in ("market import --as wanjiku", "market import --yes --as wanjiku"):
        told = flask(typed, str(file), code=1)
        assert "line 5: Kuma: it has a word that would offend people." in told
        assert "line 6: closes_at cannot be read: never" in told
    assert len(flask("market list").splitlines()) == 3


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\x02" * 500, b"\xff\xfe\x00a", b"x" * 2_000_000]
)
def test_a_file_that_is_none_is_refused_in_a_line(flask, tmp_path, content):
    file = tmp_path / "fixtures.csv"
    file.write_bytes(content)
    assert "line 1: The f" in flask("market import --as wanjiku", str(file), code=1)
