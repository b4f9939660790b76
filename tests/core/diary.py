"""An errand that writes down what it is told, a partner to ask, and workers that die of it."""

import uuid
from datetime import timedelta

import pytest
from rq import SimpleWorker
from sqlalchemy import func, update

from core import jobs, outbox
from core.outbox import Promise, Sent, State


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
