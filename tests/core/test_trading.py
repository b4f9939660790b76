"""Pausing a market and moving its closing time while people bet on it."""

import threading
import time
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from core import (
    backers,
    betting,
    categories,
    gsm7,
    jobs,
    market_history,
    markets,
    outbox,
    say,
    settling,
    trading,
)
from core.betting import Placed
from core.effects import Channel
from core.errors import NotSent, Refusal
from core.market_words import QUESTION_LONGEST
from core.messages import Message, MessageState
from core.outbox import Promise, State
from core.staff import Role
from tests import games, people

HOUR = timedelta(hours=1)


@pytest.fixture
def derby(rt, wanjiku):
    return games.derby(rt, wanjiku, closes=3 * HOUR)


def suspend(rt, market, by, reason="Lights are out"):
    with rt.transaction() as tx:
        return trading.suspend(tx, market.code, reason=reason, by=by)


def resume(rt, market, by):
    with rt.transaction() as tx:
        return trading.resume(tx, market.code, by=by, now=rt.now())


def move(rt, market, closes_at, by, reason="Rain"):
    with rt.transaction() as tx:
        return trading.move(
            tx, market.code, closes_at=closes_at, reason=reason, by=by, now=rt.now()
        )


def refused(act, *args, **changes):
    with pytest.raises(Refusal) as refusal:
        act(*args, **changes)
    return refusal.value.reason


def test_a_paused_market_takes_no_bet_until_it_goes_on(rt, derby, amina, wanjiku):
    suspend(rt, derby, wanjiku)
    assert games.bet(rt, amina, derby, 1, 50).reason == "betting.market_suspended"
    assert refused(suspend, rt, derby, wanjiku) == "staff.market_not_open"

    resume(rt, derby, wanjiku)

    games.placed(rt, amina, derby, 1, 50)
    assert refused(resume, rt, derby, wanjiku) == "staff.market_not_suspended"
    with rt.transaction() as tx:
        lines = market_history.of_market(tx, derby.id)
    assert [(line.what, line.by, line.reason) for line in lines[2:]] == [
        ("suspend", "wanjiku", "Lights are out"), ("resume", "wanjiku", ""),
    ]  # fmt: skip
    assert (lines[2].before, lines[2].after) == ({"status": "open"}, {"status": "suspended"})


def test_pausing_and_moving_want_a_reason_and_the_right_role(rt, derby, wanjiku):
    akinyi = people.member(rt, "akinyi", Role.FINANCE)
    later = derby.closes_at + HOUR
    assert refused(suspend, rt, derby, wanjiku, reason="  ") == "staff.reason_missing"
    assert refused(move, rt, derby, later, wanjiku, reason="") == "staff.reason_missing"
    assert refused(suspend, rt, derby, akinyi) == "staff.not_your_role"
    assert refused(resume, rt, derby, akinyi) == "staff.not_your_role"
    assert refused(move, rt, derby, later, akinyi) == "staff.not_your_role"


def test_a_paused_market_closes_at_its_time_and_does_not_go_on_after_it(rt, derby, wanjiku, wait):
    suspend(rt, derby, wanjiku)
    wait(hours=3)
    assert refused(resume, rt, derby, wanjiku) == "staff.closing_passed"
    settling.close_markets(rt)
    with rt.transaction() as tx:
        assert markets.view(tx, derby.id).status == markets.Status.CLOSED
        (*_, last) = market_history.of_market(tx, derby.id)
    assert (last.what, last.by, last.before) == ("close", None, {"status": "suspended"})


@pytest.mark.race
def test_no_bet_comes_in_once_the_pause_has_returned(rt, derby, amina, brian, wanjiku):
    """Each round a bet is on its way while the trader pauses: what is placed later is a fault."""
    for _ in range(15):
        paused, late, gate = threading.Event(), [], threading.Barrier(5)

        def bettor(person, paused=paused, late=late, gate=gate):
            gate.wait()
            for _ in range(4):
                after = paused.is_set()
                if isinstance(games.bet(rt, person, derby, 1, 20), Placed) and after:
                    late.append(person)

        people_ = [amina, brian, amina, brian]
        threads = [threading.Thread(target=bettor, args=(one,)) for one in people_]
        for thread in threads:
            thread.start()
        gate.wait()
        suspend(rt, derby, wanjiku)
        paused.set()
        for thread in threads:
            thread.join()
        assert late == []
        resume(rt, derby, wanjiku)


