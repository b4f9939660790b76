"""Signing in: two factors, few tries, each code once, and one sentence for whatever is wrong."""

import itertools
import threading
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import text

from core import audit, hashing, sign_in, staff_access, staff_sessions
from core.errors import Refusal
from core.runtime import Runtime
from core.staff_access import StaffAccess, StaffAgain, StaffDoor
from tests import people, staff_people
from tests.staff_people import PASSWORD, Person

WRONG = "purple giraffe eats 18 lemons"


@pytest.fixture
def ann(rt: Runtime) -> Person:
    """An admin who has enrolled."""
    return staff_people.enrolled(rt, "ann")


def refused(act) -> str:
    with pytest.raises(Refusal) as said:
        act()
    return said.value.reason


def access(person: Person) -> StaffAccess:
    with person.rt.transaction() as tx:
        return tx.get_one(StaffAccess, person.staff.id)


def door(person: Person) -> StaffDoor:
    with person.rt.transaction() as tx:
        return tx.get_one(StaffDoor, (person.staff.id, staff_people.ADDRESS))


def inside(person: Person) -> StaffAgain:
    with person.rt.transaction() as tx:
        return tx.get_one(StaffAgain, person.staff.id)


def visit(person: Person, token: str) -> staff_sessions.Visit:
    rt = person.rt
    with rt.transaction() as tx:
        found = staff_sessions.find(tx, token, now=rt.now(), config=rt.config)
    assert found is not None
    return found


def test_both_factors_open_a_session(ann) -> None:
    came = ann.sign_in()
    assert came.staff_id == ann.staff.id
    assert visit(ann, came.token).staff.name == "ann"
    assert visit(ann, came.token).fresh
    assert came.token not in repr(came)


def test_a_no_is_one_sentence_whatever_is_wrong(rt, ann) -> None:
    people.member(rt, "not enrolled")
    leaver = staff_people.enrolled(rt, "leaver")
    with rt.transaction() as tx:
        tx.execute(text("UPDATE staff SET active = false WHERE name = 'leaver'"))
    wrong = ann.wrong_code()
    tries = [
        lambda: ann.sign_in(password=WRONG),
        lambda: ann.sign_in(code=wrong),
        lambda: ann.sign_in(password=WRONG, code=wrong),
        lambda: ann.sign_in(code=""),
        lambda: leaver.sign_in(),
        lambda: stranger(rt, "nobody"),
        lambda: stranger(rt, "not enrolled"),
        lambda: stranger(rt, "bad\0name"),
        lambda: stranger(rt, "ANN"),
    ]
    assert {refused(one) for one in tries} == {"staff.sign_in"}


def stranger(rt: Runtime, name: str) -> sign_in.SignedIn:
    return sign_in.sign_in(rt, name, PASSWORD, "123456", address="::1", agent="x" * 999)


def test_whose_an_address_is() -> None:
    told = {
        "203.0.113.7": "203.0.113.7",
        "::ffff:203.0.113.7": "203.0.113.7",  # the same caller, through a socket for both
        "2001:db8:7::1": "2001:db8:7::/64",
        "2001:db8:7:0:ffff::": "2001:db8:7::/64",
        "2001:db8:8::1": "2001:db8:8::/64",
        "None": "None",
    }
    assert {address: sign_in.network_of(address) for address in told} == told


def test_the_same_work_is_done_for_everybody(rt, ann, monkeypatch) -> None:
    """What takes time is done as often for a name that nobody has, and for one that is locked."""
    people.member(rt, "not enrolled")
    wrong = ann.wrong_code()
    names = ["ann", "nobody", "not enrolled"]
    work = [done_for(rt, name, wrong, monkeypatch) for name in names]
    for _ in range(4):
        refused(lambda: ann.sign_in(code=wrong))
    work.append(done_for(rt, "ann", wrong, monkeypatch))  # locked by now
    assert work == [work[0]] * 4
    assert work[0] == {"hashes": 1, "codes": 3, "commits": 2}


