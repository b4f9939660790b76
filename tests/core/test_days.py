"""Closed days: the line is drawn where nothing can come below it, and it stays."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core import days
from core.errors import Refusal
from core.say import NAIROBI
from core.staff import Role
from tests import people, teller
from tests.core.test_treasury import asked, posted


@pytest.fixture
def finance(rt):
    return [people.member(rt, name, Role.FINANCE) for name in ("fatuma", "otieno")]


def today(rt):
    return rt.now().astimezone(NAIROBI).date()


def proposed(rt, who, day):
    with rt.transaction() as tx:
        return days.propose(tx, day, by=who, now=rt.now(), config=rt.config)


def closed(rt, finance, day):
    proposal = proposed(rt, finance[0], day)
    with rt.transaction() as tx:
        return days.approve(tx, day, seen_hash=proposal.content_hash, by=finance[1], now=rt.now())


def test_a_day_is_closed_by_two_and_nothing_is_dated_into_it(rt, amina, finance, wait):
    day = today(rt)
    posted(rt, finance, "owner in", 500, "B1")
    with pytest.raises(Refusal, match=r"staff\.day_not_over"):
        proposed(rt, finance[0], day)
    wait(days=1)

    closed(rt, finance, day)

    with pytest.raises(Refusal, match=r"staff\.treasury_date"):
        asked(rt, finance[0], "owner in", 5, "B2", on=day)
    posted(rt, finance, "owner in", 5, "B3")
    with rt.transaction() as tx:
        kept = tx.scalars(text("SELECT sum(debits) FROM day_balance").columns()).one()
        assert kept == tx.scalars(text("SELECT sum(credits) FROM day_balance").columns()).one()
        assert kept == 1_000_00 + 500_00  # Amina's money and the owner's
    assert teller.clean(rt)


def test_days_are_closed_one_after_the_other(rt, amina, finance, wait):
    first = today(rt)
    wait(days=4)
    closed(rt, finance, first)
    with pytest.raises(Refusal, match=r"staff\.day_not_next") as refusal:
        proposed(rt, finance[0], first + timedelta(days=2))
    assert refusal.value.facts["next"] == first + timedelta(days=1)
    with pytest.raises(Refusal, match=r"staff\.day_not_next"):
        proposed(rt, finance[0], first)
    closed(rt, finance, first + timedelta(days=1))
    assert teller.clean(rt)


def test_a_transaction_open_across_midnight_is_waited_for(rt, amina, finance, wait):
    """It has booked before midnight what nobody can see yet."""
    day = today(rt)
    late = rt.sessions()
    late.execute(
        text("SELECT ledger_move(gen_random_uuid(), CAST(11 AS smallint), a.id, w.account_id, 700,"
             " gen_random_uuid(), NULL, app_now()) FROM account a, wallet w WHERE a.kind = 12")
    )  # fmt: skip
    wait(days=1)
    proposal = proposed(rt, finance[0], day)

    def approve():
        with rt.transaction() as tx:
            days.approve(tx, day, seen_hash=proposal.content_hash, by=finance[1], now=rt.now())

    with pytest.raises(Refusal, match=r"staff\.day_still_open"):
        approve()
    late.commit()
    late.close()
    with pytest.raises(Refusal, match=r"staff\.content_changed"):
        approve()  # what was proposed did not have the 7 shillings
    with rt.transaction() as tx:
        tx.execute(text("UPDATE proposal SET state = 4 WHERE state = 1"))
    closed(rt, finance, day)
    assert teller.clean(rt)


def test_a_day_that_was_changed_behind_our_back_is_found(rt, config, amina, finance, wait):
    day = today(rt)
    wait(days=1)
    closed(rt, finance, day)
    with rt.transaction() as tx:
        before = tx.scalars(text("SELECT min(created_at) FROM transfer").columns()).one()
    assert before < days.end_of(day)
    with rt.transaction() as tx:
        lines = days.trial_balance(tx, before=days.end_of(day))
        report = days.report(tx, since=day, until=day)
    assert sum(line.debits for line in lines) == 1_000_00
    assert [one for one, _ in report] == [day]
    trader = people.member(rt, "musa", Role.TRADER)
    with pytest.raises(Refusal, match=r"staff\.not_your_role"):
        proposed(rt, trader, day)
