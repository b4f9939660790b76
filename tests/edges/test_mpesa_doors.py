"""The M-PESA doors: who gets in, that whatever comes is kept and thanked for, and acted on once."""

import json

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from core import errands, inbox
from core.inbox import Callback
from core.runtime import Runtime
from tests import mpesa, standing, teller

ASKED = ("b2c", "status", "reversal", "balance")
DOORS = ("stk", "c2b/confirm", *(f"{a}/{told}" for a in ASKED for told in ("result", "timeout")))
THANKS = {"ResultCode": 0, "ResultDesc": "Accepted"}

FIELDS = st.sampled_from(
    [
        "Body",
        "stkCallback",
        "CheckoutRequestID",
        "ResultCode",
        "CallbackMetadata",
        "Item",
        "Name",
        "Value",
        "Result",
        "Key",
        "ConversationID",
        "OriginatorConversationID",
        "ResultParameters",
        "ResultParameter",
        "TransactionStatus",
        "ReceiptNo",
        "Amount",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)
ANSWERED = {"ResultCode": 0, "ConversationID": "AG_1"}
ENVELOPES = (
    VALUES
    | VALUES.map(lambda value: {"Body": {"stkCallback": value}})
    | VALUES.map(lambda value: {"Result": value})
    | VALUES.map(lambda value: {"Result": {**ANSWERED, "ResultParameters": value}})
)


@pytest.fixture
def visitor(rt: Runtime) -> FlaskClient:
    return standing.application(rt).test_client()


def path(rt: Runtime, door: str, place: int = 0) -> str:
    config = rt.config
    tokens = config.c2b_hook_token if door.startswith("c2b") else config.daraja_hook_token
    return f"/hooks/{tokens[place].get_secret_value()}/{door}"


@pytest.mark.parametrize("door", DOORS)
def test_only_m_pesa_gets_in(rt, visitor, door):
    other = {"REMOTE_ADDR": "203.0.113.9"}
    spoofed = other | {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}
    body: dict[str, object] = {"Body": {}}

    assert visitor.post(f"/hooks/{'0' * 64}/{door}", json=body).status_code == 404
    assert visitor.post(path(rt, door), json=body, environ_overrides=other).status_code == 403
    assert visitor.post(path(rt, door), json=body, environ_overrides=spoofed).status_code == 403
    assert visitor.post(path(rt, door), data={"a": "b"}).status_code == 415
    assert visitor.post(path(rt, door), json={"a": "x" * 17_000}).status_code == 413
    assert visitor.get(path(rt, door)).status_code == 405
    assert kept(rt) == []


def test_the_aggregators_token_opens_none_of_them(rt, visitor):
    token = rt.config.aggregator_hook_token[0].get_secret_value()

    assert visitor.post(f"/hooks/{token}/stk", json={}).status_code == 404


@pytest.mark.parametrize("door", DOORS)
def test_what_comes_is_sealed_thanked_for_and_acted_on_by_a_worker(rt, visitor, door):
    answer = visitor.post(path(rt, door), json={"Secret": "words"})

    assert (answer.status_code, answer.get_json()) == (200, THANKS)
    (callback,) = kept(rt)
    assert callback.door == door.replace("/", "_") in errands.PROCESSORS
    assert "words" not in callback.body
    assert inbox.read(callback, keys=rt.config.data_keys) == {"Secret": "words"}
    assert rt.queues["money"].count == 1


def test_a_callback_through_the_door_credits_once(rt, visitor, amina, wait):
    mpesa.Daraja(rt)
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    for _ in range(3):
        visitor.post(path(rt, "stk"), json=mpesa.push_result("ws_CO_1"))

    mpesa.work(rt)

    assert mpesa.balance(rt, amina) == 1_100_00
    assert [callback.verdict for callback in kept(rt)] == ["credited", "duplicate", "duplicate"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"OriginatorConversationID": "1", "SecurityCredential": "QUJD+/=="}',
        b'{ "securitycredential" : "QUJD+/==", "a": 1}',
        b'{"SecurityCredential": "QUJD\\"+/==", "b": "',
        json.dumps({"Result": {"SecurityCredential": "QUJD+/=="}}).encode(),
    ],
)
def test_our_own_credential_is_not_kept_even_sealed(rt, visitor, body):
    visitor.post(path(rt, "b2c/timeout"), data=body, content_type="application/json")

    (callback,) = kept(rt)
    found = rt.config.data_keys.open(callback.body, aad=f"callback.body|{callback.id}")
    assert b"QUJD" not in found
    assert b'"redacted"' in found


def test_odd_bodies_are_kept_too(rt, visitor):
    odd = [b"", b"null", b"[1]", b"{", b"\xff\xfe", b'"text"', b"<xml/>"]
    for body in odd:
        answer = visitor.post(path(rt, "stk"), data=body, content_type="application/json")
        assert (answer.status_code, answer.get_json()) == (200, THANKS)

    mpesa.work(rt)

    assert [callback.verdict for callback in kept(rt)] == ["unreadable"] * len(odd)


def test_nothing_that_can_be_posted_makes_a_door_fail_or_moves_a_cent(rt, visitor, amina):
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(DOORS), ENVELOPES)
    def fuzz(door, payload):
        body = {"data": json.dumps(payload), "content_type": "application/json"}
        assert visitor.post(path(rt, door), **body).status_code == 200
        mpesa.work(rt)

    fuzz()
    with rt.transaction() as tx:
        undone = select(func.count()).where(Callback.state != inbox.State.DONE)
        assert tx.scalar(undone) == 0
        assert tx.scalar(text("SELECT count(*) FROM mpesa_receipt")) == 0
    assert mpesa.balance(rt, amina) == 1_000_00


def kept(rt: Runtime) -> list[Callback]:
    with rt.transaction() as tx:
        return list(tx.scalars(select(Callback).order_by(Callback.id)))