def done_for(rt: Runtime, name: str, code: str, monkeypatch) -> dict[str, int]:
    counted = {"hashes": 0, "codes": 0, "commits": 0}

    def counting(what, work):
        def counts(*args, **kwargs):
            counted[what] += 1
            return work(*args, **kwargs)

        return counts

    with monkeypatch.context() as watched:
        hasher, totp = type(hashing.HASHER), pyotp.TOTP
        watched.setattr(hasher, "verify", counting("hashes", hasher.verify))
        watched.setattr(hasher, "hash", counting("hashes", hasher.hash))
        watched.setattr(totp, "generate_otp", counting("codes", totp.generate_otp))
        before = written_commits(rt)
        refused(lambda: sign_in.sign_in(rt, name, WRONG, code, address="::1", agent=""))
        counted["commits"] = written_commits(rt) - before
    return counted


def written_commits(rt: Runtime) -> int:
    """Transactions that wrote something, told by the ids they took; asking takes one as well."""
    with rt.transaction() as tx:
        number = tx.scalar(text("SELECT pg_current_xact_id()::text::bigint"))
    return int(number) - next(ASKED)


ASKED = itertools.count()


def test_a_code_is_accepted_once(ann) -> None:
    code = ann.code()
    ann.sign_in(code=code)
    assert refused(lambda: ann.sign_in(code=code)) == "staff.sign_in"
    ann.sign_in()


def test_a_code_that_came_before_one_that_was_used_is_too_late(ann) -> None:
    first, second = ann.code(), ann.code()
    ann.sign_in(code=second)
    assert refused(lambda: ann.sign_in(code=first)) == "staff.sign_in"


def test_a_code_of_long_ago_is_no_code(ann) -> None:
    code = ann.code()
    ann.code(), ann.code(), ann.code()  # time goes by
    assert refused(lambda: ann.sign_in(code=code)) == "staff.sign_in"


def test_a_wrong_password_does_not_use_the_code_up(ann) -> None:
    code = ann.code()
    refused(lambda: ann.sign_in(password=WRONG, code=code))
    ann.sign_in(code=f"{code[:3]} {code[3:]}")


def test_a_recovery_code_stands_in_once(ann) -> None:
    first, second, *_ = ann.recovery
    refused(lambda: ann.sign_in(password=WRONG, code=first))
    ann.sign_in(code=first)
    assert refused(lambda: ann.sign_in(code=first)) == "staff.sign_in"
    ann.sign_in(code=second.lower().replace("-", " "))
    with ann.rt.transaction() as tx:
        assert staff_access.codes_left(tx, ann.staff.id) == 8


def test_nobody_comes_in_with_anothers_code(rt, ann) -> None:
    ben = staff_people.enrolled(rt, "ben")
    assert refused(lambda: ann.sign_in(code=ben.recovery[0])) == "staff.sign_in"
    assert refused(lambda: ann.sign_in(code=ben.code())) == "staff.sign_in"


@pytest.mark.parametrize("what", ["password", "code"])
def test_five_wrong_lock_it_longer_each_time(ann, what: str) -> None:
    rt, wrong = ann.rt, ann.wrong_code()
    act = {
        "password": lambda: ann.sign_in(password=WRONG, code=wrong),
        "code": lambda: ann.sign_in(code=wrong),
    }[what]
    for minutes in (15, 60, 24 * 60, 24 * 60):
        for _ in range(5):
            assert not is_locked(ann)
            assert refused(act) == "staff.sign_in"
        assert refused(ann.sign_in) == "staff.sign_in"  # right, and nobody looked
        until = door(ann).locked_until
        assert until is not None
        assert timedelta(minutes=minutes - 3) < until - rt.now() <= timedelta(minutes=minutes)
        later(rt, until - rt.now())
        wrong = ann.wrong_code()
    ann.sign_in()
    assert door(ann).locked_until is None
    assert access(ann).tried - access(ann).forgiven == 0
    for _ in range(4):  # it begins anew
        refused(act)
    ann.sign_in()


