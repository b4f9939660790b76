"""Ending a market by the command line: dead heats, withdrawals, pauses and corrections."""

import json
import re

import pytest

from core import ledger, settling
from core.customers import Customer
from tests import games, standing


@pytest.fixture
def flask(rt):
    """`flask("market", "progress", "101")`: what it printed, and that it ended with `code`."""
    runner = standing.application(rt).test_cli_runner()

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


def test_the_second_person_sees_what_is_proposed(flask, rt, amina, brian, wanjiku, kamau):
    match = games.derby(rt, wanjiku, "Gor", "Draw")
    code = str(match.code)
    games.placed(rt, amina, match, 1, 100)
    games.placed(rt, brian, match, 2, 100)
    flask("market", "proposal", code, code=1)
    flask("market", "close", code, "--as", "wanjiku")
    told = ("--source", "FKF", "--as", "wanjiku")
    seen = flask("market", "propose", code, "--winner", "2", "--effective-close", "now", *told)
    assert seen.startswith("Won: 2 Draw\nBets after 20")
    again = flask("market", "propose", code, "--winner", "1", *told, code=1)
    assert f"market proposal {code}" in again

    waits = flask("market", "proposal", code)
    assert f"Market {code}, result proposed by wanjiku at 20" in waits
    assert "lapses 20" in waits
    assert "Source: FKF\n" in waits
    assert waits.endswith(seen)
    for what in ("show", "history"):
        assert f"see it with market proposal {code}" in flask("market", what, code)

    flask("market", "refuse", code, "--reason", "it was Gor", "--as", "kamau")
    history = flask("market", "history", code).splitlines()
    assert re.search(
        r"wanjiku: propose result \(FKF\) effective_close .*, winners 2 Draw", history[-2]
    )
    assert "kamau: refuse result (it was Gor)" in history[-1]


def test_a_correction_says_from_what_to_what(flask, rt, amina, brian, wanjiku, kamau):
    match = games.derby(rt, wanjiku, "Gor", "Draw")
    code = str(match.code)
    games.placed(rt, amina, match, 1, 100)
    games.placed(rt, brian, match, 2, 100)
    flask("market", "close", code, "--as", "wanjiku")
    put(flask, "propose", code, "--winner", "1")
    assert "paying has not begun" in flask("market", "progress", code)
    work(rt)
    assert "settlement settled: Won: 1 Gor; paid 190" in flask("market", "show", code)

    told = ("--source", "photo", "--as", "wanjiku")
    seen = flask("market", "correct", code, "--winner", "2", *told)
    assert "Won: 2 Draw\nInstead of: Won: 1 Gor\n" in seen
    assert "To be taken back first: 200, of it 190 from customers." in seen
    assert seen in flask("market", "proposal", code)
    flask("market", "refuse", code, "--as", "kamau")
    seen = flask("market", "correct", code, "--void", *told)
    assert "Void: every stake goes back\nInstead of: Won: 1 Gor\n" in seen
    approved = flask("market", "approve", code, "--hash", seen.split()[-1], "--as", "kamau")
    assert re.search(r"settled from \d{4}-\d\d-\d\d \d\d:\d\d on", approved)


def test_a_withdrawal_waits_in_sight_too(flask, rt, amina, wanjiku, kamau):
    race = games.derby(rt, wanjiku, "Simba", "Chui", "Duma")
    code = str(race.code)
    games.placed(rt, amina, race, 3, 100)
    told = ("--source", "KRA", "--as", "wanjiku")
    flask("market", "withdraw", code, "--outcome", "3", *told)
    assert "Duma: 1 bets so far" in flask("market", "proposal", code)
    flask("market", "withdraw", code, "--outcome", "2", *told, code=1)
    assert "propose withdrawal (KRA) outcome 3" in flask("market", "history", code)


def test_who_owes_is_listed(flask, rt, amina, brian, wanjiku, kamau):
    with rt.transaction() as tx:
        tx.get_one(Customer, amina.id).auto_cashout = False  # what she wins stays to be bet again
    match = games.derby(rt, wanjiku)
    games.placed(rt, amina, match, 1, 100)
    games.placed(rt, brian, match, 2, 100)
    games.settle(rt, match, 1, proposer=wanjiku, approver=kamau)
    with rt.transaction() as tx:
        held = ledger.balance(tx, amina.id)
    games.placed(rt, amina, games.derby(rt, wanjiku, question="Next"), 1, held / 100)
    put(flask, "correct", str(match.code), "--winner", "2")
    work(rt)
    assert flask("customer", "debts").split()[:7] == [
        *("Amina", "Wanjiru", "2547*****001", "owes", "KES", "190,", "has"),
    ]  # fmt: skip
    assert re.search(r"owed +190\n", flask("customer", "show", amina.phone))
    assert re.search(r"since +\d{4}-\d\d-\d\d \d\d:\d\d$", flask("customer", "show", amina.phone))


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
