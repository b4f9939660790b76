"""Who may do what: the table, whole, and what it must never allow."""

import ast

import pytest

from core import rights
from core.errors import Refusal
from core.rights import FRESH, READS, ROLES, Right
from core.staff import Role, Staff
from tests.house import tree

OWN = {Right.API_KEYS, Right.OWN_SESSIONS, Right.OWN_FACTORS}  # of one's own everybody has these


def test_the_table_says_of_every_right_who_has_it() -> None:
    assert set(ROLES) == set(Right)
    assert all(who and who <= set(Role) for who in ROLES.values())


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("right", list(Right))
def test_only_those_of_the_table_have_a_right(role: Role, right: Right) -> None:
    member = Staff(name="x", role=str(role))
    assert rights.may(str(role), right) == (role in ROLES[right])
    if role in ROLES[right]:
        rights.require(member, right)
    else:
        with pytest.raises(Refusal, match=r"staff\.not_your_role"):
            rights.require(member, right)


def test_who_only_looks_changes_nothing() -> None:
    for role in (Role.VIEWER, Role.AUDITOR):
        mine = {right for right in Right if rights.may(role, right)}
        assert mine <= READS | OWN, role
    assert {right for right in Right if rights.may(Role.VIEWER, right)} == {Right.READ} | OWN


def test_support_approves_nothing_and_proposes_nothing() -> None:
    acts = {right for right in Right if right.name.endswith(("_PROPOSE", "_APPROVE"))}
    assert not [right for right in acts if rights.may(Role.SUPPORT, right)]


def test_only_admins_touch_people_and_every_right_has_an_admin() -> None:
    for right in (Right.STAFF_PROPOSE, Right.STAFF_APPROVE, Right.STAFF_SESSIONS):
        assert ROLES[right] == {Role.ADMIN}
    assert all(Role.ADMIN in who for who in ROLES.values())


def test_whatever_two_people_decide_is_fresh_and_reading_is_not() -> None:
    pairs = {right for right in Right if right.name.endswith(("_PROPOSE", "_APPROVE"))}
    assert pairs <= FRESH
    assert {right.name.removesuffix("_PROPOSE").removesuffix("_APPROVE") for right in pairs} == {
        "RESULT", "PAYOUT", "SUSPENSE", "TREASURY", "LEVY", "DAY", "STATEMENT", "CREDENTIALS",
        "STAFF", "ENVIRONMENT", "ADJUST",
    }  # fmt: skip
    assert not FRESH & READS
    assert Right.PAYOUT_HOLD not in FRESH


def test_every_role_is_asked_by_its_right() -> None:
    """What names a role where it is decided who may do something has a table of its own."""
    homes = {"core/staff.py", "core/rights.py", "core/staff_changes.py", "admin/commands/demo.py"}
    found = [
        f"{tree.name(path)}:{node.lineno}"
        for path in tree.house()
        if tree.name(path) not in homes and "versions" not in path.parts
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Role"
        and node.attr in Role.__members__
    ]
    allowed = [one for one in found if one.startswith("admin/commands/staff.py")]
    assert found == allowed, f"ask rights.require: {found}"
