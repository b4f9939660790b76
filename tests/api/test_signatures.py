"""Signed requests: whatever is changed on the way, too early, too late or sent twice is refused."""

import logging
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from core import api_keys, rates, signatures
from core.config import Config
from core.signatures import ApiNonce
from core.staff import Staff
from tests import games, teller
from tests.api.programs import API, refused
from tests.ground import environment_for

PATH = "/markets/101/proposal"
HERE = 404  # where nothing is proposed: whoever is told so has come in


def nonces(rt):
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(ApiNonce))


def header(name, change):
    """The request with one header another, or gone."""

    def changed(request):
        headers = dict(request["headers"])
        value = change(headers.get(name, ""))
        return request | {
            "headers": {k: v for k, v in headers.items() if k != name}
            | ({} if value is None else {name: value})
        }

    return changed


def part(name, value):
    return lambda request: request | {name: value}


CHANGES = {
    "another method": part("method", "POST"),
    "another path": part("path", f"{API}/markets/102/proposal"),
    "a query": part("path", f"{API}{PATH}?x=1"),
    "a body": part("data", b"{}"),
    "another second": header("X-Timestamp", lambda was: str(int(was) + 1)),
    "no timestamp": header("X-Timestamp", lambda was: None),
    "a timestamp with a sign": header("X-Timestamp", lambda was: f"+{was}"),
    "a timestamp with a point": header("X-Timestamp", lambda was: f"{was}.0"),
    "another nonce": header("X-Nonce", lambda was: f"{was[:-1]}{'1' if was[-1] == '0' else '0'}"),
    "no nonce": header("X-Nonce", lambda was: None),
    "another key": header("X-Key", lambda was: "0" * 16),
    "a longer key": header("X-Key", lambda was: f"{was}0"),
    "no key": header("X-Key", lambda was: None),
    "a signature in capitals": header("X-Signature", lambda was: was.upper()),
    "half a signature": header("X-Signature", lambda was: was[:32]),
    "an empty signature": header("X-Signature", lambda was: ""),
    "no signature": header("X-Signature", lambda was: None),
    "a signature with an accent": header("X-Signature", lambda was: was[:-1] + "\xe9"),
    "a second factor": header("X-TOTP", lambda was: "123456"),
    "nothing at all": part("headers", {}),
}
SIGNED_SO = {
    "with another secret": {"secret": "x" * 43},
    "with a short nonce": {"nonce": "a" * 15},
    "with a long nonce": {"nonce": "a" * 65},
    "with a nonce of other signs": {"nonce": "a|" * 10},
    "without a nonce": {"nonce": ""},
    "in words": {"timestamp": "now"},
    "in foreign digits": {"timestamp": "\u0661\u0667".encode().decode("latin-1")},
    "in a far year": {"timestamp": "99999999999"},
    "long ago": {"timestamp": "0"},
    "with a strange second factor": {"totp": "12345"},
}


def test_a_request_that_was_changed_is_refused_and_as_it_was_it_is_taken(rt, wanjiku):
    for number, (name, change) in enumerate(CHANGES.items()):
        request = wanjiku.signed("GET", PATH)
        refused(wanjiku.client.open(**change(request)), 401, "staff.api_denied")
        assert nonces(rt) == number, name
        assert wanjiku.send(request).status_code == HERE, name


def test_a_request_that_was_signed_wrongly_is_refused(rt, wanjiku):
    for how in SIGNED_SO.values():
        refused(wanjiku.send(wanjiku.signed("GET", PATH, **how)), 401, "staff.api_denied")
    assert nonces(rt) == 0


def test_what_is_done_is_what_was_signed_down_to_the_body_and_the_second_factor(rt, wanjiku):
    closed = games.derby(rt, wanjiku.member)
    games.close(rt, closed, wanjiku.member)
    path, body = f"/markets/{closed.code}/proposal", b'{"winners":[1],"source":"FKF"}'
    signed = wanjiku.signed("POST", path, body, totp=wanjiku.person.code())
    for change in (
        part("data", body.replace(b"1", b"2")),
        part("data", body + b" "),
        part("data", b""),
        header("X-TOTP", lambda was: None),
        header("X-TOTP", lambda was: "000000"),
    ):
        refused(wanjiku.client.open(**change(signed)), 401, "staff.api_denied")
    assert wanjiku.send(signed).status_code == 201


def test_every_cause_gets_the_same_answer(rt, program, wanjiku):
    """Whoever guesses learns nothing, not even that there is such a key."""
    gone, away = program("otieno"), program("njeri")
    with rt.transaction() as tx:
        api_keys.revoke(tx, gone.key_id, by=gone.member, now=rt.now())
        tx.get_one(Staff, away.member.id).active = False
    taken = wanjiku.signed("GET", PATH)
    wanjiku.send(taken)
    stale = wanjiku.signed("GET", PATH, timestamp=str(int(rt.now().timestamp()) - 400))
    unknown = header("X-Key", lambda was: "0" * 16)(wanjiku.signed("GET", PATH))
    wrong = wanjiku.signed("GET", PATH, secret="x" * 43)

    answers = [
        wanjiku.client.open(**request)
        for request in (
            taken, stale, unknown, wrong, gone.signed("GET", PATH), away.signed("GET", PATH)
        )
    ]  # fmt: skip

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.data for answer in answers}) == 1
    assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1
    assert answers[0].headers["WWW-Authenticate"] == "Signature"