def is_locked(person: Person) -> bool:
    with person.rt.transaction() as tx:
        tried = tx.get(StaffDoor, (person.staff.id, staff_people.ADDRESS))
        return bool(tried and tried.locked_until and tried.locked_until > person.rt.now())


def later(rt: Runtime, by: timedelta) -> None:
    clock = rt.clock
    rt.clock = lambda: clock() + by


@pytest.mark.race
def test_of_fifty_wrong_at_once_five_are_looked_at(new_house) -> None:
    closing, rt = new_house()
    with closing:
        ann = staff_people.enrolled(rt, "ann")
        codes = [f"{n:06}" for n in range(50)]
        reasons = at_once(lambda n: ann.sign_in(password=WRONG, code=codes[n]), 50)
        assert reasons == ["staff.sign_in"] * 50
        assert access(ann).tried == 5
        with rt.transaction() as tx:
            told = [line.facts for line in audit.lines(tx, action="sign in", limit=100)]
        assert len(told) == 50
        assert sum(not fact["locked"] for fact in told) == 5
        assert refused(ann.sign_in) == "staff.sign_in"


@pytest.mark.race
@pytest.mark.parametrize("kind", ["totp", "recovery"])
def test_one_code_shown_by_four_at_once_lets_one_in(new_house, kind: str) -> None:
    closing, rt = new_house()
    with closing:
        ann = staff_people.enrolled(rt, "ann")
        code = ann.code() if kind == "totp" else ann.recovery[3]
        reasons = at_once(lambda _: ann.sign_in(code=code), 4)
        assert sorted(reasons) == ["", *["staff.sign_in"] * 3]
        with rt.transaction() as tx:
            found = staff_sessions.of(tx, ann.staff.id, now=rt.now(), config=rt.config)
        assert len(found) == 1


