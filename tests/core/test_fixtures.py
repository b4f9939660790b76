"""Fixtures from a file: read whole or not at all, each line once, every fault named."""

import random
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from core import drafts, fixtures, say
from core.errors import Refusal
from core.fixtures import Fixture
from core.markets import Market, Status, view
from core.say import NAIROBI
from core.staff import Role
from tests import people

NOW = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
HEADER = "question,category,outcomes,opens_at,closes_at,min_stake,max_stake"
DERBY = "Gor v AFC,Football,Gor|Draw|AFC,2026-11-20 09:00,2026-11-21 15:00,50,5000"
RUGBY = "Kenya 7s win?,Raga,Yes|No,,21/11/2026 18:30,,"


def sheet(*lines, header=HEADER, end="\n"):
    return end.join([header, *lines, ""]).encode()


def reasons(content):
    _, faults = fixtures.read(content, now=NOW)
    return [(fault.line, fault.refusal.reason) for fault in faults]


def test_a_line_is_read_as_it_is_meant():
    (derby, rugby), faults = fixtures.read(sheet(DERBY, RUGBY), now=NOW)

    assert faults == []
    assert (derby.line, derby.draft.question, derby.draft.category) == (2, "Gor v AFC", "Football")
    assert derby.draft.outcomes == ["Gor", "Draw", "AFC"]
    assert derby.draft.opens_at == datetime(2026, 11, 20, 9, 0, tzinfo=NAIROBI)
    assert (derby.draft.min_stake, derby.draft.max_stake) == (50_00, 5_000_00)
    assert rugby.draft.closes_at == datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
    assert (rugby.draft.opens_at, rugby.draft.min_stake) == (NOW, None)


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-21 18:00", "2026-11-21T18:00", "2026-11-21 18:00:00", "2026-11-21T18:00+03:00",
        "2026-11-21T18:00+0300", "2026-11-21T15:00Z", "2026-11-21 15:00:00z", "21/11/2026 18:00",
        "21/11/2026 18:00:00", "  2026-11-21   18:00 ",
    ],
)  # fmt: skip
def test_every_usual_form_of_a_moment_is_the_same_fixture(written):
    usual, _ = fixtures.read(sheet("Q,Other,A|B,,2026-11-21 18:00,,"), now=NOW)
    (one,), faults = fixtures.read(sheet(f"Q,Other,A|B,,{written},,"), now=NOW)
    assert (faults, one.draft.closes_at) == ([], datetime(2026, 11, 21, 15, 0, tzinfo=UTC))
    assert one.key == usual[0].key


