"""Texts out: put into words once, sent as promised, and what the gateway said of them."""

import threading
import uuid
from typing import Any

import pytest
from sqlalchemy import Text, cast, func, select, update

from core import codes, gsm7, jobs, messages, outbox, postman
from core.codes import Purpose
from core.customers import Customer
from core.errors import NotSent, PartnerError, Rejected, Unknown
from core.messages import DeliveryReport, Message, MessageState
from core.outbox import Promise, State
from core.runtime import Runtime
from tests.core import sign_up
from tests.people import AMINA


class Gateway:
    """The outside world of these tests: takes every text, unless the test says otherwise."""

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt
        self.texts: list[str] = []
        self.fault: PartnerError | None = None
        rt.senders = {"sms": self.send}

    def send(self, request: Any) -> dict[str, Any]:
        assert set(request) == {"to", "text"}
        self.texts.append(request["text"])
        if self.fault:
            raise self.fault
        return {"receipt": f"ATXid_{len(self.texts)}", "cost_cents": 80}

    def work(self) -> None:
        """Keep every promise that is due."""
        with self.rt.transaction() as tx:
            due = outbox.due(tx, outbox.MESSAGES, now=self.rt.now(), limit=100)
        if due:
            jobs.deliver(*due)


@pytest.fixture
def gateway(rt: Runtime) -> Gateway:
    return Gateway(rt)


def tell(rt: Runtime, amount: int = 100_00, **changes: Any) -> int:
    facts: dict[str, Any] = {
        "to": AMINA, "lang": "en", "sentence": "sms.balance", "facts": {"balance": amount},
        "key": uuid.uuid4(), "now": rt.now(),
    } | changes  # fmt: skip
    with rt.transaction() as tx:
        return messages.text(tx, **facts)


def found(rt: Runtime, number: int) -> Message:
    with rt.transaction() as tx:
        return tx.get_one(Message, number)


def promises(rt: Runtime) -> list[Promise]:
    with rt.transaction() as tx:
        return list(tx.scalars(select(Promise).order_by(Promise.id)))


def test_a_text_is_put_into_words_and_sent_once(rt: Runtime, gateway: Gateway) -> None:
    number = tell(rt)
    gateway.work()
    gateway.work()
    sent = found(rt, number)
    assert gateway.texts == [sent.body]
    assert sent.body is not None
    assert sent.body.startswith("Your balance is KES 100.")
    assert (sent.state, sent.gateway_id, sent.cost_cents, sent.segments) == (
        MessageState.SENT, "ATXid_1", 80, 1,
    )  # fmt: skip
    assert promises(rt)[0].receipt == "ATXid_1"


def test_the_same_key_is_the_same_text(rt: Runtime, gateway: Gateway) -> None:
    key = uuid.uuid4()
    assert tell(rt, key=key) == tell(rt, 200_00, key=key)
    gateway.work()
    assert len(gateway.texts) == 1
    assert "KES 100." in gateway.texts[0]


def test_names_are_folded_and_segments_counted(rt: Runtime) -> None:
    facts = {"name": "Wanjikũ “Fenerbahçe” " * 6, "age": 18}
    sent = found(rt, tell(rt, sentence="sms.ask_accept", facts=facts))
    assert sent.body is not None
    assert gsm7.is_gsm7(sent.body)
    assert "Wanjiku" in sent.body
    assert sent.segments == 2


def test_a_text_due_later_waits(rt: Runtime, gateway: Gateway, wait) -> None:
    now = rt.now()
    tell(rt, due_at=now.replace(year=now.year + 1))
    gateway.work()
    assert gateway.texts == []


def test_what_is_not_sent_is_sent_later_in_the_same_words(
    rt: Runtime, gateway: Gateway, wait
) -> None:
    number = tell(rt)
    gateway.fault = NotSent("502", code="502")
    gateway.work()
    assert found(rt, number).state == MessageState.WAITING
    gateway.fault = None
    wait(minutes=5)
    gateway.work()
    assert (len(gateway.texts), len(set(gateway.texts))) == (2, 1)
    assert found(rt, number).state == MessageState.SENT


def test_what_nobody_takes_for_most_of_a_day_is_given_up(rt: Runtime, gateway, wait) -> None:
    number = tell(rt)
    gateway.fault = NotSent("502", code="502")
    for _ in range(postman.MOST_TRIES + 3):
        gateway.work()
        wait(hours=2)
    assert len(gateway.texts) == postman.MOST_TRIES
    assert (found(rt, number).state, found(rt, number).reason) == (
        MessageState.FAILED, "tried too often",
    )  # fmt: skip
    assert promises(rt)[0].state == State.DROPPED


def test_what_is_refused_is_never_sent_again(rt: Runtime, gateway: Gateway, wait) -> None:
    number = tell(rt)
    gateway.fault = Rejected("406 UserInBlacklist", code="406")
    gateway.work()
    wait(days=1)
    gateway.work()
    assert len(gateway.texts) == 1
    refused = found(rt, number)
    assert (refused.state, refused.reason) == (MessageState.FAILED, "406")
    assert refused.ended_at is not None


def test_in_doubt_the_same_text_goes_out_again_twice_at_most(
    rt: Runtime, gateway: Gateway, wait
) -> None:
    number = tell(rt)
    gateway.fault = Unknown("no answer", code="no_answer")
    for _ in range(6):
        gateway.work()
        wait(minutes=5)
    assert (len(gateway.texts), len(set(gateway.texts))) == (1 + postman.MOST_DOUBTS, 1)
    assert {one.state for one in promises(rt)} == {State.UNKNOWN}
    assert found(rt, number).state == MessageState.WAITING


