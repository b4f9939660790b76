"""The Daraja client: every field of every request, as Daraja wants it."""

import base64
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding

from core.errors import Rejected, Unknown
from mpesa import pulled, secrets
from tests import daraja
from tests.daraja import MOMENT, PAY, PUSH, YES


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
    assert opened(body.pop("SecurityCredential")) == password(config)
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


def test_a_reversal_names_the_payment_and_who_received_it(client, server):
    line = client()

    answer = line.reverse({"receipt": "SKL7RT61SV", "amount": 150_00, "shortcode": "174379"})

    ((path, _, body),) = server.asked
    assert path == "/mpesa/reversal/v1/request"
    assert opened(body.pop("SecurityCredential")) == password(line.config)
    assert body == {
        "Initiator": line.config.mpesa_initiator_name,
        "CommandID": "TransactionReversal",
        "TransactionID": "SKL7RT61SV",
        "Amount": 150,
        "ReceiverParty": 174379,
        "RecieverIdentifierType": "11",
        "ResultURL": hook(line.config, "reversal/result"),
        "QueueTimeOutURL": hook(line.config, "reversal/timeout"),
        "Remarks": "Refund",
        "Occasion": "Refund",
    }
    assert (answer["conversation_id"], answer["originator_conversation_id"]) == ("AG_1", "o-1")


@pytest.mark.parametrize(("request_", "party"), [({}, 174379), ({"shortcode": "600986"}, 600986)])
def test_a_balance_is_asked_of_the_paybill_or_of_another(client, server, request_, party):
    line = client()

    assert line.ask_balance(request_)["conversation_id"] == "AG_1"

    ((path, _, body),) = server.asked
    assert path == "/mpesa/accountbalance/v1/query"
    assert opened(body.pop("SecurityCredential")) == password(line.config)
    assert body == {
        "Initiator": line.config.mpesa_initiator_name,
        "CommandID": "AccountBalance",
        "PartyA": party,
        "IdentifierType": "4",
        "ResultURL": hook(line.config, "balance/result"),
        "QueueTimeOutURL": hook(line.config, "balance/timeout"),
        "Remarks": "Balance",
        "Occasion": "Balance",
    }


def test_the_paybill_addresses_have_a_token_of_their_own(client, server):
    server.answers = [(200, {"ResponseCode": "0", "OriginatorCoversationID": "7619-1",
                             "ResponseDescription": "success"})]  # fmt: skip
    line = client()

    answer = line.register_paybill({})

    ((path, _, body),) = server.asked
    token = line.config.c2b_hook_token[0].get_secret_value()
    assert path == "/mpesa/c2b/v2/registerurl"
    assert body == {
        "ShortCode": 174379,
        "ResponseType": "Completed",
        "ConfirmationURL": f"{line.config.public_url}/hooks/{token}/c2b/confirm",
        "ValidationURL": f"{line.config.public_url}/hooks/{token}/c2b/validate",
    }
    assert answer == {"receipt": "7619-1", "detail": "success"}


def test_to_be_registered_already_is_told_apart(client, server):
    server.answers = [(500, daraja.error("500.003.1001", "Urls are already registered."))]
    with pytest.raises(Rejected) as said:
        client().register_paybill({})
    assert said.value.code == "registered"

    server.answers = [(200, {"ResponseRefID": "1-2-3", "Response Status": "1001",
                             "ResponseDescription": "ShortCode already Registered"})]  # fmt: skip
    line = client(MPESA_PULL_NUMBER="0722000000")
    assert line.register_pull({})["receipt"] == "1-2-3"
    body = server.bodies()[-1]
    assert (body["RequestType"], body["NominatedNumber"]) == ("Pull", "0722000000")


PULLED = {
    "transactionId": "skl7rt61sv ",
    "trxDate": "2026-11-20T10:13:00Z",
    "msisdn": 254712000001,
    "sender": "MPESA",
    "transactiontype": "c2b-pay-bill-debit",
    "billreference": "D5M6XQK",
    "amount": "1,168.50",
    "organizationname": "HOUSE",
}


