"""Placing bets by function call: once per key, never beyond the wallet, never after the close."""

import contextlib
import threading
import uuid

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core import betting, effects, ledger, markets, staff
from core.betting import Placed
from core.effects import Refused
from core.errors import Refusal
from core.staff import Role
from tests import games, people


@pytest.fixture
def derby(rt, wanjiku):
    return games.derby(rt, wanjiku)


def test_a_bet_moves_the_stake_from_wallet_to_pool_once(rt, amina, derby):
    key = uuid.uuid4()

    first = games.bet(rt, amina, derby, 1, 40, key=key)
    again = games.bet(rt, amina, derby, 1, 40, key=key)

    assert first == Placed(first.bet_id, 960_00, again=False)
    assert again == Placed(first.bet_id, 960_00, again=True)
    with rt.transaction() as tx:
        assert ledger.balance(tx, amina.id) == 960_00
        pool = ledger.account_balance(tx, ledger.AccountKind.POOL, market_id=derby.id)
        assert pool == 40_00
        assert effects.recall(tx, key).facts["bet_id"] == first.bet_id


def test_a_key_used_for_another_bet_is_a_fault(rt, amina, derby):
    key = uuid.uuid4()
    games.placed(rt, amina, derby, 1, 40, key=key)

    with pytest.raises(DBAPIError) as fault:
        games.bet(rt, amina, derby, 2, 40, key=key)

    assert fault.value.orig.pgcode == "HL001"


def test_a_refused_key_stays_refused_when_the_money_comes(rt, brian, derby):
    key = uuid.uuid4()
    refused = games.bet(rt, brian, derby, 1, 600, key=key)
    people.fund(rt, brian, 1_000_00)

    again = games.bet(rt, brian, derby, 1, 600, key=key)

    short = {"balance": 500_00, "stake": 600_00, "short": 100_00}
    assert refused == again == Refused("betting.short_of_funds", short)
    assert isinstance(games.bet(rt, brian, derby, 1, 600), Placed)


@pytest.mark.parametrize(
    ("outcome", "shillings", "reason"),
    [
        (3, 50, "betting.no_such_outcome"),
        (1, 19, "betting.stake_low"),
        (1, 100_001, "betting.stake_high"),
        (1, 501, "betting.short_of_funds"),
    ],
)
def test_what_a_market_refuses_moves_nothing(rt, brian, derby, outcome, shillings, reason):
    verdict = games.bet(rt, brian, derby, outcome, shillings)

    assert verdict.reason == reason
    with rt.transaction() as tx:
        assert ledger.balance(tx, brian.id) == 500_00
        assert tx.scalar(text("SELECT count(*) FROM bet")) == 0


@pytest.mark.parametrize("shillings", [40, 5_000])
def test_no_bet_is_taken_from_a_phone_of_the_staff(rt, amina, brian, derby, shillings):
    with rt.transaction() as tx:
        hired = staff.add(tx, "amina", Role.SUPPORT, now=rt.now(), number=amina.phone)
    assert games.bet(rt, amina, derby, 1, shillings) == Refused("betting.of_the_house")
    with rt.transaction() as tx:
        assert ledger.balance(tx, amina.id) == 1_000_00
        tx.merge(hired).active = False
    games.placed(rt, brian, derby, 1, 40)  # others may, and so may who has left
    games.placed(rt, amina, derby, 1, 40)


def test_the_clock_of_the_database_closes_the_betting(rt, amina, derby, wait):
    wait(hours=23, minutes=59)
    games.placed(rt, amina, derby, 1, 40)
    wait(minutes=1)

    assert games.bet(rt, amina, derby, 1, 40).reason == "betting.market_closed"


def test_drafts_and_suspended_markets_take_no_bets(rt, amina, derby):
    for status, reason in (
        (markets.Status.DRAFT, "betting.market_closed"),
        (markets.Status.SUSPENDED, "betting.market_suspended"),
        (markets.Status.CLOSED, "betting.market_closed"),
    ):
        with rt.transaction() as tx:
            tx.get_one(markets.Market, derby.id).status = status
        assert games.bet(rt, amina, derby, 1, 40).reason == reason


def test_without_a_pin_the_day_has_a_limit(rt, amina, derby, wait):
    limit = {"with_pin": False, "no_pin_limit": 200_00}
    games.placed(rt, amina, derby, 1, 150, **limit)

    refused = games.bet(rt, amina, derby, 1, 51, **limit)

    assert refused == Refused("betting.pin_needed", {"limit": 200_00})
    games.placed(rt, amina, derby, 1, 50, **limit)
    games.placed(rt, amina, derby, 1, 300, with_pin=True)
    with rt.transaction() as tx:
        assert betting.staked_without_pin(tx, amina.id, now=rt.now()) == 200_00
        assert ledger.balance(tx, amina.id) == 500_00


def test_a_refusal_after_the_debit_leaves_the_wallet_as_it_was(rt, amina, derby):
    with rt.transaction() as tx:
        before = tx.execute(text("SELECT * FROM wallet")).all()

    games.bet(rt, amina, derby, 1, 300, with_pin=False, no_pin_limit=200_00)

    with rt.transaction() as tx:
        assert tx.execute(text("SELECT * FROM wallet")).all() == before


