"""Drafts: what may become a market, what may be changed of it, and which code it gets."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, select, text

from core import categories, drafts, market_history, markets
from core.errors import Refusal
from core.markets import Market, Status
from core.staff import Role
from tests import games, people

HOUR = timedelta(hours=1)


@pytest.fixture
def make(rt, wanjiku):
    """`make(question=...)`: a draft, with whatever is not given as usual."""

    def draft(by=wanjiku, **changes):
        now = rt.now()
        usual = {
            "question": "Gor Mahia v AFC Leopards",
            "outcomes": ("Gor", "Draw", "AFC"),
            "category": "Football",
            "opens_at": now,
            "closes_at": now + 3 * HOUR,
        }
        with rt.transaction() as tx:
            return drafts.create(tx, **usual | changes, by=by, now=now, config=rt.config)

    return draft


@pytest.fixture
def edit(rt, wanjiku):
    def change(market, **changes):
        with rt.transaction() as tx:
            now = rt.now()
            return drafts.edit(tx, market.code, by=wanjiku, now=now, config=rt.config, **changes)

    return change


def view(rt, market):
    with rt.transaction() as tx:
        return markets.view(tx, market.id)


def refused(act, *args, **changes):
    with pytest.raises(Refusal) as refusal:
        act(*args, **changes)
    return refusal.value.reason


def test_a_market_keeps_the_fee_and_the_stakes_of_the_day_it_was_made(rt, make):
    usual = make()
    rt.config = rt.config.model_copy(update={"payout_platform_fee_pct": 8, "stake_min": 50_00})
    later = make(question="Later", max_stake=500_00)

    assert (usual.fee_bp, usual.min_stake, usual.max_stake) == (500, 20_00, 100_000_00)
    assert (later.fee_bp, later.min_stake, later.max_stake) == (800, 50_00, 500_00)


def test_two_to_eight_outcomes_of_a_known_category(rt, make):
    eight = [f"Team {letter}" for letter in "ABCDEFGH"]
    assert [one.name for one in view(rt, make(outcomes=eight)).outcomes] == eight
    assert refused(make, outcomes=["One"]) == "staff.outcomes_number"
    assert refused(make, outcomes=[*eight, "Team J"]) == "staff.outcomes_number"
    assert refused(make, category="Chess") == "staff.no_such_category"
    assert make(category="hali  ya HEWA").category == "Weather"
    assert make(category="soka").category == "Football"


@pytest.mark.parametrize(
    "stakes", [(0, None), (-100, None), (20_50, None), (None, 100_001_00), (300_00, 200_00)]
)
def test_stakes_are_whole_shillings_within_the_houses_own(make, stakes):
    assert refused(make, min_stake=stakes[0], max_stake=stakes[1]) == "staff.stakes"


def test_only_traders_and_admins_draft_edit_and_open(rt, make, edit):
    akinyi = people.member(rt, "akinyi", Role.FINANCE)
    assert refused(make, by=akinyi) == "staff.not_your_role"
    assert make(by=people.member(rt, "njeri", Role.ADMIN)).status == Status.DRAFT


def test_a_draft_can_be_changed_and_an_open_market_cannot(rt, make, edit, wanjiku):
    market = make()
    assert refused(edit, market) == "staff.nothing_changed"
    assert refused(edit, market, question="Kuma?") == "staff.words_profane"
    assert refused(edit, market, closes_at=rt.now()) == "staff.closes_too_soon"

    edit(market, question="Gor v  Ingwe", outcomes=("Gor", "Ingwe"), category="mengine",
         min_stake=50_00, closes_at=market.closes_at + HOUR)  # fmt: skip

    seen = view(rt, market)
    assert (seen.question, seen.category, seen.min_stake) == ("Gor v Ingwe", "Other", 50_00)
    assert [one.name for one in seen.outcomes] == ["Gor", "Ingwe"]
    assert seen.closes_at == market.closes_at + HOUR
    with rt.transaction() as tx:
        drafts.open_up(tx, market.code, by=wanjiku, now=rt.now())
    assert refused(edit, market, question="Another") == "staff.market_not_draft"
    with rt.transaction() as tx:
        lines = market_history.of_market(tx, market.id)
    assert [(line.what, line.by) for line in lines] == [
        ("draft", "wanjiku"), ("edit", "wanjiku"), ("open", "wanjiku"),
    ]  # fmt: skip
    assert lines[1].before["question"] == "Gor Mahia v AFC Leopards"
    assert lines[1].after["outcomes"] == ["Gor", "Ingwe"]
    assert "opens_at" not in lines[1].after


def test_the_history_can_be_read_and_not_rewritten(rt, make):
    make()
    owner = create_engine(rt.config.migration_database_url)
    for statement in ("UPDATE market_change SET what = 'x'", "DELETE FROM market_change"):
        with pytest.raises(Exception, match="append-only"), owner.begin() as tx:
            tx.execute(text(statement))
    owner.dispose()


def test_an_opened_market_waits_for_its_opening_time(rt, make, amina, wanjiku, wait):
    market = make(opens_at=rt.now() + HOUR)
    assert games.bet(rt, amina, market, 1, 50).reason == "betting.market_closed"  # a draft
    with rt.transaction() as tx:
        drafts.open_up(tx, market.code, by=wanjiku, now=rt.now())
    too_soon = games.bet(rt, amina, market, 1, 50)
    assert (too_soon.reason, too_soon.facts) == (
        "betting.market_not_yet", {"until": market.opens_at},
    )  # fmt: skip
    with rt.transaction() as tx:
        assert markets.open_list(tx, now=rt.now()) == []

    wait(hours=1)

    games.placed(rt, amina, market, 1, 50)
    with rt.transaction() as tx:
        assert [one.code for one in markets.open_list(tx, now=rt.now())] == [market.code]


def test_a_draft_whose_time_has_passed_is_not_opened(rt, make, wanjiku, wait):
    market = make()
    wait(hours=3)
    with rt.transaction() as tx, pytest.raises(Refusal, match="closes_too_soon"):
        drafts.open_up(tx, market.code, by=wanjiku, now=rt.now())


def ended(rt, make, wanjiku, kamau):
    market = make()
    with rt.transaction() as tx:
        drafts.open_up(tx, market.code, by=wanjiku, now=rt.now())
    games.settle(rt, market, 1, proposer=wanjiku, approver=kamau)
    return market


def test_a_code_rests_thirty_days_after_its_market_is_paid(rt, make, wanjiku, kamau, wait):
    first = ended(rt, make, wanjiku, kamau)
    alive = make()
    assert (first.code, alive.code, make().code) == (101, 102, 103)
    wait(days=29, hours=23)
    assert make().code == 104
    wait(hours=2)
    assert make().code == 101  # and 102 is a draft still
    assert make().code == 105
    with rt.transaction() as tx:
        assert markets.by_code(tx, 101).id == first.id, "customers see no drafts"
        assert markets.by_code(tx, 101, drafts=True).id != first.id


def test_a_market_being_corrected_keeps_its_code(rt, make, wanjiku, kamau, wait):
    market = ended(rt, make, wanjiku, kamau)
    wait(days=40)
    with rt.transaction() as tx:
        tx.get_one(Market, market.id).status = Status.CORRECTING
    assert make().code == 102


def test_three_digits_come_back_when_they_have_rested(rt, make, wanjiku):
    """Nine hundred live markets take every short code; the next one is longer, and only then."""
    with rt.transaction() as tx:
        found = drafts._codes(tx, 900, now=rt.now())
    assert (found[0], found[898], found[899]) == (101, 999, 1000)


@pytest.mark.race
def test_drafts_at_the_same_instant_have_codes_of_their_own(rt, make):
    made, faults = [], []

    def act():
        try:
            made.append(make().code)
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=act) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not faults
    assert sorted(made) == list(range(101, 113))


def test_a_category_is_added_once_and_may_be_said_in_both_languages(rt, wanjiku, make):
    with rt.transaction() as tx:
        categories.add(tx, "Chess", "Sataranji", by=wanjiku)
    assert make(category="SATARANJI").category == "Chess"
    for names, reason in (
        (("chess", "Ajedrez"), "staff.category_taken"),
        (("Draughts", "sataranji"), "staff.category_taken"),
        (("W" * 17, "Bao"), "staff.category_length"),
        (("", "Bao"), "staff.category_length"),
        (("Matako", "Bao"), "staff.words_profane"),
        (("M-PESA", "Bao"), "staff.words_partner"),
    ):
        with rt.transaction() as tx, pytest.raises(Refusal, match=reason):
            categories.add(tx, *names, by=wanjiku)


def test_every_category_has_its_two_names_in_the_alphabet_of_phones(rt):
    with rt.transaction() as tx:
        known = categories.every(tx)
    assert known[0].name == "Football"
    assert known[-1].name == "Other"
    for one in known:
        assert one.called("en") == one.name
        assert one.called("sw") == one.name_sw
        assert max(len(one.name), len(one.name_sw)) <= categories.NAME_LONGEST


def test_markets_are_counted_by_category(rt, make, wanjiku):
    for category in ("Rugby", "Football", "Football", "Weather"):
        code = make(category=category).code
        with rt.transaction() as tx:
            if category != "Weather":
                drafts.open_up(tx, code, by=wanjiku, now=rt.now())
    with rt.transaction() as tx:
        lines = categories.with_markets(tx, now=rt.now())
        rugby = markets.open_list(tx, now=rt.now(), category="Rugby")
    assert [(one.category.name, one.markets) for one in lines] == [("Football", 2), ("Rugby", 1)]
    assert [one.category for one in rugby] == ["Rugby"]


def test_a_draft_that_is_refused_leaves_nothing(rt, make):
    refused(make, question="Call 0712345678")
    with rt.transaction() as tx:
        assert tx.scalar(select(Market.id)) is None
