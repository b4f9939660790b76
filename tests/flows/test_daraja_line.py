"""The line to M-PESA over HTTP, from end to end: every product, and the check that staff run."""

import shlex
import time
import uuid
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select

from core import breakers
from core.errors import Rejected, Unknown
from core.inbox import Callback
from core.payments import PayoutState
from core.runtime import OFFSET_SECONDS
from demo.settings import B2C_SHORTCODE, PAYBILL, TILL
from mpesa.daraja import Daraja
from tests import cashier, people, standing
from tests.flows.conftest import MPESA_PIN

SECRETS = (
    "mpesa_consumer_key", "mpesa_consumer_secret", "mpesa_passkey", "mpesa_initiator_password",
)  # fmt: skip


@pytest.fixture
def flask(rt):
    """`flask("sandbox check")`: the exit code, and what was printed."""
    runner = standing.application(rt).test_cli_runner()

    def run(typed):
        result = runner.invoke(args=shlex.split(typed))
        assert "Traceback" not in result.output
        return result.exit_code, result.stdout

    return run


def kept(rt):
    """How many callbacks came through each door."""
    with rt.transaction() as tx:
        return Counter(tx.scalars(select(Callback.door)))


def test_every_product_answers_and_calls_back(rt, network, phone):
    ask, hand = rt.senders, phone(people.AMINA)
    ask["c2b_register"]({})
    by_hand = hand.pay_paybill(150, account="whatever I typed")
    pushed = ask["stk"]({"phone": people.AMINA, "amount": 100_00, "ref": "D5M6XQK"})
    with pytest.raises(Unknown) as said:
        ask["stk_query"](pushed)
    assert said.value.code == "in_flight"
    hand.await_stk()
    hand.enter_mpesa_pin(MPESA_PIN)
    network.drain()
    assert ask["stk_query"](pushed)["code"] == "0"

    payout = {"phone": people.AMINA, "amount": 285_00, "ocid": str(uuid.uuid4())}
    assert ask["b2c"](payout)["conversation_id"]
    with pytest.raises(Unknown) as said:
        ask["b2c"](payout)
    assert said.value.code == "duplicate"

    ask["status_query"]({"receipt": by_hand, "shortcode": PAYBILL})
    ask["status_query"]({"ocid": payout["ocid"], "shortcode": B2C_SHORTCODE})
    ask["balance"]({})
    ask["reversal"]({"receipt": by_hand, "amount": 150_00, "shortcode": PAYBILL})
    network.drain()

    assert kept(rt) == {
        "c2b_confirm": 1, "stk": 1, "b2c_result": 1, "status_result": 2, "balance_result": 1,
        "reversal_result": 1,
    }  # fmt: skip
    assert hand.balance() == 5_000 - 100 + 285


def test_a_pull_finds_what_was_paid_by_hand_and_by_prompt(rt, network, phone):
    ask, hand = rt.senders, phone(people.AMINA)
    by_hand = hand.pay_paybill(150, account="0712000001", deliver=False)
    window = {"start": rt.now() - timedelta(hours=1), "end": rt.now() + timedelta(minutes=5)}

    (row,) = ask["pull"](window)["rows"]

    assert (row["receipt"], row["amount"], row["account"]) == (by_hand, 150_00, "0712000001")
    assert row["phone"] == people.AMINA.removeprefix("+")
    assert ask["pull"](window | {"offset": 1})["rows"] == []
    network.fault("otherKeys", on="pull", times=1)
    assert len(ask["pull"](window)["rows"]) == 1


def test_paybill_addresses_are_registered_once(rt, network):
    network.settings(register_once=True)
    try:
        rt.senders["c2b_register"]({})
        with pytest.raises(Rejected) as said:
            rt.senders["c2b_register"]({})
    finally:
        network.settings(register_once=False)
    assert said.value.code == "registered"


def test_a_till_is_paid_as_a_till(rt, network, phone):
    of_till = Daraja(rt.config.model_copy(update={"mpesa_till_number": TILL}), rt.redis, rt.now)
    of_till.push({"phone": people.AMINA, "amount": 100_00, "ref": "D5M6XQK"})
    phone(people.AMINA).await_stk()
    phone(people.AMINA).enter_mpesa_pin(MPESA_PIN)
    network.drain()

    (line,) = network.transactions(paid_in=True)
    assert (line["shortcode"], line["amount"]) == (TILL, 100)


def test_an_outage_is_sat_out_and_whoever_asked_during_it_is_paid_after_it(
    rt, network, phone, work, wait, amina
):
    network.fault("dropConnectionBeforeProcessing", "b2c", times=5)
    doubted = [cashier.withdraw(rt, amina, 100) for _ in range(5)]
    work()
    assert network.armed() == []

    waiting = cashier.withdraw(rt, amina, 300)
    work()
    assert cashier.state(rt, waiting) == PayoutState.QUEUED
    assert network.payouts() == []
    assert breakers.open_for(rt.redis, "b2c", now=rt.now())

    wait(seconds=40)
    time.sleep(OFFSET_SECONDS)  # until every clock of the house has seen it
    work()
    assert cashier.state(rt, waiting) == PayoutState.PAID
    assert {cashier.state(rt, payout) for payout in doubted} == {PayoutState.IN_DOUBT}
    assert phone(people.AMINA).balance() == 5_300
    assert len(network.payouts()) == 1
    assert not breakers.open_for(rt.redis, "b2c", now=rt.now())


def test_the_check_says_a_line_for_each_step_and_no_secret(rt, network, flask):
    code, words = flask("sandbox check")

    assert code == 0, words
    assert [line.split()[0] for line in words.splitlines()] == [
        "account", "oauth", "balance", "status_query", "c2b_register", "stk",
    ]  # fmt: skip
    assert words.count("not tried") == 2
    assert no_secret(rt, words)
    assert network.books()["transactions"] == []


def test_the_check_waits_for_the_answers_at_our_doors(rt, flask, phone, network):
    network.settings(stk_timeout=0.1)
    try:
        code, words = flask(f"sandbox check --phone {people.AMINA} --register --wait 20")
    finally:
        network.settings(stk_timeout=60)

    assert code == 0, words
    assert words.count(" result ") == 3
    assert kept(rt) == {"balance_result": 1, "status_result": 1, "stk": 1}
    assert no_secret(rt, words)


def test_the_check_fails_where_m_pesa_does_not_know_us(rt, network, flask):
    network.settings(consumer_secret="another")
    try:
        code, words = flask("sandbox check --phone 0712000001 --register")
    finally:
        network.settings(consumer_secret=rt.config.mpesa_consumer_secret.get_secret_value())

    assert code == 1
    assert "oauth                not sent   token" in words
    assert words.count("not tried") == 4
    assert no_secret(rt, words)


def test_the_check_tells_of_an_answer_that_never_comes(rt, network, flask):
    network.fault("losesCallback", on="balance", times=1)

    code, words = flask("sandbox check --wait 1")

    assert code == 1
    assert "nothing came to /balance; is PUBLIC_URL reachable?" in words
    assert "came to /status" in words


def no_secret(rt, words):
    secrets = [getattr(rt.config, name) for name in SECRETS]
    tokens = [*rt.config.daraja_hook_token, *rt.config.c2b_hook_token, *secrets]
    return not [secret for secret in tokens if secret.get_secret_value() in words]