@pytest.mark.parametrize(
    ("seconds", "status"), [(298, HERE), (-298, HERE), (303, 401), (-303, 401)]
)
def test_a_clock_may_be_five_minutes_out(rt, wanjiku, seconds, status):
    moment = rt.now() + timedelta(seconds=seconds)
    request = wanjiku.signed("GET", PATH, timestamp=str(int(moment.timestamp())))
    assert wanjiku.send(request).status_code == status


def test_a_request_is_taken_once_whatever_came_of_it(rt, wanjiku):
    read = wanjiku.signed("GET", PATH)
    assert [wanjiku.send(read).status_code for _ in range(3)] == [HERE, 401, 401]
    act = wanjiku.signed("POST", "/markets/101/approval", b"{}", totp=wanjiku.person.code())
    assert [wanjiku.send(act).status_code for _ in range(2)] == [400, 401]


def test_a_nonce_is_one_keys_own(rt, wanjiku, kamau):
    for program in (wanjiku, kamau):
        assert program.send(program.signed("GET", PATH, nonce="n" * 16)).status_code == HERE


def test_a_request_from_the_future_is_not_taken_again_after_the_sweep(rt, wanjiku, wait):
    ahead = rt.now() + timedelta(seconds=290)
    request = wanjiku.signed("GET", PATH, timestamp=str(int(ahead.timestamp())))
    assert wanjiku.send(request).status_code == HERE

    for _ in range(12):
        wait(seconds=60)
        with rt.transaction() as tx:
            signatures.sweep(tx, rt.now(), rt.config)
        refused(wanjiku.send(request), 401, "staff.api_denied")


def test_the_clock_forgets_what_nobody_can_send_again(rt, wanjiku, wait):
    wanjiku.get(PATH)
    wait(seconds=560)
    wanjiku.get(PATH)
    (tick,) = [tick for tick in rt.ticks if tick.name == "api_nonces"]
    tick.work(rt)
    assert nonces(rt) == 2
    wait(seconds=60)
    tick.work(rt)
    assert nonces(rt) == 1


@pytest.mark.race
def test_of_many_copies_at_once_one_is_taken(rt, wanjiku, counts):
    for _ in range(5):
        request = wanjiku.signed("GET", PATH)
        said = teller.at_once(8, lambda place, request=request: wanjiku.send(request).status_code)
        assert sorted(said) == [401] * 7 + [HERE]


def test_a_key_asks_as_often_as_it_may_and_no_oftener(rt, wanjiku, kamau, wait):
    rt.config = rt.config.model_copy(update={"api_rate": rates.Rate(0.1, 3)})
    assert [wanjiku.get(PATH).status_code for _ in range(4)] == [HERE, HERE, HERE, 429]
    answer = wanjiku.get(PATH)
    refused(answer, 429, "staff.api_too_often")
    assert 1 <= int(answer.headers["Retry-After"]) <= 20
    assert kamau.get(PATH).status_code == HERE
    wait(seconds=int(answer.headers["Retry-After"]))
    assert wanjiku.get(PATH).status_code == HERE


def test_one_address_asks_no_oftener_than_a_few_keys_together(rt, client, wanjiku):
    rt.config = rt.config.model_copy(update={"api_rate": rates.Rate(0.001, 1)})
    said = [client.get(f"{API}{PATH}").status_code for _ in range(5)]
    assert said == [401, 401, 401, 401, 429]
    elsewhere = {"REMOTE_ADDR": "203.0.113.9"}
    assert (
        wanjiku.send(wanjiku.signed("GET", PATH), environ_overrides=elsewhere).status_code == HERE
    )


def test_without_redis_there_is_no_limit_and_every_request_is_still_taken_once(rt, wanjiku):
    rt.config = rt.config.model_copy(update={"api_rate": rates.Rate(0.001, 1)})
    rt.redis.connection_pool.connection_kwargs["path"] = "/nowhere"
    rt.redis.connection_pool.disconnect()
    request = wanjiku.signed("GET", PATH)
    assert [wanjiku.send(request).status_code for _ in range(2)] == [HERE, 401]
    assert wanjiku.get(PATH).status_code == HERE


def test_a_secret_is_sealed_for_its_row_and_its_ring(rt, urls, wanjiku, kamau, caplog):
    with rt.transaction() as tx:
        kept = list(tx.scalars(text("SELECT row_to_json(k)::text FROM api_key k")))
        assert len(kept) == 2
        assert not [row for row in kept if wanjiku.secret in row]
        mine, his = (tx.get_one(api_keys.ApiKey, one.key_id) for one in (wanjiku, kamau))
        mine.secret, his.secret = his.secret, mine.secret
    with caplog.at_level(logging.ERROR):
        refused(wanjiku.get(PATH), 401, "staff.api_denied")

    with rt.transaction() as tx:
        mine = tx.get_one(api_keys.ApiKey, wanjiku.key_id)
        his = tx.get_one(api_keys.ApiKey, kamau.key_id)
        mine.secret, his.secret = his.secret, mine.secret
    assert wanjiku.get(PATH).status_code == HERE
    lost = Config.from_env(environment_for(urls) | {"DATA_KEYS": f"k2:{'A' * 43}="})
    rt.config = lost
    refused(wanjiku.get(PATH), 401, "staff.api_denied")
