"""Four eyes on the staff: who comes, who may do more, who begins anew, and who leaves."""

import functools
import threading

import pytest
from sqlalchemy import text

from core import audit, customers, gsm7, staff, staff_access, staff_changes, staff_sessions
from core.errors import Refusal
from core.proposals import Proposal
from core.runtime import Runtime
from core.staff import Role, Staff
from core.staff_changes import Outcome
from tests import games, people, staff_people

PHONE = "0712 345 678"
ALIKE = {
    "claire": "daire",
    "c1are": "Dare",
    "Emma": "Ennma",
    "Arna": "Anna",
    "Ama": "Anna",
    "Brian8": "BrianB",
    "Juma6": "Jumab",
    "Agnes9": "Agnesg",
    "Uuli": "Vuli",
    "Wambui": "VUambui",
}


@pytest.fixture
def ann(rt: Runtime) -> Staff:
    return people.member(rt, "ann", Role.ADMIN)


@pytest.fixture
def ben(rt: Runtime) -> Staff:
    return people.member(rt, "ben", Role.ADMIN)


@pytest.fixture
def carol(rt: Runtime) -> staff_people.Person:
    """A trader, about whom something is to be changed."""
    return staff_people.enrolled(rt, "carol", Role.TRADER)


def new(rt: Runtime, by: Staff, name: str = "dora", **more: str) -> Proposal:
    given = {"role": Role.SUPPORT, "phone": PHONE, "note": "hired"} | more
    return propose(rt, staff_changes.propose_new, by, name, **given)


def propose(rt: Runtime, act, by: Staff, name: str, **more) -> Proposal:
    told = {"note": "why", "now": rt.now(), "config": rt.config} | more
    return rt.attempt(lambda tx: act(tx, name, by=by, **told))


def approve(rt: Runtime, name: str, proposal: Proposal, by: Staff) -> Outcome:
    return rt.attempt(
        lambda tx: staff_changes.approve(
            tx, name, seen_hash=proposal.content_hash, by=by, now=rt.now(), config=rt.config
        )
    )


def refused(act) -> str:
    with pytest.raises(Refusal) as said:
        act()
    return said.value.reason


def named(rt: Runtime, name: str) -> Staff:
    with rt.transaction() as tx:
        return staff.named(tx, name)


def acts(rt: Runtime) -> list[str]:
    with rt.transaction() as tx:
        return [line.action for line in reversed(audit.lines(tx, subject="staff:dora"))]


def test_somebody_new_comes_by_two_admins_and_a_code(rt, ann, ben) -> None:
    proposal = new(rt, ann)
    assert proposal.content == {"name": "dora", "role": "support", "phone": "+254712345678"}
    assert refused(lambda: named(rt, "dora")) == "staff.unknown"
    outcome = approve(rt, "Dora", proposal, ben)
    assert (outcome.member.name, outcome.member.role) == ("dora", "support")
    assert outcome.code == ""
    assert outcome.invitation
    assert outcome.invitation.phone == "+254712345678"
    assert outcome.invitation.until > proposal.proposed_at + rt.config.staff_invite
    code = staff_people.texted(rt, "+254712345678")
    with rt.transaction() as tx:
        staff_access.begin_enrolment(tx, "dora", code, now=rt.now(), config=rt.config)
    assert acts(rt) == [
        "propose staff new", "approve staff new", "staff invite", "staff code sent",
        "staff enrol begin",
    ]  # fmt: skip
    with rt.transaction() as tx:
        whole = " ".join(line.body for line in audit.lines(tx))
        kept = tx.execute(text("SELECT message::text FROM message")).scalars().all()
    assert code not in f"{whole} {kept}"
    assert "712345678" not in whole


def test_a_text_that_did_not_arrive_is_void_once_another_is_sent(rt, ann, ben) -> None:
    approve(rt, "dora", new(rt, ann), ben)
    reset = staff_changes.propose_reset
    approve(rt, "dora", propose(rt, reset, ben, "dora"), ann)
    code = staff_people.texted(rt, "+254712345678")  # the first never leaves
    with rt.transaction() as tx:
        staff_access.begin_enrolment(tx, "dora", code, now=rt.now(), config=rt.config)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE staff SET phone = NULL WHERE name = 'dora'"))
    assert refused(lambda: propose(rt, reset, ben, "dora")) == "staff.phone_none"


