"""What meets a limit or an exclusion at the same instant, and what each of them counts."""

import threading
import time
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core import corrections, exclusion, receipts, settling
from core.betting import Placed
from core.deposits import Asked
from core.limits import Kind, Period
from core.payments import Deposit
from core.receipts import Source
from tests import cashier, games, mpesa, teller
from tests.core.test_exclusion import taken
from tests.core.test_limits import told


@pytest.fixture
def derby(rt, wanjiku):
    return games.derby(rt, wanjiku, closes=timedelta(days=60))


def behind_a_break(rt, customer, act):
    """What `act` came to that met a break of the customer's just before it was committed."""
    found = []
    other = threading.Thread(target=lambda: found.append(act()))
    with rt.transaction() as tx:
        exclusion.cool_off(
            tx, key=uuid.uuid4(), customer_id=customer.id, length="24h", now=rt.now()
        )
        other.start()
        waits = text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        while other.is_alive() and not tx.scalar(waits):
            time.sleep(0.01)
    other.join()
    return found[0]


@pytest.mark.race
def test_a_bet_that_meets_a_break_is_refused(rt, amina, derby):
    no = behind_a_break(rt, amina, lambda: games.bet(rt, amina, derby, 1, 20))

    assert no.reason == "betting.excluded"
    assert mpesa.balance(rt, amina) == 1_000_00


@pytest.mark.race
def test_a_deposit_that_meets_a_break_is_not_asked_for(rt, amina):
    no = behind_a_break(rt, amina, lambda: teller.asking(rt, amina, 100_00))

    assert no.reason == "customers.excluded"


@pytest.mark.race
def test_money_that_lands_as_a_break_begins_is_owed_back(rt, amina):
    asked = teller.ask(rt, amina, 100)

    def land():
        with rt.transaction() as tx:
            return receipts.credit(
                tx,
                tx.get_one(Deposit, asked.deposit_id),
                receipt="SKL7RT61SV",
                amount=100_00,
                source=Source.STATUS,
                at=rt.now(),
                confirmed=True,
            )

    assert behind_a_break(rt, amina, land).verdict == "refund_due"
    assert mpesa.balance(rt, amina) == 1_000_00
    assert teller.clean(rt)


def test_a_prompt_whose_end_is_never_learnt_does_not_use_a_limit_up_for_good(rt, amina, wait):
    told(rt, amina, Kind.DEPOSIT, Period.DAY, 100)
    lost = teller.ask(rt, amina, 100)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE deposit SET state = 4 WHERE id = :id"), {"id": lost.deposit_id})
    wait(hours=23)
    assert teller.asking(rt, amina, 50_00).reason == "money.limit_deposit"

    wait(hours=2)

    assert isinstance(teller.asking(rt, amina, 50_00), Asked)


def test_stakes_that_are_refunded_are_not_lost(rt, amina, derby, wanjiku, kamau):
    told(rt, amina, Kind.LOSS, Period.DAY, 100)
    games.placed(rt, amina, derby, 1, 100)
    other = games.derby(rt, wanjiku, question="Kenya v Uganda")
    assert games.bet(rt, amina, other, 1, 20).reason == "betting.limit_loss"

    games.settle(rt, derby, None, proposer=wanjiku, approver=kamau)

    assert isinstance(games.bet(rt, amina, other, 1, 100), Placed)
    assert games.bet(rt, amina, other, 1, 20).reason == "betting.limit_loss"


def test_a_win_that_is_taken_back_is_lost_though_it_was_spent(
    rt, amina, brian, derby, wanjiku, kamau
):
    told(rt, amina, Kind.LOSS, Period.MONTH, 300)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE customer SET auto_cashout = false"))
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)  # 285 come back
    cashier.withdraw(rt, amina, 1_185)  # and nothing is left to take it from

    run = games.decide(rt, derby, 2, proposer=wanjiku, approver=kamau, put=corrections.propose)
    assert settling.work(rt, run.id)

    with rt.transaction() as tx:
        used = tx.scalar(
            text("SELECT limit_used(:c, CAST(3 AS smallint), app_now() - interval '1 day')"),
            {"c": amina.id},
        )
    assert used == 100_00


def test_a_payout_that_came_back_was_not_withdrawn(rt, amina):
    payout_id = cashier.withdraw(rt, amina, 300)
    cashier.withdraw(rt, amina, 200)
    with rt.transaction() as tx:
        back = text("SELECT payout_release(:id, CAST(10 AS smallint), NULL, NULL)")
        tx.execute(back, {"id": payout_id})

    with rt.transaction() as tx:
        (month,) = exclusion.play_history(tx, amina.id)

    assert month.withdrawn == 200_00


@pytest.mark.parametrize(
    "way_round",
    [
        "DELETE FROM play_limit",
        "UPDATE play_limit SET amount = amount * 9",
        "UPDATE wallet SET limited = false",
        "UPDATE play_change SET act = 'nothing'",
        "INSERT INTO play_change (key, customer_id, act, created_at)"
        " SELECT gen_random_uuid(), customer_id, 'limit lifted', now() FROM wallet",
    ],
)
def test_there_is_no_way_round_the_functions(rt, amina, way_round):
    told(rt, amina, Kind.STAKE, Period.DAY, 50)

    with pytest.raises(DBAPIError) as fault, rt.transaction() as tx:
        tx.execute(text(way_round))

    assert fault.value.orig.pgcode == "42501"


def test_a_key_belongs_to_one_decision(rt, amina, brian):
    key = uuid.uuid4()
    taken(rt, amina, "24h", key=key)

    with pytest.raises(DBAPIError) as fault:
        taken(rt, brian, "24h", key=key)

    assert fault.value.orig.pgcode == "HL001"
