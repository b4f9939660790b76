"""The gateway against a local aggregator: what is posted, and what each answer comes to."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from core.config import Config
from core.errors import NotSent, Rejected, Unknown
from demo.engines import Urls
from sms.gateway import Aggregator, cents
from tests.ground import config_for

REQUEST = {"to": "+254712000001", "text": "Your balance is KES 100."}
NOWHERE = Urls(database="postgresql://x/x", migration="postgresql://x/x", redis="redis://x")


class Line(BaseHTTPRequestHandler):
    """One request at a time, written down; the answer is the test's."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        server.asked.append((self.path, dict(self.headers), parse_qs(body)))
        status, content_type, answer = server.answer
        if status is None:  # hang up without a word, or say none for too long
            server.silence.wait(answer)
            return
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Quietly."""


@pytest.fixture(scope="module")
def partner() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Line)
    server.asked, server.silence = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.silence.set()
    server.shutdown()
    thread.join()
    server.server_close()


def config(base_url: str, **more: str) -> Config:
    return config_for(NOWHERE, AT_BASE_URL=base_url, **more)


@pytest.fixture
def line(partner: Any) -> Aggregator:
    partner.asked.clear()
    return Aggregator(config(f"http://127.0.0.1:{partner.server_port}/", AT_SENDER_ID="HOUSE"))


def recipient(code: object = 101, **more: object) -> dict[str, Any]:
    one = {
        "statusCode": code, "number": "+254712000001", "status": "Success",
        "cost": "KES 0.8000", "messageId": "ATXid_1",
    }  # fmt: skip
    return {"SMSMessageData": {"Message": "Sent to 1/1", "Recipients": [one | more]}}


def answers(partner: Any, body: object, status: int = 201, kind: str = "application/json") -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    partner.answer = (status, kind, raw)


def test_what_is_posted(partner: Any, line: Aggregator) -> None:
    answers(partner, recipient())
    assert line.send(REQUEST) == {"receipt": "ATXid_1", "cost_cents": 80}
    ((path, headers, form),) = partner.asked
    assert path == "/version1/messaging"
    assert headers["apiKey"]
    assert form == {
        "username": ["house"], "to": ["+254712000001"], "from": ["HOUSE"], "bulkSMSMode": ["1"],
        "message": [REQUEST["text"]],
    }  # fmt: skip


def test_every_kind_of_text_goes_the_same_way(line: Aggregator) -> None:
    assert set(line.senders()) == {"sms", "result", "closing_moved"}


def test_without_a_sender_id_the_aggregator_chooses(partner: Any) -> None:
    answers(partner, recipient())
    partner.asked.clear()
    url = f"http://127.0.0.1:{partner.server_port}"
    Aggregator(config(url, AT_SENDER_ID="")).send(REQUEST)
    assert "from" not in partner.asked[0][2]


@pytest.mark.parametrize("code", [100, 101, 102, "101", 103])
def test_it_was_taken(partner: Any, line: Aggregator, code: object) -> None:
    answers(partner, recipient(code))
    assert line.send(REQUEST)["receipt"] == "ATXid_1"


def test_an_answer_whose_header_is_spelled_otherwise_is_read_too(partner, line) -> None:
    answers(partner, recipient(), kind="application/json; charset=utf-8")
    assert line.send(REQUEST)["receipt"] == "ATXid_1"


@pytest.mark.parametrize("code", [402, 405, 500, 501, 502])
def test_what_may_pass_is_tried_again(partner: Any, line: Aggregator, code: int) -> None:
    answers(partner, recipient(code, status="?", messageId="None", cost="0"))
    with pytest.raises(NotSent) as error:
        line.send(REQUEST)
    assert error.value.code == str(code)


@pytest.mark.parametrize("code", [401, 403, 404, 406, 407, 409])
def test_what_is_about_the_number_is_final(partner: Any, line: Aggregator, code: int) -> None:
    answers(partner, recipient(code, status="UserInBlacklist", messageId="None", cost="0"))
    with pytest.raises(Rejected) as error:
        line.send(REQUEST)
    assert error.value.code == str(code)


@pytest.mark.parametrize(
    ("message", "kind", "code"),
    [
        ("InvalidSenderId", NotSent, "402"),
        ("Insufficient Balance", NotSent, "405"),
        ("UserInBlacklist", Rejected, "406"),
        ("", NotSent, "nobody"),
        ("something new", NotSent, "nobody"),
    ],
)
def test_a_yes_with_nobody_in_it_is_no_yes(partner, line, message, kind, code) -> None:
    answers(partner, {"SMSMessageData": {"Message": message, "Recipients": []}})
    with pytest.raises(kind) as error:
        line.send(REQUEST)
    assert error.value.code == code


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>ok</html>", b"[]", b"{}", b'"x"', b"null", b'{"SMSMessageData": 1}',
        b'{"SMSMessageData": {"Recipients": 7}}', b'{"SMSMessageData": {"Recipients": [7]}}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_a_yes_that_cannot_be_read_leaves_it_open(partner, line, body, kind) -> None:
    answers(partner, body, kind=kind)
    with pytest.raises(Unknown):
        line.send(REQUEST)


@pytest.mark.parametrize(("code", "number"), [(999, "A"), (101, "None"), ("?", "A"), (101, "")])
def test_a_recipient_neither_taken_nor_refused_leaves_it_open(partner, line, code, number) -> None:
    answers(partner, recipient(code, messageId=number))
    with pytest.raises(Unknown):
        line.send(REQUEST)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"The supplied authentication is invalid", NotSent),
        (429, b"Too Many Requests", NotSent),
        (500, b"<html>Internal Server Error</html>", Unknown),
        (502, b"Bad Gateway", Unknown),
        (400, b"whatever", Unknown),
    ],
)
def test_an_answer_that_is_no_yes(partner, line, status, body, kind) -> None:
    answers(partner, body, status=status)
    with pytest.raises(kind):
        line.send(REQUEST)


@pytest.mark.parametrize("status", [201, 400, 401])
def test_a_proxy_that_sends_our_words_back_leaves_no_code_in_what_is_kept(partner, line, status):
    words = b"authentication? message=Your+code+is+482613&to=+254712000001"
    answers(partner, words, status=status, kind="text/html")
    with pytest.raises((NotSent, Unknown)) as error:
        line.send(REQUEST | {"text": "Your code is 482613."})
    assert "authentication?" in error.value.detail
    assert "482613" not in error.value.detail
    assert "712000001" not in error.value.detail


def test_a_read_time_out_leaves_it_open(partner: Any) -> None:
    partner.answer = (None, "", 1.0)
    url = f"http://127.0.0.1:{partner.server_port}"
    with pytest.raises(Unknown):
        Aggregator(config(url, AT_TIMEOUT="0.2")).send(REQUEST)


def test_a_connection_dropped_after_the_request_leaves_it_open(partner, line) -> None:
    partner.answer = (None, "", 0)
    with pytest.raises(Unknown):
        line.send(REQUEST)


def test_nobody_at_the_other_end_is_surely_unsent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NotSent):
        Aggregator(config(f"http://127.0.0.1:{port}")).send(REQUEST)


def test_a_number_that_is_none_is_refused_before_it_is_sent(partner, line) -> None:
    with pytest.raises(Rejected):
        line.send({"to": "nobody", "text": "x"})
    assert partner.asked == []


@pytest.mark.parametrize(
    ("cost", "amount"),
    [
        ("KES 0.8000", 80), ("KES 0.8050", 81), ("0", 0), (0, 0), ("KES 1", 100), (None, None),
        ("USD 0.02", None), ("KES", None), ("KES x", None), ("KES NaN", None), ("KES 1e999", None),
        ("KES -1", None), ("KES 1 2", None), ("", None), ([], None),
    ],
)  # fmt: skip
def test_a_price_in_cents_upwards(cost: object, amount: int | None) -> None:
    assert cents(cost) == amount