def at_once(act, number: int) -> list[str]:
    """What `number` threads were answered, who all began in the same moment."""
    gate, reasons = threading.Barrier(number), [""] * number

    def one(at: int) -> None:
        gate.wait()
        try:
            act(at)
        except Refusal as refusal:
            reasons[at] = refusal.reason

    threads = [threading.Thread(target=one, args=(at,)) for at in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reasons


def test_a_session_is_freshened_by_another_code(ann) -> None:
    rt = ann.rt
    came = ann.sign_in()
    later(rt, rt.config.staff_fresh)
    stale = visit(ann, came.token)
    assert not stale.fresh
    assert refused(lambda: sign_in.freshen(rt, stale, ann.wrong_code())) == "staff.factor_wrong"
    assert not visit(ann, came.token).fresh
    sign_in.freshen(rt, stale, ann.code())
    assert visit(ann, came.token).fresh
    assert visit(ann, came.token).fresh_until <= rt.now() + rt.config.staff_fresh


def test_an_ended_session_is_not_freshened_and_costs_no_code(ann) -> None:
    rt = ann.rt
    came = ann.sign_in()
    seen = visit(ann, came.token)
    with rt.transaction() as tx:
        staff_sessions.end(tx, seen.id, now=rt.now())
    code = ann.code()
    assert refused(lambda: sign_in.freshen(rt, seen, code)) == "staff.session_over"
    ann.sign_in(code=code)


def test_wrong_codes_count_wherever_they_are_shown_behind_the_door(ann) -> None:
    rt = ann.rt
    seen, wrong = visit(ann, ann.sign_in().token), ann.wrong_code()
    for _ in range(3):
        assert refused(lambda: sign_in.freshen(rt, seen, wrong)) == "staff.factor_wrong"
    for _ in range(2):
        assert refused(lambda: sign_in.prove(rt, "ann", wrong)) == "staff.factor_wrong"
    assert refused(lambda: sign_in.prove(rt, "ann", ann.code())) == "staff.factor_wrong"
    assert refused(lambda: sign_in.freshen(rt, seen, ann.code())) == "staff.factor_wrong"
    change = sign_in.change_password
    new = "seventeen quiet tractors hum"
    assert refused(lambda: change(rt, seen, PASSWORD, new)) == "staff.password_wrong"


def test_a_stranger_who_knows_a_name_keeps_nobody_from_their_work(ann) -> None:
    rt = ann.rt
    seen = visit(ann, ann.sign_in().token)
    for _ in range(5):
        assert refused(lambda: ann.sign_in(password=WRONG, code="000000")) == "staff.sign_in"
    assert refused(ann.sign_in) == "staff.sign_in"  # the door is locked
    sign_in.freshen(rt, seen, ann.code())
    assert sign_in.prove(rt, "ann", ann.code()).id == ann.staff.id
    assert refused(ann.sign_in) == "staff.sign_in"  # and stays so


def test_a_command_or_program_is_believed_with_a_code_only(rt, ann) -> None:
    assert sign_in.prove(rt, "ann", ann.code()).id == ann.staff.id
    assert sign_in.prove(rt, "ann", ann.recovery[0], channel="api").id == ann.staff.id
    for name, code in (("ann", ann.recovery[0]), ("nobody", "123456"), ("ann", "")):
        assert refused(lambda n=name, c=code: sign_in.prove(rt, n, c)) == "staff.factor_wrong"
    with rt.transaction() as tx:
        lines = audit.lines(tx, action="second factor")
    assert [line.channel for line in lines] == ["command"] * 3 + ["api", "command"]
    assert [line.staff_id is None for line in lines] == [False, True, False, False, False]


def test_a_new_password_wants_the_old_one_and_ends_the_other_sessions(ann) -> None:
    rt = ann.rt
    other, here = ann.sign_in(), ann.sign_in()
    seen, new = visit(ann, here.token), "seventeen quiet tractors hum"
    change = sign_in.change_password
    assert refused(lambda: change(rt, seen, WRONG, new)) == "staff.password_wrong"
    assert refused(lambda: change(rt, seen, PASSWORD, "short")) == "staff.password_short"
    assert inside(ann).tried - inside(ann).forgiven == 1  # the wrong one; the short one is no try
    change(rt, seen, PASSWORD, new)
    assert refused(ann.sign_in) == "staff.sign_in"
    ann.sign_in(password=new)
    with rt.transaction() as tx:
        assert staff_sessions.find(tx, other.token, now=rt.now(), config=rt.config) is None
        assert staff_sessions.find(tx, here.token, now=rt.now(), config=rt.config)


def test_a_password_that_is_replaced_while_it_is_looked_at_opens_nothing(ann, monkeypatch) -> None:
    """It is compared outside every transaction, so another may be set in between."""
    code, look = ann.code(), staff_access.fits

    def replaced_meanwhile(kept: str | None, password: str) -> bool:
        with ann.rt.transaction() as tx:
            mine = tx.get_one(StaffAccess, ann.staff.id)
            mine.password = staff_access.choose("seventeen quiet tractors hum", ann.name)
        return look(kept, password)

    with monkeypatch.context() as patched:
        patched.setattr(staff_access, "fits", replaced_meanwhile)
        assert refused(lambda: ann.sign_in(code=code)) == "staff.sign_in"


def test_every_try_is_in_the_audit_and_no_secret_is(ann, capsys) -> None:
    rt, wrong = ann.rt, ann.wrong_code()
    refused(lambda: ann.sign_in(password=WRONG, code=wrong))
    refused(lambda: stranger(rt, "my own password as name"))
    code = ann.code()
    token = ann.sign_in(code=code).token
    with rt.transaction() as tx:
        lines = audit.lines(tx, action="sign in")
        whole = " ".join(line.body for line in audit.lines(tx))
    assert [line.facts["outcome"] for line in lines] == ["in", "refused", "refused"]
    assert [line.staff_id for line in lines] == [ann.staff.id, None, ann.staff.id]
    assert lines[0].facts["address"] == staff_people.ADDRESS
    assert len(lines[1].facts["agent"]) == staff_sessions.LONGEST_AGENT
    said = whole + capsys.readouterr().out
    secrets = [PASSWORD, WRONG, token, ann.secret, *ann.recovery, "own password"]
    assert not [secret for secret in secrets if secret in said]
    with rt.transaction() as tx:
        assert audit.verify(tx).ok