@pytest.mark.parametrize("lang", ["en", "sw"])
def test_the_text_with_a_code_fits_one_text_of_a_language_they_know(rt, ann, ben, lang) -> None:
    with rt.transaction() as tx:
        customers.join(tx, "+254712345678", lang=lang, now=rt.now())
    approve(rt, "dora", new(rt, ann), ben)
    (sent,) = staff_people.texts(rt)
    assert gsm7.segments(sent["text"]) == 1
    assert ("mwenyewe" in sent["text"]) == (lang == "sw")


def test_the_four_eyes_matrix(rt, ann, ben, wanjiku) -> None:
    proposal = new(rt, ann)
    assert refused(lambda: approve(rt, "dora", proposal, ann)) == "staff.own_proposal"
    assert refused(lambda: approve(rt, "dora", proposal, wanjiku)) == "staff.not_your_role"
    assert refused(lambda: new(rt, wanjiku, "eve")) == "staff.not_your_role"
    assert refused(lambda: new(rt, ben)) == "staff.already_proposed"
    assert refused(lambda: approve(rt, "eve", proposal, ben)) == "staff.no_change_proposed"
    assert refused(lambda: approve(rt, "e\0", proposal, ben)) == "staff.no_change_proposed"
    people.member(rt, "Dora")  # somebody took the name meanwhile
    assert refused(lambda: approve(rt, "dora", proposal, ben)) == "staff.name_taken"


def test_a_proposal_that_nobody_decides_expires(rt, ann, ben, wait) -> None:
    proposal = new(rt, ann)
    wait(hours=rt.config.proposal_hours)
    assert refused(lambda: approve(rt, "dora", proposal, ben)) == "staff.proposal_over"
    with rt.transaction() as tx:
        assert staff_changes.waiting(tx, now=rt.now()) == []
    again = new(rt, ben)
    with rt.transaction() as tx:
        assert [one.id for one in staff_changes.waiting(tx, now=rt.now())] == [again.id]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"name": " "}, "staff.name_missing"),
        ({"name": "x" * 41}, "staff.name_long"),
        ({"name": "bad\nname"}, ""),
        ({"name": "b\0d"}, "staff.name_letters"),
        ({"name": "ANN"}, "staff.name_taken"),
        ({"name": "a nn"}, "staff.name_alike"),
        ({"name": "ann."}, "staff.name_letters"),
        ({"name": "\u0430nn"}, "staff.name_letters"),  # the a of Cyrillic
        ({"name": "a\u0301nn"}, "staff.name_letters"),
        ({"name": "a\u00f1n"}, "staff.name_letters"),
        ({"name": "1nn"}, "staff.name_letters"),
        ({"name": "lmolo"}, "staff.name_alike"),
        ({"name": "Irn0I0"}, "staff.name_alike"),
        *(({"name": name}, "staff.name_alike") for name in ALIKE),
        ({"name": "O'Brien-Ng 2"}, ""),
        ({"phone": ""}, "staff.phone_missing"),
        ({"phone": "0202345678"}, "customers.phone_not_mobile"),
        ({"phone": people.AMINA}, "staff.phone_taken"),
        ({"note": " "}, "staff.reason_missing"),
    ],
)
def test_what_cannot_be_proposed(rt, ann, wrong: dict[str, str], reason: str) -> None:
    with rt.transaction() as tx:
        staff.add(tx, "gina", Role.VIEWER, now=rt.now(), number=people.AMINA)
    for name in {"imolo", ALIKE.get(wrong.get("name", ""), "imolo")}:
        people.member(rt, name)
    if reason:
        assert refused(lambda: new(rt, ann, **wrong)) == reason
    else:
        assert new(rt, ann, **wrong).content["name"] == wrong["name"].replace("\n", " ")


def test_another_role_ends_the_sessions(rt, ann, ben, carol) -> None:
    came = carol.sign_in()
    role = {"role": Role.FINANCE}
    same = {"role": Role.TRADER}
    act = staff_changes.propose_role
    assert refused(lambda: propose(rt, act, ann, "carol", **same)) == "staff.role_same"
    proposal = propose(rt, act, ann, "carol", **role)
    outcome = approve(rt, "carol", proposal, ben)
    assert (outcome.member.role, outcome.invitation) == ("finance", None)
    with rt.transaction() as tx:
        assert staff_sessions.find(tx, came.token, now=rt.now(), config=rt.config) is None
    carol.sign_in()


