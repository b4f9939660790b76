"""The paybill's doors with their own token, and what strangers get who keep knocking."""

import pytest
from flask.testing import FlaskClient
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import select

from core import rates, strangers
from core.inbox import Callback
from core.runtime import Runtime
from demo.settings import PAYBILL
from tests import standing

PAYMENT = {
    "TransactionType": "Pay Bill",
    "TransID": "SKL7RT61SV",
    "TransTime": "20261120143000",
    "TransAmount": "100.00",
    "BusinessShortCode": PAYBILL,
    "BillRefNumber": "0712000001",
    "InvoiceNumber": "",
    "OrgAccountBalance": "",
    "ThirdPartyTransID": "",
    "MSISDN": "2547 ***** 001",
    "FirstName": "AMINA",
}


@pytest.fixture
def visitor(rt: Runtime) -> FlaskClient:
    return standing.application(rt).test_client()


def paybill(rt: Runtime, door: str) -> str:
    return f"/hooks/{rt.config.c2b_hook_token[0].get_secret_value()}/c2b/{door}"


def kept(rt: Runtime) -> list[str]:
    with rt.transaction() as tx:
        return list(tx.scalars(select(Callback.door).order_by(Callback.id)))


def counts(rt: Runtime) -> dict[tuple[str, str], int]:
    return {(door, reason): count for door, reason, count in strangers.counts(rt.redis)}


@pytest.mark.parametrize("door", ["confirm", "validate"])
def test_the_token_of_the_results_opens_no_paybill_door_nor_the_other_way(rt, visitor, door):
    results = rt.config.daraja_hook_token[0].get_secret_value()
    tills = rt.config.c2b_hook_token[0].get_secret_value()

    assert visitor.post(f"/hooks/{results}/c2b/{door}", json=PAYMENT).status_code == 404
    assert visitor.post(f"/hooks/{tills}/stk", json={}).status_code == 404
    assert kept(rt) == []


def test_a_confirmation_is_kept_and_thanked_for(rt, visitor):
    answer = visitor.post(paybill(rt, "confirm"), json=PAYMENT)

    assert (answer.status_code, answer.get_json()["ResultCode"]) == (200, 0)
    assert kept(rt) == ["c2b_confirm"]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({}, "0", "Accepted"),
        ({"BusinessShortCode": "999999"}, "C2B00015", "Rejected"),
        ({"TransAmount": "0.00"}, "C2B00013", "Rejected"),
    ],
)
def test_a_validation_is_answered_at_once_and_nothing_is_kept(rt, visitor, change, code, words):
    answer = visitor.post(paybill(rt, "validate"), json=PAYMENT | change)

    assert answer.status_code == 200
    assert answer.get_json() == {"ResultCode": code, "ResultDesc": words}
    assert kept(rt) == []


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff", b"null"])
def test_a_validation_nobody_can_read_is_answered_too(rt, visitor, body):
    answer = visitor.post(paybill(rt, "validate"), data=body, content_type="application/json")

    assert answer.status_code == 200
    assert answer.get_json()["ResultDesc"] == "Rejected"


def test_everyone_who_is_turned_away_is_counted_by_reason(rt, visitor):
    elsewhere = {"REMOTE_ADDR": "203.0.113.9"}
    visitor.post(paybill(rt, "confirm"), json=PAYMENT, environ_overrides=elsewhere)
    visitor.post(f"/hooks/{'0' * 64}/c2b/confirm", json=PAYMENT)
    visitor.post(f"/hooks/{'1' * 64}/stk", json=PAYMENT)

    assert counts(rt) == {("mpesa", "address"): 1, ("mpesa", "token"): 2}


def test_a_stranger_who_keeps_knocking_is_put_off_and_m_pesa_is_not(rt, visitor, monkeypatch):
    monkeypatch.setattr(strangers, "OFTEN", rates.Rate(0.001, 3))
    wrong = f"/hooks/{'0' * 64}/stk"

    answers = [visitor.post(wrong, json=PAYMENT).status_code for _ in range(5)]

    assert answers == [404, 404, 404, 429, 429]
    assert counts(rt) == {("mpesa", "token"): 5}
    for _ in range(8):  # from the same address, with the right token
        assert visitor.post(paybill(rt, "confirm"), json=PAYMENT).status_code == 200
    assert len(kept(rt)) == 8


def test_without_redis_strangers_are_turned_away_all_the_same(rt, visitor):
    rt.redis = Redis(port=9, retry=Retry(NoBackoff(), 0))

    assert visitor.post(f"/hooks/{'0' * 64}/stk", json=PAYMENT).status_code == 404
    assert list(strangers.counts(rt.redis)) == []