def test_the_closing_time_moves_while_it_has_not_come(rt, derby, amina, wanjiku, wait):
    later = derby.closes_at + 2 * HOUR
    move(rt, derby, later, wanjiku)
    wait(hours=4)
    games.placed(rt, amina, derby, 1, 50)
    settling.close_markets(rt)
    sooner = rt.now() + timedelta(minutes=5)
    move(rt, derby, sooner, wanjiku, reason="It begins early")
    wait(minutes=5)
    assert games.bet(rt, amina, derby, 1, 50).reason == "betting.market_closed"
    assert refused(move, rt, derby, rt.now() + HOUR, wanjiku) == "staff.market_not_open"
    with rt.transaction() as tx:
        moves = [one for one in market_history.of_market(tx, derby.id) if one.what == "move"]
    assert [one.reason for one in moves] == ["Rain", "It begins early"]
    assert moves[0].after["closes_at"] == moves[1].before["closes_at"] == later.isoformat()


def test_a_closing_time_is_not_moved_into_the_past_or_nowhere(rt, derby, wanjiku):
    assert refused(move, rt, derby, rt.now(), wanjiku) == "staff.closes_too_soon"
    assert refused(move, rt, derby, derby.opens_at, wanjiku) == "staff.closes_too_soon"
    assert refused(move, rt, derby, derby.closes_at, wanjiku) == "staff.nothing_changed"
    games.close(rt, derby, wanjiku)
    assert refused(move, rt, derby, rt.now() + HOUR, wanjiku) == "staff.market_not_open"


@pytest.mark.race
def test_the_clock_does_not_close_what_was_moved_a_moment_ago(rt, derby, wanjiku, wait):
    """The clock lists what is due first: one that is moved in between stays open."""
    wait(hours=2, minutes=59)
    later = rt.now() + HOUR
    with rt.transaction() as tx:
        trading.move(tx, derby.code, closes_at=later, reason="Rain", by=wanjiku, now=rt.now())
        clock = threading.Thread(target=settling.close_markets, args=(rt,))
        with rt.transaction() as other:  # the clock strikes before the move is done
            other.execute(text("UPDATE test_clock SET seconds = seconds + 120"))
        clock.start()
        time.sleep(0.2)
    clock.join()
    with rt.transaction() as tx:
        assert markets.view(tx, derby.id).status == markets.Status.OPEN


def promised(rt, state=None):
    with rt.transaction() as tx:
        found = tx.scalars(select(Promise).where(Promise.kind == backers.KIND).order_by(Promise.id))
        return [one for one in found if state is None or one.state == state]


@pytest.fixture
def texts(rt):
    """What the partner was handed, or the fault it answers with."""
    sent, faults = [], []

    def send(request):
        if faults:
            raise faults.pop()
        sent.append(request)
        return {"receipt": f"AT{len(sent)}", "cost_cents": 80}

    rt.senders = {backers.KIND: send}
    return sent, faults


def place(tx, customer, market):
    """A bet inside a transaction of the test's."""
    return betting.place_bet(
        tx,
        key=uuid.uuid4(),
        customer_id=customer.id,
        market_id=market.id,
        outcome=2,
        stake=50_00,
        channel=Channel.USSD,
        session="test",
        with_pin=True,
        no_pin_limit=0,
    )


