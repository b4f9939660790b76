"""Workers that die while they send, answers that come too late, and bells that nobody heard."""

from datetime import timedelta

from core import jobs, outbox, sweeps
from core.errors import NotSent
from core.outbox import State
from core.runtime import Runtime
from tests.core.diary import age, die_while_sending, found, make, work_off


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


def test_a_worker_that_was_frozen_before_it_asked_asks_no_more(rt: Runtime, diary, partner):
    promised, patience = make(rt, "b2c"), rt.config
    rt.config = patience.model_copy(update={"sending_stuck": timedelta(0)})
    jobs.deliver(promised)
    rt.config = patience
    assert (partner.asked, found(rt, promised).state) == ([], State.SENDING)

    age(rt, promised)
    jobs.recover(promised)

    assert found(rt, promised).state == State.UNKNOWN


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
