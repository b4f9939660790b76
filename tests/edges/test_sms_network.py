"""Texts both ways over the simulated aggregator's wire: its forms in, our SDK out, its reports."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.serving import make_server

from core import inbox, jobs, messages, outbox
from core.betting import Bet
from core.customers import Customer
from core.messages import Message, MessageState
from core.runtime import Runtime
from simulator.driver import Network, Phone
from simulator.server import running
from simulator.settings import Settings
from sms.gateway import Aggregator
from tests import games
from tests.ground import config_for
from tests.people import AMINA, PIN
from tests.sms import phone as doors


@pytest.fixture(scope="module")
def world() -> Iterator[str]:
    with running(Settings(port=0, answer_delay=0, retry_first=0.02)) as base:
        yield base


@pytest.fixture
def network(rt: Runtime, urls, world: str) -> Iterator[Network]:
    """The simulated world, calling this house and called by it."""
    rt.config = config_for(urls, AT_BASE_URL=world)
    rt.senders = Aggregator(rt.config).senders()
    server = make_server("127.0.0.1", 0, doors.door(rt).application, threaded=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    serving.start()
    house, network = f"http://127.0.0.1:{server.server_port}", Network(world)
    network.reset()
    network.settings(
        at_username=rt.config.at_username,
        at_api_key=rt.config.at_api_key.get_secret_value(),
        sender_ids=rt.config.at_sender_id,
        sms_callback=house + doors.path(rt),
        delivery_callback=house + doors.path(rt, "sms/delivery"),
        optout_callback=house + doors.path(rt, "sms/optout"),
    )
    yield network
    network.drain()
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def phone(network: Network, world: str, amina: Customer) -> Phone:
    return Phone(AMINA, world)


def work(rt: Runtime, network: Network) -> None:
    """Everything on its way arrives, and the workers do all that is due."""
    network.drain()
    with rt.transaction() as tx:
        due = outbox.due(tx, outbox.MESSAGES, now=rt.now(), limit=100)
        told = inbox.due(tx, now=rt.now(), limit=100)
    if due:
        jobs.deliver(*due)
        network.drain()
        with rt.transaction() as tx:
            told = inbox.due(tx, now=rt.now(), limit=100)
    jobs.process(*(number for _, number in told))


def state(rt: Runtime) -> tuple[MessageState, int | None]:
    with rt.transaction() as tx:
        (message,) = tx.scalars(select(Message))
        return MessageState(message.state), message.cost_cents


def test_a_bet_by_text_from_the_phone_to_the_receipt_that_arrives(
    rt: Runtime, network: Network, phone: Phone, wanjiku
) -> None:
    games.derby(rt, wanjiku)
    phone.text("101#YES#50", copies=3)
    work(rt, network)
    receipt = phone.await_sms("placed: KES 50 on Yes")
    assert (receipt.sender, receipt.segments) == (rt.config.at_sender_id, 1)
    assert state(rt) == (MessageState.DELIVERED, 80)
    assert len(phone.inbox()) == 1
    phone.repeat_text(copies=2)
    work(rt, network)
    assert len(phone.inbox()) == 1
    with rt.transaction() as tx:
        assert tx.scalar(select(func.count()).select_from(Bet)) == 1


def test_what_goes_wrong_on_the_way_out_is_what_its_words_mean(
    rt: Runtime, network: Network, phone: Phone, wait
) -> None:
    faults: list[tuple[str, dict[str, Any], int, MessageState]] = [
        ("invalidSenderId", {}, 1, MessageState.DELIVERED),
        ("recipientStatus", {"code": 502}, 1, MessageState.DELIVERED),
        ("recipientStatus", {"code": 403}, 0, MessageState.FAILED),
        ("dropConnectionBeforeProcessing", {}, 1, MessageState.DELIVERED),
        ("losesSync", {}, 2, MessageState.DELIVERED),  # at least once, in the same words
        ("http500AfterExecuting", {}, 2, MessageState.DELIVERED),
    ]
    for fault, params, sends, became in faults:
        before = len(phone.inbox())
        network.fault(fault, on="sms", **params)
        phone.text("BAL")
        for _ in range(3):
            work(rt, network)
            wait(minutes=10)
        got = phone.inbox()[before:]
        assert (len(got), len({text.text for text in got})) == (sends, min(sends, 1)), fault
        with rt.transaction() as tx:
            last = tx.scalars(select(Message).order_by(Message.id.desc()).limit(1)).one()
        assert last.state == became, fault


def test_reports_out_of_order_and_of_nobody_do_no_harm(
    rt: Runtime, network: Network, phone: Phone
) -> None:
    network.fault("deliveryStatus", on="delivery", statuses="Success,Buffered,Teleported")
    phone.text("BAL")
    work(rt, network)
    work(rt, network)
    assert state(rt)[0] == MessageState.DELIVERED


def test_who_opted_out_of_the_sender_is_not_asked_twice(
    rt: Runtime, network: Network, phone: Phone
) -> None:
    phone.opt_out(rt.config.at_sender_id)
    network.drain()
    with rt.transaction() as tx:
        assert messages.opted_out(tx, AMINA)
    phone.text(f"W 100 {PIN}")
    work(rt, network)
    assert state(rt)[0] == MessageState.FAILED
    assert phone.inbox() == []
