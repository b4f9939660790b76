"""The SMS doors: who gets in, what may be posted, and what is kept of it."""

import json
import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Text, cast, func, select

from core import inbox, jobs, messages
from core.customers import Customer
from core.inbound import InboundText
from core.inbox import Callback
from core.messages import Message, MessageState
from core.outbox import Promise
from core.pins import Found, PinAttempt
from core.runtime import Runtime
from tests.people import AMINA, STRANGER, WRONG_PIN
from tests.sms.phone import Phone, at_once, door, path

TEXT = {"id": "ATXid_1", "from": AMINA, "to": "22384", "text": "BAL"}


def count(rt: Runtime, table: type) -> int:
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(table)) or 0


def test_only_the_aggregator_gets_in(rt: Runtime) -> None:
    client = door(rt)
    other = {"REMOTE_ADDR": "203.0.113.9"}
    assert client.post("/hooks/" + "0" * 64 + "/sms", data=TEXT).status_code == 404
    assert client.post(path(rt), data=TEXT, environ_overrides=other).status_code == 403
    assert client.post(path(rt), json=TEXT).status_code == 415
    assert client.post(path(rt), data={**TEXT, "text": "x" * 17_000}).status_code == 413
    assert client.get(path(rt)).status_code == 405
    assert count(rt, InboundText) == 0


def test_a_text_without_its_id_or_sender_is_refused_and_not_kept(rt: Runtime) -> None:
    for gone in ("id", "from"):
        form = {name: value for name, value in TEXT.items() if name != gone}
        for wrong in (form, {**form, gone: ""}, {**form, gone: "9" * 101}):
            assert door(rt).post(path(rt), data=wrong).status_code == 400
    assert count(rt, InboundText) == 0


def test_fields_that_are_not_always_sent_may_be_missing(rt: Runtime, amina: Customer) -> None:
    form = {"id": "ATXid_1", "from": AMINA}
    assert door(rt).post(path(rt), data=form).status_code == 200
    assert count(rt, InboundText) == 1


def test_bytes_that_are_no_text_are_read_as_far_as_they_can_be(rt: Runtime) -> None:
    for number, raw in enumerate((b"%FF%FE", b"%00W%00", b"%ED%A0%80", b"a=&b")):
        body = b"id=%d&from=%%2B254712000009&text=" % number + raw
        kind = "application/x-www-form-urlencoded"
        assert door(rt).post(path(rt), data=body, content_type=kind).status_code == 200
    unreadable = door(rt).post(path(rt), data=b"id=9&text=\xff", content_type=kind)
    assert unreadable.status_code == 400
    assert count(rt, InboundText) == 4


def test_nothing_that_can_be_typed_makes_the_door_fail(rt: Runtime, amina: Customer) -> None:
    client, number = door(rt), iter(range(1_000_000))

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.text(max_size=300) | st.text("0123456789#* ,XWDBET\n", max_size=80),
        st.sampled_from([AMINA, STRANGER]) | st.text(min_size=1, max_size=20),
        st.text(max_size=30),
    )
    def fuzz(words: str, sender: str, short_code: str) -> None:
        form = {"id": f"f{next(number)}", "from": sender, "to": short_code, "text": words}
        assert client.post(path(rt), data=form).status_code in (200, 400)

    fuzz()


def test_a_repeat_from_another_thread_waits_and_does_nothing(rt: Runtime, amina: Customer) -> None:
    at_once(rt, AMINA, ["BAL"] * 6, id="one")
    assert (count(rt, InboundText), count(rt, Message)) == (1, 1)


def test_no_more_guesses_are_looked_at_than_the_lock_allows(rt: Runtime, amina: Customer) -> None:
    """Fifty wrong PINs at once, each in a text of its own."""
    at_once(rt, AMINA, [f"W 100 {WRONG_PIN}"] * 50)
    with rt.transaction() as tx:
        tried = tx.execute(
            select(PinAttempt.state, func.count().label("times")).group_by(PinAttempt.state)
        ).all()
    assert {row.state: row.times for row in tried} == {Found.WRONG: 3, Found.LOCKED: 47}


def test_a_text_under_a_known_id_with_another_pin_is_a_try_of_its_own(
    rt: Runtime, amina: Customer
) -> None:
    """A forger who repeats an id gets no verdict for free; the house answers the first text."""
    phone = Phone(rt, AMINA)
    first = phone.text(f"W 100 {WRONG_PIN}", id="one")
    assert phone.text("W 100 4826", id="one") == first
    assert len(phone.inbox()) == 1


