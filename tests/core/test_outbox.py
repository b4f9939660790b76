"""The outbox: promises made once, claimed by one, released together, found however old."""

import threading
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from core import outbox
from core.errors import NotSent, Rejected, Unknown
from core.outbox import Failed, Promise, Release, Sent, State
from core.runtime import Runtime

WAITS = (timedelta(seconds=4), timedelta(seconds=60))


def make(rt, kind="sms", *, key=None, **more):
    with rt.transaction() as tx:
        return outbox.promise(
            tx, kind, {"message": 7}, key=key or uuid.uuid4(), now=rt.now(), **more
        )


def found(rt, promise_id) -> Promise:
    with rt.transaction() as tx:
        return tx.get_one(Promise, promise_id)


def claim(rt, promise_id, *, later=timedelta(0)):
    with rt.transaction() as tx:
        return outbox.claim(tx, promise_id, now=rt.now() + later)


def close(rt, promise_id, outcome, *, attempt=1, now=None):
    """Claim it, ask, and write down `outcome`."""
    now = now or rt.now()
    with rt.transaction() as tx:
        assert outbox.claim(tx, promise_id, now=now)
        promise = outbox.hold_for_finish(tx, promise_id, attempt)
        assert promise
        outbox.close(promise, outcome, now=now, waits=WAITS)
        return promise


def due(rt, queue="messages", *, later=timedelta(0), limit=100):
    with rt.transaction() as tx:
        return outbox.due(tx, queue, now=rt.now() + later, limit=limit)


def test_one_key_makes_one_promise(rt: Runtime):
    key = uuid.uuid4()

    first = make(rt, key=key)
    again = make(rt, key=key)

    assert again == first
    with rt.transaction() as tx:
        assert tx.scalar(select(func.count(Promise.id))) == 1


def test_a_key_promises_one_kind_of_thing_only(rt: Runtime):
    key = uuid.uuid4()
    make(rt, key=key)

    with pytest.raises(AssertionError, match="already promises sms"):
        make(rt, "b2c", key=key)


