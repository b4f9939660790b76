"""Exclusion: a break that nobody ends early, that every door obeys, and that keeps no money."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core import customers, exclusion, under_age
from core.customers import Customer
from core.errors import Refusal
from core.staff import Role
from tests import cashier, games, people, teller
from tests.core.sign_up import BRIAN, begin, read


def taken(rt, customer, length, *, key=None):
    """A break of that length; until when."""
    with rt.transaction() as tx:
        return exclusion.cool_off(
            tx, key=key or uuid.uuid4(), customer_id=customer.id, length=length, now=rt.now()
        )


def away(rt, customer, months, *, key=None):
    """A self-exclusion; until when."""
    with rt.transaction() as tx:
        return exclusion.self_exclude(
            tx, key=key or uuid.uuid4(), customer_id=customer.id, months=months, now=rt.now()
        )


@pytest.fixture
def derby(rt, wanjiku):
    return games.derby(rt, wanjiku)


def test_a_break_stops_bets_and_deposits_and_lets_money_out(rt, amina, wanjiku, wait):
    derby = games.derby(rt, wanjiku, closes=timedelta(days=9))
    until = taken(rt, amina, "24h")

    no = games.bet(rt, amina, derby, 1, 20)
    assert (no.reason, no.facts["until"]) == ("betting.excluded", until)
    assert teller.asking(rt, amina, 100_00).reason == "customers.excluded"
    assert cashier.withdrawing(rt, amina, 100_00).amount == 100_00

    wait(hours=25)  # and it is over, with nobody doing anything
    games.placed(rt, amina, derby, 1, 20)


def test_who_is_on_a_break_is_not_asked_for_money(rt, amina, derby):
    cashier.withdraw(rt, amina, 1_000)
    taken(rt, amina, "24h")

    assert games.bet(rt, amina, derby, 1, 20).reason == "betting.excluded"


def test_nobody_ends_it_early_and_a_longer_one_holds(rt, amina):
    long = away(rt, amina, 6)
    assert taken(rt, amina, "7d") == long
    assert away(rt, amina, 12) > long

    for earlier in ("now()", "NULL", "excluded_until - interval '1 second'"):
        with pytest.raises(DBAPIError) as fault, rt.transaction() as tx:
            tx.execute(text(f"UPDATE customer SET excluded_until = {earlier}"))
        assert fault.value.orig.pgcode == "HL004"


def test_one_decision_is_taken_once(rt, amina, wait):
    key = uuid.uuid4()
    until = taken(rt, amina, "7d", key=key)
    wait(days=1)
    assert taken(rt, amina, "7d", key=key) == until
    with rt.transaction() as tx:
        assert tx.scalar(text("SELECT count(*) FROM play_change")) == 1
        with pytest.raises(DBAPIError) as fault, tx.begin_nested():
            tx.execute(text("DELETE FROM play_change"))
    assert fault.value.orig.pgcode in ("HL004", "42501")


@pytest.mark.parametrize("length", ["1h", "", "6m", "999d"])
def test_breaks_have_their_lengths(rt, amina, length):
    with pytest.raises(Refusal, match=r"customers\.break_length"):
        taken(rt, amina, length)


@pytest.mark.parametrize("months", [0, 1, 5, 7, -6])
def test_a_self_exclusion_is_long(rt, amina, months):
    with pytest.raises(Refusal, match=r"customers\.break_length"):
        away(rt, amina, months)


def test_months_are_those_of_the_calendar(rt, amina):
    with rt.transaction() as tx:
        until = exclusion.self_exclude(
            tx,
            key=uuid.uuid4(),
            customer_id=amina.id,
            months=6,
            now=datetime(2026, 8, 31, 10, tzinfo=UTC),
        )
    assert until == datetime(2027, 2, 28, 10, tzinfo=UTC)


def test_the_history_of_play_adds_up(rt, amina, brian, derby, wanjiku, kamau):
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    with rt.transaction() as tx:
        (month,) = exclusion.play_history(tx, amina.id)

    assert (month.staked, month.returned, month.result) == (100_00, 285_00, 185_00)
    assert (month.deposited, month.withdrawn) == (0, 285_00)  # her win went to M-PESA


def test_the_young_wait_whatever_date_comes_next_until_support_lifts_it(rt):
    now = rt.now()
    amina, brian = begin(rt, now=now), begin(rt, now=now, phone=BRIAN)
    salma = people.member(rt, "salma", Role.SUPPORT)

    def given(customer, birth, later=timedelta()):
        with rt.transaction() as tx:
            return customers.give_birth(
                tx, tx.get_one(Customer, customer), birth, now=now + later, config=rt.config
            )

    until = now + rt.config.under_age_hold
    for date_given, later in (("25122015", 0), ("25121990", 0), ("25121990", 29)):
        refused = given(amina, date_given, timedelta(days=later))
        assert (refused.reason, refused.facts["until"]) == ("customers.under_age", until)
        assert read(rt, amina).birth is None
    assert given(brian, "25121990") is None
    with rt.transaction() as tx:
        under_age.lift(tx, amina, by=salma, now=now)
    assert given(amina, "25121990") is None