def await_lock(rt):
    """Until somebody waits for the bets on a market."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    deadline = time.monotonic() + 30
    while True:
        with rt.transaction() as tx:
            if tx.scalar(waiting):
                return
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


def deliver(rt, state=State.PENDING):
    for promise in promised(rt, state):
        jobs.deliver(promise.id)


def test_every_backer_is_told_once_in_their_language(rt, derby, amina, brian, wanjiku, texts):
    sent, _ = texts
    for person, outcome in ((amina, 1), (amina, 2), (brian, 1)):
        games.placed(rt, person, derby, outcome, 50)
    people.customer(rt, "+254712000003", "Chebet Koech", money=100_00)
    with rt.transaction() as tx:
        tx.merge(brian).lang = "sw"

    move(rt, derby, derby.closes_at + HOUR, wanjiku)
    deliver(rt)
    deliver(rt)

    english, swahili = sorted((one["to"], one["text"]) for one in sent)
    assert english[0] == amina.phone
    assert english[1].startswith(f"Game {derby.code} Gor Mahia v AFC Leopards: betting now closes")
    assert swahili[0] == brian.phone
    assert "sasa kubet kutafungwa" in swahili[1]
    assert {one.state for one in promised(rt)} == {State.SENT}


@pytest.mark.race
def test_who_bets_while_the_texts_are_promised_is_told_too(rt, derby, amina, brian, wanjiku):
    """Brian's bet is on its way, under the old time, when Amina's text is promised."""
    games.placed(rt, amina, derby, 1, 50)
    later = derby.closes_at + HOUR
    with rt.transaction() as bettor:
        assert isinstance(place(bettor, brian, derby), Placed)
        mover = threading.Thread(target=move, args=(rt, derby, later, wanjiku))
        mover.start()
        await_lock(rt)
    mover.join()

    assert sorted(one.customer_id for one in promised(rt)) == sorted([amina.id, brian.id])


def test_a_refused_move_tells_nobody(rt, derby, amina, wanjiku):
    games.placed(rt, amina, derby, 1, 50)
    refused(move, rt, derby, rt.now(), wanjiku)
    assert promised(rt) == []


def test_only_the_last_of_two_moves_is_told(rt, derby, amina, wanjiku, texts):
    sent, faults = texts
    games.placed(rt, amina, derby, 1, 50)
    move(rt, derby, derby.closes_at + HOUR, wanjiku)
    faults.append(NotSent("away"))
    deliver(rt)  # the first is written, and has to be tried again
    move(rt, derby, derby.closes_at + 2 * HOUR, wanjiku)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE promise SET due_at = app_now() - interval '1 second'"))

    deliver(rt)

    assert len(sent) == 1
    assert [one.state for one in promised(rt)] == [State.DROPPED, State.SENT]
    with rt.transaction() as tx:
        states = tx.scalars(select(Message.state).order_by(Message.id)).all()
    assert states == [MessageState.FAILED, MessageState.SENT]


def test_nobody_is_told_of_a_time_that_has_come(rt, derby, amina, wanjiku, texts, wait):
    games.placed(rt, amina, derby, 1, 50)
    move(rt, derby, derby.closes_at + HOUR, wanjiku)
    wait(hours=5)
    deliver(rt)
    assert texts[0] == []
    assert [one.state for one in promised(rt)] == [State.DROPPED]


def test_the_kind_rings_the_messages(rt):
    assert outbox.QUEUE_OF[backers.KIND] == outbox.MESSAGES == backers.ERRAND.queue


@pytest.mark.race
def test_reading_a_market_never_waits_for_a_bet_nor_a_bet_for_a_reader(rt, derby, amina, brian):
    with rt.transaction() as bettor, rt.transaction() as reader:
        assert isinstance(place(bettor, brian, derby), Placed)  # and its transaction goes on
        for _ in range(2):
            assert markets.by_code(reader, derby.code).id == derby.id
            assert [one.id for one in markets.open_list(reader, now=rt.now())] == [derby.id]
            assert categories.with_markets(reader, now=rt.now())[0].markets == 1
            games.placed(rt, amina, derby, 1, 50)  # while the reader's transaction goes on
        locks = text("SELECT DISTINCT mode FROM pg_locks WHERE pid = pg_backend_pid()"
                     " AND locktype <> 'virtualxid'")  # fmt: skip
        assert reader.scalars(locks).all() == ["AccessShareLock"]


def test_the_pool_shown_is_at_most_two_seconds_old(rt, derby, amina):
    """By the tick that strikes each second."""
    (tick,) = [one for one in rt.ticks if one.name == "refresh_pools"]
    games.placed(rt, amina, derby, 1, 50)
    now = rt.now()
    assert now - tick.slot(now) < timedelta(seconds=1)
    tick.work(rt)
    with rt.transaction() as tx:
        assert markets.by_code(tx, derby.code).pool == 50_00


def test_the_text_of_a_moved_closing_time_is_one_sms(rt):
    facts = {"code": 999_999, "question": "W" * QUESTION_LONGEST, "at": rt.now(), "was": rt.now()}
    for lang in say.languages:
        assert gsm7.segments(say.say("betting.closing_moved", lang, **facts)) == 1