def test_a_pull_asks_in_nairobis_time_and_reads_the_rows(client, server):
    server.answers = [(200, {"ResponseRefID": "26-1", "ResponseCode": "1000",
                             "ResponseMessage": "Success", "Response": [[PULLED]]})]  # fmt: skip
    start, end = MOMENT - timedelta(hours=2), MOMENT

    answer = client().pull({"start": start, "end": end.isoformat(), "offset": 100})

    ((path, _, body),) = server.asked
    assert path == "/pulltransactions/v1/query"
    assert body == {
        "ShortCode": "174379",
        "StartDate": "2026-11-20 23:30:05",
        "EndDate": "2026-11-21 01:30:05",
        "OffSetValue": "100",
    }
    assert answer == {
        "receipt": "26-1",
        "rows": [
            {
                "receipt": "SKL7RT61SV",
                "at": "2026-11-20T10:13:00Z",
                "phone": "254712000001",
                "account": "D5M6XQK",
                "amount": 1_168_50,
                "type": "c2b-pay-bill-debit",
                "raw": PULLED,
            }
        ],
    }


@pytest.mark.parametrize(
    ("told", "amounts"),
    [
        ([], []),
        (None, []),
        ([[]], []),
        ("none", []),
        ([PULLED | {"amount": 20}], [20_00]),
        ([[PULLED | {"amount": "20.005"}, PULLED | {"amount": "-5"}]], [None, None]),
        ([[PULLED | {"amount": "NaN"}, PULLED | {"amount": "Infinity"}, {}]], [None, None, None]),
    ],
)
def test_rows_are_read_in_every_shape_they_come_in(told, amounts):
    rows = pulled.rows({"Response": told})

    assert [row["amount"] for row in rows] == amounts
    assert all(set(row) >= {"receipt", "at", "phone", "account", "type", "raw"} for row in rows)


def test_to_log_in_tells_nothing(client, server):
    assert client().log_in({}) == {}
    assert server.tokens == ["token-1"]


def test_the_operators_password_is_read_by_m_pesa_alone():
    pem = daraja.certificate().public_bytes(Encoding.PEM).decode()
    one, other = (secrets.credential("Safe!pass 1", pem) for _ in range(2))

    assert one != other  # padded with chance: the same password never looks the same
    assert opened(one) == opened(other) == "Safe!pass 1"


def test_a_push_is_asked_about(client, server):
    assert client().ask_push({"checkout_request_id": "ws_CO_1"})["code"] == "1032"

    server.answers = [(200, YES | {"ResultCode": "4999"})]
    with pytest.raises(Unknown) as said:
        client().ask_push({"checkout_request_id": "ws_CO_1"})
    assert said.value.code == "in_flight"


def test_no_address_of_ours_has_a_word_that_m_pesa_refuses(client, server):
    line = client()
    reversal = {"receipt": "SKL7RT61SV", "amount": 150_00, "shortcode": "174379"}
    for send, request in (
        (line.push, PUSH),
        (line.pay, PAY),
        (line.ask_status, {"receipt": "SKL7RT61SV", "shortcode": "174379"}),
        (line.reverse, reversal),
        (line.ask_balance, {}),
        (line.register_paybill, {}),
    ):
        send(request)
    urls = [v for body in server.bodies() for k, v in body.items() if k.lower().endswith("url")]
    words = ("mpesa", "safaricom", "exe", "exec", "cmd", "sql", "query")
    assert len(urls) == 11
    assert not [url for url in urls for word in words if word in url.lower()]


def opened(credential):
    return daraja.KEY.decrypt(base64.b64decode(credential), PKCS1v15()).decode()


def password(config):
    return config.mpesa_initiator_password.get_secret_value()


def hook(config, door):
    token = config.daraja_hook_token[0].get_secret_value()
    return f"{config.public_url}/hooks/{token}/{door}"
