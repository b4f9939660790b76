"""Whatever two people do, decided over the API: money, people and days, by the same rules."""

import re
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from admin import queries, second_yes
from core import (
    adjustments,
    audit,
    days,
    mpesa_settings,
    proposals,
    settling,
    staff_changes,
    withdrawn_outcomes,
)
from core.errors import Refusal
from core.markets import Market, Status
from core.money import Cents
from core.proposals import Proposal, ProposalState
from core.say import NAIROBI
from core.staff import Role
from tests import games, mpesa, paybill, staff_people, standing, teller
from tests.api.programs import refused
from tests.people import AMINA

WRONG = {"adjustments": Role.TRADER, "suspense": Role.SUPPORT, "staff": Role.FINANCE,
         "days": Role.AUDITOR}  # fmt: skip


@pytest.fixture
def put(rt, program, amina, request):
    """`put(family)`: somebody has proposed something of that family; their program, its number."""

    def propose(family):
        one = program("akinyi", Role.ADMIN)
        told = {"by": one.member, "now": rt.now(), "config": rt.config}
        with rt.transaction() as tx:
            PROPOSE[family](rt, tx, told)
        with rt.transaction() as tx:
            return one, tx.scalars(select(Proposal)).one()

    return propose


def credit(rt, tx, told):
    adjustments.propose(tx, AMINA, "credit", amount=Cents(80_00), note="an outage", **told)


def attach(rt, tx, told):
    assert paybill.confirmed(rt, mpesa.Daraja(rt), "rent") == "suspense"
    paybill.propose(rt, "attach", name="akinyi", to=AMINA)


def hire(rt, tx, told):
    staff_changes.propose_new(tx, "halima", Role.SUPPORT, phone="0722000111", note="nights", **told)


def close_day(rt, tx, told):
    day = (rt.now().astimezone(NAIROBI) - timedelta(days=1)).date()
    days.propose(tx, day, **told)


PROPOSE = {"adjustments": credit, "suspense": attach, "staff": hire, "days": close_day}


@pytest.mark.parametrize("family", PROPOSE)
def test_another_person_sees_it_and_says_yes(rt, program, put, family):
    one, waiting = put(family)
    other = program("otieno", Role.ADMIN)
    (listed,) = other.get("/approvals").get_json()["approvals"]
    seen = other.get(f"/approvals/{waiting.id}").get_json()

    assert listed == seen
    assert (seen["proposal"], seen["family"], seen["state"]) == (waiting.id, family, "pending")
    assert (seen["hash"], seen["by"], seen["yours"]) == (waiting.content_hash, "akinyi", True)
    assert one.get(f"/approvals/{waiting.id}").get_json()["yours"] is False

    yes = f"/approvals/{family}/{waiting.id}/approval"
    refused(one.post(yes, {"hash": seen["hash"]}), 403, "staff.own_proposal")
    answer = other.post(yes, {"hash": seen["hash"]})
    assert answer.status_code == 201, answer.get_data(as_text=True)
    told = answer.get_json()
    assert (told["proposal"], told["state"]) == (waiting.id, "approved")
    assert told["told"].endswith(".")
    assert other.get(f"/approvals/{waiting.id}").get_json()["decided_by"] == "otieno"
    assert other.get("/approvals").get_json() == {"approvals": [], "more": False}
    refused(other.post(yes, {"hash": seen["hash"]}), 409, "staff.proposal_over")
    with rt.transaction() as tx:
        (line, *_) = audit.lines(tx, action="approve", subject=f"proposal:{waiting.id}", limit=9)
    assert line.facts == {"key": other.key_id, "hash": seen["hash"]}


@pytest.mark.parametrize("family", PROPOSE)
def test_who_may_not_be_the_second_is_not(rt, program, put, family, amina, wait):
    one, waiting = put(family)
    other, yes = program("otieno", Role.ADMIN), f"/approvals/{family}/{waiting.id}/approval"
    seen = {"hash": waiting.content_hash}
    refused(program("naliaka", WRONG[family]).post(yes, seen), 403, "staff.not_your_role")
    refused(one.with_another_key().post(yes, seen), 403, "staff.own_proposal")
    refused(other.post(yes, {"hash": "0" * 64}), 409, "staff.content_changed")
    refused(other.post(yes, seen, totp=""), 403, "staff.totp_missing")
    refused(other.post(yes, seen, totp=other.person.wrong_code()), 403, "staff.factor_wrong")
    for wrong in {"results", "payouts", "treasury"} - {family}:
        elsewhere = yes.replace(family, wrong)
        refused(other.post(elsewhere, seen), 404, "http.not_found")
    wait(hours=rt.config.proposal_hours)
    refused(other.post(yes, seen), 409, "staff.proposal_over")
    with rt.transaction() as tx:
        assert tx.get_one(Proposal, waiting.id).state != ProposalState.APPROVED
    assert mpesa.balance(rt, amina) == 1_000_00


