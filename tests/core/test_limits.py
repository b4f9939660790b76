"""Limits of play: counted behind the wallet's lock; a rise waits for a second yes."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from core import ledger, limits
from core.betting import Placed
from core.deposits import Asked
from core.effects import Channel, Refused
from core.limits import Changed, Kind, Period
from tests import games, people, teller
from tests.core.sign_up import at_once
from tests.core.test_exclusion import taken

NUMBERS = itertools.count(1)


@pytest.fixture
def derby(rt, wanjiku):
    return games.derby(rt, wanjiku, closes=timedelta(days=60))


def told(rt, customer, kind, period, shillings, *, key=None):
    with rt.transaction() as tx:
        return limits.set_limit(
            tx,
            key=key or uuid.uuid4(),
            customer_id=customer.id,
            kind=kind,
            period=period,
            amount=None if shillings is None else shillings * 100,
            channel=Channel.USSD,
            session="test",
            now=rt.now(),
        )


def confirmed(rt, customer, kind, period):
    with rt.transaction() as tx:
        return limits.confirm(
            tx,
            key=uuid.uuid4(),
            customer_id=customer.id,
            kind=kind,
            period=period,
            channel=Channel.USSD,
            session="test",
            now=rt.now(),
        )


def shown(rt, customer):
    with rt.transaction() as tx:
        return [
            (line.kind, line.period, line.amount, line.left)
            for line in limits.limits_of(tx, customer.id, now=rt.now())
        ]


def test_a_stake_limit_counts_what_is_staked_in_its_period(rt, amina, derby, wait):
    assert told(rt, amina, Kind.STAKE, Period.DAY, 100) == Changed("set")
    assert isinstance(games.bet(rt, amina, derby, 1, 60), Placed)

    no = games.bet(rt, amina, derby, 1, 41)

    assert (no.reason, no.facts["left"], no.facts["limit"]) == (
        "betting.limit_stake",
        40_00,
        100_00,
    )
    assert no.facts["until"] > rt.now()
    with rt.transaction() as tx:
        assert ledger.balance(tx, amina.id) == 940_00
    assert isinstance(games.bet(rt, amina, derby, 1, 40), Placed)
    wait(days=1)
    assert isinstance(games.bet(rt, amina, derby, 1, 100), Placed)
    assert teller.clean(rt)


def test_a_loss_limit_counts_what_came_back(rt, amina, brian, derby, wanjiku, kamau):
    told(rt, amina, Kind.LOSS, Period.MONTH, 100)
    games.placed(rt, amina, derby, 1, 100)
    other = games.derby(rt, wanjiku, question="Harambee Stars v Uganda Cranes")
    assert games.bet(rt, amina, other, 1, 20).reason == "betting.limit_loss"

    games.placed(rt, brian, derby, 2, 100)
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)  # 190 come back: 90 are won

    assert games.bet(rt, amina, other, 1, 191).reason == "betting.limit_loss"
    assert isinstance(games.bet(rt, amina, other, 1, 180), Placed)
    assert shown(rt, amina) == [(Kind.LOSS, Period.MONTH, 100_00, 10_00)]


def test_a_deposit_limit_counts_what_is_on_its_way(rt, amina):
    told(rt, amina, Kind.DEPOSIT, Period.WEEK, 100)
    assert isinstance(teller.asking(rt, amina, 70_00), Asked)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE deposit SET created_at = created_at - interval '1 hour'"))

    no = teller.asking(rt, amina, 31_00)

    assert (no.reason, no.facts["left"]) == ("money.limit_deposit", 30_00)
    assert isinstance(teller.asking(rt, amina, 30_00), Asked)


def test_a_cut_is_at_once_and_a_rise_waits_for_a_second_yes(rt, amina, wait):
    told(rt, amina, Kind.STAKE, Period.DAY, 100)
    assert told(rt, amina, Kind.STAKE, Period.DAY, 50) == Changed("set")
    rise = told(rt, amina, Kind.STAKE, Period.DAY, 500)
    assert (rise.verdict, rise.due > rt.now()) == ("waiting", True)
    assert shown(rt, amina) == [(Kind.STAKE, Period.DAY, 50_00, 50_00)]
    assert confirmed(rt, amina, Kind.STAKE, Period.DAY).reason == "money.limit_early"

    wait(hours=25)
    assert shown(rt, amina)[0][2] == 50_00  # nothing happens by itself
    assert confirmed(rt, amina, Kind.STAKE, Period.DAY) == Changed("set")

    assert shown(rt, amina) == [(Kind.STAKE, Period.DAY, 500_00, 500_00)]


def test_a_cut_ends_a_rise_that_waits_and_an_old_rise_lapses(rt, amina, wait):
    told(rt, amina, Kind.STAKE, Period.DAY, 100)
    told(rt, amina, Kind.STAKE, Period.DAY, 500)
    told(rt, amina, Kind.STAKE, Period.DAY, 90)
    wait(hours=25)
    assert confirmed(rt, amina, Kind.STAKE, Period.DAY).reason == "money.limit_no_rise"

    told(rt, amina, Kind.STAKE, Period.DAY, 500)
    wait(days=9)
    assert confirmed(rt, amina, Kind.STAKE, Period.DAY).reason == "money.limit_no_rise"
    assert shown(rt, amina)[0][2] == 90_00


def test_lifting_waits_too_and_then_nothing_is_limited(rt, amina, derby, wait):
    assert told(rt, amina, Kind.STAKE, Period.DAY, None).reason == "money.limit_none"
    told(rt, amina, Kind.STAKE, Period.DAY, 10)
    assert told(rt, amina, Kind.STAKE, Period.DAY, None).verdict == "waiting"
    assert isinstance(games.bet(rt, amina, derby, 1, 21), Refused)
    wait(hours=25)

    assert confirmed(rt, amina, Kind.STAKE, Period.DAY) == Changed("lifted")

    assert isinstance(games.bet(rt, amina, derby, 1, 21), Placed)
    with rt.transaction() as tx:
        assert tx.scalar(text("SELECT bool_or(limited) FROM wallet")) is False


def test_one_decision_has_one_answer(rt, amina, wait):
    key = uuid.uuid4()
    first = told(rt, amina, Kind.LOSS, Period.DAY, 100, key=key)
    told(rt, amina, Kind.LOSS, Period.DAY, 50)
    assert told(rt, amina, Kind.LOSS, Period.DAY, 100, key=key) == first
    assert shown(rt, amina)[0][2] == 50_00
    with pytest.raises(AssertionError, match="something else"):
        told(rt, amina, Kind.LOSS, Period.DAY, 99, key=key)
    assert told(rt, amina, Kind.LOSS, Period.DAY, 1).reason == "money.limit_amount"


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (1, "2026-11-21", "2026-11-22"),
        (2, "2026-11-16", "2026-11-23"),
        (3, "2026-11-01", "2026-12-01"),
    ],
)
def test_periods_are_those_of_nairobi(rt, period, start, end):
    """Nine in the evening in London is midnight in Nairobi."""
    with rt.transaction() as tx:
        for hour in (21, 44):  # of the 20th: midnight in Nairobi, and an hour before the next
            moment = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(hours=hour)
            row = tx.execute(
                text(
                    "SELECT period_start(CAST(:p AS smallint), :m) AT TIME ZONE 'Africa/Nairobi',"
                    " period_end(CAST(:p AS smallint), :m) AT TIME ZONE 'Africa/Nairobi'"
                ),
                {"p": period, "m": moment},
            ).one()
            assert [str(side) for side in row] == [f"{start} 00:00:00", f"{end} 00:00:00"]


@pytest.mark.race
def test_twenty_bets_at_once_do_not_pass_a_limit_together(rt, amina, derby):
    told(rt, amina, Kind.STAKE, Period.DAY, 100)

    came = at_once(20, lambda _: games.bet(rt, amina, derby, 1, 30))

    assert sum(isinstance(one, Placed) for one in came) == 3
    assert {one.reason for one in came if isinstance(one, Refused)} == {"betting.limit_stake"}


@pytest.mark.race
def test_twenty_askings_at_once_do_not_pass_a_limit_together(rt, amina):
    told(rt, amina, Kind.DEPOSIT, Period.DAY, 100)

    came = at_once(20, lambda number: teller.asking(rt, amina, (60 + number) * 100))

    assert sum(isinstance(one, Asked) for one in came) == 1


@pytest.mark.race
def test_no_bet_stands_behind_an_exclusion(rt, amina, derby):
    def act(number):
        if number == 5:
            return taken(rt, amina, "24h")
        return games.bet(rt, amina, derby, 1, 20)

    came = at_once(10, act)

    standing = sum(isinstance(one, Placed) for one in came)
    assert {one.reason for one in came if isinstance(one, Refused)} <= {"betting.excluded"}
    assert games.bet(rt, amina, derby, 1, 20).reason == "betting.excluded"
    with rt.transaction() as tx:
        assert ledger.balance(tx, amina.id) == 1_000_00 - standing * 20_00


class Plain:
    """A daily stake limit as one would explain it to a child."""

    def __init__(self):
        self.limit = self.rise = None
        self.due = 0
        self.hours = self.staked = 0

    def set(self, wanted):
        if self.limit is None or wanted <= self.limit:
            self.limit, self.rise = wanted, None
        else:
            self.rise, self.due = wanted, self.hours + 24

    def confirm(self):
        if self.rise is not None and self.hours >= self.due:
            if self.hours < self.due + 7 * 24:  # some milliseconds pass besides
                self.limit = self.rise
            self.rise = None

    def bet(self, stake):
        fits = self.limit is None or self.staked + stake <= self.limit
        self.staked += stake if fits else 0
        return fits


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(20, 120)),
        st.tuples(st.just("bet"), st.integers(20, 60)),
        st.tuples(st.just("confirm"), st.none()),
        st.tuples(st.just("days"), st.integers(1, 9)),
    ),
    max_size=12,
)


@given(STEPS)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_life_with_a_limit_agrees_with_a_plain_model(rt, wait, wanjiku, steps):
    number = next(NUMBERS)
    someone = people.customer(rt, f"+2547130{number:05}", "Someone Else", money=1_000_00)
    derby = games.derby(rt, wanjiku, closes=timedelta(days=900))
    plain = Plain()
    for act, value in steps:
        if act == "set":
            told(rt, someone, Kind.STAKE, Period.DAY, value)
            plain.set(value)
        elif act == "bet":
            came = games.bet(rt, someone, derby, 1, value)
            assert isinstance(came, Placed) == plain.bet(value), came
        elif act == "confirm":
            confirmed(rt, someone, Kind.STAKE, Period.DAY)
            plain.confirm()
        else:
            wait(days=value)
            plain.hours, plain.staked = plain.hours + 24 * value, 0
        assert [line[2] for line in shown(rt, someone)] == (
            [] if plain.limit is None else [plain.limit * 100]
        )