def test_two_who_promise_under_one_key_at_once_make_one(rt: Runtime):
    key, made = uuid.uuid4(), []
    start = threading.Barrier(8, timeout=60)

    def hurry():
        start.wait()
        made.append(make(rt, key=key))

    crowd = [threading.Thread(target=hurry) for _ in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(20)

    assert len(made) == 8
    assert len(set(made)) == 1


def test_a_promise_is_claimed_by_one_worker_however_many_try(rt: Runtime):
    promised = make(rt)
    start, won = threading.Barrier(8, timeout=60), []

    def hurry():
        start.wait()
        if claimed := claim(rt, promised):
            won.append(claimed.attempts)

    crowd = [threading.Thread(target=hurry) for _ in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(20)

    assert won == [1]
    assert found(rt, promised).state == State.SENDING


def test_what_is_not_due_cannot_be_claimed_yet(rt: Runtime):
    promised = make(rt, due_at=rt.now() + timedelta(minutes=1))

    assert claim(rt, promised) is None
    assert claim(rt, promised, later=timedelta(minutes=2)) is not None


def test_everything_due_is_found_however_old_and_the_oldest_first(rt: Runtime):
    now = rt.now()
    fresh = make(rt, due_at=now)
    ancient = make(rt, due_at=now - timedelta(days=40))
    make(rt, due_at=now + timedelta(minutes=5))
    make(rt, "b2c")

    assert due(rt) == [ancient, fresh]
    assert due(rt, limit=1) == [ancient]
    assert len(due(rt, "money")) == 1


def test_held_promises_go_together_when_their_settlement_is_released(rt: Runtime):
    held = [make(rt, settlement_id=5), make(rt, settlement_id=5)]
    other = make(rt, settlement_id=6)
    written = [found(rt, one).state for one in held]

    assert written == [State.HELD, State.HELD]
    assert due(rt) == []
    assert claim(rt, held[0]) is None

    with rt.transaction() as tx:
        outbox.release(tx, 5, now=rt.now())
        outbox.release(tx, 5, now=rt.now())

    assert due(rt) == held
    assert claim(rt, held[0]) is not None
    assert claim(rt, other) is None
    assert found(rt, held[1]).state == State.HELD  # nothing was rewritten to release it


def test_a_release_is_forgotten_when_nothing_is_held_by_it(rt: Runtime):
    held = make(rt, settlement_id=5)
    with rt.transaction() as tx:
        outbox.release(tx, 5, now=rt.now())

    def forget():
        with rt.transaction() as tx:
            outbox.forget_releases(tx)
        with rt.transaction() as tx:
            return list(tx.scalars(select(Release.settlement_id)))

    assert forget() == [5]
    claim(rt, held)
    assert forget() == []


@pytest.mark.parametrize(
    ("error", "state"),
    [(Rejected("no", code="2001"), State.REJECTED), (Unknown("silence"), State.UNKNOWN)],
)
def test_a_failure_that_is_no_accident_ends_the_promise(rt: Runtime, error, state):
    promised = make(rt)
    close(rt, promised, Failed(error))

    ended = found(rt, promised)
    assert (ended.state, ended.attempts) == (state, 1)
    assert ended.done_at is not None
    assert ended.error == f"{type(error).__name__} {error.code or ''} {error.detail}"
    assert due(rt, later=timedelta(days=1)) == []


def test_what_was_not_sent_waits_longer_each_time_and_keeps_count(rt: Runtime):
    promised = make(rt)
    waited = []
    for attempt in (1, 2, 3):
        now = rt.now() + timedelta(hours=attempt)
        put_off = close(rt, promised, Failed(NotSent("refused")), attempt=attempt, now=now)
        waited.append(put_off.due_at - now)

    assert WAITS[0] / 2 <= waited[0] <= WAITS[0]
    assert all(WAITS[1] / 2 <= wait <= WAITS[1] for wait in waited[1:])
    assert found(rt, promised).state == State.PENDING
    assert found(rt, promised).attempts == 3


def test_what_was_not_sent_is_tried_again_when_the_partner_said(rt: Runtime):
    promised, now, hour = make(rt), rt.now(), timedelta(hours=1)
    full = NotSent("our own limit", code="rate", retry_after=hour)

    assert close(rt, promised, Failed(full), now=now).due_at == now + hour


def test_the_wait_is_bounded_and_spread():
    waits = {outbox.wait(1_000, WAITS) for _ in range(50)}

    assert max(waits) <= WAITS[-1]
    assert len(waits) > 10


def test_a_worker_who_lost_its_promise_cannot_finish_it(rt: Runtime):
    promised = make(rt)
    claim(rt, promised)
    with rt.transaction() as tx:
        outbox.reopen(tx, tx.get_one(Promise, promised), now=rt.now())
    claim(rt, promised)

    with rt.transaction() as tx:
        assert outbox.hold_for_finish(tx, promised, 1) is None
        assert outbox.hold_for_finish(tx, promised, 2) is not None


def test_only_those_who_were_sending_for_too_long_are_lost(rt: Runtime):
    slow, dead = make(rt), make(rt)
    claim(rt, slow)
    claim(rt, dead)
    with rt.transaction() as tx:
        aged = func.clock_timestamp() - timedelta(minutes=3)
        tx.execute(update(Promise).where(Promise.id == dead).values(claimed_at=aged))

    with rt.transaction() as tx:
        assert outbox.lost(tx, after=timedelta(minutes=2)) == [dead]


def test_a_test_clock_that_leaps_kills_no_worker(rt: Runtime):
    promised = make(rt)
    claim(rt, promised)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE test_clock SET seconds = 86400"))

    with rt.transaction() as tx:
        assert outbox.lost(tx, after=timedelta(minutes=2)) == []


def test_the_receipt_of_what_was_sent_is_kept(rt: Runtime):
    promised = make(rt)
    close(rt, promised, Sent({"receipt": "ATXid_1"}))

    assert found(rt, promised).state == State.SENT
    assert found(rt, promised).receipt == "ATXid_1"


def test_the_database_knows_that_a_sending_promise_has_a_worker(rt: Runtime):
    promised = make(rt)

    with pytest.raises(Exception, match="ck_promise_claimed"), rt.transaction() as tx:
        tx.execute(update(Promise).where(Promise.id == promised).values(state=State.SENDING))


def test_the_many_of_a_settlement_and_the_few_who_ask_go_side_by_side(rt: Runtime):
    big = [make(rt, settlement_id=5) for _ in range(20)]
    small = [make(rt) for _ in range(20)]
    little = [make(rt, settlement_id=6) for _ in range(2)]
    with rt.transaction() as tx:
        outbox.release(tx, 5, now=rt.now())
        outbox.release(tx, 6, now=rt.now())

    found = due(rt, limit=10)

    assert found == [*small[:5], big[0], little[0], big[1], little[1], big[2]]
    assert due(rt, limit=30) == [*small[:15], big[0], little[0], big[1], little[1], *big[2:13]]
    assert len(due(rt)) == 42


def test_either_has_all_where_the_other_wants_nothing(rt: Runtime):
    small = [make(rt) for _ in range(8)]
    assert due(rt, limit=6) == small[:6]

    big = [make(rt, "result", settlement_id=5) for _ in range(8)]
    with rt.transaction() as tx:
        outbox.release(tx, 5, now=rt.now())
        tx.execute(
            update(Promise).where(Promise.kind == "sms").values(state=State.SENT, done_at=rt.now())
        )
    assert due(rt, limit=6) == big[:6]