def test_fifty_threads_with_forty_shillings_each_on_a_hundred(rt, brian, derby):
    with rt.transaction() as tx:
        tx.get_one(markets.Market, derby.id).max_stake = 400_00
    games.placed(rt, brian, derby, 2, 400)

    verdicts = at_once(50, lambda _: games.bet(rt, brian, derby, 1, 40))

    assert sum(isinstance(verdict, Placed) for verdict in verdicts) == 2
    with rt.transaction() as tx:
        assert ledger.balance(tx, brian.id) == 20_00


def test_one_key_at_the_same_instant_is_one_bet_with_one_answer(rt, amina, derby):
    key = uuid.uuid4()

    verdicts = at_once(20, lambda _: games.bet(rt, amina, derby, 1, 40, key=key))

    assert {verdict.bet_id for verdict in verdicts} == {verdicts[0].bet_id}
    assert [verdict.again for verdict in verdicts].count(False) == 1
    with rt.transaction() as tx:
        assert ledger.balance(tx, amina.id) == 960_00


def test_no_bet_slips_in_behind_the_close(rt, amina, brian, wanjiku):
    """Closing waits for the bets in hand; whatever is placed carries an earlier time."""
    for _ in range(20):
        derby = games.derby(rt, wanjiku)

        def act(number, derby=derby):
            if number == 4:
                return games.close(rt, derby, wanjiku)
            return games.bet(rt, (amina, brian)[number % 2], derby, 1, 20)

        at_once(9, act)

        with rt.transaction() as tx:
            late = text(
                "SELECT count(*) FROM bet b JOIN market m ON m.id = b.market_id"
                " WHERE b.market_id = :id AND b.placed_at > m.closed_at"
            )
            assert tx.scalar(late, {"id": derby.id}) == 0


@pytest.mark.race
def test_staff_and_the_clock_close_at_the_same_instant(rt, wanjiku):
    """Neither waits for what the other holds: the bets behind them would wait too."""

    def by_staff(market):
        with contextlib.suppress(Refusal):
            games.close(rt, market, wanjiku)

    def by_clock(market):
        with rt.transaction() as tx:
            markets.shut(tx, market.id)

    faults = []

    def act(number, market):
        try:
            (by_clock if number else by_staff)(market)
        except DBAPIError as fault:
            faults.append(fault.orig.pgcode)

    for _ in range(10):
        derby = games.derby(rt, wanjiku)
        at_once(4, lambda number, derby=derby: act(number, derby))

    assert faults == []


def test_an_older_snapshot_is_refused(rt, amina, derby):
    older = rt.engine.execution_options(isolation_level="REPEATABLE READ")
    rt.sessions.configure(bind=older)

    with pytest.raises(DBAPIError) as fault:
        games.bet(rt, amina, derby, 1, 40)

    assert fault.value.orig.pgcode == "HL005"


def test_the_pool_shown_follows_the_bets(rt, amina, brian, derby):
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    with rt.transaction() as tx:
        assert markets.refresh_pools(tx) == 2
        assert markets.refresh_pools(tx) == 0
        seen = markets.by_code(tx, derby.code)

    assert seen.pool == 300_00
    assert [one.staked for one in seen.outcomes] == [100_00, 200_00]
    # 301 less 5% is 285.95, on 101: 1 shilling brings 2.83
    assert seen.outcomes[0].estimate == 2_83
    assert seen.estimate(2, 100_00) == 126_66  # 400 less 5% is 380, on 300


def test_a_new_bet_promises_the_same_before_and_after_it_is_in_the_totals(rt, amina, brian, derby):
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    with rt.transaction() as tx:
        markets.refresh_pools(tx)
        before = markets.by_code(tx, derby.code).estimate(1, 100_00)
    games.placed(rt, brian, derby, 1, 100)

    def estimate(tx):
        return betting.my_bets(tx, brian.id, open=True, limit=1)[0].estimate

    with rt.transaction() as tx:
        assert estimate(tx) == before == 190_00  # 400 less 5% is 380, half of it
        markets.refresh_pools(tx)
    with rt.transaction() as tx:
        assert estimate(tx) == 190_00


def test_my_bets_show_what_became_of_them(rt, amina, brian, derby, wanjiku, kamau):
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    with rt.transaction() as tx:
        markets.refresh_pools(tx)
        (running,) = betting.my_bets(tx, amina.id, open=True, limit=5)
    assert (running.state, running.estimate, running.outcome_name) == ("open", 285_00, "Yes")

    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)

    with rt.transaction() as tx:
        assert betting.my_bets(tx, amina.id, open=True, limit=5) == []
        (won,) = betting.my_bets(tx, amina.id, open=False, limit=5)
        (lost,) = betting.my_bets(tx, brian.id, open=False, limit=5)
    assert (won.state, won.returned) == ("won", 285_00)
    assert (lost.state, lost.returned) == ("lost", 0)


def at_once(count, act):
    """What `act(number)` answers in each of `count` threads that start together."""
    gate, answers = threading.Barrier(count), [None] * count

    def run(number):
        gate.wait()
        answers[number] = act(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
