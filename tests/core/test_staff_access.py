"""Enrolment: an invitation, a password that is hard to guess, a second factor, recovery codes."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from sqlalchemy import text

from core import api_keys, audit, staff_access, staff_sessions
from core.errors import Refusal
from core.runtime import Runtime
from core.staff import Staff
from core.staff_access import StaffAccess
from tests import people, staff_people
from tests.staff_people import PASSWORD


@pytest.fixture
def ann(rt: Runtime) -> Staff:
    """Somebody new, who has nothing yet."""
    return people.member(rt, "Ann Wambui")


def invite(rt: Runtime, member: Staff) -> str:
    with rt.transaction() as tx:
        return staff_access.invite(tx, member, now=rt.now(), config=rt.config)


def begin(rt: Runtime, name: str, code: str) -> staff_access.Seed:
    with rt.transaction() as tx:
        return staff_access.begin_enrolment(tx, name, code, now=rt.now(), config=rt.config)


def enrol(rt: Runtime, name: str, code: str, totp: str, password: str = PASSWORD) -> list[str]:
    with rt.transaction() as tx:
        codes = staff_access.enrol(
            tx, name, code, password=password, totp=totp, now=rt.now(), config=rt.config
        )
        return list(codes)


def shown(rt: Runtime, seed: staff_access.Seed) -> str:
    return pyotp.TOTP(seed.secret).at(rt.now())


def refused(act) -> str:
    with pytest.raises(Refusal) as said:
        act()
    return said.value.reason


def test_from_the_invitation_to_ten_codes(rt, ann) -> None:
    code = invite(rt, ann)
    seed = begin(rt, ann.name, code)
    codes = enrol(rt, ann.name, code, shown(rt, seed))
    assert len(set(codes)) == 10
    assert all(len(one.replace("-", "")) == 16 for one in codes)
    with rt.transaction() as tx:
        assert staff_access.enrolled(tx, ann.id)
        assert staff_access.codes_left(tx, ann.id) == 10
        told = ["staff enrol", "staff enrol begin", "staff invite"]
        assert [line.action for line in audit.lines(tx)] == told


def test_the_address_for_the_qr_code_says_whose_it_is(rt, ann) -> None:
    seed = begin(rt, ann.name, invite(rt, ann))
    uri = urlsplit(seed.uri)
    asked = parse_qs(uri.query)
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/House:Ann%20Wambui")
    assert asked == {"secret": [seed.secret], "issuer": ["House"]}
    assert seed.secret not in repr(seed)


def test_who_looked_before_knows_nothing_of_the_seed_that_is_enrolled(rt, ann) -> None:
    """The code comes from an admin, who could have begun with it, and gone on as if not."""
    code = invite(rt, ann)
    known = begin(rt, ann.name, code)
    seed = begin(rt, ann.name, f" {code.lower().replace('-', '')} ")
    assert known.secret != seed.secret
    assert go_on(rt, ann.name, code, seed.secret) == seed
    for void in (known.secret, "", "A" * 32):
        assert refused(lambda v=void: go_on(rt, ann.name, code, v)) == "staff.enrol_anew"
    assert refused(lambda: enrol(rt, ann.name, code, shown(rt, known))) == "staff.factor_wrong"
    enrol(rt, ann.name, code, shown(rt, seed))


def go_on(rt: Runtime, name: str, code: str, secret: str) -> staff_access.Seed:
    with rt.transaction() as tx:
        return staff_access.go_on_enrolling(tx, name, code, secret, now=rt.now(), config=rt.config)


def test_a_code_serves_its_owner_once_and_for_a_day(rt, ann) -> None:
    ben = people.member(rt, "ben")
    code, bens = invite(rt, ann), invite(rt, ben)
    seed = begin(rt, ann.name, code)
    wrong = [(ann.name, bens), (ann.name, ""), ("nobody", code), ("x\0", code), (ben.name, code)]
    assert {refused(lambda w=one: begin(rt, *w)) for one in wrong} == {"staff.enrol_code"}
    later = rt.now() + rt.config.staff_invite
    with rt.transaction() as tx, pytest.raises(Refusal, match="enrol_code"):
        staff_access.begin_enrolment(tx, ann.name, code, now=later, config=rt.config)
    enrol(rt, ann.name, code, shown(rt, seed))
    assert refused(lambda: begin(rt, ann.name, code)) == "staff.enrol_code"
    assert refused(lambda: enrol(rt, ann.name, code, shown(rt, seed))) == "staff.enrol_code"


def test_another_invitation_voids_the_first(rt, ann) -> None:
    first = invite(rt, ann)
    seed = begin(rt, ann.name, first)
    second = invite(rt, ann)
    assert refused(lambda: begin(rt, ann.name, first)) == "staff.enrol_code"
    assert begin(rt, ann.name, second).secret != seed.secret


def test_enrolment_wants_a_code_of_the_authenticator(rt, ann) -> None:
    code = invite(rt, ann)
    assert refused(lambda: enrol(rt, ann.name, code, "123456")) == "staff.factor_wrong"
    seed = begin(rt, ann.name, code)
    old = pyotp.TOTP(seed.secret).at(rt.now() - timedelta(minutes=5))
    for wrong in (old, "", "12345", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16"):
        assert refused(lambda w=wrong: enrol(rt, ann.name, code, w)) == "staff.factor_wrong"
    enrol(rt, ann.name, code, shown(rt, seed))


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short & odd!", ""),
        ("sh0rt & od!", "password_short"),
        ("", "password_short"),
        ("x9$Lq" * 26, "password_long"),
        ("password1234", "password_common"),
        ("qwertyuiop12", "password_common"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "password_common"),
        ("nairobi-mpesa", "password_common"),
        ("123456789012345", "password_common"),
        ("zebra WAMBUI violet 9", "password_name"),
        ("correct annual staple tin", "password_name"),
        ("duma mrefu anakula 7 viazi", ""),
        ("ndovu 🐘 hukimbia polepole", ""),
        ("x9$Lq7#w" * 16, ""),
    ],
)
def test_which_passwords_will_do(password: str, reason: str) -> None:
    if reason:
        assert refused(lambda: staff_access.choose(password, "Ann Wambui")) == f"staff.{reason}"
    else:
        kept = staff_access.choose(password, "Ann Wambui")
        assert kept.startswith("$argon2id$")
        assert staff_access.fits(kept, password)
        assert not staff_access.fits(kept, password + "x")


def test_a_password_is_the_same_whatever_keyboard_composed_it() -> None:
    kept = staff_access.choose("caf\u00e9 zebra 17 mwembe", "ann")
    assert staff_access.fits(kept, "cafe\u0301 zebra 17 mwembe")


def test_a_very_long_password_is_no_work_and_no_error() -> None:
    assert not staff_access.fits(staff_access.choose(PASSWORD, "ann"), "x" * 1_000_000)
    assert refused(lambda: staff_access.choose("x" * 100_000, "ann")) == "staff.password_long"


def test_nothing_that_opens_anything_is_kept_as_it_is(rt, ann) -> None:
    code = invite(rt, ann)
    seed = begin(rt, ann.name, code)
    codes = enrol(rt, ann.name, code, shown(rt, seed))
    with rt.transaction() as tx:
        token = staff_sessions.begin(tx, ann.id, address="", agent="", now=rt.now())
    with rt.transaction() as tx:
        tables = ("staff_access", "staff_recovery", "staff_session", "audit_line")
        kept = " ".join(
            str(tx.execute(text(f"SELECT t::text FROM {table} t")).all()) for table in tables
        )
    secrets = [code, code.replace("-", ""), seed.secret, PASSWORD, token, *codes]
    assert not [one for one in secrets if one in kept or one.encode().hex() in kept]


def test_a_seed_cannot_be_moved_to_another_row(rt, ann) -> None:
    person = staff_people.enrol(rt, ann)
    ben = staff_people.enrolled(rt, "ben")
    with rt.transaction() as tx:
        mine, bens = tx.get_one(StaffAccess, ann.id), tx.get_one(StaffAccess, ben.staff.id)
        assert staff_access.seed_of(mine, rt.config) == person.secret
        mine.seed = bens.seed
        with pytest.raises(Exception, match="not sealed for"):
            staff_access.seed_of(mine, rt.config)
        tx.rollback()


def test_an_invitation_voids_all_that_came_before(rt, ann) -> None:
    person = staff_people.enrol(rt, ann)
    came = person.sign_in()
    with rt.transaction() as tx:
        key, _ = api_keys.make(tx, ann, "script", now=rt.now(), config=rt.config)
    for _ in range(5):
        refused(lambda: person.sign_in(code=person.wrong_code()))
    invite(rt, ann)
    with rt.transaction() as tx:
        assert staff_sessions.find(tx, came.token, now=rt.now(), config=rt.config) is None
        assert not staff_access.enrolled(tx, ann.id)
        assert staff_access.codes_left(tx, ann.id) == 0
        found = api_keys.find(tx, key)
        assert found is not None
        assert found.revoked_at is not None
    assert refused(person.sign_in) == "staff.sign_in"
    again = staff_people.enrol(rt, ann)  # and the lock is gone with what was guessed at
    again.sign_in()


def test_new_recovery_codes_void_the_old_ones(rt, ann) -> None:
    person = staff_people.enrol(rt, ann)
    with rt.transaction() as tx:
        fresh = staff_access.new_recovery_codes(tx, ann, now=rt.now(), config=rt.config)
    assert not set(fresh) & set(person.recovery)
    assert refused(lambda: person.sign_in(code=person.recovery[0])) == "staff.sign_in"
    person.sign_in(code=fresh[9])
