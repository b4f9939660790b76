"""The organisation statement as a file: read whole, or refused whole with its line and reason."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import portal_csv
from core.errors import Refusal
from core.portal_dates import Form
from tests import portal
from tests.portal import CHARGED, ISO, KENYAN, SENT, Move, statement

NOON = datetime(2026, 11, 20, 9, tzinfo=UTC)  # in Nairobi
NOW = NOON + timedelta(days=2)


def day(*, day=20, month=11):
    return NOON.replace(day=day, month=month)


MOVES = [
    Move("SKA1000001", 1_250_00, NOON, account="D5M6XQK"),
    Move("SKA1000002", -300_00, NOON + timedelta(minutes=1), SENT, "254712000001 - AMINA"),
    Move("SKA1000002", -9_00, NOON + timedelta(minutes=1), CHARGED, ""),
    Move("SKA1000003", 2_000_00, NOON + timedelta(minutes=2), "Pay Bill", status="Failed"),
    Move("SKA1000004", 500_00, NOON + timedelta(minutes=3), "Pay Bill", "2547****002 - X"),
]


def read(content, **more):
    return portal_csv.read(content, now=NOW, **more)


def refused(content, **more):
    with pytest.raises(Refusal) as refusal:
        read(content, **more)
    return refusal.value.reason.removeprefix("staff."), refusal.value.facts.get("line")


@pytest.mark.parametrize("dates", [ISO, KENYAN, KENYAN.replace("-", "/")])
def test_a_statement_is_read_from_its_oldest_line(dates):
    sheet = read(statement(MOVES, opening=10_000_00, dates=dates))
    assert [(line.receipt, line.amount) for line in sheet.lines] == [
        ("SKA1000001", 1_250_00),
        ("SKA1000002", -300_00),
        ("SKA1000002", -9_00),
        ("SKA1000004", 500_00),
    ]
    assert sheet.lines[0].completed_at == NOON
    assert (sheet.opening, sheet.paid_in, sheet.withdrawn) == (10_000_00, 1_750_00, 309_00)
    assert sheet.closing == 11_441_00
    assert (sheet.failed, sheet.shortcode, sheet.account) == (1, "174379", "utility")
    assert [line.party for line in sheet.lines] == ["2547****0001", "254712000001", None, None]
    assert sheet.lines[0].account == "D5M6XQK"


def test_the_header_is_found_by_its_names_wherever_it_stands():
    content = statement(MOVES).decode()
    bare = statement(MOVES, shortcode="", period=False).decode().lstrip()
    renamed = content.replace("Receipt No.", "RECEIPT NO").replace("Paid In", "Paid  in")
    for text in (
        bare,
        renamed,
        "\n\n" + content,
        "\ufeff" + content,
        content.replace("\n", "\r\n"),
    ):
        assert len(read(text.encode()).lines) == 4
    semicolons = "\n".join(
        [";".join(portal.HEADER), *(";".join(row) for row in portal.rows(MOVES))]
    )
    assert len(read(semicolons.encode()).lines) == 4


def test_a_file_the_oldest_first_and_lines_of_one_second_in_any_order():
    same = [Move(f"SKA200000{n}", 10_00 + n, NOON) for n in range(5)]
    table = portal.rows([*same, portal.later(same[0], minutes=1)][:5])
    shuffled = [table[2], table[0], table[4], table[1], table[3]]
    for lines in (table, table[::-1], shuffled):
        text = "\n".join([",".join(portal.HEADER), *(",".join(row) for row in lines)])
        assert read(text.encode()).closing == sum(move.amount for move in same)


def test_withdrawals_without_a_minus_are_the_same():
    content = statement(MOVES).replace(b"-300.00", b"300.00").replace(b"-9.00", b"9.00")
    assert read(content).lines == read(statement(MOVES)).lines


BROKEN = {
    "no header": ("Receipt No.", "Receipt", "statement_no_header", None),
    "a column is missing": ("Balance,Balance", "Rest,Balance", "statement_columns", 6),
    "a column is there twice": ("A/C No.", "Reason Type", "statement_columns", 6),
    "cut off": ("TRUE,Pay Bill,2547****002", "", "statement_width", 7),
    "quotes": ('"1,250.00"', '"1,250.00', "statement_quotes", 11),
    "not final": ("Failed", "Initiated", "statement_status", 8),
    "no receipt": ("SKA1000004", "TOTAL", "statement_receipt", 7),
    "no reason": ("TRUE,Pay Bill,2547****002", "TRUE,,2547****002", "statement_reason", 7),
    "no amount": ("500.00", "five", "statement_amount", 7),
    "a comma in the wrong place": ('"1,250.00"', '"12,50.00"', "statement_amount", 11),
    "three decimals": ("500.00", "500.001", "statement_amount", 7),
    "neither side": ("500.00", "", "statement_sides", 7),
    "both sides": ("500.00,,", "500.00,500.00,", "statement_sides", 7),
    "paid in below zero": ("500.00", "-500.00", "statement_sides", 7),
    "no time": ("2026-11-20 12:03:00,", "yesterday,", "statement_date", 7),
    "no such day": ("2026-11-20 12:03:00,", "2026-13-20 12:03:00,", "statement_date", 7),
    "a day to come": ("2026-11-20 12:03:00,", "2027-11-20 12:03:00,", "statement_date", 7),
    "two forms": ("2026-11-20 12:00:00,", "20-11-2026 12:00:00,", "statement_dates_mixed", 11),
    "outside the period": ("To 2026-11-21", "To 2026-11-20 12:02:00 ", "statement_period", 7),
    "a changed amount": ("500.00", "600.00", "statement_balance", 7),
    "a changed balance": ('"1,250.00",TRUE', '"1,260.00",TRUE', "statement_balance", None),
    "a NUL": ("Details", "De\x00tails", "statement_text", 6),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_is_refused_with_its_line(fault):
    was, now, reason, line = BROKEN[fault]
    content = statement(MOVES).decode()
    assert was in content
    found = refused(content.replace(was, now, 1).encode())
    assert found[0] == reason
    assert line is None or found[1] == line


def test_what_is_no_statement_at_all():
    assert refused(b"")[0] == "statement_no_header"
    assert refused(b"\xff\xfe\x00\x01") == ("statement_text", 1)
    assert refused(b"x" * (portal_csv.MOST_BYTES + 1))[0] == "file_large"
    assert refused(",".join(portal.HEADER).encode()) == ("statement_empty", None)
    assert refused(statement([MOVES[3]]))[0] == "statement_empty"


def test_the_same_line_twice_is_refused():
    again = Move("SKA1000001", 1_250_00, NOON + timedelta(minutes=9))
    assert refused(statement([*MOVES, again])) == ("statement_twice", 12)


def test_a_missing_line_is_noticed():
    lines = statement(MOVES).decode().splitlines()
    for gone in (8, 9):  # the payout, or its charge
        left = [line for number, line in enumerate(lines) if number != gone]
        assert refused("\n".join(left).encode())[0] == "statement_balance"


def test_a_line_missing_within_one_second_is_noticed():
    same = [Move(f"SKA200000{n}", 10_00 * n, NOON) for n in range(1, 4)]
    apart = [Move("SKA2000004", 5_00, NOON), Move("SKA2000005", -5_00, NOON)]
    before = Move("SKA2000006", 1_00, NOON - timedelta(minutes=1))
    table = portal.rows(same)
    loop = [*portal.rows(apart, opening=90_00), *portal.rows([before])]
    for lines in ([table[0], table[2]], loop):
        text = "\n".join([",".join(portal.HEADER), *(",".join(row) for row in lines)])
        assert refused(text.encode())[0] == "statement_balance"


def test_days_and_months_that_could_be_either_are_decided_once_or_refused():
    early = [Move("SKA1000001", 100_00, day(day=2, month=3))]
    either = statement(early, dates=KENYAN, period=False)
    assert refused(either) == ("statement_dates_either", 6)
    kenyan = read(either, dates=Form.DAY_FIRST)
    assert kenyan.lines[0].completed_at == day(day=2, month=3)
    american = read(either, dates=Form.MONTH_FIRST)
    assert american.lines[0].completed_at == day(day=3, month=2)
    assert refused(either, dates=Form.YEAR_FIRST) == ("statement_date", 6)
    # One line that can be read in one way decides for all; so does a day that has not come.
    more = [*early, Move("SKA1000002", 50_00, day(day=13, month=3))]
    found = read(statement(more, dates=KENYAN, period=False))
    assert found.lines[0].completed_at == day(day=2, month=3)
    ahead = [Move("SKA1000001", 100_00, day(day=12, month=11))]
    found = read(statement(ahead, dates=KENYAN, period=False))
    assert found.lines[0].completed_at == day(day=12, month=11)
    # The fifth of May is the fifth of May.
    same = statement([Move("SKA1000001", 1_00, day(day=5, month=5))], dates=KENYAN, period=False)
    assert read(same).lines[0].completed_at == day(day=5, month=5)


def test_whose_it_is_is_read_where_it_is_plain():
    assert read(statement(MOVES, shortcode="")).shortcode is None
    two = statement(MOVES).replace(b"HOUSE LIMITED", b"HOUSE 600986")
    assert read(two).shortcode is None
    assert read(statement(MOVES, account="Working Account")).account == "working"
    assert read(statement(MOVES, account="All Accounts")).account is None


NAMES = st.sampled_from(["Pay Bill", "Pay Bill Online", SENT, CHARGED, "Withdraw Funds to Bank"])
AMOUNTS = st.integers(1, 250_000_00).flatmap(lambda n: st.sampled_from([n, -n]))
STEPS = st.lists(st.tuples(NAMES, AMOUNTS, st.sampled_from([0, 0, 1, 61, 7_200])), min_size=1)


def made(steps):
    """Movements that could be: a name of its own for each, time never going back."""
    at, moves = NOON - timedelta(days=9), []
    for number, (reason, amount, seconds) in enumerate(steps):
        at += timedelta(seconds=seconds)
        moves.append(Move(f"SKB{number:07}", amount, at, reason))
    return moves


@settings(deadline=None)
@given(STEPS, st.integers(-(10**9), 10**9), st.sampled_from([ISO, KENYAN]), st.booleans())
def test_whatever_the_portal_writes_is_read_as_it_was_meant(steps, opening, dates, period):
    moves = made(steps)
    content = statement(moves, opening=opening, dates=dates, period=period)
    sheet = read(content, dates=Form.DAY_FIRST if dates == KENYAN else None)
    seen = [(line.receipt, line.reason, line.amount, line.completed_at) for line in sheet.lines]
    assert sorted(seen) == sorted((m.receipt, m.reason, m.amount, m.at) for m in moves)
    assert sheet.opening + sum(move.amount for move in moves) == sheet.closing
    assert sheet.closing == sheet.opening + sheet.paid_in - sheet.withdrawn
    assert sheet.opening == opening


@settings(deadline=None)
@given(STEPS.filter(lambda steps: len(steps) > 2), st.data())
def test_no_line_can_be_taken_out_of_the_middle_or_changed(steps, data):
    moves = made([(reason, amount, 1) for reason, amount, _ in steps])
    table = portal.rows(moves)
    at = data.draw(st.integers(1, len(table) - 2))
    changed = [row[:] for row in table]
    changed[at][7] = portal.written(int(data.draw(AMOUNTS)) + 10**12)
    for lines in (table[:at] + table[at + 1 :], changed):
        content = "\n".join(
            ",".join(f'"{cell}"' for cell in row) for row in [list(portal.HEADER), *lines]
        )
        assert refused(content.encode())[0] == "statement_balance"


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(0, 900))
def test_rubbish_is_refused_and_breaks_nothing(rubbish, at):
    whole = statement(MOVES)
    for content in (rubbish, whole[:at] + rubbish + whole[at:], whole[:at]):
        try:
            sheet = read(content)
        except Refusal:
            continue
        assert sheet.opening + sheet.paid_in - sheet.withdrawn == sheet.closing
