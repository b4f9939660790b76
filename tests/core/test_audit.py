"""The audit log: written with what it tells of, only ever added to, and every tampering shows."""

import json
import random
import threading
from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core import audit, log, timetable
from core.errors import Refusal
from core.runtime import Runtime

LINES = 12
COLUMNS = "id, at, staff_id, action, channel, subject, body, prev, hash"


@pytest.fixture
def written(rt: Runtime) -> Runtime:
    """A house in which a dozen things were done."""
    for number in range(LINES):
        with rt.transaction() as tx:
            audit.note(
                tx, f"act {number % 3}", by=number % 2 or None, now=rt.now(),
                subject=f"thing:{number % 4}", facts={"number": number},
            )  # fmt: skip
    return rt


@pytest.fixture
def owner(written: Runtime):
    """The owner of the database, with every trigger asleep; what is done is undone."""
    engine = create_engine(written.config.migration_database_url)
    with engine.connect() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        connection.commit()
        yield connection
        connection.rollback()
    engine.dispose()


def check(connection, anchor=None) -> audit.Verdict:
    with Session(connection, join_transaction_mode="create_savepoint") as tx:
        return audit.verify(tx, anchor=anchor)


def note(rt: Runtime, action: str, **facts: object) -> audit.AuditLine:
    with rt.transaction() as tx:
        audit.note(tx, action, by=None, now=rt.now(), facts=facts)
    with rt.transaction() as tx:
        return audit.lines(tx, limit=1)[0]


def test_what_is_done_and_its_line_are_written_together_or_not_at_all(rt) -> None:
    def fail(tx: Session) -> None:
        audit.note(tx, "nothing", by=None, now=rt.now())
        raise Refusal("staff.nothing_proposed", code=1)

    with pytest.raises(Refusal):
        rt.attempt(fail)
    with rt.transaction() as tx:
        assert audit.head(tx)[0] == 0
    rt.attempt(lambda tx: audit.note(tx, "something", by=None, now=rt.now()))
    with rt.transaction() as tx:
        assert [line.action for line in audit.lines(tx)] == ["something"]


def test_a_line_says_who_did_what_when_and_through_which_edge(rt, wanjiku) -> None:
    now = rt.now()
    with rt.transaction() as tx:
        tx.info["channel"] = "page"
        audit.note(
            tx, "market open", by=wanjiku.id, now=now, subject="market:7", facts={"code": 12}
        )
    with rt.transaction() as tx:
        line = audit.lines(tx)[0]
        assert (line.id, line.at, line.staff_id) == (1, now, wanjiku.id)
        assert (line.action, line.channel, line.subject) == ("market open", "page", "market:7")
        assert line.facts == {"code": 12}
        assert line.hash == sha256((line.prev + line.body).encode()).hexdigest()
        assert audit.head(tx) == (1, line.hash)


def test_phones_are_masked_and_secrets_are_not_taken(rt) -> None:
    line = note(rt, "read phone", phone="+254712345678", note="he rang from 0712 345 678, twice")
    assert line.facts == {"phone": "2547*****678", "note": "he rang from 2547*****678, twice"}
    for name in ("pin", "new_password", "totp", "Token"):
        with pytest.raises(AssertionError, match="no line"), rt.transaction() as tx:
            audit.note(tx, "x", by=None, now=rt.now(), facts={name: "1"})


@pytest.mark.parametrize(
    "typed",
    ["0712-345-678", "0712.345.678", "07 12 34 56 78", "254-712-345678", "+254 712.345.678",
     "00254712345678", "(0)712345678"],
)  # fmt: skip
def test_a_phone_is_masked_however_it_is_written(rt, typed: str) -> None:
    line = note(rt, "read phone", note=f"rang {typed}, twice")
    assert "345678" not in line.body.replace(" ", "").replace("-", "").replace(".", "")


def test_what_postgres_cannot_keep_is_left_out(rt) -> None:
    line = note(rt, "odd", path="/a\0b", name="\udcff", **{"k\0": "v"})
    assert line.facts == {"path": "/ab", "name": "?", "k": "v"}


def test_lines_are_found_by_who_what_and_about_what(written) -> None:
    with written.transaction() as tx:
        assert [line.id for line in audit.lines(tx, limit=3)] == [12, 11, 10]
        assert [line.id for line in audit.lines(tx, before=3)] == [2, 1]
        assert [line.id for line in audit.lines(tx, action="act 1")] == [11, 8, 5, 2]
        assert [line.id for line in audit.lines(tx, action="act")] == [*range(12, 0, -1)]
        assert [line.id for line in audit.lines(tx, action="a%")] == []
        assert [line.id for line in audit.lines(tx, by=1)] == [12, 10, 8, 6, 4, 2]
        assert [line.id for line in audit.lines(tx, subject="thing:3")] == [12, 8, 4]


