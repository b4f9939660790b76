"""The Daraja client on bad days: tokens die, lines break, and money is posted once all the same."""

import json
import socket
import threading

import pytest
import requests
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.errors import NotSent, Rejected, Unknown
from mpesa import answers
from mpesa.line import Handshaking
from tests import daraja
from tests.daraja import PAY, PUSH


def test_one_token_serves_until_it_is_refused(client, server):
    one, other = client(), client()
    one.push(PUSH)
    other.pay(PAY)
    assert server.tokens == ["token-1"]

    server.answers = [(404, daraja.error("404.001.03", "Invalid Access Token"))]
    one.push(PUSH)

    assert server.tokens == ["token-1", "token-2"]
    assert [sent for _, sent, _ in server.asked][-2:] == ["Bearer token-1", "Bearer token-2"]
    other.pay(PAY)
    assert server.asked[-1][1] == "Bearer token-2"


def test_a_token_that_another_process_renewed_is_not_renewed_again(client, server):
    one, other = client(), client()
    one.push(PUSH)
    stale = (404, daraja.error("404.001.03", "Invalid Access Token"))

    def meanwhile(door):
        other.line.token.current(instead_of="token-1")
        return door.say(stale[0], json.dumps(stale[1]).encode(), "application/json")

    server.answers = [meanwhile]
    one.push(PUSH)

    assert server.tokens == ["token-1", "token-2"]


def test_a_refused_token_is_renewed_once_and_then_nothing_was_sent(client, server):
    server.answers = [(404, daraja.error("404.001.03", "Invalid Access Token"))] * 5

    with pytest.raises(NotSent):
        client().push(PUSH)

    assert len(server.asked) == 2


def test_many_at_once_mint_one_token(client, server):
    line = client()
    crowd = [threading.Thread(target=line.push, args=(PUSH,)) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()

    assert server.tokens == ["token-1"]
    assert len(server.asked) == 8


def test_a_lock_that_redis_forgot_takes_nothing_from_the_token(client, server):
    line = client()
    mint = line.line.token.mint

    def forgetful():
        line.line.token.redis.flushdb()
        return mint()

    line.line.token.mint = forgetful
    line.pay(PAY)

    assert server.tokens == ["token-1"]
    assert len(server.asked) == 1


@pytest.mark.parametrize("expires", ["3599", 3599, "soon", 30])
def test_a_token_is_kept_for_its_life_less_a_minute_and_sealed(client, server, expires):
    server.expires = expires
    line = client()
    line.push(PUSH)

    redis, name = line.line.token.redis, line.line.token.name
    if expires in ("soon", 30):
        assert redis.get(name) is None
    else:
        assert 3_500 < redis.ttl(name) <= 3_539
        assert b"token-1" not in redis.get(name)


def test_without_a_token_nothing_was_sent(client, server):
    server.expires = None  # wrong credentials: 400 and an empty body

    with pytest.raises(NotSent) as said:
        client().pay(PAY)

    assert said.value.code == "token"
    assert server.asked == []


def test_without_redis_nothing_was_sent(client, server):
    line = client()
    line.line.token.redis = Redis(port=9, retry=Retry(NoBackoff(), 0))

    with pytest.raises(NotSent) as said:
        line.pay(PAY)

    assert said.value.code == "token_store"
    assert server.asked == []


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        ((500, b"<html>Service Unavailable</html>"), Unknown),
        ((200, b"<html>Welcome</html>"), Unknown),
        ((200, b""), Unknown),
        ((200, b"[1, 2]"), Unknown),
        ((307, b""), Unknown),
        ((400, {"errorCode": "400.002.02", "errorMessage": "Bad Request - Invalid PartyB"}),
         Rejected),
        (lambda door: door.connection.shutdown(socket.SHUT_RDWR), Unknown),
        (lambda door: threading.Event().wait(1), Unknown),  # read and never answered
        (lambda door: door.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"),
         Unknown),
    ],
)  # fmt: skip
def test_a_payout_is_posted_once_whatever_comes_back(client, server, answer, meaning):
    server.answers = [answer]

    with pytest.raises(meaning):
        client().pay(PAY)

    assert len(server.asked) == 1


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://nowhere.localhost:9"])
def test_a_line_that_never_stood_sent_nothing(client, server, address):
    line = client()
    line.line.token.current()  # there is a token, so that the payment itself meets the dead line
    line.line.base_url = address

    with pytest.raises(NotSent) as said:
        line.pay(PAY)

    assert said.value.code == "connection"


def test_a_failed_handshake_sent_nothing_and_a_broken_answer_is_doubt(client, tmp_path):
    """Both are the same error to `requests`; the connection itself knows the difference."""
    with daraja.TlsServer(tmp_path) as (address, heard):
        line = client()
        line.line.token.current()
        line.line.base_url = address
        with pytest.raises(NotSent):
            line.pay(PAY)  # nobody signed that certificate
        assert heard == []

        with requests.Session() as bare:
            bare.mount("https://", Handshaking())
            with pytest.raises(requests.RequestException) as broken:
                bare.post(address, json=PAY, verify=str(tmp_path / "cert.pem"), timeout=5)
        assert type(answers.of_failure(broken.value)) is Unknown
        assert b"0c1d" in heard[0]