@pytest.mark.parametrize("family", PROPOSE)
def test_a_no_needs_a_reason_and_ends_it(rt, program, put, family):
    _, waiting = put(family)
    other, no = program("otieno", Role.ADMIN), f"/approvals/{family}/{waiting.id}/refusal"
    refused(other.post(no, {}), 400, "http.body")
    refused(other.post(no, {"reason": " "}), 400, "http.body")
    assert other.post(no, {"reason": "not so"}).get_json()["state"] == "refused"
    seen = {"hash": waiting.content_hash}
    yes = f"/approvals/{family}/{waiting.id}/approval"
    refused(other.post(yes, seen), 409, "staff.proposal_over")
    assert other.get(f"/approvals/{waiting.id}").get_json()["state"] == "refused"


def test_nobody_reads_a_whole_phone_number_in_what_waits(rt, program, put):
    put("suspense")
    viewer = program("viola", Role.VIEWER)
    for path in ("/approvals", "/approvals/1"):
        words = viewer.get(path).get_data(as_text=True)
        assert "2547*****001" in words
        assert "712000001" not in words


def test_what_nobody_proposed_is_not_there(program):
    other = program("otieno", Role.ADMIN)
    for path in ("/approvals/1", "/approvals/0", f"/approvals/{'9' * 19}", "/approvals/x"):
        assert other.get(path).status_code == 404


def test_a_result_is_refused_and_the_market_is_closed_again(rt, amina, wanjiku, kamau):
    market = games.derby(rt, wanjiku.member)
    games.placed(rt, amina, market, 1, 100)
    games.close(rt, market, wanjiku.member)
    path = f"/markets/{market.code}/proposal"
    put = wanjiku.post(path, {"winners": [1], "source": "FKF"}).get_json()
    assert kamau.get(path).get_json()["proposal"] == put["proposal"]
    no = f"/approvals/results/{put['proposal']}/refusal"
    assert kamau.post(no, {"reason": "the other side won"}).get_json()["state"] == "refused"
    with rt.transaction() as tx:
        assert tx.get_one(Market, market.id).status == Status.CLOSED


def test_a_wrong_result_is_corrected(rt, amina, brian, wanjiku, kamau, wait):
    market = games.derby(rt, wanjiku.member)
    games.placed(rt, amina, market, 1, 100)
    games.placed(rt, brian, market, 2, 100)
    path = f"/markets/{market.code}"
    told = {"winners": [2], "source": "the FKF takes it back", "drop_cut_off": True}
    early = wanjiku.post(f"{path}/correction", told)
    assert early.status_code == 409
    run = games.settle(rt, market, 1, proposer=wanjiku.member, approver=kamau.member)
    put = wanjiku.post(f"{path}/correction", told)
    assert put.status_code == 201, put.get_data(as_text=True)
    facts = put.get_json()
    assert facts["act"] == "correction"
    assert facts["preview"]["instead_of"] == [{"number": 1, "name": "Yes"}]
    assert facts["preview"]["to_reverse"] == 200_00
    refused(wanjiku.post(f"{path}/approval", {"hash": facts["hash"]}), 403, "staff.own_proposal")
    yes = kamau.post(f"{path}/approval", {"hash": facts["hash"]})
    assert yes.status_code == 201
    wait(minutes=5)  # each code they showed has put the clock on
    settling.work(rt, yes.get_json()["settlement"])
    done = kamau.get(f"{path}/settlement").get_json()
    assert (done["state"], done["winners"], done["paid"]) == ("settled", [2], 190_00)
    assert done["reversed"] == done["to_reverse"] == 200_00
    assert done["corrects"] == run.id
    assert teller.clean(rt)


def test_who_leaves_while_their_yes_waits_for_its_turn_is_no_second_person(rt, program, put, amina):
    one, waiting = put("adjustments")
    third = program("zawadi", Role.ADMIN)
    own = standing.application(rt).test_client()  # one is not for two threads
    other = replace(program("otieno", Role.ADMIN), client=own)
    with rt.transaction() as tx:
        told = {"by": one.member, "now": rt.now(), "config": rt.config}
        staff_changes.propose_leave(tx, "otieno", note="goes home", **told)
    (leave,) = [
        w for w in third.get("/approvals").get_json()["approvals"] if w["act"] != waiting.act
    ]
    said = []

    def yes():
        told = {"hash": waiting.content_hash}
        said.append(other.post(f"/approvals/adjustments/{waiting.id}/approval", told))

    with rt.transaction() as tx:
        tx.get_one(Proposal, waiting.id, with_for_update=True)
        thread = threading.Thread(target=yes)
        thread.start()
        teller.until_somebody_waits(rt)
        path = f"/approvals/staff/{leave['proposal']}/approval"
        assert third.post(path, {"hash": leave["hash"]}).status_code == 201
    thread.join()
    refused(said[0], 409, "staff.session_over")
    assert mpesa.balance(rt, amina) == 1_000_00


