"""Ticks: each slot once, however many clocks; a missed one caught up; one fault stops no other."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from redis.exceptions import ConnectionError as RedisGone
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from core import jobs, stamp, ticks, timetable
from core.runtime import Runtime, Tick
from core.ticks import Struck, daily, every

HOUR = timedelta(hours=1)
HOURLY = every(HOUR)


def moment(text_):
    return datetime.fromisoformat(text_).replace(tzinfo=UTC)


def leap(rt, seconds):
    with rt.transaction() as tx:
        stamp.set_clock(tx, seconds)


def ticking(struck, **more):
    return Tick("count", HOURLY, lambda rt: struck.append(1), **more)


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        ("2026-11-20 10:00:00", "2026-11-20 10:00:00"),
        ("2026-11-20 10:59:59", "2026-11-20 10:00:00"),
        ("2026-11-20 11:00:00", "2026-11-20 11:00:00"),
    ],
)
def test_slots_of_an_hour(now, slot):
    assert every(HOUR)(moment(now)) == moment(slot)


@pytest.mark.parametrize(
    ("now", "slot"),
    [  # three in the morning in Nairobi is midnight UTC
        ("2026-11-20 00:00:00", "2026-11-20 00:00:00"),
        ("2026-11-19 23:59:59", "2026-11-19 00:00:00"),
        ("2026-11-20 21:30:00", "2026-11-20 00:00:00"),
    ],
)
def test_slots_of_a_day_in_nairobi(now, slot):
    assert daily(3)(moment(now)) == moment(slot)


def test_a_slot_is_struck_once(rt: Runtime):
    struck: list[int] = []
    tick = ticking(struck)

    assert ticks.strike(rt, tick)
    assert not ticks.strike(rt, tick)

    assert len(struck) == 1
    with rt.transaction() as tx:
        assert tx.scalar(select(Struck.name)) == "count"


def test_two_clocks_strike_a_slot_once(rt: Runtime):
    struck: list[int] = []
    won: list[bool] = []
    inside = threading.Event()

    def slow(rt):
        struck.append(1)
        inside.wait(0.3)

    tick = Tick("slow", HOURLY, slow)
    start = threading.Barrier(6, timeout=60)

    def clock():
        start.wait()
        won.append(ticks.strike(rt, tick))

    crowd = [threading.Thread(target=clock) for _ in range(6)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(20)

    assert len(struck) == 1
    assert sorted(won) == [False] * 5 + [True]


def test_two_clocks_over_many_slots_strike_each_once(rt: Runtime):
    struck: Counter[datetime] = Counter()
    mine = threading.local()

    def slot(now):
        mine.slot = every(timedelta(milliseconds=200))(now)
        return mine.slot

    tick = Tick("quick", slot, lambda rt: struck.update([mine.slot]))
    stop = threading.Event()

    def clock():
        while not stop.is_set():
            ticks.strike(rt, tick)

    crowd = [threading.Thread(target=clock) for _ in range(3)]
    for thread in crowd:
        thread.start()
    stop.wait(1.5)
    stop.set()
    for thread in crowd:
        thread.join(20)

    assert len(struck) >= 5
    assert set(struck.values()) == {1}


def test_a_slot_missed_while_no_clock_ran_is_caught_up_once(rt: Runtime):
    struck: list[int] = []
    tick = ticking(struck)
    ticks.strike(rt, tick)

    leap(rt, 5 * 3_600)
    ticks.strike(rt, tick)
    ticks.strike(rt, tick)

    assert len(struck) == 2


def test_a_clock_that_was_set_back_keeps_striking(rt: Runtime):
    struck: list[int] = []
    tick = ticking(struck)
    leap(rt, 48 * 3_600)
    ticks.strike(rt, tick)

    leap(rt, 0)
    ticks.strike(rt, tick)
    ticks.strike(rt, tick)

    assert len(struck) == 2


def test_a_slot_whose_work_failed_is_done_again(rt: Runtime):
    struck: list[int] = []
    faults = [ValueError("first time")]

    def work(rt):
        if faults:
            raise faults.pop()
        struck.append(1)

    tick = Tick("frail", HOURLY, work)
    with pytest.raises(ValueError, match="first time"):
        ticks.strike(rt, tick)

    assert ticks.strike(rt, tick)
    assert struck == [1]


class Stop(threading.Event):
    """Lets the clock look a number of times, without the seconds between."""

    def __init__(self, looks):
        super().__init__()
        self.looks = looks

    def is_set(self):
        self.looks -= 1
        return self.looks < 0

    def wait(self, timeout=None):
        assert 0 <= timeout <= ticks.BEAT
        return False


def watch(rt, its_ticks, *, looks):
    rt.ticks = its_ticks
    with capture_logs():  # faults are logged with their trace, which takes longer than they do
        ticks.run(rt, Stop(looks))


@pytest.mark.parametrize("away", [OperationalError("", {}, Exception()), RedisGone()])
def test_a_world_that_is_away_stops_no_tick_however_long(rt: Runtime, away):
    struck: list[int] = []

    def gone(rt):
        raise away

    watch(rt, [Tick("gone", HOURLY, gone), ticking(struck)], looks=20)

    assert len(struck) == 1


def test_a_bug_in_one_tick_lets_the_others_strike_and_is_raised_in_the_end(rt: Runtime):
    struck: list[int] = []
    tries: list[int] = []

    def buggy(rt):
        tries.append(1)
        raise KeyError("slot")

    with pytest.raises(KeyError):
        watch(rt, [Tick("buggy", HOURLY, buggy), ticking(struck)], looks=20)

    assert len(tries) == ticks.PATIENCE
    assert len(struck) == 1


def test_a_bug_now_and_then_is_forgiven(rt: Runtime):
    tries: list[int] = []

    def moody(rt):
        tries.append(1)
        if len(tries) % 3:
            raise KeyError("slot")

    tick = Tick("moody", every(timedelta(microseconds=1)), moody)
    watch(rt, [tick], looks=20)

    assert len(tries) == 20


def test_a_long_tick_is_rung_for_and_done_by_a_worker_once(rt: Runtime):
    struck: list[int] = []
    tick = ticking(struck, queue="default")

    watch(rt, [tick], looks=3)
    assert struck == []
    assert [(j.func_name, list(j.args)) for j in rt.queues["default"].jobs] == [
        ("core.jobs.strike", ["count"])
    ]

    jobs.strike("count")
    jobs.strike("count")
    assert struck == [1]
    rt.redis.flushall()
    watch(rt, [tick], looks=3)
    assert rt.queues["default"].count == 0


def test_a_long_tick_whose_bell_was_lost_is_rung_again(rt: Runtime, monkeypatch):
    tick = ticking([], queue="default")
    monkeypatch.setattr(ticks, "AGAIN", 0.0)

    watch(rt, [tick], looks=1)
    rt.redis.flushall()
    watch(rt, [tick], looks=1)

    assert rt.queues["default"].count == 1


def test_the_timetable_names_each_tick_once(rt: Runtime):
    names = [tick.name for tick in timetable.TICKS]

    assert len(set(names)) == len(names)
    for tick in timetable.TICKS:
        assert tick.slot(rt.now()) <= rt.now()
