"""What staff type about payments: every act has its command, and refuses whoever may not."""

import json
import re

import pytest
import structlog
from sqlalchemy import update

from core import errands, inbox, jobs, payouts, staff
from core.errors import Unknown
from core.inbox import Callback, State
from core.payments import PayoutState
from core.staff import Role
from tests import cashier, mpesa, people, standing


@pytest.fixture
def flask(rt):
    """`flask("payments", "list")`: the exit code, and all that was printed: no log is among it."""
    runner = standing.application(rt).test_cli_runner()

    def run(*arguments):
        logging = structlog.get_config()
        result = runner.invoke(args=list(arguments))
        assert structlog.get_config() == logging
        return result.exit_code, result.output

    return run


@pytest.fixture
def people_of_the_house(rt):
    with rt.transaction() as tx:
        staff.add(tx, "akinyi", Role.FINANCE, now=rt.now())
        staff.add(tx, "ben", Role.FINANCE, now=rt.now())
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


def test_a_payout_that_needs_a_person_is_listed_and_ended_by_two(
    rt, flask, people_of_the_house, amina, wait
):
    daraja = mpesa.Daraja(rt)
    number = cashier.withdraw(rt, amina, 300)
    daraja.says["b2c"] = Unknown("read timed out", code="no_answer")
    mpesa.work(rt)
    for hours in (1, 1, 2, 5, 8, 8, 2):
        wait(hours=hours)
        mpesa.sweep(rt)
    ref = f"P{number}"
    assert f"{ref:10} needs_human" in flask("payments", "doubt")[1]
    listed = json.loads(flask("payments", "doubt", "--json")[1])
    assert [one["ref"] for one in listed] == [ref]

    dead = ["payments", "propose-end", ref, "dead", "--note", "not there", "--as", "akinyi"]
    code, words = flask(*dead)
    assert (code, "Import the statement" in words) == (1, True)
    paid = [*dead[:3], "paid", "--receipt", "SKP1PAYOUT", *dead[4:]]
    code, words = flask(*paid)
    assert code == 0
    assert "KES 300" in words
    seen = hash_in(words)
    assert seen in flask("payments", "proposed")[1]
    assert flask("payments", "approve-end", ref, seen, "--as", "akinyi")[0] == 1
    assert flask("payments", "approve-end", ref, seen, "--as", "ben") == (0, f"{ref} is paid\n")


def test_a_large_payout_is_refused_then_let_go_by_two(rt, flask, people_of_the_house, amina):
    daraja = mpesa.Daraja(rt)
    people.fund(rt, amina, 50_000_00)
    number = cashier.withdraw(rt, amina, 30_000)
    mpesa.work(rt)
    release = ["propose-release", f"P{number}", "--note", "called her", "--as", "akinyi"]
    flask("payments", *release)
    assert flask("payments", "refuse", f"P{number}", "--release", "--as", "ben")[0] == 0
    seen = hash_in(flask("payments", *release)[1])

    code, words = flask("payments", "approve-release", f"P{number}", seen, "--as", "ben")

    assert (code, words) == (0, f"queued: P{number}\n")
    mpesa.work(rt)
    assert len(daraja.requests("b2c")) == 1


def test_hold_let_go_and_retry(rt, flask, people_of_the_house, amina):
    daraja = mpesa.Daraja(rt)
    number = cashier.withdraw(rt, amina, 300)
    ref = f"P{number}"
    assert flask("payments", "hold", ref, "--reason", "odd", "--as", "kamau")[0] == 1
    assert flask("payments", "hold", ref, "--reason", "odd", "--as", "akinyi")[0] == 0
    mpesa.work(rt)
    assert daraja.asked == []
    assert flask("payments", "let-go", ref, "--as", "akinyi")[0] == 0
    mpesa.work(rt)
    (request,) = daraja.requests("b2c")
    for look in (("show", ref), ("list", "--json"), ("list",)):
        assert amina.phone.removeprefix("+") not in flask("payments", *look)[1]
    assert flask("payments", "retry", ref, "--as", "akinyi") == (
        0,
        f"{ref}: M-PESA is asked about it\n",
    )
    assert flask("payments", "retry", ref, "--as", "akinyi")[0] == 1  # and not again at once
    mpesa.post(rt, "b2c_result", mpesa.payout_result(request, 2040))

    code, words = flask("payments", "retry", "--all-failed", "--as", "akinyi")

    told = "{} failed and were not tried again since.\n"
    assert (code, words) == (0, f"{told.format(1)}{ref}: P{number + 1}\n")
    again = flask("payments", "retry", "--all-failed", "--as", "akinyi")
    assert again == (0, told.format(0))
    assert "tried again before" in flask("payments", "retry", ref, "--as", "akinyi")[1]
    assert cashier.state(rt, number + 1) == PayoutState.QUEUED
    assert flask("payments", "retry", "--as", "akinyi")[0] == 2


def test_an_incident_is_listed_and_ended_by_two(rt, flask, people_of_the_house, amina):
    daraja = mpesa.Daraja(rt)
    cashier.sent(rt, amina, 300)
    (request,) = daraja.requests("b2c")
    mpesa.post(rt, "b2c_result", mpesa.payout_result(request, 2040))
    mpesa.post(rt, "b2c_result", mpesa.payout_result(request))
    (incident,) = json.loads(flask("payments", "incidents", "--json")[1])
    assert (incident["receipt"], incident["set_aside"]) == ("SKP1PAYOUT", "300")
    number = str(incident["id"])
    told = ["propose-incident", number, "correct", "--note", "portal", "--as", "akinyi"]
    seen = hash_in(flask("payments", *told)[1])

    code, words = flask("payments", "approve-incident", number, seen, "--as", "ben")

    assert (code, words) == (0, "posted\n")
    assert json.loads(flask("payments", "incidents", "--json")[1]) == []


def test_a_callback_that_failed_five_times_is_listed_and_run_again(
    rt, flask, people_of_the_house, monkeypatch
):
    def broken(tx, payload, now):
        raise KeyError("ResultCode")

    mended = errands.PROCESSORS["b2c_result"]
    monkeypatch.setitem(errands.PROCESSORS, "b2c_result", broken)
    with rt.transaction() as tx:
        kept = inbox.keep(tx, "b2c_result", b"{}", keys=rt.config.data_keys, now=rt.now())
    for _ in range(inbox.TRIES):
        with pytest.raises(KeyError):
            jobs.process(kept)
        with rt.transaction() as tx:
            tx.execute(update(Callback).values(due_at=rt.now()))
    (listed,) = json.loads(flask("payments", "stuck", "--json")[1])
    assert (listed["id"], listed["door"], listed["error"]) == (kept, "b2c_result", "KeyError")

    monkeypatch.setitem(errands.PROCESSORS, "b2c_result", mended)
    assert flask("payments", "retry-stuck", str(kept), "--as", "kamau")[0] == 1
    code, words = flask("payments", "retry-stuck", "--all", "--as", "akinyi")
    assert (code, words) == (0, f"running again: {kept}\n")
    jobs.process(kept)

    with rt.transaction() as tx:
        assert tx.get_one(Callback, kept).state == State.DONE
    assert flask("payments", "retry-stuck", str(kept), "--as", "akinyi")[1].endswith("stuck\n")


def hash_in(words):
    """The hash that the second yes has to name."""
    found = re.search(r"^hash +([0-9a-f]{64})$", words, re.MULTILINE)
    assert found, words
    return found[1]