@pytest.mark.parametrize("verb", ["approve", "refuse"])
def test_what_took_its_place_meanwhile_is_not_decided_by_its_number(rt, put, kamau, verb):
    one, waiting = put("adjustments")
    told = {"by": one.member, "now": rt.now(), "config": rt.config}
    rest = {"approve": {"seen_hash": waiting.content_hash}, "refuse": {"reason": "not this"}}[verb]
    admin = staff_people.enrolled(rt, "njeri", Role.ADMIN).staff

    def decide(tx):
        assert tx.get_one(Proposal, waiting.id).state == ProposalState.PENDING
        with rt.transaction() as meanwhile:
            adjustments.refuse(meanwhile, AMINA, by=one.member, now=rt.now())
            meanwhile.flush()
            credit(rt, meanwhile, told)
        getattr(second_yes, verb)(tx, waiting.id, "adjustments", by=admin, **rest)

    with pytest.raises(Refusal, match="proposal_over"):
        rt.attempt(decide)
    with rt.transaction() as tx:
        states = tx.scalars(select(Proposal.state).order_by(Proposal.id)).all()
    assert states == [ProposalState.REFUSED, ProposalState.PENDING]


def test_finance_takes_its_own_settings_back_and_approves_none(rt, program):
    fatma = program("fatma", Role.FINANCE)
    with rt.transaction() as tx:
        mpesa_settings.propose(
            tx, {"mpesa_initiator_name": "anothername"}, note="new", by=fatma.member, now=rt.now(),
            config=rt.config,
        )  # fmt: skip
    seen = fatma.get("/approvals/1")
    assert "anothername" not in seen.get_data(as_text=True)
    (change,) = [one["told"] for one in seen.get_json()["facts"] if one["name"] == "changes"]
    assert re.fullmatch(r"MPESA_INITIATOR_NAME: [0-9a-f]{12} instead of [0-9a-f]{12}", change)
    yes = {"hash": seen.get_json()["hash"]}
    refused(fatma.post("/approvals/credentials/1/approval", yes), 403, "staff.not_your_role")
    assert fatma.post("/approvals/credentials/1/refusal", {"reason": "a slip"}).status_code == 201


def test_a_number_in_the_words_of_a_note_is_masked_too(rt, program, amina, wanjiku):
    market = games.derby(rt, wanjiku.member)
    games.close(rt, market, wanjiku.member)
    told = {"winners": [1], "source": "she rang from 0712000001"}
    wanjiku.post(f"/markets/{market.code}/proposal", told)
    viewer = program("viola", Role.VIEWER)
    for path in ("/approvals", "/approvals/1", f"/markets/{market.code}/proposal"):
        words = viewer.get(path).get_data(as_text=True)
        assert "she rang from 2547*****001" in words
        assert "0712000001" not in words


def test_an_outcome_that_is_withdrawn_settles_no_market(rt, amina, wanjiku, kamau):
    market = games.derby(rt, wanjiku.member, "Gor", "AFC", "Draw")
    with rt.transaction() as tx:
        withdrawn_outcomes.propose(
            tx, market.code, outcome=3, source="it was none", by=wanjiku.member, now=rt.now(),
            config=rt.config,
        )  # fmt: skip
    seen = kamau.get("/approvals/1").get_json()
    answer = kamau.post("/approvals/results/1/approval", {"hash": seen["hash"]})
    assert answer.status_code == 201
    assert "will be settled" not in answer.get_json()["told"]


def test_more_than_one_look_holds_is_said(rt, program, put):
    one, waiting = put("adjustments")
    other = program("otieno", Role.ADMIN)
    assert other.get("/approvals").get_json()["more"] is False
    with rt.transaction() as tx:
        for number in range(queries.MOST_WAITING):
            proposals.propose(
                tx, act=waiting.act, subject=f"adjustment:{1_000 + number}", note="",
                content=waiting.content, by=one.member.id, now=rt.now(), lasts=timedelta(hours=1),
            )  # fmt: skip
    found = other.get("/approvals").get_json()
    assert (len(found["approvals"]), found["more"]) == (queries.MOST_WAITING, True)
