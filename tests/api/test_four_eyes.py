"""Two people, whatever they ask through: who may not be the second, and when the first is over."""

import pytest

from core.markets import Market, Status
from core.rights import FRESH, ROLES, Right
from core.staff import Role
from tests import games
from tests.api.programs import refused


@pytest.fixture
def derby(rt, amina, brian, wanjiku):
    """A closed market with a bet on either side."""
    market = games.derby(rt, wanjiku.member)
    for outcome, customer in enumerate((amina, brian), 1):
        games.placed(rt, customer, market, outcome, 100)
    games.close(rt, market, wanjiku.member)
    return market


@pytest.fixture
def seen(derby, wanjiku):
    """The hash of what wanjiku has proposed."""
    told = {"winners": [1], "source": "FKF"}
    return wanjiku.post(f"/markets/{derby.code}/proposal", told).get_json()["hash"]


@pytest.fixture
def say_yes(rt, derby, seen):
    """`say_yes(program, hash=..., totp=...)`: the answer, and that the market waits still."""

    def ask(program, seen=seen, **how):
        return program.post(f"/markets/{derby.code}/approval", {"hash": seen}, **how)

    yield ask
    with rt.transaction() as tx:
        assert tx.get_one(Market, derby.id).status == Status.PROPOSED


def test_nobody_approves_their_own(say_yes, wanjiku):
    refused(say_yes(wanjiku), 403, "staff.own_proposal")


def test_a_second_key_makes_no_second_person(say_yes, wanjiku):
    refused(say_yes(wanjiku.with_another_key()), 403, "staff.own_proposal")


def test_an_admin_who_proposed_it_is_no_second_person(rt, derby, program):
    root, told = program("root", Role.ADMIN), {"winners": [1], "source": "FKF"}
    seen = root.post(f"/markets/{derby.code}/proposal", told).get_json()["hash"]
    path = f"/markets/{derby.code}/approval"
    refused(root.post(path, {"hash": seen}), 403, "staff.own_proposal")


def test_what_was_seen_is_what_is_approved(say_yes, kamau, seen):
    other = seen[:-1] + ("0" if seen[-1] != "0" else "1")
    refused(say_yes(kamau, other), 409, "staff.content_changed")
    refused(say_yes(kamau, seen.upper() + "g"), 400, "http.body")


def test_a_hash_of_another_proposal_is_not_what_was_seen(rt, derby, say_yes, kamau, wanjiku, seen):
    told = {"void": True, "source": "Abandoned"}
    void = kamau.post(f"/markets/{derby.code}/proposal", told).get_json()["hash"]
    refused(say_yes(wanjiku, seen), 409, "staff.content_changed")
    refused(say_yes(kamau, void), 403, "staff.own_proposal")


def test_a_proposal_that_lapsed_is_over(rt, say_yes, kamau, wait):
    wait(hours=rt.config.proposal_hours)
    refused(say_yes(kamau), 409, "staff.proposal_over")


def test_one_proposal_waits_for_a_market(derby, say_yes, kamau):
    told = {"winners": [2], "source": "Another paper"}
    refused(kamau.post(f"/markets/{derby.code}/proposal", told), 409, "staff.market_proposed")


def test_without_a_second_factor_of_now_nobody_approves(say_yes, kamau, wait):
    code = kamau.person.code()
    refused(say_yes(kamau, totp=""), 403, "staff.totp_missing")
    refused(say_yes(kamau, totp=kamau.person.wrong_code()), 403, "staff.factor_wrong")
    wait(minutes=5)
    refused(say_yes(kamau, totp=code), 403, "staff.factor_wrong")


def test_another_persons_second_factor_is_none(say_yes, kamau, wanjiku):
    refused(say_yes(kamau, totp=wanjiku.person.code()), 403, "staff.factor_wrong")


def test_a_second_factor_serves_once(say_yes, kamau, seen):
    code = kamau.person.code()
    refused(say_yes(kamau, "0" * 64, totp=code), 409, "staff.content_changed")
    refused(say_yes(kamau, seen, totp=code), 403, "staff.factor_wrong")


def test_who_guesses_second_factors_is_shut_out(say_yes, kamau):
    for _ in range(5):
        refused(say_yes(kamau, totp=kamau.person.wrong_code()), 403, "staff.factor_wrong")
    refused(say_yes(kamau), 403, "staff.factor_wrong")  # which would have been right


def test_a_recovery_code_is_no_second_factor_here(say_yes, kamau):
    refused(say_yes(kamau, totp="AAAA-BBBB-CCCC-DDDD"), 401, "staff.api_denied")


def test_a_first_person_needs_a_second_factor_too(derby, kamau):
    told = {"winners": [1], "source": "FKF"}
    refused(kamau.post(f"/markets/{derby.code}/proposal", told, totp=""), 403, "staff.totp_missing")


@pytest.mark.parametrize("role", sorted(set(Role) - ROLES[Right.RESULT_APPROVE]))
def test_the_wrong_role_neither_proposes_nor_approves(derby, say_yes, program, role):
    other, told = program("otieno", role), {"void": True, "source": "FKF"}
    refused(say_yes(other), 403, "staff.not_your_role")
    refused(other.post(f"/markets/{derby.code}/proposal", told), 403, "staff.not_your_role")
    assert other.get(f"/markets/{derby.code}/proposal").status_code == 200


def test_whose_role_was_taken_away_approves_nothing(rt, say_yes, kamau):
    with rt.transaction() as tx:
        tx.get_one(type(kamau.member), kamau.member.id).role = Role.VIEWER
    refused(say_yes(kamau), 403, "staff.not_your_role")


def test_every_money_act_of_the_api_wants_a_second_factor():
    assert {Right.RESULT_PROPOSE, Right.RESULT_APPROVE, Right.PAYOUT_RETRY} <= FRESH
