"""Jobs: promises kept by real workers, one send each, whatever doubles, fails or comes late."""

import json
import threading
import zlib
from datetime import timedelta

import pytest

from core import jobs, sweeps
from core.errors import NotSent, Rejected, Unknown
from core.outbox import Promise, State
from core.runtime import Runtime
from tests.core.diary import found, make, work_off


def test_a_promise_is_begun_sent_and_finished(rt: Runtime, diary, partner):
    promised = make(rt)

    jobs.deliver(promised)

    assert partner.asked == [1]
    assert diary == [("begin", State.SENDING, 1), ("finish", State.SENDING, "Sent")]
    assert (found(rt, promised).state, found(rt, promised).receipt) == (State.SENT, "R1")


def test_the_bell_reaches_a_worker_and_leaves_nothing_in_redis(rt: Runtime, diary, partner):
    promised = make(rt)

    work_off(rt, "messages")

    assert partner.asked == [1]
    assert found(rt, promised).state == State.SENT
    assert rt.redis.keys("rq:job:*") == []


def test_a_job_is_json_and_holds_ids_only(rt: Runtime, diary, partner):
    promised = make(rt)

    job_id = rt.queues["messages"].job_ids[0]
    data = rt.redis.hget(f"rq:job:{job_id}", "data")
    assert isinstance(data, bytes)
    written = json.loads(zlib.decompress(data))

    assert written == ["core.jobs.deliver", None, [promised], {}]


def test_ten_bells_for_one_promise_send_once(rt: Runtime, diary, partner):
    promised = make(rt)
    for _ in range(9):
        rt.ring("messages", promised)

    work_off(rt, "messages")

    assert partner.asked == [1]


def test_two_workers_on_one_promise_send_once(rt: Runtime, diary, partner):
    promised = make(rt, "b2c")
    start = threading.Barrier(6, timeout=60)

    def hurry():
        start.wait()
        jobs.deliver(promised)

    crowd = [threading.Thread(target=hurry) for _ in range(6)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(20)

    assert partner.asked == [1]


def test_many_promises_on_one_bell_are_each_sent_once(rt: Runtime, diary, partner):
    promised = [make(rt, message=n) for n in range(40)]

    jobs.deliver(*promised)

    assert sorted(partner.asked) == list(range(40))
    assert {found(rt, one).state for one in promised} == {State.SENT}


def test_no_transaction_is_open_while_a_partner_is_asked(rt: Runtime, diary, partner):
    held = []

    def slow(request):
        held.append(rt.engine.pool.status())
        return {}

    rt.senders = {"sms": slow}
    jobs.deliver(make(rt))

    assert "Current Checked out connections: 0" in held[0]


def test_what_was_not_sent_is_tried_again_later(rt: Runtime, diary, partner):
    partner.answer = NotSent("connection refused")
    promised = make(rt)

    jobs.deliver(promised)

    waiting = found(rt, promised)
    assert (waiting.state, waiting.attempts) == (State.PENDING, 1)
    assert timedelta(0) < waiting.due_at - rt.now() <= rt.config.send_retry[0]
    jobs.deliver(promised)
    assert len(partner.asked) == 1  # not before its time

    partner.answer = {"receipt": "R2"}
    with rt.transaction() as tx:
        tx.get_one(Promise, promised).due_at = rt.now()
    jobs.deliver(promised)
    assert found(rt, promised).receipt == "R2"
    assert [entry[0] for entry in diary] == ["begin", "finish", "begin", "finish"]


@pytest.mark.parametrize(
    ("error", "state"),
    [(Rejected("no such account"), State.REJECTED), (Unknown("timed out"), State.UNKNOWN)],
)
def test_what_was_refused_or_is_in_doubt_is_never_sent_again(
    rt: Runtime, diary, partner, error, state
):
    partner.answer = error
    promised = make(rt, "b2c")

    jobs.deliver(promised)
    jobs.deliver(promised)
    sweeps.sweep(rt)
    work_off(rt, "money", "default")

    assert len(partner.asked) == 1
    assert found(rt, promised).state == state
    assert diary[-1] == ("finish", State.SENDING, type(error).__name__)


def test_a_bug_in_a_sender_leaves_doubt_and_is_raised(rt: Runtime, diary, partner):
    partner.answer = KeyError("ConversationID")
    promised = make(rt, "b2c")

    with pytest.raises(KeyError):
        jobs.deliver(promised)

    assert found(rt, promised).state == State.UNKNOWN
    assert found(rt, promised).error == "Unknown  fault: KeyError"
    assert diary[-1] == ("finish", State.SENDING, "Unknown")


def test_one_bad_promise_stops_no_other_of_its_bell(rt: Runtime, diary, partner):
    def picky(request):
        if request["message"] == 3:
            raise KeyError("Recipients")
        return {"receipt": "ok"}

    rt.senders = {"sms": picky}
    promised = [make(rt, message=n) for n in range(6)]

    with pytest.raises(KeyError):
        jobs.deliver(*promised)

    states = [found(rt, one).state for one in promised]
    assert states == [State.UNKNOWN if n == 3 else State.SENT for n in range(6)]


def test_a_promise_that_cannot_be_begun_waits_and_is_raised(rt: Runtime, diary, partner):
    promised = make(rt)
    diary.fault = KeyError("phone")

    with pytest.raises(KeyError):
        jobs.deliver(promised)

    waiting = found(rt, promised)
    assert (waiting.state, waiting.attempts) == (State.PENDING, 1)
    assert waiting.error == "fault: KeyError"
    assert waiting.due_at > rt.now()
    assert partner.asked == []


def test_what_is_not_wanted_any_more_is_dropped(rt: Runtime, diary, partner):
    diary.wanted = False
    promised = make(rt)

    jobs.deliver(promised)

    assert found(rt, promised).state == State.DROPPED
    assert partner.asked == []
