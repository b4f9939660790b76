"""1. Every push that leaves has every field M-PESA wants, in its type and length."""

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import daraja

FIELDS = {
    "BusinessShortCode": int,
    "Password": str,
    "Timestamp": str,
    "TransactionType": str,
    "Amount": int,
    "PartyA": int,
    "PartyB": int,
    "PhoneNumber": int,
    "CallBackURL": str,
    "AccountReference": str,
    "TransactionDesc": str,
}
PHONES = st.integers(0, 99_999_999).map(lambda rest: f"+2547{rest:08}")
REFS = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(phone=PHONES, shillings=st.integers(1, 250_000), ref=REFS, till=st.booleans())
def test_every_push_is_complete(client, server, counts, phone, shillings, ref, till):
    line = client(**({"MPESA_TILL_NUMBER": "174380"} if till else {}))
    line.push({"phone": phone, "amount": shillings * 100, "ref": ref})

    path, authorization, body = server.asked[-1]
    assert path == "/mpesa/stkpush/v1/processrequest"
    assert authorization.startswith("Bearer ")
    assert {name: type(value) for name, value in body.items()} == FIELDS
    assert body["PartyA"] == body["PhoneNumber"] == int(phone[1:])
    assert body["Amount"] == shillings
    assert body["AccountReference"] == ref
    assert len(body["TransactionDesc"]) <= 13
    assert re.fullmatch(r"\d{14}", body["Timestamp"])
    way = ("CustomerBuyGoodsOnline", 174380) if till else (
        "CustomerPayBillOnline", int(line.config.mpesa_shortcode)
    )  # fmt: skip
    assert (body["TransactionType"], body["PartyB"]) == way
    assert daraja.PUSH.keys() == {"phone", "amount", "ref"}  # and we are asked for nothing more