def test_a_doubt_that_was_a_yes_costs_no_second_text(rt: Runtime, gateway: Gateway, wait) -> None:
    """The first try's answer came after all, before the second was due."""
    number = tell(rt)
    gateway.fault = Unknown("no answer")
    gateway.work()
    with rt.transaction() as tx:
        messages.accepted(tx, number, gateway_id="ATXid_1", cost_cents=80, now=rt.now())
    gateway.fault = None
    wait(minutes=5)
    gateway.work()
    assert len(gateway.texts) == 1
    assert promises(rt)[-1].state == State.DROPPED


def test_a_worker_that_died_over_a_text_is_no_reason_to_keep_silent(rt, gateway) -> None:
    number = tell(rt)
    (promise,) = promises(rt)
    with rt.transaction() as tx:
        assert outbox.claim(tx, promise.id, now=rt.now())
        tx.execute(
            update(Promise).values(claimed_at=func.clock_timestamp() - rt.config.sending_stuck * 2)
        )
    jobs.recover(promise.id)
    gateway.work()
    assert len(gateway.texts) == 1
    assert found(rt, number).state == MessageState.SENT


def send_code(rt: Runtime) -> tuple[int, str]:
    """A code for someone who has done all but that; its message, and its digits."""
    now = rt.now()
    customer_id = sign_up.begin(rt, now=now)
    sign_up.give_all(rt, customer_id, now=now)
    with rt.transaction() as tx:
        customer = tx.get_one(Customer, customer_id)
        code = codes.send(tx, customer=customer, purpose=Purpose.KYC, now=now)
    with rt.transaction() as tx:
        number = tx.scalars(select(Message.id).where(Message.code_id == code.id)).one()
    return number, codes.derive(rt.config, code.id, customer.phone, code.purpose)


def test_a_code_is_in_the_text_and_in_no_table(rt: Runtime, gateway: Gateway, capsys) -> None:
    number, digits = send_code(rt)
    gateway.work()
    assert gateway.texts[0].startswith(f"Your code is {digits}.")
    sent = found(rt, number)
    assert (sent.body, sent.segments, sent.state) == (None, 1, MessageState.SENT)
    with rt.transaction() as tx:
        written = [
            *tx.scalars(select(cast(Promise.payload, Text))),
            *tx.scalars(select(cast(Promise.receipt, Text) + Promise.kind)),
            *tx.execute(select(Message.sentence, Message.body, Message.status, Message.reason)),
        ]
    assert not [one for one in written if digits in str(one)]
    out = capsys.readouterr()
    assert digits not in out.out + out.err


def test_a_code_is_sent_again_with_the_same_digits_and_not_once_it_is_out_of_date(
    rt: Runtime, gateway: Gateway, wait
) -> None:
    number, digits = send_code(rt)
    gateway.fault = NotSent("502", code="502")
    gateway.work()
    wait(minutes=1)
    gateway.work()
    assert [digits in text for text in gateway.texts] == [True, True]
    wait(minutes=11)
    gateway.fault = None
    gateway.work()
    assert len(gateway.texts) == 2
    assert found(rt, number).reason == "code out of date"


def test_a_report_that_overtakes_the_answer_is_not_lost(rt: Runtime, gateway: Gateway) -> None:
    number = tell(rt)
    with rt.transaction() as tx:
        verdict = messages.take_report(tx, {"id": "ATXid_1", "status": "Success"}, rt.now())
    assert verdict == "orphan"
    gateway.work()
    assert found(rt, number).state == MessageState.DELIVERED


@pytest.mark.race
def test_answer_and_report_at_the_same_instant_find_each_other(rt: Runtime) -> None:
    for turn in range(20):
        number, name = tell(rt), f"ATXid_{turn}"

        def answer(number: int = number, name: str = name) -> None:
            with rt.transaction() as tx:
                messages.accepted(tx, number, gateway_id=name, cost_cents=80, now=rt.now())

        def report(name: str = name) -> None:
            with rt.transaction() as tx:
                messages.take_report(tx, {"id": name, "status": "Success"}, rt.now())

        both = [threading.Thread(target=answer), threading.Thread(target=report)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        assert found(rt, number).state == MessageState.DELIVERED


ORDER = ["Sent", "Submitted", "Buffered", "AbsentSubscriber", "Failed"]


def test_reports_only_move_forward_and_an_end_stays(rt: Runtime) -> None:
    states = [messages.REPORTED[word.lower()] for word in ORDER]
    assert states == sorted(states)
    for first in ["Success", "Failed", "Rejected", "Expired"]:
        number = tell(rt)
        with rt.transaction() as tx:
            messages.accepted(tx, number, gateway_id=f"id-{first}", cost_cents=None, now=rt.now())
            messages.take_report(tx, {"id": f"id-{first}", "status": first}, rt.now())
            ended = found_in(tx, number)
            for later in [*ORDER, "Success", "Rejected", "Expired", "Unheard-of"]:
                assert messages.take_report(
                    tx, {"id": f"id-{first}", "status": later}, rt.now()
                ) == "late"  # fmt: skip
            assert found_in(tx, number) == ended
    with rt.transaction() as tx:
        assert tx.scalar(select(func.count()).select_from(DeliveryReport)) == 4 * 10


def found_in(tx: Any, number: int) -> tuple[int, str | None]:
    message = tx.get_one(Message, number)
    return message.state, message.status


def test_stop_is_kept_until_start(rt: Runtime) -> None:
    with rt.transaction() as tx:
        messages.opt_out(tx, AMINA, source="text", now=rt.now())
        messages.opt_out(tx, AMINA, source="network", now=rt.now())
        assert messages.opted_out(tx, AMINA)
        messages.opt_in(tx, AMINA)
        messages.opt_in(tx, AMINA)
        assert not messages.opted_out(tx, AMINA)
