"""Keys: whose they are, shown once, revoked for good; made and revoked by the command line too."""

import json
import re

import pytest

from core import api_keys, audit, staff_access
from core.errors import Refusal
from core.staff import Role
from tests import people, standing
from tests.api import programs
from tests.api.programs import refused

PATH = "/markets/101/proposal"


@pytest.fixture
def flask(rt):
    """`flask("staff", "keys", "ann")`: what it printed, and that it ended with `code`."""
    runner = standing.application(rt).test_cli_runner()

    def run(*arguments, code=0):
        result = runner.invoke(args=list(arguments))
        assert result.exit_code == code, result.output
        return result.output

    return run


def make(rt, member, name="laptop"):
    with rt.transaction() as tx:
        return api_keys.make(tx, member, name, now=rt.now(), config=rt.config)


def revoke(rt, key_id, by):
    with rt.transaction() as tx:
        return api_keys.revoke(tx, key_id, by=by, now=rt.now())


def test_a_revoked_key_does_nothing_at_once_and_the_others_go_on(rt, wanjiku):
    other = wanjiku.with_another_key()
    revoke(rt, wanjiku.key_id, wanjiku.member)
    refused(wanjiku.get(PATH), 401, "staff.api_denied")
    assert other.get(PATH).status_code == 404
    revoked = revoke(rt, wanjiku.key_id, wanjiku.member).revoked_at
    assert revoke(rt, wanjiku.key_id, wanjiku.member).revoked_at == revoked


def test_ones_keys_are_ones_own_business_and_the_admins(rt, wanjiku, kamau, program):
    with pytest.raises(Refusal, match=r"staff.no_such_key"):
        revoke(rt, wanjiku.key_id, kamau.member)
    with pytest.raises(Refusal, match=r"staff.no_such_key"):
        revoke(rt, "0" * 16, kamau.member)
    with pytest.raises(Refusal, match=r"staff.no_such_key"):
        revoke(rt, "zero\x00byte", kamau.member)
    assert wanjiku.get(PATH).status_code == 404
    root = people.member(rt, "root", Role.ADMIN)
    revoke(rt, wanjiku.key_id, root)
    refused(wanjiku.get(PATH), 401, "staff.api_denied")


def test_whoever_is_invited_anew_has_no_key_any_more(rt, wanjiku):
    with rt.transaction() as tx:
        staff_access.invite(tx, wanjiku.member, now=rt.now(), config=rt.config)
    refused(wanjiku.get(PATH), 401, "staff.api_denied")


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "zero\x00byte", "\u202eturned"])
def test_a_key_has_a_name_that_can_be_read(rt, name):
    with pytest.raises(Refusal, match=r"staff.api_key_name"):
        make(rt, people.member(rt, "ann"), name)


def test_nobody_has_more_than_five_live_keys(rt):
    member = people.member(rt, "ann", Role.VIEWER)
    made = [make(rt, member)[0] for _ in range(5)]
    with pytest.raises(Refusal, match=r"staff.api_keys_enough"):
        make(rt, member)
    revoke(rt, made[0], member)
    make(rt, member)
    with rt.transaction() as tx:
        assert len(api_keys.of(tx, member.id)) == 6


def test_when_a_key_was_last_used_is_known_to_the_minute(rt, wanjiku, wait):
    def used():
        with rt.transaction() as tx:
            return tx.get_one(api_keys.ApiKey, wanjiku.key_id).used_at

    assert used() is None
    wanjiku.get(PATH)
    first = used()
    wanjiku.get(PATH)
    assert used() == first
    wait(minutes=1)
    wanjiku.get(PATH)
    assert used() > first


def test_keys_by_the_command_line(rt, flask, client):
    people.member(rt, "ann", Role.FINANCE)
    told = json.loads(flask("staff", "key-add", "night  report", "--as", "ann", "--json"))
    ann = programs.Program(rt, client, None, told["key"], told["secret"])
    assert ann.get("/payments").status_code == 200
    shown = flask("staff", "key-add", "another", "--as", "ann")
    assert "Nobody can show this secret again." in shown
    (again,) = re.findall(r"secret  (\S{43})\n", shown)

    listed = flask("staff", "keys", "ann")
    assert "never used  another" in listed
    assert re.search(r"made 20\S+ \S+, used 20\S+ \S+  night report", listed)
    assert told["secret"] not in listed
    assert again not in listed
    flask("staff", "key-revoke", told["key"], "--as", "ann")
    assert ", revoked 20" in flask("staff", "keys", "ann")
    refused(ann.get("/payments"), 401, "staff.api_denied")
    assert "no such key" in flask("staff", "key-revoke", "nothing", "--as", "ann", code=1)
    flask("staff", "key-add", "x" * 41, "--as", "ann", code=1)
    with rt.transaction() as tx:
        actions = [line.action for line in audit.lines(tx, action="api key")]
    assert actions == ["api key revoke", "api key make", "api key make"]