@pytest.mark.parametrize("table", ["audit_line", "audit_head"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET hash = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_nobody_changes_it_not_even_the_owner(written, table: str, verb: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), written.transaction() as tx:
        tx.execute(text(verb.format(table)))
    engine = create_engine(written.config.migration_database_url)
    with engine.connect() as owner, pytest.raises(DBAPIError, match="audit log"):
        owner.execute(text(verb.format(table)))
    engine.dispose()
    with written.transaction() as tx:
        assert audit.verify(tx).ok


def test_the_house_cannot_add_lines_but_through_the_function(written) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), written.transaction() as tx:
        tx.execute(text("INSERT INTO audit_line SELECT * FROM audit_line"))


def test_an_untouched_log_is_whole(written, owner) -> None:
    with written.transaction() as tx:
        lines, last = audit.head(tx)
    verdict = check(owner, anchor=(lines, last))
    assert (verdict.ok, verdict.lines, verdict.head, verdict.fault) == (True, LINES, last, "")


def test_an_empty_log_is_whole_and_one_without_its_head_is_not(rt) -> None:
    engine = create_engine(rt.config.migration_database_url)
    with engine.connect() as connection:
        assert check(connection) == audit.Verdict(0, audit.NOTHING_YET)
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("DELETE FROM audit_head"))
        assert "head of the log is gone" in check(connection).fault
    engine.dispose()


def test_every_tampering_is_found(owner, counts) -> None:
    chance = random.Random(20261121)
    missed, seen = [], set()
    for number in range(counts.cases):
        tamper = TAMPERINGS[number % len(TAMPERINGS)]
        what = tamper(owner, chance)
        verdict = check(owner)
        owner.rollback()
        seen.add(tamper.__name__)
        if verdict.ok:
            missed.append(f"{tamper.__name__}: {what}")
    assert not missed
    assert len(seen) == len(TAMPERINGS)
    assert check(owner).ok  # and it was these that were found


