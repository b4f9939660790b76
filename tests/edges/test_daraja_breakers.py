"""The line under a breaker and a rate: what is held back was never sent, and goes later."""

import threading
import time
from datetime import timedelta

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import breakers
from core.errors import NotSent, Rejected, Unknown
from tests import daraja
from tests.daraja import MOMENT, PAY, PUSH

DOWN = (503, b"<html>Service Unavailable</html>")
LOCKED = daraja.error("500.001.1001", "Unable to lock subscriber, a transaction is in process")
FEW = {"DARAJA_RATES": "b2c=10/2"}


class Watch:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = MOMENT

    def __call__(self):
        return self.now

    def moves(self, **span):
        self.now += timedelta(**span)


@pytest.fixture
def watch():
    return Watch()


def failing(send, request, meaning, times):
    for _ in range(times):
        with pytest.raises(meaning):
            send(request)


def test_a_line_that_fails_five_times_is_left_alone_by_every_process(client, server, watch):
    one, other = client(clock=watch), client(clock=watch)
    server.answers = [DOWN] * 5
    failing(one.pay, PAY, Unknown, 5)

    with pytest.raises(NotSent) as said:
        other.pay(PAY)

    assert (said.value.code, said.value.retry_after) == ("breaker", timedelta(seconds=30))
    assert len(server.asked) == 5
    assert breakers.open_for(one.line.redis, "b2c", now=watch())


def test_the_other_products_go_on_meanwhile(client, server, watch):
    line = client(clock=watch)
    server.answers = [DOWN] * 5
    failing(line.pay, PAY, Unknown, 5)

    line.push(PUSH)

    assert len(server.asked) == 6


def test_after_the_break_one_payout_tries_the_line_and_its_success_frees_the_rest(
    client, server, watch
):
    line = client(clock=watch)
    server.answers = [DOWN] * 5
    failing(line.pay, PAY, Unknown, 5)
    watch.moves(seconds=30)

    def meanwhile(door):
        with pytest.raises(NotSent) as said:
            line.pay(PAY)
        assert said.value.code == "breaker"
        return door.say(200, b'{"ResponseCode": "0", "ConversationID": "AG_9"}', "text/json")

    server.answers = [meanwhile]
    line.pay(PAY)
    line.pay(PAY)

    assert len(server.asked) == 7


def test_refusals_of_single_customers_open_nothing(client, server):
    line = client()
    server.answers = [(500, LOCKED)] * 8
    failing(line.push, PUSH, Rejected, 8)

    line.push(PUSH)

    assert len(server.asked) == 9


def test_a_refusal_between_failures_shows_that_the_line_lives(client, server):
    line = client()
    server.answers = [*[DOWN] * 4, (500, LOCKED), *[DOWN] * 4]
    failing(line.push, PUSH, Unknown, 4)
    failing(line.push, PUSH, Rejected, 1)
    failing(line.push, PUSH, Unknown, 4)

    line.push(PUSH)

    assert len(server.asked) == 10


def test_an_app_without_the_product_is_not_tried_again_at_once(client, server):
    line = client()
    wrong = "Invalid API call as no apiproduct match found"
    server.answers = [(401, daraja.error("401.002.01", wrong))]
    failing(line.pay, PAY, NotSent, 1)

    with pytest.raises(NotSent) as said:
        line.pay(PAY)

    assert said.value.code == "breaker"
    assert len(server.asked) == 1


def test_a_key_that_is_refused_is_not_shown_on_and_on(client, server, watch):
    line = client(clock=watch, DARAJA_RATES="b2c=9/9")
    server.expires = None  # 400 and an empty body
    failing(line.pay, PAY, NotSent, 5)

    with pytest.raises(NotSent) as said:
        line.push(PUSH)

    assert said.value.code == "token"
    assert "breaker" in said.value.detail
    assert said.value.retry_after == timedelta(seconds=30)
    server.expires = "3599"
    watch.moves(seconds=31)
    line.push(PUSH)


def test_more_than_the_rate_is_told_when_to_come_back(client, server):
    line = client(DARAJA_RATES="b2c=0.1/2")
    line.pay(PAY)
    line.pay(PAY)

    waits = []
    for _ in range(3):
        with pytest.raises(NotSent) as said:
            line.pay(PAY)
        assert said.value.code == "rate"
        waits.append(said.value.retry_after)

    assert waits == [timedelta(seconds=s) for s in (10, 20, 30)]
    assert len(server.asked) == 2


def test_a_turn_that_is_near_is_waited_for(client, server):
    line = client(**FEW)
    crowd = [threading.Thread(target=line.pay, args=(PAY,)) for _ in range(5)]
    line.line.token.current()
    began = time.monotonic()
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()

    assert len(server.asked) == 5
    assert time.monotonic() - began >= 0.3  # two at once, and three more 100 ms apart


def test_who_is_told_of_too_many_slows_down(client, server):
    line = client(DARAJA_RATES="b2c=0.1/50")
    server.answers = [(429, b"")]
    failing(line.pay, PAY, NotSent, 1)

    with pytest.raises(NotSent) as said:
        line.pay(PAY)

    assert (said.value.code, said.value.retry_after) == ("rate", timedelta(seconds=10))
    assert len(server.asked) == 1


def test_a_product_without_a_rate_has_none(client, server):
    line = client(**FEW)
    for _ in range(120):
        line.push(PUSH)

    assert len(server.asked) == 120


def test_without_redis_there_is_no_limit_but_no_token_either(client, server):
    line = client()
    line.line.token.current()
    line.line.redis = Redis(port=9, retry=Retry(NoBackoff(), 0))
    line.pay(PAY)  # the token is there, so nothing is in the way
    assert len(server.asked) == 1

    line.line.token.redis = line.line.redis
    with pytest.raises(NotSent) as said:
        line.pay(PAY)
    assert said.value.code == "token_store"
    assert len(server.asked) == 1
