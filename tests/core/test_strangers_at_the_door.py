"""Strangers who try a colleague's name at the door, from elsewhere and from everywhere."""

import pytest

from core import sign_in
from core.runtime import Runtime
from core.staff_access import StaffAccess
from tests import staff_people
from tests.core.test_sign_in import WRONG, access, refused
from tests.staff_people import PASSWORD, Person


@pytest.fixture
def ann(rt: Runtime) -> Person:
    """An admin who has enrolled."""
    return staff_people.enrolled(rt, "ann")


def elsewhere(person: Person, address: str, password: str = WRONG, code: str = "000000") -> None:
    found = {"address": address, "agent": "curl"}
    sign_in.sign_in(person.rt, person.name, password, code, **found)


def test_a_stranger_elsewhere_keeps_nobody_from_signing_in(ann) -> None:
    for n in range(6):  # one home has all the addresses of a /64
        assert refused(lambda at=f"2001:db8::{n}": elsewhere(ann, at)) == "staff.sign_in"
    assert access(ann).tried == 5
    shut = {"password": PASSWORD, "code": ann.code()}
    assert refused(lambda: elsewhere(ann, "2001:db8::77", **shut)) == "staff.sign_in"
    ann.sign_in(code=shut["code"])
    assert access(ann).tried - access(ann).forgiven == 5  # and theirs are not forgiven


def test_fifty_wrong_from_everywhere_shut_it_but_where_the_person_is_known(ann, wait) -> None:
    ann.sign_in()
    tried(ann, 49)
    ann.sign_in()  # one's own right try, booked as the fiftieth wrong one, locks nothing
    assert access(ann).locked_until is None
    assert refused(lambda: elsewhere(ann, "198.51.100.1")) == "staff.sign_in"
    code = ann.code()
    for n in range(2, 5):
        right = {"password": PASSWORD, "code": code}
        assert refused(lambda n=n, r=right: elsewhere(ann, f"198.51.100.{n}", **r))
    assert access(ann).tried - access(ann).forgiven == 50  # nothing more was looked at
    ann.sign_in(code=code)
    wait(days=31)
    tried(ann, 99)
    assert refused(lambda: elsewhere(ann, "198.51.100.1")) == "staff.sign_in"
    assert refused(ann.sign_in) == "staff.sign_in"  # who was here long ago is known no more
    wait(minutes=61)
    ann.sign_in()


def tried(person: Person, wrong: int) -> None:
    """Strangers have tried so often."""
    with person.rt.transaction() as tx:
        mine = tx.get_one(StaffAccess, person.staff.id)
        mine.tried = mine.forgiven + wrong
