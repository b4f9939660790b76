"""Jobs: promises kept by real workers, one send each, whatever dies, doubles or comes late."""

import json
import threading
import uuid
import zlib
from datetime import timedelta

import pytest
from rq import SimpleWorker
from sqlalchemy import func, update

from core import errands, jobs, outbox, sweeps
from core.errors import NotSent, Rejected, Unknown
from core.outbox import Errand, Promise, Sent, State
from core.runtime import Runtime


class Partner:
    """The outside world of these tests: a sender whose answer the test chooses."""

    def __init__(self):
        self.asked = []
        self.answer: dict[str, str] | Exception = {"receipt": "R1"}

    def __call__(self, request):
        self.asked.append(request["message"])
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Diary(list):
    """An errand that writes down what it was told."""

    wanted = True
    fault: Exception | None = None

    def begin(self, tx, promise, now):
        if self.fault:
            raise self.fault
        self.append(("begin", promise.state, promise.attempts))
        return dict(promise.payload) if self.wanted else None

    def finish(self, tx, promise, outcome, now):
        name = "Sent" if isinstance(outcome, Sent) else type(outcome.error).__name__
        self.append(("finish", promise.state, name))


@pytest.fixture
def diary(monkeypatch):
    diary = Diary()
    for errand in (
        Errand("sms", "messages", diary.begin, diary.finish, when_lost="again"),
        Errand("b2c", "money", diary.begin, diary.finish, when_lost="unknown"),
    ):
        monkeypatch.setitem(errands.ERRANDS, errand.kind, errand)
    return diary


@pytest.fixture
def partner(rt: Runtime):
    partner = Partner()
    rt.senders = {"sms": partner, "b2c": partner}
    return partner


def make(rt, kind="sms", message=1, **more):
    with rt.transaction() as tx:
        return outbox.promise(
            tx, kind, {"message": message}, key=uuid.uuid4(), now=rt.now(), **more
        )


def found(rt, promise_id) -> Promise:
    with rt.transaction() as tx:
        return tx.get_one(Promise, promise_id)


def age(rt, promise_id):
    """Its worker has been silent for ten minutes."""
    with rt.transaction() as tx:
        aged = func.clock_timestamp() - timedelta(minutes=10)
        tx.execute(update(Promise).where(Promise.id == promise_id).values(claimed_at=aged))


def work_off(rt, *queues):
    for queue in queues:
        SimpleWorker([rt.queues[queue]], connection=rt.redis, serializer="json").work(burst=True)


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
    start = threading.Barrier(6, timeout=10)

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


def test_a_text_whose_worker_died_is_sent_again(rt: Runtime, diary, partner):
    promised = make(rt)
    die_while_sending(rt, promised)

    sweeps.sweep(rt)
    work_off(rt, "default", "messages")

    assert partner.asked == [1]
    assert (found(rt, promised).state, found(rt, promised).attempts) == (State.SENT, 2)


def test_a_text_that_kills_its_workers_is_left_alone(rt: Runtime, diary, partner):
    promised = make(rt)
    for _ in range(jobs.LOST_TRIES):
        die_while_sending(rt, promised)
        jobs.recover(promised)

    assert found(rt, promised).state == State.UNKNOWN
    assert diary[-1] == ("finish", State.SENDING, "Unknown")


def test_a_payout_whose_worker_died_is_in_doubt_and_never_repeated(rt: Runtime, diary, partner):
    promised = make(rt, "b2c")
    die_while_sending(rt, promised)

    sweeps.sweep(rt)
    work_off(rt, "default", "money")
    sweeps.sweep(rt)
    work_off(rt, "default", "money")

    assert partner.asked == []
    assert found(rt, promised).state == State.UNKNOWN
    assert diary == [("begin", State.SENDING, 1), ("finish", State.SENDING, "Unknown")]


def test_a_worker_who_is_merely_slow_is_not_lost(rt: Runtime, diary, partner):
    promised = make(rt, "b2c")
    with rt.transaction() as tx:
        outbox.claim(tx, promised, now=rt.now())

    jobs.recover(promised)

    assert found(rt, promised).state == State.SENDING


def test_an_answer_that_comes_after_the_doubt_is_still_told(rt: Runtime, diary, partner):
    promised = make(rt, "b2c")

    def frozen(request):
        age(rt, promised)
        jobs.recover(promised)
        assert found(rt, promised).state == State.UNKNOWN
        return {"receipt": "AG_1"}

    rt.senders = {"b2c": frozen}
    jobs.deliver(promised)

    assert diary[-1] == ("finish", State.UNKNOWN, "Sent")
    assert (found(rt, promised).state, found(rt, promised).receipt) == (State.SENT, "AG_1")


def test_a_late_no_answer_changes_no_doubt(rt: Runtime, diary, partner):
    promised = make(rt, "b2c")

    def frozen(request):
        age(rt, promised)
        jobs.recover(promised)
        raise NotSent("refused")

    rt.senders = {"b2c": frozen}
    jobs.deliver(promised)

    assert found(rt, promised).state == State.UNKNOWN
    assert len(diary) == 2


def test_a_late_answer_to_a_text_already_sent_again_is_ignored(rt: Runtime, diary, partner):
    promised = make(rt)

    def frozen(request):
        if found(rt, promised).attempts == 1:
            age(rt, promised)
            jobs.recover(promised)
            jobs.deliver(promised)
            return {"receipt": "first"}
        return {"receipt": "second"}

    rt.senders = {"sms": frozen}
    jobs.deliver(promised)

    assert found(rt, promised).receipt == "second"


def test_a_late_answer_before_the_second_sending_saves_it(rt: Runtime, diary, partner):
    promised = make(rt)

    def frozen(request):
        age(rt, promised)
        jobs.recover(promised)
        assert found(rt, promised).state == State.PENDING
        return {"receipt": "first"}

    rt.senders = {"sms": frozen}
    jobs.deliver(promised)
    work_off(rt, "messages")

    assert (found(rt, promised).state, found(rt, promised).receipt) == (State.SENT, "first")
    assert found(rt, promised).attempts == 1


def test_the_sweeper_finds_what_no_bell_told(rt: Runtime, diary, partner):
    promised = [make(rt, message=n) for n in range(120)]
    rt.redis.flushall()

    sweeps.sweep(rt)

    assert rt.queues["messages"].count == 2  # in batches, not one by one
    work_off(rt, "messages")
    assert sorted(partner.asked) == list(range(120))
    assert {found(rt, one).state for one in promised} == {State.SENT}


def test_the_sweeper_does_not_flood_a_queue_that_is_full(rt: Runtime, diary, partner):
    promised = make(rt)
    for _ in range(sweeps.FULL):
        rt.ring("messages", promised)
    before = rt.queues["messages"].count

    sweeps.sweep(rt)

    assert rt.queues["messages"].count == before


def die_while_sending(rt, promised):
    """A worker claims the promise and is gone; nothing of it is heard for ten minutes."""

    class Killed(BaseException):
        pass

    def kill(request):
        raise Killed

    rt.senders, before = dict.fromkeys(rt.senders, kill), rt.senders
    with pytest.raises(Killed):
        jobs.deliver(promised)
    rt.senders = before
    assert found(rt, promised).state == State.SENDING
    age(rt, promised)
