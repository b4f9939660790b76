"""What reaches the log, and what must not."""

import ast
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from core import log

ROOT = Path(__file__).parents[2]
TOKEN = "5e" * 32
SESSION = "ATUid_" + "0f" * 16
SAID = ("debug", "info", "warning", "error", "exception", "critical")


class Book:
    """The lines that were written."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def last(self) -> dict:
        return json.loads(self.text.splitlines()[-1])


@pytest.fixture
def book() -> Iterator[Book]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    book = Book()
    log.configure("INFO", book.stream)
    yield book
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    for package in log.PACKAGES:
        logging.getLogger(package).setLevel(logging.NOTSET)


class Verdict(IntEnum):
    PLACED = 1


def test_an_event_is_one_line_of_json_with_its_facts(book: Book) -> None:
    structlog.get_logger("core.betting").info("bet placed", bet_id=7, verdict=Verdict.PLACED)
    line = book.last
    assert (line["event"], line["bet_id"], line["verdict"]) == ("bet placed", 7, "placed")
    assert (line["level"], line["logger"]) == ("info", "core.betting")
    assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC
    assert book.text.count("\n") == 1


def test_a_field_nobody_listed_is_withheld_and_said_so(book: Book) -> None:
    structlog.get_logger("core").info("hop", screen="home", pin="4937", text="1*2*4937")
    assert book.last["withheld"] == ["pin", "text"]
    assert "4937" not in book.text


@pytest.mark.parametrize("phone", ["+254712345678", "0712345678", "254712345678", 254712345678])
def test_a_phone_number_is_masked_wherever_it_stands(book: Book, phone: object) -> None:
    structlog.get_logger("core").info("sent", phone=phone, error=f"to {phone}, now")
    assert book.last["phone"] == "2547*****678"
    assert book.last["error"] == "to 2547*****678, now"


def test_tokens_and_keys_are_hidden_but_sessions_can_be_followed(book: Book) -> None:
    secret = "dGhlIG1hbnkga2V5cyBvZiB0aGUgaG91c2UgYXJlIGhlcmU="
    structlog.get_logger("core").info("knock", error=f"{TOKEN} and {secret}", session=SESSION)
    assert TOKEN not in book.text
    assert secret not in book.text
    assert book.last["session"] == SESSION


def test_no_other_handler_sees_more(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    structlog.get_logger("core").info("hop", pin="4937", phone="+254712345678")
    assert "4937" not in caplog.text
    assert "2547*****678" in caplog.text


def test_values_are_told_plainly_and_objects_by_type_alone(book: Book) -> None:
    facts = {"amount": Decimal("5.00"), "count": None, "again": True, "seconds": 0.5}
    key = UUID(int=7)
    structlog.get_logger("core").info("x", **facts, reason=key, state=object(), ids=[1, 2])
    line = book.last
    assert (line["amount"], line["count"], line["again"], line["seconds"]) == (
        "5.00",
        None,
        True,
        0.5,
    )
    assert (line["reason"], line["state"], line["ids"]) == (str(key), "<object>", [1, 2])


def test_a_failure_tells_where_but_not_what_was_in_hand(book: Book) -> None:
    pin = "4937"
    try:
        try:
            raise KeyError(f"wrong PIN {pin} of 0712345678\n[parameters: {TOKEN}]")
        except KeyError as cause:
            raise ValueError("no luck") from cause
    except ValueError:
        structlog.get_logger("core").exception("it failed")
    outer, inner = book.last["exception"]
    assert (outer["type"], outer["message"]) == ("ValueError", "no luck")
    assert inner["type"] == "KeyError"
    assert inner["frames"][0].startswith("test_log.py:")
    for secret in (pin, "0712345678", TOKEN):
        assert secret not in book.text


def test_libraries_are_scrubbed_and_heard_from_warning_on(book: Book) -> None:
    werkzeug = logging.getLogger("werkzeug")
    werkzeug.info("POST /hooks/%s/ussd", TOKEN)
    assert book.text == ""
    werkzeug.error("POST /hooks/%s/ussd from %s with %s", TOKEN, "+254712345678", "1*4937")
    assert book.last["event"] == "POST **** from 2547*****678 with 1*****"
    assert book.last["level"] == "error"


def test_a_library_that_fails_shows_no_parameters(book: Book) -> None:
    try:
        raise RuntimeError("statement failed\n[parameters: {'pin': 4937}]")
    except RuntimeError:
        logging.getLogger("rq.worker").exception("job 4937 failed")
    assert "4937" not in book.text
    assert book.last["exception"][0]["message"] == "statement failed"


def test_the_level_is_the_houses_own(book: Book) -> None:
    structlog.get_logger("core.x").debug("unheard")
    assert book.text == ""
    log.configure("DEBUG", book.stream)
    structlog.get_logger("core.x").debug("heard")
    assert book.last["event"] == "heard"
    assert book.text.count("\n") == 1  # configured twice, written once


def test_one_trace_id_joins_a_hop_to_the_job_it_promised(book: Book) -> None:
    logger = structlog.get_logger("ussd.web")
    with log.traced(session=SESSION) as trace:
        logger.info("hop")
        promised = log.traceparent()
        hop = book.last
    logger.info("afterwards")
    assert "trace" not in book.last
    assert log.traceparent() is None

    with log.traced(promised, kind="sms") as later:
        logger.info("delivered")
    assert (hop["trace"], hop["session"]) == (trace, SESSION)
    assert later == trace == book.last["trace"]
    assert book.last["span"] != hop["span"]
    assert "session" not in book.last


@pytest.mark.parametrize("parent", [None, "", "nonsense", "00-xyz-1-01", f"00-{TOKEN}-01"])
def test_a_parent_that_is_none_starts_a_new_trace(parent: str | None) -> None:
    with log.traced(parent) as one, log.traced(parent) as other:
        assert one != other
        assert len(one) == 32


@given(st.text(alphabet="0123456789 +abc*", max_size=60))
def test_no_whole_phone_number_survives(text: str) -> None:
    scrubbed = log.scrub(f"{text} 0712345678 +254112345678 {text}")
    assert "0712345678" not in scrubbed
    assert "254112345678" not in scrubbed


def test_every_event_of_the_house_is_constant_and_every_field_listed() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{call.lineno} {fault}"
        for package in log.PACKAGES
        for path in [ROOT / f"{package}.py", *(ROOT / package).rglob("*.py")]
        if path.exists()
        for call in _calls_of_log(path)
        for fault in _faults(call)
    ]
    assert not faults, f"say it with a constant and with fields of core/log.py FIELDS: {faults}"


def test_that_rule_sees_what_it_should() -> None:
    bad = "log.info(f'bet {bet}', pin=1)\nlog.info('fine', bet_id=1)\nlog.info('x', **facts)"
    found = [list(_faults(c)) for c in ast.walk(ast.parse(bad)) if isinstance(c, ast.Call)]
    assert found == [["the event is not a constant", "pin"], [], ["**"]]


def _calls_of_log(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=said)) if said in SAID:
                yield node


def _faults(call: ast.Call) -> Iterator[str]:
    if not (call.args and isinstance(call.args[0], ast.Constant)):
        yield "the event is not a constant"
    for keyword in call.keywords:
        if keyword.arg not in {*log.FIELDS, "exc_info"}:
            yield keyword.arg or "**"
