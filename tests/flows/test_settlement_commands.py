"""Ending a market by the command line: dead heats, withdrawals, pauses and corrections."""

import json

import pytest

import wsgi
from core import settling
from tests import games


@pytest.fixture
def flask(rt):
    """`flask("market", "progress", "101")`: what it printed, and that it ended with `code`."""
    runner = wsgi.create_app(rt).test_cli_runner()

    def run(*arguments, code=0):
        result = runner.invoke(args=list(arguments))
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_the_end_of_a_race_from_withdrawal_to_correction(flask, rt, amina, brian, wanjiku, kamau):
    race = games.derby(rt, wanjiku, "Simba", "Chui", "Duma", "Fisi")
    code = str(race.code)
    for outcome in (1, 2, 3):
        games.placed(rt, amina, race, outcome, 100)
    games.placed(rt, brian, race, 4, 50)
    assert "has no settlement" in flask("market", "progress", code, code=1)

    put(flask, "withdraw", code, "--outcome", "4")
    work(rt)
    flask("market", "close", code, "--as", "wanjiku")
    flask("market", "propose", code, "--source", "KRA", "--as", "wanjiku", code=2)
    seen = put(flask, "propose", code, "--winner", "1", "--winner", "2")
    assert (seen["pool"], seen["gross"], seen["late"]) == (300_00, 285_00, 0)
    flask("market", "pause-settlement", code, "--reason", "asked by phone", "--as", "kamau")
    work(rt)
    assert "waiting (paused by kamau)" in flask("market", "progress", code)
    flask("market", "resume-settlement", code, "--reason", "asked by phone", "--as", "kamau")
    flask(
        "market", "resume-settlement", code, "--reason", "asked by phone", "--as", "kamau", code=1
    )
    work(rt)
    told = json.loads(flask("market", "progress", code, "--json"))
    assert (told["stage"], told["bets_done"], told["people_done"]) == ("settled", 2, 1)

    flask("market", "correct", code, "--source", "photo", "--as", "wanjiku", code=2)
    put(flask, "correct", code, "--winner", "3", "--effective-close", "now")
    work(rt)
    assert "taken back 300 of 300" in flask("market", "progress", code)
    put(flask, "correct", code, "--void")
    work(rt)
    assert json.loads(flask("market", "show", code, "--json"))["status"] == "void"


def put(flask, what, code, *how):
    """Propose and approve it; what was seen."""
    told = ("market", what, code, *how, "--source", "FKF", "--as", "wanjiku")
    seen = json.loads(flask(*told, "--json"))
    flask("market", "approve", code, "--hash", seen["hash"], "--as", "kamau")
    return seen


def work(rt):
    """What the clock has done in a while."""
    with rt.transaction() as tx:
        due = settling.settlement.due(tx, now=rt.now())
    for settlement_id in due:
        settling.work(rt, settlement_id)
