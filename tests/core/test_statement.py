"""A customer's statement: every filter, paged without a gap, and the words of each line."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from core import gsm7, say, statement
from core.payments import DepositState
from core.statement import Cursor, Kind, Line, Period, State
from tests import affairs, games, teller

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)  # a Saturday


@pytest.fixture
def busy(rt, amina, brian, wanjiku, kamau):
    """Amina has a line of every sort."""
    affairs.of(rt, amina, brian, wanjiku, kamau)


def told(rt, customer, **asked):
    """The lines in a word each, newest first, page by page."""
    found, cursor = [], Cursor()
    with rt.transaction() as tx:
        while cursor:
            page = statement.page(tx, customer.id, cursor=cursor, limit=3, **asked)
            found += page.lines
            cursor = page.older
    return [f"{line.word} {line.amount // 100} {line.state.value}" for line in found]


def test_the_whole_story_is_told_newest_first(rt, amina, busy):
    assert told(rt, amina) == [
        "deposit 95 failed",
        "deposit 90 done",
        "deposit 80 waiting",
        "returned 60 done",
        "payout -70 waiting",
        "payout -60 failed",
        "stake -50 waiting",
        "won 285 done",
        "stake -100 done",
        "adjustment 500 done",
        "adjustment 1000 done",
    ]


def test_it_is_told_by_kind_by_state_and_by_both(rt, amina, busy):
    assert told(rt, amina, kind=Kind.DEPOSIT) == [
        "deposit 95 failed", "deposit 90 done", "deposit 80 waiting",
    ]  # fmt: skip
    assert told(rt, amina, kind=Kind.BET) == [
        "stake -50 waiting",
        "won 285 done",
        "stake -100 done",
    ]
    assert told(rt, amina, kind=Kind.PAYOUT, state=State.FAILED) == ["payout -60 failed"]
    assert told(rt, amina, kind=Kind.OTHER) == ["adjustment 500 done", "adjustment 1000 done"]
    assert told(rt, amina, state=State.WAITING) == [
        "deposit 80 waiting", "payout -70 waiting", "stake -50 waiting",
    ]  # fmt: skip
    assert told(rt, amina, state=State.FAILED) == ["deposit 95 failed", "payout -60 failed"]


def test_it_is_told_by_the_nairobi_calendar(rt, amina, busy, wait):
    wait(days=3)
    affairs.failed(rt, amina, 11)
    wait(days=40)
    affairs.failed(rt, amina, 12)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE deposit SET created_at = created_at"))
    since = {period: period.since(rt.now()) for period in Period}
    assert told(rt, amina, since=since[Period.TODAY]) == ["deposit 12 failed"]
    assert told(rt, amina, since=rt.now() - timedelta(days=42)) == [
        "deposit 12 failed", "deposit 11 failed",
    ]  # fmt: skip


def test_a_period_begins_at_midnight_in_nairobi():
    begins = {period: period.since(NOW).astimezone(UTC) for period in Period}
    assert begins == {
        Period.TODAY: datetime(2026, 11, 20, 21, tzinfo=UTC),
        Period.WEEK: datetime(2026, 11, 14, 21, tzinfo=UTC),
        Period.MONTH: datetime(2026, 10, 31, 21, tzinfo=UTC),
    }


def test_money_that_may_not_be_played_waits_for_its_way_back(rt, amina):
    teller.exclude(rt, amina)
    affairs.deposited(rt, amina, 90, "QAB1234567")
    with rt.transaction() as tx:
        (line, fund) = statement.page(tx, amina.id).lines
    assert (line.word, line.state, line.receipt, line.seq) == (
        "deposit", State.WAITING, "QAB1234567", None,
    )  # fmt: skip
    assert fund.balance == 1_000_00


def test_one_line_is_only_ever_ones_own(rt, amina, brian, busy):
    with rt.transaction() as tx:
        lines = statement.page(tx, amina.id).lines
        for line in lines:
            where = {"deposit": line.ref} if line.seq is None else {"seq": line.seq}
            assert statement.one(tx, amina.id, **where) == line
            assert line.seq or statement.one(tx, brian.id, **where) is None
        assert statement.one(tx, amina.id, seq=99) is None
        arrived = next(line for line in lines if line.receipt == "QAB1234567")
        assert statement.one(tx, amina.id, deposit=arrived.ref) is None


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_pages_of_any_size_miss_nothing_and_repeat_nothing(rt, amina, busy, data):
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=11, max_size=11))
    asked = {
        "kind": data.draw(st.none() | st.sampled_from(Kind)),
        "state": data.draw(st.none() | st.sampled_from(State)),
    }
    with rt.transaction() as tx:
        whole = statement.page(tx, amina.id, limit=100, **asked).lines
        found, cursor = [], Cursor()
        while cursor:
            page = statement.page(tx, amina.id, cursor=cursor, limit=sizes.pop(), **asked)
            found += page.lines
            cursor = page.older
    assert sorted(map(str, found)) == sorted(map(str, whole))
    assert len(set(found)) == len(found)


def test_a_receipt_that_is_dated_back_hides_no_line(rt, amina, wanjiku):
    """M-PESA's time is older than the bets before it: the lines keep the order of the wallet."""
    derby = games.derby(rt, wanjiku)
    for stake in (20, 25, 30):
        games.placed(rt, amina, derby, 1, stake)
    asked = affairs.stored(rt, amina, 40, DepositState.PROMPTED)
    with rt.transaction() as tx:
        tx.execute(
            text("""SELECT credit_receipt('QAB1234567', '600000', 4000, 1::smallint, :deposit,
                                          app_now() - interval '2 days', true)"""),
            {"deposit": asked},
        )
    affairs.stored(rt, amina, 50, DepositState.PROMPTED, at=rt.now() - timedelta(days=1))
    lines = told(rt, amina)
    assert len(lines) == len(set(lines)) == 6
    moves = [line for line in lines if line != "deposit 50 waiting"]
    assert moves == [
        "deposit 40 done", "stake -30 waiting", "stake -25 waiting", "stake -20 waiting",
        "adjustment 1000 done",
    ]  # fmt: skip


@pytest.mark.parametrize("lang", say.languages)
def test_five_of_the_longest_lines_are_two_texts_at_most(lang):
    worst = Line(
        seq=1, kind=Kind.BET, word="refund", state=State.WAITING, amount=-999_999_999_99, balance=0,
        at=NOW, ref=1, code=999_999, name=None, receipt=None, reason=None,
    )  # fmt: skip
    usual = Line(**vars(worst) | {"word": "stake", "state": State.DONE, "amount": -1_000_00})
    for line, segments in ((worst, 2), (usual, 1)):
        lines = "\n".join(line.words(lang) for _ in range(statement.SHORT))
        said = say.say("sms.statement", lang, lines=lines, balance=abs(line.amount))
        assert gsm7.segments(said) <= segments, said


def test_every_move_has_its_words():
    for word in (*statement.WORDS.values(), "other"):
        for lang in say.languages:
            assert say.say(f"money.move_{word}", lang, code=101)
    moves = [move for kind in Kind for move in statement.MOVES[kind]]
    assert sorted(moves) == sorted(statement.TransferKind)
