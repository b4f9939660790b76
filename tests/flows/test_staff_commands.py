"""People and the audit by the command line, as a demo believes it and as a real house does."""

import functools
import io
import json
import re
import shlex
from collections.abc import Callable

import pyotp
import pytest
from sqlalchemy import create_engine, text

from core import audit, staff, staff_access
from core.runtime import Runtime
from core.staff import Role
from tests import games, people, staff_people, standing
from tests.staff_people import CODE, PASSWORD, code_in


@pytest.fixture
def flask(rt: Runtime):
    """`flask("staff list")`: what it printed, and that it ended with `code`."""
    runner = standing.application(rt).test_cli_runner()

    def run(typed: str, code: int = 0, answers: str | io.RawIOBase | None = None) -> str:
        result = runner.invoke(args=shlex.split(typed), input=answers)
        assert "Traceback" not in result.output
        assert result.exit_code == code, result.output
        return result.output

    return run


@pytest.fixture
def in_earnest(rt: Runtime) -> Runtime:
    """The house with money of its own: a name alone is believed no more."""
    owner_says(rt, "UPDATE house_stamp SET environment = 'sandbox'")
    rt.config = rt.config.model_copy(update={"app_env": "sandbox"})
    return rt


def owner_says(rt: Runtime, *statements: str) -> None:
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    owner.dispose()


def hash_in(output: str) -> str:
    found = re.search(r"[0-9a-f]{64}", output)
    assert found, output
    return found[0]


def last_line(rt: Runtime, action: str = "") -> audit.AuditLine:
    with rt.transaction() as tx:
        return audit.lines(tx, action=action, limit=1)[0]


def test_a_new_colleague_by_two_admins(flask, rt) -> None:
    for name in ("ann", "ben"):
        flask(f"staff add {name} --role admin --phone 07110000{ord(name[0])}")
    told = flask("staff propose-new dora --role support --phone 0712345678 --note hired --as ann")
    assert "2547*****678" in told
    assert "712345678" not in told
    assert hash_in(flask("staff proposals")) == hash_in(told)
    assert "themselves" in flask(f"staff approve dora {hash_in(told)} --as ann", code=1)
    approved = flask(f"staff approve dora {hash_in(told)} --as ben")
    assert "dora is support." in approved
    assert "on its way to 2547*****678; it holds until" in approved
    assert not CODE.search(approved)
    changes = ("role dora trader", "reset dora", "phone dora 0712345670", "leave dora")
    for typed in (f"propose-{change}" for change in changes):
        put = flask(f"staff {typed} --note why --as ben")
        flask(f"staff approve dora {hash_in(put)} --as ann")
    flask("staff propose-reset ben --note lost --as ann")
    assert flask("staff refuse ben --as ben") == "refused\n"
    rows = json.loads(flask("staff list --json"))
    assert [(row["name"], row["state"]) for row in rows] == [
        ("ann", "not enrolled"),
        ("ben", "not enrolled"),
        ("dora", "left"),
    ]
    assert "left" in flask("staff list")
    assert flask("staff proposals") == "There are none.\n"


class Answers(io.RawIOBase):
    """Somebody at a keyboard, who thinks of each answer when it is asked."""

    def __init__(self, *answers: Callable[[], str]) -> None:
        self.answers = list(answers)

    def readable(self) -> bool:
        return True

    def readinto(self, room) -> int:
        typed = f"{self.answers.pop(0)()}\n".encode() if len(room) and self.answers else b""
        room[: len(typed)] = typed
        return len(typed)


def secret_of(rt: Runtime, name: str) -> str:
    with rt.transaction() as tx:
        access = staff_access.held(tx, staff.named(tx, name).id)
        assert access is not None
        return staff_access.seed_of(access, rt.config)


def test_enrolment_by_the_command_line(flask, rt) -> None:
    code = code_in(flask("staff add ann --role admin"))
    secret = functools.partial(secret_of, rt, "ann")
    answers = Answers(
        lambda: code, lambda: PASSWORD, lambda: PASSWORD, lambda: pyotp.TOTP(secret()).at(rt.now())
    )
    said = flask("staff enrol ann", answers=answers)
    assert f"secret={secret()}&" in said
    assert len(CODE.findall(said)) == 10
    assert PASSWORD not in said
    assert "too old" in flask("staff enrol ann", code=1, answers=f"{code}\n")
    assert "enrolled" in flask("staff list")


def test_sessions_are_listed_and_ended(flask, rt) -> None:
    ann = staff_people.enrolled(rt, "ann")
    ann.sign_in()
    assert staff_people.ADDRESS in flask("staff sessions ann")
    flask("staff end-sessions ann --as ann")
    assert flask("staff sessions ann") == "There are none.\n"
    people.member(rt, "wanjiku")
    assert "another role" in flask("staff end-sessions ann --as wanjiku", code=1)


