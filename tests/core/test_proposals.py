"""Four eyes, as every act of two people has them, and what each leaves in the audit."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from core import audit, decisions, lapses, market_history, proposals
from core.errors import Refusal
from core.markets import Market, Status
from core.proposals import Proposal, ProposalState
from core.runtime import Runtime
from tests import games

CONTENT: dict[str, Any] = {"amount": 5_00, "to": "Amina"}
DAY = timedelta(days=1)


@pytest.fixture
def now(rt: Runtime) -> datetime:
    return rt.now()


@pytest.fixture
def waiting(rt: Runtime, wanjiku, now: datetime) -> Proposal:
    """What wanjiku proposed about thing 7."""
    return put(rt, wanjiku.id, now)


def put(rt: Runtime, by: int, now: datetime, subject: str = "thing:7") -> Proposal:
    return rt.attempt(
        lambda tx: proposals.propose(
            tx, act="market.withdrawal", subject=subject, content=CONTENT, note="0712345678 rang",
            by=by, now=now, lasts=DAY,
        )
    )  # fmt: skip


def decide(rt: Runtime, proposal: Proposal, by: int, now: datetime, **seen: Any) -> str:
    """What the approver is told: nothing, or the reason of the no."""
    saw = {"seen_hash": proposal.content_hash, "content": CONTENT} | seen

    def work(tx) -> None:
        proposals.approve(tx, tx.get_one(Proposal, proposal.id), by=by, now=now, **saw)

    return answered(lambda: rt.attempt(work))


def answered(act) -> str:
    try:
        act()
    except Refusal as refusal:
        return refusal.reason
    return ""


def actions(rt: Runtime) -> list[tuple[str, int | None, str]]:
    with rt.transaction() as tx:
        return [(line.action, line.staff_id, line.channel) for line in audit.lines(tx)]


def state(rt: Runtime, proposal: Proposal) -> int:
    with rt.transaction() as tx:
        return tx.get_one(Proposal, proposal.id).state


def test_another_person_who_saw_the_same_may_approve(rt, waiting, wanjiku, kamau, now) -> None:
    assert decide(rt, waiting, kamau.id, now) == ""
    assert state(rt, waiting) == ProposalState.APPROVED
    assert decide(rt, waiting, kamau.id, now) == "staff.proposal_over"
    assert actions(rt) == [
        ("approve market.withdrawal", kamau.id, "command"),
        ("propose market.withdrawal", wanjiku.id, "command"),
    ]


def test_the_four_eyes_matrix(rt, waiting, wanjiku, kamau, now) -> None:
    other = proposals.content_hash(CONTENT | {"amount": 6_00})
    late = now + DAY
    seen: dict[tuple[str, int, datetime], dict[str, Any]] = {
        ("self", wanjiku.id, now): {},
        ("saw something else", kamau.id, now): {"seen_hash": other},
        ("saw nothing", kamau.id, now): {"seen_hash": ""},
        ("it has changed", kamau.id, now): {"content": CONTENT | {"amount": 6_00}},
        ("both changed", kamau.id, now): {"content": CONTENT | {"x": 1}, "seen_hash": other},
        ("expired", kamau.id, late): {},
        ("self, late", wanjiku.id, late): {},
    }
    told = {case[0]: decide(rt, waiting, *case[1:], **saw) for case, saw in seen.items()}
    assert told == {
        "self": "staff.own_proposal",
        "saw something else": "staff.content_changed",
        "saw nothing": "staff.content_changed",
        "it has changed": "staff.content_changed",
        "both changed": "staff.content_changed",
        "expired": "staff.proposal_over",
        "self, late": "staff.proposal_over",
    }
    assert state(rt, waiting) == ProposalState.PENDING
    assert actions(rt) == [("propose market.withdrawal", wanjiku.id, "command")]  # no line of a no
    assert decide(rt, waiting, kamau.id, late - timedelta(seconds=1)) == ""


@pytest.mark.parametrize(
    ("since", "told"),
    [
        ("active = false", "staff.proposer_gone"),
        ("role = 'viewer'", "staff.proposer_may_not"),
        ("role = 'admin'", ""),
    ],
)
def test_who_proposed_still_has_to_be_somebody_who_may(
    rt, waiting, wanjiku, kamau, now, since: str, told: str
) -> None:
    with rt.transaction() as tx:
        tx.execute(text(f"UPDATE staff SET {since} WHERE id = :id"), {"id": wanjiku.id})
    assert decide(rt, waiting, kamau.id, now) == told
    assert state(rt, waiting) == (ProposalState.PENDING if told else ProposalState.APPROVED)


def test_one_waits_for_each_subject_until_it_expires(rt, waiting, wanjiku, kamau, now) -> None:
    again = answered(lambda: put(rt, kamau.id, now))
    assert again == "staff.already_proposed"
    put(rt, kamau.id, now, subject="thing:8")
    put(rt, kamau.id, now + DAY)
    assert state(rt, waiting) == ProposalState.EXPIRED
    assert actions(rt)[:2] == [
        ("propose market.withdrawal", kamau.id, "command"),
        ("expire market.withdrawal", None, "house"),
    ]


@pytest.mark.race
def test_of_eight_who_propose_at_once_one_is_first(rt, wanjiku, now) -> None:
    gate, told = threading.Barrier(8), []

    def one() -> None:
        gate.wait()
        told.append(answered(lambda: put(rt, wanjiku.id, now)))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["", *["staff.already_proposed"] * 7]
    assert len(actions(rt)) == 1


def test_a_no_and_taking_it_back_are_written_down(rt, waiting, wanjiku, now) -> None:
    def work(tx) -> None:
        tx.info["channel"] = "page"
        proposals.refuse(tx.get_one(Proposal, waiting.id), by=wanjiku.id, now=now)

    rt.attempt(work)
    assert actions(rt)[0] == ("refuse market.withdrawal", wanjiku.id, "page")
    assert answered(lambda: rt.attempt(work)) == "staff.proposal_over"


def test_a_line_names_the_proposal_and_its_hash(rt, waiting) -> None:
    with rt.transaction() as tx:
        line = audit.lines(tx, action="propose")[0]
    assert line.subject == "thing:7"
    assert line.facts == {
        "proposal": waiting.id,
        "hash": waiting.content_hash,
        "note": "2547*****678 rang",
    }


def test_the_hash_is_of_the_content_and_of_nothing_else() -> None:
    mixed = dict(reversed(CONTENT.items()))
    assert proposals.content_hash(mixed) == proposals.content_hash(CONTENT)
    changed = [{**CONTENT, "amount": 5_01}, {**CONTENT, "to": "amina"}, {"amount": 5_00}]
    hashes = {proposals.content_hash(one) for one in [CONTENT, *changed]}
    assert len(hashes) == 4


def test_the_clock_closes_what_nobody_decided(rt, waiting, wanjiku, wait) -> None:
    derby = games.derby(rt, wanjiku)
    games.close(rt, derby, wanjiku)
    result = {"winners": [1], "source": "FKF", "now": rt.now(), "config": rt.config}
    rt.attempt(lambda tx: decisions.propose(tx, derby.code, by=wanjiku, **result))
    lapses.sweep(rt)
    assert state(rt, waiting) == ProposalState.PENDING
    wait(hours=rt.config.proposal_hours)
    lapses.sweep(rt)
    assert state(rt, waiting) == ProposalState.EXPIRED
    assert actions(rt)[:2] == [
        ("expire market.result", None, "house"),
        ("expire market.withdrawal", None, "house"),
    ]
    with rt.transaction() as tx:
        market = tx.get_one(Market, derby.id)
        assert market.status == Status.CLOSED
        told = market_history.of_market(tx, derby.id)[-1]
        assert (told.what, told.by) == ("expire result", None)
    before = len(actions(rt))
    lapses.sweep(rt)
    assert len(actions(rt)) == before
