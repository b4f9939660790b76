"""The Daraja client: every field of every request, as Daraja wants it."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from core.errors import Unknown
from tests import daraja
from tests.daraja import PAY, PUSH, YES


def test_a_push_has_every_field_as_daraja_wants_it(client, server):
    line = client()
    config = line.config

    answer = line.push(PUSH)

    ((path, authorization, body),) = server.asked
    assert path == "/mpesa/stkpush/v1/processrequest"
    assert authorization == "Bearer token-1"
    assert base64.b64decode(body.pop("Password")).decode() == (
        f"{config.mpesa_shortcode}{config.mpesa_passkey.get_secret_value()}20261121013005"
    )
    assert body == {
        "BusinessShortCode": int(config.mpesa_shortcode),
        "Timestamp": "20261121013005",
        "TransactionType": "CustomerPayBillOnline",
        "Amount": 100,
        "PartyA": 254712000001,
        "PartyB": int(config.mpesa_shortcode),
        "PhoneNumber": 254712000001,
        "CallBackURL": hook(config, "stk"),
        "AccountReference": "D5M6XQK",
        "TransactionDesc": "Deposit",
    }
    assert len(body["TransactionDesc"]) <= 13
    assert (answer["checkout_request_id"], answer["merchant_request_id"]) == ("ws_CO_1", "m-1")


def test_a_till_is_paid_as_a_till(client, server):
    client(MPESA_TILL_NUMBER="174380").push(PUSH)

    (body,) = server.bodies()
    assert (body["TransactionType"], body["PartyB"]) == ("CustomerBuyGoodsOnline", 174380)


def test_a_payout_carries_our_id_and_a_credential_only_m_pesa_can_read(client, server):
    line = client()
    config = line.config

    answer = line.pay(PAY)

    ((path, _, body),) = server.asked
    assert path == "/mpesa/b2c/v3/paymentrequest"
    secret = daraja.KEY.decrypt(base64.b64decode(body.pop("SecurityCredential")), PKCS1v15())
    assert secret.decode() == config.mpesa_initiator_password.get_secret_value()
    assert body == {
        "OriginatorConversationID": "0c1d",
        "InitiatorName": config.mpesa_initiator_name,
        "CommandID": "BusinessPayment",
        "Amount": 285,
        "PartyA": int(config.mpesa_b2c_shortcode),
        "PartyB": 254712000001,
        "Remarks": "Payout",
        "QueueTimeOutURL": hook(config, "b2c/timeout"),
        "ResultURL": hook(config, "b2c/result"),
    }
    assert answer["conversation_id"] == "AG_1"


@pytest.mark.parametrize(
    ("subject", "fields"),
    [
        ({"receipt": "SKL7RT61SV"}, {"TransactionID": "SKL7RT61SV"}),
        (
            {"ocid": "0c1d"},
            {"OriginatorConversationID": "0c1d", "OriginalConversationID": "0c1d"},
        ),
    ],
)
def test_a_status_query_asks_by_receipt_or_by_our_id(client, server, subject, fields):
    line = client()

    line.ask_status(subject | {"shortcode": "600986"})

    ((path, _, body),) = server.asked
    assert path == "/mpesa/transactionstatus/v1/query"
    del body["SecurityCredential"]
    assert body == fields | {
        "Initiator": line.config.mpesa_initiator_name,
        "CommandID": "TransactionStatusQuery",
        "PartyA": 600986,
        "IdentifierType": "4",
        "ResultURL": hook(line.config, "status/result"),
        "QueueTimeOutURL": hook(line.config, "status/timeout"),
        "Remarks": "Status",
        "Occasion": "Status",
    }


def test_a_push_is_asked_about(client, server):
    assert client().ask_push({"checkout_request_id": "ws_CO_1"})["code"] == "1032"

    server.answers = [(200, YES | {"ResultCode": "4999"})]
    with pytest.raises(Unknown) as said:
        client().ask_push({"checkout_request_id": "ws_CO_1"})
    assert said.value.code == "in_flight"


def test_no_address_of_ours_has_a_word_that_m_pesa_refuses(client, server):
    line = client()
    for send, request in ((line.push, PUSH), (line.pay, PAY)):
        send(request)
    urls = [v for body in server.bodies() for k, v in body.items() if k.lower().endswith("url")]
    words = ("mpesa", "safaricom", "exe", "exec", "cmd", "sql", "query")
    assert len(urls) == 3
    assert not [url for url in urls for word in words if word in url.lower()]


def hook(config, door):
    token = config.daraja_hook_token[0].get_secret_value()
    return f"{config.public_url}/hooks/{token}/{door}"