def test_every_command_that_acts_leaves_a_line(flask, rt, wanjiku, amina) -> None:
    people.member(rt, "salma", Role.SUPPORT)
    flask("market create 'Rain?' --outcome Yes --outcome No --closes +2h --as wanjiku")
    line = last_line(rt, "command")
    assert (line.action, line.staff_id) == ("command market create", wanjiku.id)
    assert line.channel == "command"
    assert line.facts["question"] == "Rain?"
    assert line.facts["outcomes"] == ["Yes", "No"]
    flask(f"play limit {amina.phone} stake day 100 --as salma")
    line = last_line(rt, "command")
    assert (line.action, line.facts["number"]) == ("command play limit", "2547*****001")
    before = line.id
    flask("market open 999 --as wanjiku", code=1)  # what came to nothing is nobody's act
    assert last_line(rt).id == before


def test_a_name_alone_is_believed_in_demo_and_test_only(flask, in_earnest) -> None:
    rt = in_earnest
    trader = staff_people.enrolled(rt, "wanjiku", Role.TRADER)
    typed = "market create 'Rain?' --outcome Yes --outcome No --closes +2h --as wanjiku"
    assert "Code of wanjiku" in flask(typed, code=1, answers="")
    assert "wrong" in flask(typed, code=1, answers=f"{trader.wrong_code()}\n")
    code = trader.code()
    assert "is drafted" in flask(typed, answers=f"{code}\n")
    assert "used before" in flask(typed, code=1, answers=f"{code}\n")
    assert "is drafted" in flask(typed, answers=f"{trader.recovery[0]}\n")
    people.member(rt, "kamau")  # who has not enrolled
    assert "wrong" in flask(typed.replace("wanjiku", "kamau"), code=1, answers="123456\n")
    with rt.transaction() as tx:
        proofs = [line.facts["outcome"] for line in audit.lines(tx, action="second factor")]
        acts = audit.lines(tx, action="command")
    assert proofs == ["refused", "right", "refused", "right", "refused"]
    assert len(acts) == 2


def test_one_code_is_asked_for_a_command_of_many_transactions(flask, in_earnest) -> None:
    akinyi = staff_people.enrolled(in_earnest, "akinyi", Role.FINANCE)
    said = flask("payments retry P1 --as akinyi", code=1, answers=f"{akinyi.code()}\n")
    assert said.count("Code of akinyi") == 1
    assert "no payout" in said.lower()


def test_the_first_admins_of_a_real_house(flask, in_earnest) -> None:
    rt = in_earnest
    assert "Only admins" in flask("staff add t --role trader --phone 0712345670", code=1)
    assert "phone" in flask("staff add ann --role admin", code=1)
    flask("staff add ann --role admin --phone 0712345671")
    with rt.transaction() as tx:
        member = staff.named(tx, "ann")
    ann = staff_people.enrol(rt, member)
    second = "staff add ben --role admin --phone 0712345672"
    assert "--as ann" in flask(second, code=1)
    said = flask(f"{second} --as ann", answers=f"{ann.code()}\n")
    assert "on its way to 2547*****672" in said
    assert not CODE.search(said)
    third = "staff add eve --role admin --phone 0712345673 --as ann"
    assert "two admins already" in flask(third, code=1, answers=f"{ann.code()}\n")


def test_the_audit_is_listed_and_proved(flask, rt, wanjiku) -> None:
    flask("market create 'Rain?' --outcome Yes --outcome No --closes +2h --as wanjiku")
    flask("market create 'Sun?' --outcome Yes --outcome No --closes +2h --as wanjiku")
    rows = json.loads(flask("audit list --by wanjiku --action command --json"))
    assert [row["facts"]["question"] for row in rows] == ["Sun?", "Rain?"]
    assert "command market create" in flask("audit list --limit 1")
    assert "called nobody" in flask("audit list --by nobody", code=1)

    proposed = games.derby(rt, wanjiku)
    kamau = people.member(rt, "kamau")
    for act in (f"suspend {proposed.code} --reason goal", f"resume {proposed.code}"):
        flask(f"market {act} --as wanjiku")
    games.settle(rt, proposed, 1, proposer=wanjiku, approver=kamau)
    said = flask(f"audit list --subject 'market {proposed.code}'")
    assert f"approve market.result market {proposed.code} Gor Mahia v AFC Leopards" in said
    assert f"command market suspend market {proposed.code} Gor" in said
    (row, *_) = json.loads(flask("audit list --action approve --json"))
    assert row["subject"] == f"market:{proposed.id}"  # as it is hashed

    told = json.loads(flask("audit verify --json"))
    assert told["whole"] is True
    anchor = f"{told['lines']}:{told['head']}"
    assert anchor in flask("audit verify")
    assert anchor in flask(f"audit verify --anchor {anchor}")
    assert "another hash" in flask(f"audit verify --anchor 1:{'0' * 64}", code=1)
    assert "is gone" in flask(f"audit verify --anchor 99:{'0' * 64}", code=1)
    assert "ID:HASH" in flask("audit verify --anchor x:y", code=2)

    owner_says(
        rt,
        "SET LOCAL session_replication_role = replica",
        "UPDATE audit_line SET body = replace(body, 'Rain', 'Snow')",
    )
    assert "BROKEN: Line 1 " in flask("audit verify", code=1)
    assert json.loads(flask("audit verify --json", code=1))["whole"] is False