def test_a_role_that_changed_meanwhile_is_another_thing(rt, ann, ben, carol) -> None:
    proposal = propose(rt, staff_changes.propose_role, ann, "carol", role=Role.FINANCE)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE staff SET role = 'viewer' WHERE name = 'carol'"))
    assert refused(lambda: approve(rt, "carol", proposal, ben)) == "staff.content_changed"


def test_a_reset_shuts_everything_and_gives_a_code(rt, ann, ben, carol) -> None:
    came = carol.sign_in()
    outcome = approve(rt, "carol", propose(rt, staff_changes.propose_reset, ann, "carol"), ben)
    assert outcome.invitation
    assert staff_people.texted(rt, carol.staff.phone)
    with rt.transaction() as tx:
        assert staff_sessions.find(tx, came.token, now=rt.now(), config=rt.config) is None
    assert refused(carol.sign_in) == "staff.sign_in"


def test_another_phone_gets_the_codes_and_may_not_bet(
    rt, ann, ben, carol, amina, wanjiku, wait
) -> None:
    act, old = staff_changes.propose_phone, carol.staff.phone
    reset = propose(rt, staff_changes.propose_reset, ann, "carol")
    approve(rt, "carol", reset, ben)  # a code is on its way
    for taken in (old, ann.phone):
        move = functools.partial(propose, rt, act, ann, "carol", phone=taken)
        assert refused(move) == "staff.phone_taken"
    proposal = propose(rt, act, ann, "carol", phone="0712 000 001")
    assert (proposal.content["phone"], proposal.content["old_phone"]) == (amina.phone, old)
    approve(rt, "carol", proposal, ben)
    (told,) = staff_people.texts(rt)  # and the code to the old phone leaves no more
    assert (told["to"], "2547*****001" in told["text"]) == (old, True)
    again = functools.partial(propose, rt, staff_changes.propose_reset, ann, "carol")
    assert refused(again) == "staff.phone_rests"  # two who want her seat wait until she knows
    wait(hours=48)
    approve(rt, "carol", again(), ben)
    assert staff_people.texted(rt, amina.phone)
    assert games.bet(rt, amina, games.derby(rt, wanjiku), 1, 100).reason == "betting.of_the_house"


@pytest.mark.parametrize(
    ("enrolled", "phone", "rests"), [(True, True, True), (True, False, True), (False, False, False)]
)
def test_a_phone_rests_wherever_there_is_a_seat_to_take(rt, ann, ben, enrolled, phone, rests):
    eve = staff_people.enrolled(rt, "eve").staff if enrolled else people.member(rt, "eve")
    if not phone:
        with rt.transaction() as tx:
            tx.execute(text("UPDATE staff SET phone = NULL WHERE id = :id"), {"id": eve.id})
    moved = propose(rt, staff_changes.propose_phone, ann, "eve", phone=PHONE)
    approve(rt, "eve", moved, ben)
    reset = functools.partial(propose, rt, staff_changes.propose_reset, ann, "eve")
    if rests:
        assert refused(reset) == "staff.phone_rests"
    else:
        assert approve(rt, "eve", reset(), ben).invitation


def test_a_phone_that_moved_since_a_reset_was_proposed_rests_at_the_second_yes(
    rt, ann, ben, carol
) -> None:
    reset = propose(rt, staff_changes.propose_reset, ann, "carol")
    with rt.transaction() as tx:
        tx.execute(
            text("UPDATE staff SET phone_moved_at = :now WHERE name = 'carol'"), {"now": rt.now()}
        )
    assert refused(lambda: approve(rt, "carol", reset, ben)) == "staff.phone_rests"


def test_who_leaves_opens_nothing_and_frees_the_phone(rt, ann, ben, carol) -> None:
    came = carol.sign_in()
    approve(rt, "carol", propose(rt, staff_changes.propose_leave, ann, "carol"), ben)
    with rt.transaction() as tx:
        assert staff_sessions.find(tx, came.token, now=rt.now(), config=rt.config) is None
    assert refused(carol.sign_in) == "staff.sign_in"
    assert refused(lambda: named(rt, "carol")) == "staff.unknown"
    assert refused(lambda: new(rt, ann, "Carol")) == "staff.name_taken"  # a name is for ever
    leave = staff_changes.propose_leave
    assert refused(lambda: propose(rt, leave, ann, "carol")) == "staff.unknown"


