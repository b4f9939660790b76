"""The inbox: callbacks kept raw and sealed, acted on once, and stuck rather than lost."""

import threading
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from rq import SimpleWorker
from sqlalchemy import select, update
from structlog.testing import capture_logs

from core import errands, inbox, jobs, sweeps
from core.crypto import Unopenable
from core.inbox import Callback, State
from core.outbox import Promise
from core.runtime import Runtime

BODY = b'{"Body": {"stkCallback": {"ResultCode": 0}}}'


@pytest.fixture
def taken(monkeypatch):
    """What a processor was given; it fails for as long as the test says so."""
    taken: list[dict[str, Any]] = []
    faults: list[Exception] = []

    def take(tx, payload, now):
        if faults:
            raise faults[0]
        taken.append(payload)
        return "credited"

    monkeypatch.setitem(errands.PROCESSORS, "stk", take)
    monkeypatch.setitem(errands.PROCESSORS, "sms_delivery", take)
    return taken, faults


def keep(rt, body=BODY, door="stk"):
    with rt.transaction() as tx:
        return inbox.keep(tx, door, body, keys=rt.config.data_keys, now=rt.now())


def found(rt, callback_id) -> Callback:
    with rt.transaction() as tx:
        return tx.get_one(Callback, callback_id)


def hurry(rt, callback_id):
    """Its wait is over."""
    with rt.transaction() as tx:
        row = update(Callback).where(Callback.id == callback_id)
        tx.execute(row.values(due_at=rt.now() - timedelta(seconds=1)))


def test_a_callback_is_kept_sealed_and_acted_on_by_a_job(rt: Runtime, taken):
    kept = keep(rt)

    row = found(rt, kept)
    assert row.state == State.NEW
    assert "stkCallback" not in row.body
    assert row.sha256 == sha256(BODY).digest()

    SimpleWorker([rt.queues["money"]], connection=rt.redis, serializer="json").work(burst=True)

    assert taken[0] == [{"Body": {"stkCallback": {"ResultCode": 0}}}]
    done = found(rt, kept)
    assert (done.state, done.verdict, done.attempts) == (State.DONE, "credited", 1)
    assert done.done_at is not None


def test_a_body_opens_in_its_own_row_only(rt: Runtime):
    one, other = keep(rt), keep(rt)
    stolen = found(rt, one).body
    with rt.transaction() as tx:
        tx.execute(update(Callback).where(Callback.id == other).values(body=stolen))

    with pytest.raises(Unopenable):
        inbox.read(found(rt, other), keys=rt.config.data_keys)


def test_delivery_reports_wait_behind_no_payment(rt: Runtime, taken):
    keep(rt)
    keep(rt, door="sms_delivery")

    assert [job.func_name for job in rt.queues["money"].jobs] == ["core.jobs.process"]
    assert [job.func_name for job in rt.queues["messages"].jobs] == ["core.jobs.process"]


def test_a_callback_is_acted_on_once_however_often_the_bell_rings(rt: Runtime, taken):
    kept = keep(rt)
    start = threading.Barrier(6, timeout=60)

    def ring():
        start.wait()
        jobs.process(kept)

    crowd = [threading.Thread(target=ring) for _ in range(6)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(20)
    jobs.process(kept, kept)

    assert len(taken[0]) == 1


def test_the_act_and_the_done_mark_commit_together(rt: Runtime, monkeypatch):
    def take(tx, payload, now):
        tx.add(
            Promise(kind="sms", key="0" * 32, payload={}, due_at=now, created_at=now, attempts=0)
        )
        tx.flush()
        raise KeyError("MpesaReceiptNumber")

    monkeypatch.setitem(errands.PROCESSORS, "stk", take)
    kept = keep(rt)

    with pytest.raises(KeyError):
        jobs.process(kept)

    with rt.transaction() as tx:
        assert tx.scalars(select(Promise)).all() == []
    assert found(rt, kept).state == State.NEW


def test_a_callback_that_fails_waits_and_is_found_by_the_sweeper(rt: Runtime, taken):
    done, faults = taken
    faults.append(KeyError("ResultCode"))
    kept = keep(rt)
    with pytest.raises(KeyError):
        jobs.process(kept)
    rt.redis.flushall()

    sweeps.sweep(rt)
    assert rt.queues["money"].count == 0  # its time has not come
    assert found(rt, kept).error == "KeyError"

    faults.clear()
    hurry(rt, kept)
    sweeps.sweep(rt)
    SimpleWorker([rt.queues["money"]], connection=rt.redis, serializer="json").work(burst=True)

    assert len(done) == 1
    assert (found(rt, kept).state, found(rt, kept).attempts) == (State.DONE, 2)
    assert found(rt, kept).error is None


def test_five_failures_leave_it_stuck_with_an_alert_and_staff_run_it_again(rt: Runtime, taken):
    done, faults = taken
    faults.append(KeyError("ResultCode"))
    kept = keep(rt)
    with capture_logs() as lines:
        for _ in range(inbox.TRIES):
            with pytest.raises(KeyError):
                jobs.process(kept)
            hurry(rt, kept)

    alerts = [line for line in lines if line["log_level"] == "error"]
    assert [line["event"] for line in alerts] == ["callback stuck"]
    assert found(rt, kept).state == State.STUCK
    jobs.process(kept)
    sweeps.sweep(rt)
    assert done == []

    faults.clear()
    with rt.transaction() as tx:
        assert inbox.again(tx, kept, now=rt.now())
    jobs.process(kept)
    assert found(rt, kept).state == State.DONE
    assert len(done) == 1
    with rt.transaction() as tx:
        assert not inbox.again(tx, kept, now=rt.now())


def test_a_callback_that_kills_its_workers_gets_stuck_too(rt: Runtime, monkeypatch):
    class Killed(BaseException):
        pass

    def take(tx, payload, now):
        raise Killed

    monkeypatch.setitem(errands.PROCESSORS, "stk", take)
    kept = keep(rt)
    for _ in range(inbox.TRIES):
        with pytest.raises(Killed):
            jobs.process(kept)
        hurry(rt, kept)

    jobs.process(kept)

    assert found(rt, kept).state == State.STUCK


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[1, 2]", b"\xff\xfe", b"null", b'"text"', b"[" * 16_000]
)
def test_what_cannot_be_read_is_kept_and_acted_on_by_nobody(rt: Runtime, taken, body):
    kept = keep(rt, body)

    jobs.process(kept)

    assert taken[0] == []
    assert (found(rt, kept).state, found(rt, kept).verdict) == (State.DONE, inbox.UNREADABLE)


def test_redis_lost_between_the_answer_and_the_work_loses_nothing(rt: Runtime, taken):
    kept = [keep(rt) for _ in range(70)]
    rt.redis.flushall()

    sweeps.sweep(rt)
    SimpleWorker([rt.queues["money"]], connection=rt.redis, serializer="json").work(burst=True)

    assert {found(rt, one).state for one in kept} == {State.DONE}
    assert len(taken[0]) == 70
