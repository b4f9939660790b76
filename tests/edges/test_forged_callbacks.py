"""Forged callbacks, case by case: none of them credits or pays, and each of them is counted."""

import secrets

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from core import strangers
from core.inbox import Callback
from core.runtime import Runtime
from demo.settings import PAYBILL
from tests import cashier, mpesa, paybill, standing, teller

RECEIPT = "SKF0RGED01"
DOORS = ("stk", "c2b/confirm", "b2c/result", "status/result")
OUTSIDE = {"REMOTE_ADDR": "203.0.113.9"}
FORGED = {  # at the door: how it is forged, what is answered, and as what it is counted
    "no token": (404, "token"),
    "a token of before": (404, "token"),
    "the token of another door": (404, "token"),
    "a token cut short": (404, "token"),
    "from elsewhere": (403, "address"),
    "from elsewhere, forwarded for M-PESA": (403, "address"),
    "as a form": (415, "content_type"),
}
TOLD = (  # let in, for it came from M-PESA with the token: what is not believed of it
    ("more than was asked for", "mismatch"),
    ("less than was asked for", "mismatch"),
    ("from another phone", "mismatch"),
    ("an id that nobody has", "orphan"),
    ("no receipt", "no receipt"),
    ("a negative amount", "mismatch"),
    ("no amount", "mismatch"),
    ("an amount of letters", "mismatch"),
    ("the receipt of another payment", None),
    ("paid by hand to another shortcode", None),
    ("paid by hand with nothing", "unreadable"),
    ("a payout with another amount", None),
    ("a payout to another phone", None),
    ("a payout that nobody asked for", None),
    ("the status of something nobody asked about", None),
)


@pytest.fixture
def visitor(rt: Runtime) -> FlaskClient:
    return standing.application(rt).test_client()


@pytest.fixture
def pushed(rt, amina, wait):
    """A push that waits for its callback; its CheckoutRequestID."""
    daraja = mpesa.Daraja(rt)
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    return daraja, mpesa.deposit(rt, asked.deposit_id).checkout_request_id


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("how", FORGED)
def test_at_the_door(rt, visitor, amina, pushed, door, how):
    status, reason = FORGED[how]
    right, other = tokens(rt, door)
    token = {
        "no token": "-",
        "a token of before": secrets.token_hex(32),
        "the token of another door": other,
        "a token cut short": right[:-1],
    }.get(how, right)
    environ = OUTSIDE if how.startswith("from") else {}
    if how.endswith("M-PESA"):
        environ = environ | {"HTTP_X_FORWARDED_FOR": "196.201.214.200, 127.0.0.1"}
    body = {"data": {"a": "b"}} if how == "as a form" else {"json": bodies(pushed[1])[door]}
    before = counted(rt, reason)

    answer = visitor.post(f"/hooks/{token}/{door}", environ_overrides=environ, **body)

    assert answer.status_code == status
    assert counted(rt, reason) == before + 1
    assert verdicts(rt) == []
    assert mpesa.balance(rt, amina) == 1_000_00


@pytest.mark.parametrize(("how", "verdict"), TOLD)
def test_inside(rt, visitor, amina, brian, pushed, how, verdict):
    daraja, checkout = pushed
    payout = cashier.sent(rt, amina, 50)
    request = daraja.requests("b2c")[-1]
    door, body = forgery(how, rt, checkout, request, brian)
    before = {who.id: mpesa.balance(rt, who) for who in (amina, brian)}

    visitor.post(f"/hooks/{tokens(rt, door)[0]}/{door}", json=body)
    mpesa.work(rt)

    said = verdicts(rt)[-1]
    assert said not in ("credited", "paid", "released", None)
    assert verdict is None or said == verdict
    assert {who.id: mpesa.balance(rt, who) for who in (amina, brian)} == before
    assert cashier.state(rt, payout) < cashier.PayoutState.PAID
    assert teller.clean(rt)


def test_there_are_forty_of_them():
    assert len(DOORS) * len(FORGED) + len(TOLD) >= 40


def forgery(how, rt, checkout, request, brian):
    """The door and the body of it."""
    pushes = {
        "more than was asked for": {"amount": 900_000},
        "less than was asked for": {"amount": 1},
        "from another phone": {"phone": 254712999999},
        "no receipt": {"receipt": ""},
        "a negative amount": {"amount": -100},
        "no amount": {"amount": None},
        "an amount of letters": {"amount": "lots"},
    }
    if how in pushes:
        return "stk", mpesa.push_result(checkout, **{"receipt": RECEIPT} | pushes[how])
    if how == "an id that nobody has":
        return "stk", mpesa.push_result("ws_CO_nobody", receipt=RECEIPT)
    if how == "the receipt of another payment":
        paybill.pay(rt, brian.phone, receipt=RECEIPT, payer="2547 ***** 002")
        return "stk", mpesa.push_result(checkout, receipt=RECEIPT)
    if how.startswith("paid by hand"):
        forged = {"amount": "0.00"} if how.endswith("nothing") else {"shortcode": "999999"}
        return "c2b/confirm", paybill.confirmation("0712000001", receipt=RECEIPT, **forged)
    if how.startswith("a payout"):
        nobodys = {**request, "ocid": "7d1ad27a-0000-4000-8000-000000000000"}
        told = {
            "a payout with another amount": (request, {"amount": 51}),
            "a payout to another phone": (request, {"payee": "254712999999 - THIEF"}),
            "a payout that nobody asked for": (nobodys, {}),
        }
        asked, more = told[how]
        return "b2c/result", mpesa.payout_result(asked, receipt=RECEIPT, **more)
    return "status/result", mpesa.status_result("AG_nobody", receipt=RECEIPT)


def tokens(rt, door):
    """The token of the door, and one of another."""
    results = rt.config.daraja_hook_token[0].get_secret_value()
    tills = rt.config.c2b_hook_token[0].get_secret_value()
    return (tills, results) if door.startswith("c2b") else (results, tills)


def bodies(checkout):
    """What would be believed."""
    return {
        "stk": mpesa.push_result(checkout, receipt=RECEIPT),
        "c2b/confirm": paybill.confirmation("0712000001", receipt=RECEIPT, shortcode=PAYBILL),
        "b2c/result": mpesa.payout_result(
            {"ocid": secrets.token_hex(16), "phone": "+254712000001", "amount": 100_00}
        ),
        "status/result": mpesa.status_result("AG_1"),
    }


def counted(rt, reason):
    told = {(door, why): count for door, why, count in strangers.counts(rt.redis)}
    return told.get(("mpesa", reason), 0)


def verdicts(rt):
    with rt.transaction() as tx:
        return list(tx.scalars(select(Callback.verdict).order_by(Callback.id)))
