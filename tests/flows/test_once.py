"""Whatever comes twice acts once, and is answered alike."""

import threading

import pytest
from sqlalchemy import text

from tests import games, people
from tests.flows import acts


@pytest.fixture
def derby(rt):
    return games.derby(rt, people.member(rt, "wanjiku"))


@pytest.fixture
def amina(rt, phone):
    people.customer(rt, people.AMINA, "Amina Wanjiru", money=1_000_00)
    return phone(people.AMINA)


def count(rt, table):
    with rt.transaction() as tx:
        return tx.scalar(text(f"SELECT count(*) FROM {table}"))


def test_the_hop_that_places_a_bet_at_the_same_instant_and_late(rt, amina, derby):
    amina.dial().press("1", "3", str(derby.code), "1", "50")
    amina.press("1").sees("placed")

    replies = amina.repeat_hop(copies=5)

    assert set(replies) == {amina.reply}
    assert count(rt, "bet") == 1
    assert acts.wallets(rt, amina) == [950_00]


def test_a_late_copy_of_an_earlier_hop_gets_its_own_screen(rt, amina, derby):
    amina.dial().press("1", "3", str(derby.code), "1", "50")
    confirming = amina.reply
    amina.press("1").sees("placed")

    assert amina.repeat_hop(back=1) == [confirming]
    assert count(rt, "bet") == 1


def test_one_text_delivered_again_and_again(rt, amina, derby, work):
    amina.text(f"{derby.code}#1#50", copies=5)
    amina.repeat_text(copies=3)
    work()

    assert count(rt, "bet") == 1
    assert len(amina.inbox()) == 1


def test_a_callback_three_times_and_before_the_answer(rt, network, phone, work):
    people.customer(rt, people.AMINA, "Amina Wanjiru")
    amina = phone(people.AMINA)
    network.fault("callbackBeforeAck", "stk")
    amina.text("DEP 100")
    work()
    for callback in network.callbacks("stk"):
        network.post(f"/callbacks/{callback['id']}/replay", times=3)
    work()

    assert acts.wallets(rt, amina) == [100_00]
    assert count(rt, "mpesa_receipt") == 1
    assert sum("received" in sms.text for sms in amina.inbox()) == 1


def test_fifty_wrong_pins_at_once_over_http(rt, amina, network, work):
    """By text, each a withdrawal: three are checked, the rest find the door locked."""
    texts = [
        threading.Thread(target=lambda: amina.text(f"W#100#{people.WRONG_PIN}")) for _ in range(50)
    ]
    for thread in texts:
        thread.start()
    for thread in texts:
        thread.join()

    with rt.transaction() as tx:
        tried = tx.execute(text("SELECT pin_tried, pin_locked_until FROM customer")).one()
    assert tried.pin_tried == 3
    assert tried.pin_locked_until > rt.now()
    assert acts.wallets(rt, amina) == [1_000_00]
    amina.text(f"W#100#{people.PIN}")  # right, and too late
    work()
    assert acts.wallets(rt, amina) == [1_000_00]
    assert count(rt, "payout") == 0


def test_a_session_lost_after_a_wrong_pin_stops_before_the_pin(rt, amina):
    amina.dial().press("4", "100").sees("PIN")
    amina.press(people.WRONG_PIN).sees("PIN")
    rt.redis.flushdb()

    amina.press("1")

    assert count(rt, "payout") == 0
    assert acts.wallets(rt, amina) == [1_000_00]
    with rt.transaction() as tx:
        assert tx.scalar(text("SELECT pin_tried FROM customer")) == 1


def test_a_direct_dial_never_reaches_an_effect(rt, amina, derby):
    code = derby.code
    for path in (f"1*3*{code}*1*50*1", f"1*3*{code}*1*50", "3*100*1", f"4*100*{people.PIN}*1"):
        amina.dial(f"*384*7*{path}#").sees("CON")
        amina.hang_up()

    assert [count(rt, table) for table in ("bet", "deposit", "payout")] == [0, 0, 0]
    with rt.transaction() as tx:
        assert tx.scalar(text("SELECT pin_tried FROM customer")) == 0