def test_nobody_leaves_and_comes_back_to_approve_their_own(rt, ann, ben, carol) -> None:
    waits = propose(rt, staff_changes.propose_reset, ann, "carol")
    zed = people.member(rt, "zed", Role.ADMIN)
    approve(rt, "ann", propose(rt, staff_changes.propose_leave, ben, "ann"), zed)
    back = people.member(rt, "ann the second", Role.ADMIN)
    for approver in (back, ben):
        assert refused(lambda b=approver: approve(rt, "carol", waits, b)) == "staff.proposer_gone"
    rt.attempt(lambda tx: staff_changes.refuse(tx, "carol", by=ben, now=rt.now()))
    carol.sign_in()


def test_a_no(rt, ann, ben) -> None:
    new(rt, ann)
    rt.attempt(lambda tx: staff_changes.refuse(tx, "dora", by=ben, now=rt.now()))
    assert acts(rt) == ["propose staff new", "refuse staff new"]
    no = staff_changes.refuse
    again = refused(lambda: rt.attempt(lambda tx: no(tx, "dora", by=ben, now=rt.now())))
    assert again == "staff.no_change_proposed"


@pytest.mark.race
def test_two_admins_who_let_each_other_go_at_once_leave_one(rt, ann, ben) -> None:
    both = {
        "ann": propose(rt, staff_changes.propose_leave, ann, "ann"),
        "ben": propose(rt, staff_changes.propose_leave, ben, "ben"),
    }
    gate, told = threading.Barrier(2), []

    def one(name: str, by: Staff) -> None:
        gate.wait()
        try:
            approve(rt, name, both[name], by)
            told.append("")
        except Refusal as refusal:
            told.append(refusal.reason)

    threads = [threading.Thread(target=one, args=pair) for pair in (("ann", ben), ("ben", ann))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["", "staff.last_admin"]


def hire(rt: Runtime, name: str, by: Staff | None = None, phone: str = PHONE) -> Outcome:
    return rt.attempt(
        lambda tx: staff_changes.hire_admin(
            tx, name, phone=phone, by=by, now=rt.now(), config=rt.config
        )
    )


def test_the_first_two_admins(rt, wanjiku) -> None:
    assert refused(lambda: hire(rt, "ann", phone="")) == "staff.phone_missing"
    lost = hire(rt, "ann").code
    ann = hire(rt, "ann")  # who lost the code before anybody could enrol
    assert lost != ann.code
    staff_people.enrol(rt, ann.member)
    assert refused(lambda: hire(rt, "ann")) == "staff.name_taken"
    assert refused(lambda: hire(rt, "ben", phone="0712345679")) == "staff.second_admin"
    assert refused(lambda: hire(rt, "ben", wanjiku, "0712345679")) == "staff.second_admin"
    second = hire(rt, "ben", ann.member, "0712345679")
    assert second.code == ""  # the first is not to take the second's seat either
    assert staff_people.texted(rt, "+254712345679")
    ben = second.member
    hire(rt, "ben", ann.member)  # who has not enrolled yet either
    assert refused(lambda: hire(rt, "eve", ann.member)) == "staff.admins_enough"
    staff_people.enrol(rt, ben)
    assert refused(lambda: hire(rt, "eve", ann.member)) == "staff.admins_enough"
    assert refused(lambda: hire(rt, "ben", ann.member)) == "staff.name_taken"


def test_sessions_are_ended_by_their_owner_or_an_admin(rt, ann, carol, wanjiku) -> None:
    came = carol.sign_in()

    def end(by: Staff) -> None:
        rt.attempt(lambda tx: staff_changes.end_sessions(tx, "carol", by=by, now=rt.now()))

    assert refused(lambda: end(wanjiku)) == "staff.not_your_role"
    for by in (carol.staff, ann):
        end(by)
        with rt.transaction() as tx:
            assert staff_sessions.find(tx, came.token, now=rt.now(), config=rt.config) is None
        came = carol.sign_in()
    with rt.transaction() as tx:
        assert len(audit.lines(tx, action="end sessions", subject="staff:carol")) == 2