def test_who_rewrites_all_of_it_is_found_by_a_hash_kept_elsewhere(written, owner, counts) -> None:
    with written.transaction() as tx:
        anchors = [(line.id, line.hash) for line in audit.lines(tx)]
    chance = random.Random(7)
    for _ in range(max(counts.cases // 5, 10)):
        first = chance.randint(1, LINES)
        if chance.random() < 0.5:
            rewrite_from(owner, first, f"forged {chance.random()}")
        else:
            cut_before(owner, first)
        assert check(owner).ok  # the chain itself is whole again
        later = [anchor for anchor in anchors if anchor[0] >= first]
        assert not check(owner, anchor=chance.choice(later)).ok
        earlier = [anchor for anchor in anchors if anchor[0] < first]
        assert not earlier or check(owner, anchor=chance.choice(earlier)).ok
        owner.rollback()


def test_a_body_that_is_no_json_is_a_fault_and_not_an_error(owner) -> None:
    for body in ("nonsense", "[]", "{}"):
        rewrite_from(owner, LINES, body, whole=True)
        assert "says one thing" in check(owner).fault
        owner.rollback()


@pytest.mark.race
def test_many_at_once_make_one_chain(new_house) -> None:
    closing, rt = new_house()
    with closing:
        gate = threading.Barrier(8)

        def two(tx: Session, worker: int, n: int) -> None:
            for k in range(2):
                audit.note(tx, f"{worker}", by=None, now=rt.now(), facts={"n": n, "k": k})

        def write(worker: int) -> None:
            gate.wait()
            for number in range(10):
                rt.attempt(lambda tx, n=number: two(tx, worker, n))

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with rt.transaction() as tx:
            assert audit.verify(tx) == audit.Verdict(160, audit.head(tx)[1])
            mine = [line.facts for line in reversed(audit.lines(tx, action="3", limit=200))]
        assert mine == [{"n": n, "k": k} for n in range(10) for k in range(2)]


def test_a_check_in_the_middle_of_the_work_finds_nothing_wrong(written) -> None:
    """The head that is read belongs to the lines that are read."""
    with written.transaction() as reading:
        assert audit.verify(reading).ok
        note(written, "later")
        assert audit.verify(reading).ok


def test_each_hour_the_head_goes_to_the_log(written, capsys) -> None:
    hourly = next(tick for tick in timetable.TICKS if tick.name == "audit_head")
    now = written.now()
    assert hourly.slot(now) != hourly.slot(now + timedelta(hours=1))
    with written.transaction() as tx:
        lines, last = audit.head(tx)
    told = told_by(hourly, written, capsys)
    assert (told["event"], told["audit_lines"], told["audit_hash"]) == ("audit head", lines, last)


def told_by(tick, rt: Runtime, capsys) -> dict:
    log.configure()
    tick.work(rt)
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def edit(owner, chance) -> str:
    """One column of one line, perhaps with a hash that fits it again."""
    line = chance.randint(1, LINES)
    column, value = chance.choice(
        [
            ("at", "at - interval '1 second'"),
            ("staff_id", "coalesce(staff_id, 0) + 1"),
            ("action", "action || '.'"),
            ("channel", "channel || '.'"),
            ("subject", "subject || '.'"),
            ("body", "replace(body, 'number', 'numbers')"),
            ("body", "body || ' '"),
            ("prev", "md5(prev) || md5(hash)"),
            ("hash", "md5(hash) || md5(prev)"),
        ]
    )
    owner.execute(text(f"UPDATE audit_line SET {column} = {value} WHERE id = :id"), {"id": line})
    if column == "body" and chance.random() < 0.5:
        fitting = "encode(sha256(convert_to(prev || body, 'UTF8')), 'hex')"
        owner.execute(text(f"UPDATE audit_line SET hash = {fitting} WHERE id = :id"), {"id": line})
    return f"{column} of {line}"


def delete(owner, chance) -> str:
    """Some lines in a row, the last ones as likely as any; the head may be told the new number."""
    last = chance.choice([LINES, chance.randint(1, LINES)])
    first = chance.randint(max(1, last - 3), last)
    owner.execute(
        text("DELETE FROM audit_line WHERE id BETWEEN :a AND :b"), {"a": first, "b": last}
    )
    if chance.random() < 0.5:
        owner.execute(text("UPDATE audit_head SET lines = (SELECT count(*) FROM audit_line)"))
    if chance.random() < 0.3:
        shift(owner, last, first - last - 1)
    return f"{first} to {last}"


def insert(owner, chance) -> str:
    """A line that never was: in the middle, at the end, well chained or not."""
    at = chance.randint(1, LINES + 1)
    shift(owner, at - 1, 1)
    body = (
        '{"action":"forged","at":"2026-01-01T00:00:00+00:00","by":1,"channel":"page","subject":""}'
    )
    before = owner.scalar(text("SELECT hash FROM audit_line WHERE id = :id"), {"id": at - 1})
    before = before or audit.NOTHING_YET
    row = {
        "id": at,
        "body": body,
        "prev": before,
        "hash": sha256((before + body).encode()).hexdigest(),
    }
    owner.execute(
        text(
            "INSERT INTO audit_line VALUES (:id, '2026-01-01Z', 1, 'forged', 'page', '', :body,"
            " :prev, :hash)"
        ),
        row,
    )
    if chance.random() < 0.5:
        owner.execute(text("UPDATE audit_head SET lines = lines + 1"))
    return f"as {at}"


def reorder(owner, chance) -> str:
    """Two lines change places: with their hashes, or their contents only."""
    one, other = chance.sample(range(1, LINES + 1), 2)
    swap = {"a": one, "b": other}
    if chance.random() < 0.5:
        owner.execute(text("UPDATE audit_line SET id = -id WHERE id IN (:a, :b)"), swap)
        owner.execute(text("UPDATE audit_line SET id = :a + :b + id WHERE id < 0"), swap)
    else:
        owner.execute(
            text(
                "UPDATE audit_line l SET body = o.body, at = o.at, action = o.action,"
                " staff_id = o.staff_id, subject = o.subject FROM audit_line o"
                " WHERE l.id IN (:a, :b) AND o.id = :a + :b - l.id"
            ),
            swap,
        )
    return f"{one} and {other}"


def renumber(owner, chance) -> str:
    """Nothing but the numbers of the last lines."""
    after, by = chance.randint(0, LINES - 1), chance.randint(1, 5)
    shift(owner, after, by)
    if chance.random() < 0.5:
        owner.execute(text("UPDATE audit_head SET lines = lines + :by"), {"by": by})
    return f"by {by} after {after}"


def behead(owner, chance) -> str:
    """The head alone."""
    another = "hash = md5(hash) || md5(hash)"
    change = chance.choice(["lines = lines - 1", "lines = lines + 1", another])
    owner.execute(text(f"UPDATE audit_head SET {change}"))
    return change


TAMPERINGS = (edit, delete, insert, reorder, renumber, behead)


def shift(owner, after: int, by: int) -> None:
    """Move the ids of the lines behind `after`, without ever having two of a kind."""
    owner.execute(text("UPDATE audit_line SET id = -id WHERE id > :after"), {"after": after})
    owner.execute(text("UPDATE audit_line SET id = -id + :by WHERE id < 0"), {"by": by})


def rewrite_from(owner, first: int, forged: str, *, whole: bool = False) -> None:
    """Change a line and mend all that comes after it, the head too."""
    rows = owner.execute(text(f"SELECT {COLUMNS} FROM audit_line ORDER BY id")).all()
    last = rows[first - 2].hash if first > 1 else audit.NOTHING_YET
    for row in rows[first - 1 :]:
        body = row.body
        if row.id == first:
            body = forged if whole else audit.canonical(json.loads(body) | {"facts": forged})
        link = sha256((last + body).encode()).hexdigest()
        owner.execute(
            text("UPDATE audit_line SET body = :body, prev = :prev, hash = :hash WHERE id = :id"),
            {"body": body, "prev": last, "hash": link, "id": row.id},
        )
        last = link
    owner.execute(text("UPDATE audit_head SET hash = :hash"), {"hash": last})


def cut_before(owner, first: int) -> None:
    """Cut the last lines off, and have the head agree."""
    owner.execute(text("DELETE FROM audit_line WHERE id >= :first"), {"first": first})
    last = owner.scalar(text("SELECT hash FROM audit_line ORDER BY id DESC LIMIT 1"))
    owner.execute(
        text("UPDATE audit_head SET lines = :lines, hash = :hash"),
        {"lines": first - 1, "hash": last or audit.NOTHING_YET},
    )