def sent(rt: Runtime, gateway_id: str = "ATXid_out") -> int:
    """A message that the gateway has taken."""
    with rt.transaction() as tx:
        number = messages.text(
            tx, to=AMINA, lang="en", sentence="sms.cancel", facts={}, key=uuid.uuid4(), now=rt.now()
        )
        messages.accepted(tx, number, gateway_id=gateway_id, cost_cents=80, now=rt.now())
    return number


def state(rt: Runtime, number: int) -> tuple[MessageState, str | None]:
    with rt.transaction() as tx:
        message = tx.get_one(Message, number)
        return MessageState(message.state), message.status


def report(rt: Runtime, status: str, **more: str) -> None:
    form = {"id": "ATXid_out", "status": status, "phoneNumber": AMINA, "networkCode": "63902"}
    response = door(rt).post(path(rt, "sms/delivery"), data=form | more)
    assert (response.status_code, response.data) == (200, b"")
    with rt.transaction() as tx:
        waiting = inbox.due(tx, now=rt.now(), limit=100)
    jobs.process(*(number for _, number in waiting))


def test_reports_move_a_message_forward_only(rt: Runtime) -> None:
    number = sent(rt)
    for status, became in (
        ("Buffered", MessageState.BUFFERED),
        ("Submitted", MessageState.BUFFERED),
        ("AbsentSubscriber", MessageState.ABSENT),
        ("Success", MessageState.DELIVERED),
        ("Sent", MessageState.DELIVERED),
        ("Failed", MessageState.DELIVERED),
    ):
        report(rt, status)
        assert state(rt, number)[0] == became


def test_a_report_that_nobody_can_read_is_kept_and_never_raised(rt: Runtime) -> None:
    number = sent(rt)
    report(rt, "Teleported", failureReason="?")
    assert state(rt, number) == (MessageState.SENT, "Teleported")
    report(rt, "Success", id="ATXid_unknown")
    report(rt, "")
    report(rt, "Success", id="x" * 5_000)
    with rt.transaction() as tx:
        verdicts = tx.scalars(select(Callback.verdict).order_by(Callback.id)).all()
    assert verdicts == ["unknown status", "orphan", "unreadable", "unreadable"]


def test_a_reason_for_failure_is_kept(rt: Runtime) -> None:
    number = sent(rt)
    report(rt, "Failed", failureReason="NotNetworkSubcriber")
    with rt.transaction() as tx:
        message = tx.get_one(Message, number)
        assert (message.state, message.reason) == (MessageState.FAILED, "NotNetworkSubcriber")
        assert message.ended_at is not None


def test_what_a_report_says_is_sealed_where_it_waits(rt: Runtime) -> None:
    report(rt, "Success")
    with rt.transaction() as tx:
        (kept,) = tx.scalars(select(Callback))
        assert AMINA not in kept.body
        opened = inbox.read(kept, keys=rt.config.data_keys)
    assert opened is not None
    assert opened["phoneNumber"] == AMINA
    json.dumps(opened)


def test_an_opt_out_from_the_network_is_honoured(rt: Runtime, amina: Customer) -> None:
    client = door(rt)
    form = {"senderId": "HOUSE", "phoneNumber": AMINA}
    assert client.post(path(rt, "sms/optout"), data=form).status_code == 200
    assert client.post(path(rt, "sms/optout"), data=form).status_code == 200
    with rt.transaction() as tx:
        assert messages.opted_out(tx, AMINA)
    wrong = client.post(path(rt, "sms/optout"), data={"phoneNumber": "nobody"})
    assert wrong.status_code == 400


def test_no_pin_and_no_code_that_was_typed_is_kept(rt: Runtime) -> None:
    phone = Phone(rt, STRANGER)
    for words in ("JOIN Amina Wanjiku", "ACCEPT 14021991", "PIN 7306 7306"):
        phone.text(words)
    code = phone.code()
    for words in (f"VERIFY {code}", "my pin is 7306 you know", "101#1#50 7306 now", "W 5O 7306"):
        phone.text(words)
    with rt.transaction() as tx:
        kept = [
            *tx.scalars(select(InboundText.masked)),
            *tx.scalars(select(Message.body).where(Message.body.is_not(None))),
            *tx.scalars(select(cast(Promise.payload, Text))),
        ]
    assert len(kept) > 20
    for secret in ("7306", code, "14021991"):
        assert not [line for line in kept if secret in line]
