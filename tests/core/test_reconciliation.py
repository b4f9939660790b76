"""What the statements cover, and what stands on one side only."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from core import reconciliation
from core.staff import Role
from core.statement_lines import Bucket, StatementFile, StatementLine
from demo.settings import B2C_SHORTCODE, PAYBILL
from tests import people
from tests.counts import chosen
from tests.finance import bring_in, keep, post, sweep_lines
from tests.portal import CHARGED, SENT, Move, later, statement

PLACES, EDGES = st.integers(0, 9), st.sampled_from([-1, 0, 1])


@pytest.fixture
def finance(rt):
    return [people.member(rt, name, Role.FINANCE) for name in ("fatuma", "otieno")]


@pytest.fixture
def dawn(rt):
    """Midnight in Nairobi, three days ago."""
    today = rt.now().astimezone(reconciliation.NAIROBI)
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=3)


def moves(dawn, *hours, amount=10_00):
    """A movement at each of these hours."""
    return [
        Move(f"SKC{round(hour * 100):07}", amount, dawn + timedelta(hours=hour)) for hour in hours
    ]


def covers(rt, dawn, start, end, shortcode=PAYBILL):
    with rt.transaction() as tx:
        return reconciliation.covers(
            tx, shortcode, dawn + timedelta(hours=start), dawn + timedelta(hours=end)
        )


def gaps(rt):
    with rt.transaction() as tx:
        found = reconciliation.gaps(tx, now=rt.now())
    return [(one.side, one.what, one.receipt, one.amount, one.why) for one in found]


def test_what_is_covered_reaches_from_line_to_line(rt, finance, dawn):
    bring_in(rt, finance, statement(moves(dawn, 2, 8, 20)))
    assert covers(rt, dawn, 3, 19)
    assert covers(rt, dawn, 8, 8)
    assert not covers(rt, dawn, 1, 19)
    assert not covers(rt, dawn, 3, 21)
    assert not covers(rt, dawn, 2, 19), "the second of the first line may be cut in two"
    assert not covers(rt, dawn, 3, 20)
    assert not covers(rt, dawn, 3, 19, B2C_SHORTCODE)
    assert not covers(rt, dawn, 23, 23.5), "the file says the whole day, and proves less"


def test_two_files_cover_what_is_between_only_where_they_overlap(rt, finance, dawn):
    first, second = moves(dawn, 2, 8, 20), moves(dawn, 25, 30)
    bring_in(rt, finance, statement(first))
    bring_in(rt, finance, statement(second, opening=30_00))
    assert not covers(rt, dawn, 3, 29), "from 20 to 25 something may have come and gone"
    both = statement([first[2], *second], opening=20_00)
    bring_in(rt, finance, both)
    assert not covers(rt, dawn, 3, 29), "they share a second, which either may have cut"
    bring_in(rt, finance, statement([*first[1:], second[0]], opening=10_00))
    assert covers(rt, dawn, 3, 29)
    with rt.transaction() as tx:
        assert len(reconciliation.spans(tx, PAYBILL)) == 1
        assert reconciliation.spans(tx, PAYBILL, "working") == []


@settings(
    deadline=None,
    max_examples=chosen().schedules // 3,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.sampled_from([0, 1, 1_800]), min_size=3, max_size=9),
    st.lists(st.tuples(PLACES, PLACES), min_size=1, max_size=5),
    st.lists(st.tuples(PLACES, PLACES, EDGES, EDGES), min_size=1, max_size=8),
)
def test_whatever_is_covered_was_read(rt, finance, dawn, gaps, files, asked):
    """Files that are cut anywhere, in the middle of a second too, and imported in any order."""
    with rt.transaction() as tx:
        tx.execute(delete(StatementLine))
        tx.execute(delete(StatementFile))
    seconds = list(itertools.accumulate(gaps))
    happened = [
        Move(f"SKH{number:07}", (-1) ** number * 10_00, dawn + timedelta(seconds=at))
        for number, at in enumerate(seconds)
    ]
    read = set()
    for start, end in files:
        part = happened[start:end]
        if part:
            opening = sum(move.amount for move in happened[:start])
            bring_in(rt, finance, statement(part, opening=opening))
            read |= set(part)
    for first, last, before, after in asked:
        start = happened[first % len(happened)].at + timedelta(seconds=before)
        end = happened[last % len(happened)].at + timedelta(seconds=after)
        with rt.transaction() as tx:
            covered = reconciliation.covers(tx, PAYBILL, start, end)
        if covered and start <= end:
            assert {move for move in happened if start <= move.at <= end} <= read


def test_a_working_account_covers_no_payout(rt, finance, dawn):
    sheet = statement(moves(dawn, 2, 20), account="Working Account")
    bring_in(rt, finance, sheet)
    assert not covers(rt, dawn, 3, 19)


def test_a_payment_is_found_by_phone_amount_and_time(rt, amina, finance, dawn):
    told = "254712000001 - AMINA", "2547****0001 - A", "2547****0002 - B", "600001 - SHOP", ""
    found = [
        Move(f"SKD000000{n}", -300_00, dawn + timedelta(hours=n), SENT, party)
        for n, party in enumerate(told)
    ]
    found += [Move("SKD0000001", -9_00, found[-1].at, CHARGED)]
    found += [Move("SKD0000007", -300_00, found[-1].at, "Withdraw Funds to Bank", "Bank")]
    sheet = statement(found, opening=5_000_00, shortcode=B2C_SHORTCODE)
    bring_in(rt, finance, sheet)
    keep(rt, "SKD0000000", -300_00, dawn, shortcode=B2C_SHORTCODE)

    with rt.transaction() as tx:

        def outgoing(amount=300_00, hours=(-1, 9)):
            start, end = (dawn + timedelta(hours=hour) for hour in hours)
            return reconciliation.outgoing(tx, B2C_SHORTCODE, amina.phone, amount, start, end)

        assert outgoing() == ["SKD0000001", "SKD0000004", "SKD0000007"]
        assert outgoing(hours=(2, 3.5)) == []
        assert outgoing(amount=9_00) == []
        paid = {name: reconciliation.paid_out(tx, B2C_SHORTCODE, name) for name in (
            "SKD0000000", "SKD0000008", "SKD0000009")}  # fmt: skip
    assert paid == {"SKD0000000": 300_00, "SKD0000008": None, "SKD0000009": None}


def test_what_either_side_lacks_is_listed(rt, amina, finance, dawn):
    post(rt, finance, "owner in", 9_000, "B1")
    keep(rt, "SKE0000001", 100_00, dawn + timedelta(hours=3))  # on the statement
    keep(rt, "SKE0000002", 200_00, dawn + timedelta(hours=4))  # covered, and not on it
    keep(rt, "SKE0000003", 300_00, dawn + timedelta(hours=30))  # not covered
    keep(rt, "SKE0000004", 400_00, rt.now())  # too new to be missed
    keep(rt, "SKE0000005", 500_00, dawn + timedelta(hours=5))  # with another amount
    sheet = [
        *moves(dawn, 2),
        Move("SKE0000001", 100_00, dawn + timedelta(hours=3)),
        Move("SKE0000005", 550_00, dawn + timedelta(hours=5)),
        Move("SKE0000006", -70_00, dawn + timedelta(hours=6), SENT),
    ]
    bring_in(rt, finance, statement(sheet))
    keep(rt, sheet[0].receipt, 10_00, sheet[0].at)
    sweep_lines(rt)

    assert gaps(rt) == [
        ("theirs", "suspense", "SKE0000005", 550_00, "amount"),
        ("theirs", "suspense", "SKE0000006", -70_00, "unknown"),
        ("ours", "receipt", "SKE0000002", 200_00, "not on it"),
        ("ours", "receipt", "SKE0000005", 500_00, "amount"),
        ("ours", "receipt", "SKE0000003", 300_00, "not covered"),
    ]


def test_a_treasury_entry_that_no_line_shows_is_listed(rt, finance, dawn, wait):
    bring_in(rt, finance, statement(moves(dawn, 2, 8)))
    post(rt, finance, "owner in", 9_000, "B1")
    post(rt, finance, "top up", 1_000, "SKT0000001")
    post(rt, finance, "top up working", 1_000, "SKT0000002")
    assert [gap for gap in gaps(rt) if gap[0] == "ours"] == []
    wait(hours=25)
    assert [gap for gap in gaps(rt) if gap[0] == "ours"] == [
        ("ours", "treasury top up", "SKT0000001", 1_000_00, "not covered")
    ]
    at = dawn + timedelta(hours=70)
    both = [
        Move("SKT0000001", 1_000_00, at, "Organization Settlement"),
        later(moves(dawn, 71)[0], minutes=1),
    ]
    bring_in(rt, finance, statement(both, opening=20_00))
    assert [gap for gap in gaps(rt) if gap[0] == "ours"] == []


def test_a_day_is_shown_beside_what_our_books_moved(rt, amina, finance, dawn):
    keep(rt, "SKF0000001", 500_00, dawn + timedelta(hours=3))
    keep(rt, "SKF0000002", -300_00, dawn + timedelta(hours=4))
    keep(rt, "SKF0000003", 70_00, dawn + timedelta(hours=24))  # the next day
    sheet = [
        Move("SKF0000001", 500_00, dawn + timedelta(hours=3)),
        Move("SKF0000002", -300_00, dawn + timedelta(hours=4), SENT),
        Move("SKF0000002", -5_00, dawn + timedelta(hours=4), CHARGED),
        Move("SKF0000003", 70_00, dawn + timedelta(hours=24)),
    ]
    bring_in(rt, finance, statement(sheet, opening=1_000_00))
    with rt.transaction() as tx:
        (first,) = reconciliation.day(tx, dawn.date())
        (second,) = reconciliation.day(tx, (dawn + timedelta(days=1)).date())
        assert reconciliation.day(tx, (dawn - timedelta(days=1)).date()) == []
        assert reconciliation.last_day(tx) == (dawn + timedelta(days=1)).date()
    assert (first.opening, first.paid_in, first.withdrawn) == (1_000_00, 500_00, 305_00)
    assert (first.closing, first.ledger, first.open) == (1_195_00, 200_00, 0)
    assert (first.charges, first.booked_charges) == (5_00, 0)
    assert first.buckets[Bucket.MATCHED] == 2
    assert (second.opening, second.closing, second.ledger) == (1_195_00, 1_265_00, 70_00)