@pytest.mark.parametrize(
    "written",
    [
        "tomorrow", "2026-11-21", "2026-13-21 18:00", "2026-02-30 10:00", "31/02/2026 10:00",
        "2026-11-21 25:00", "11/21/2026 18:00", "0001-01-01 00:00+14:00", "9999-12-31 23:59-12:00",
        "2026-11-21 18:00+99:00", "\u0662\u0660\u0662\u0666-11-21 18:00", "45000.75",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_named(written):
    assert reasons(sheet(f"Q,Other,A|B,,{written},,")) == [(2, "staff.cell_unreadable")]


def test_every_spreadsheets_way_of_writing_is_read():
    usual, _ = fixtures.read(sheet(DERBY, RUGBY), now=NOW)
    semicolons = sheet(DERBY.replace(",", ";"), RUGBY.replace(",", ";"),
                       header=HEADER.replace(",", ";"))  # fmt: skip
    tabs = sheet(DERBY, RUGBY).replace(b",", b"\t")
    for content in (
        sheet(DERBY, RUGBY, end="\r\n"),
        sheet(DERBY, RUGBY, end="\r"),
        b"\xef\xbb\xbf" + sheet(DERBY, RUGBY, end="\r\n"),
        b"\xef\xbb\xbf" + semicolons,
        tabs,
        sheet("", DERBY, ",,,,,,", RUGBY, ""),
        sheet(DERBY, RUGBY, header=HEADER.upper().replace("_", " ")),
        sheet(f"{DERBY},,", f"{RUGBY},,", header=f"{HEADER},,"),
        sheet(DERBY.replace("Gor v AFC", '"Gor v\nAFC"'), RUGBY),
    ):
        read, faults = fixtures.read(content, now=NOW)
        assert (faults, [one.key for one in read]) == ([], [one.key for one in usual])


def test_the_optional_columns_may_be_left_out_and_all_be_in_any_order():
    content = sheet("2026-11-21 18:00,2026-11-20 09:00,A|B,Other,Q",
                    header="closes_at,opens_at,outcomes,category,question")  # fmt: skip
    (one,), faults = fixtures.read(content, now=NOW)
    assert (faults, one.draft.question, one.draft.max_stake) == ([], "Q", None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "staff.file_columns"),
        (b"\n\n", "staff.file_columns"),
        (HEADER.encode(), "staff.file_empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "staff.file_not_text"),
        (b"PK\x03\x04\x14\x00", "staff.file_not_text"),
        (HEADER.encode("utf-16"), "staff.file_not_text"),
        (sheet("Atl\u00e9tico,Other,A|B,,2026-11-21 18:00,,").decode().encode("cp1252"),
         "staff.file_not_text"),
        (sheet('"Q,Other,A|B,,2026-11-21 18:00,,'), "staff.file_not_csv"),
        (sheet("x" * 200_000), "staff.file_not_csv"),
        (b"x" * (fixtures.MOST_BYTES + 1), "staff.file_large"),
        (sheet(DERBY, header=f"{HEADER},prize"), "staff.file_columns"),
        (sheet(DERBY, header=HEADER.replace("question", "fixture")), "staff.file_columns"),
        (sheet(DERBY, header=HEADER.replace("opens_at", "closes_at")), "staff.file_columns"),
        (sheet(*[DERBY] * (fixtures.MOST_LINES + 1)), "staff.file_long"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_said_in_one_fault(content, reason):
    assert reasons(content) == [(1, reason)]


def test_every_fault_of_every_line_is_named(rt):
    content = sheet(
        DERBY,
        "Q,Other,A|B,soon,later,few,many",
        ",Other,,,,,",
        "Q,Other,A|B,,2026-11-21 18:00,,,,more",
        "Call 0712345678,Chess,A,2026-11-22 09:00,2026-11-21 18:00,10.50,200000",
    )
    with rt.transaction() as tx:
        seen = fixtures.plan(tx, content, now=NOW, config=rt.config)
    assert [(one.line, one.refusal.reason) for one in seen.faults] == [
        *[(3, "staff.cell_unreadable")] * 4,
        *[(4, "staff.cell_missing")] * 3,
        (5, "staff.line_long"),
        (6, "staff.cell_unreadable"),
    ]
    content = content.replace(b"10.50", b"10")
    with rt.transaction() as tx:
        seen = fixtures.plan(tx, content, now=NOW, config=rt.config)
    assert [one.refusal.reason for one in seen.faults if one.line == 6] == [
        "staff.words_phone", "staff.outcomes_number", "staff.no_such_category",
        "staff.closes_too_soon", "staff.stakes",
    ]  # fmt: skip
    for one in seen.faults:
        for lang in say.languages:
            say.say(one.refusal.reason, lang, **one.refusal.facts)


def soon(rt, *questions):
    """A file of markets that close in the days to come."""
    at = (rt.now() + timedelta(days=2)).astimezone(NAIROBI).strftime("%Y-%m-%d %H:%M")
    return sheet(*(f"{question},Football,Yes|No,,{at},," for question in questions))


def write(rt, content, by):
    with rt.transaction() as tx:
        return fixtures.write(tx, content, by=by, now=rt.now(), config=rt.config)


def count(rt):
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(Market))


def test_a_file_makes_drafts_and_the_same_file_none(rt, wanjiku):
    content = soon(rt, "One", "Two", "Three")
    seen, made = write(rt, content, wanjiku)
    assert [market.code for market in made] == [101, 102, 103]
    with rt.transaction() as tx:
        shown = view(tx, made[1].id)
    assert (shown.question, shown.status, shown.min_stake) == ("Two", Status.DRAFT, 20_00)

    again, more = write(rt, content, wanjiku)
    assert (len(again.fixtures), again.known, more) == (0, 3, [])
    with rt.transaction() as tx:
        drafts.edit(tx, 101, by=wanjiku, now=rt.now(), config=rt.config, question="Mended")
    longer = content + soon(rt, "Four").split(b"\n")[1]
    seen, made = write(rt, longer.replace(b"Three", b"THREE"), wanjiku)
    assert ([market.question for market in made], seen.known) == (["Four"], 3)
    assert count(rt) == 4


def test_with_a_single_fault_nothing_is_written(rt, wanjiku):
    seen, made = write(rt, soon(rt, "One", "Kuma", "Three"), wanjiku)
    assert [(one.line, one.refusal.reason) for one in seen.faults] == [(3, "staff.words_profane")]
    assert (made, count(rt)) == ([], 0)


def test_a_line_that_is_there_twice_is_a_slip(rt, wanjiku):
    seen, _ = write(rt, soon(rt, "One", "Two", "one"), wanjiku)
    (fault,) = seen.faults
    assert (fault.line, fault.refusal.reason, fault.refusal.facts) == (
        4, "staff.line_twice", {"line": 2},
    )  # fmt: skip


def test_a_file_read_again_after_its_markets_closed_is_no_fault(rt, wanjiku, wait):
    content = soon(rt, "One")
    write(rt, content, wanjiku)
    wait(days=3)
    seen, _ = write(rt, content, wanjiku)
    assert (seen.known, seen.faults) == (1, [])


def test_only_who_may_draft_may_import(rt):
    akinyi = people.member(rt, "akinyi", Role.FINANCE)
    with pytest.raises(Refusal, match="not_your_role"):
        write(rt, soon(rt, "One"), akinyi)


@pytest.mark.race
def test_the_same_file_by_two_people_at_once_makes_no_doubles(rt, wanjiku, kamau):
    content, made = soon(rt, *(f"Match {n}" for n in range(20))), []
    threads = [
        threading.Thread(target=lambda by=by: made.append(len(write(rt, content, by)[1])))
        for by in (wanjiku, kamau, wanjiku, kamau)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(made), count(rt)) == ([0, 0, 0, 20], 20)


CELLS = st.sampled_from(
    [
        *("", "Q", "Other", "A|B", "2026-11-21 18:00", "1,000", "50", "99999999999999999999"),
        *('"', "'", ",", ";", "|", "\t", "\r", "\n", "\x00", "\ufeff", "\u00e9", "=1+1"),
        *("question", "outcomes", "closes_at"),
    ]
)


@given(
    st.one_of(
        st.binary(max_size=300), st.lists(CELLS, max_size=40).map(lambda c: ",".join(c).encode())
    )
)
def test_no_bytes_whatever_are_a_fault_of_ours(content):
    for start in (b"", HEADER.encode() + b"\n", b"\xef\xbb\xbf" + HEADER.encode() + b"\r\n"):
        read, faults = fixtures.read(start + content, now=NOW)
        assert read or faults
        assert all(isinstance(one, Fixture) for one in read)


@given(
    st.lists(
        st.tuples(
            st.text("abc XYZ,;\"'?\u00e9", min_size=1).filter(str.strip),
            st.lists(st.text("abcXYZ,;", min_size=1), min_size=1, max_size=9),
            st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - Nairobi's
            st.none() | st.integers(1, 10**6),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_what_a_spreadsheet_writes_comes_back(rows, delimiter, end, marked):
    def quoted(cell):
        return '"' + cell.replace('"', '""') + '"'

    lines = [delimiter.join(HEADER.split(","))]
    for question, names, closes, most in rows:
        at = f"{closes:%Y-%m-%d %H:%M}"
        cells = (question, "Other", "|".join(names), "", at, "", "" if most is None else f"{most}")
        lines.append(delimiter.join(map(quoted, cells)))
    content = (b"\xef\xbb\xbf" if marked else b"") + end.join(lines).encode()

    read, faults = fixtures.read(content, now=NOW)

    assert faults == []
    for fixture, (question, names, closes, most) in zip(read, rows, strict=True):
        assert fixture.draft.question == " ".join(question.split())
        assert fixture.draft.outcomes == [name.strip() for name in names]
        assert fixture.draft.closes_at == closes.replace(second=0, microsecond=0, tzinfo=NAIROBI)
        assert fixture.draft.max_stake == (None if most is None else most * 100)


@given(st.randoms())
def test_the_order_of_the_lines_changes_no_key(dice: random.Random):
    lines = [DERBY, RUGBY, DERBY.replace("Gor", "Ingwe")]
    dice.shuffle(lines)
    read, _ = fixtures.read(sheet(*lines), now=NOW)
    usual, _ = fixtures.read(sheet(DERBY, RUGBY, DERBY.replace("Gor", "Ingwe")), now=NOW)
    assert {one.key for one in read} == {one.key for one in usual}
