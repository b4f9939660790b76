"""What Daraja's answers mean: the whole table, line by line, and what is not in it."""

from socket import gaierror
from typing import Any

import pytest
import requests
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from core.errors import NotSent, PartnerError, Rejected, Unknown
from mpesa import answers
from mpesa.answers import (
    B2C,
    BALANCE,
    C2B_REGISTER,
    OAUTH,
    PULL,
    PULL_REGISTER,
    REVERSAL,
    STATUS,
    STK,
    STK_QUERY,
    StaleToken,
)

LOCK = "Unable to lock subscriber, a transaction is already in process for the current subscriber"
SPIKE = {
    "fault": {
        "faultstring": "Spike arrest violation. Allowed rate : MessageRate{messagesPerPeriod=5}",
        "detail": {"errorcode": "policies.ratelimit.SpikeArrestViolation"},
    }
}
STALE = {
    "fault": {
        "faultstring": "Invalid access token",
        "detail": {"errorcode": "keymanagement.service.invalid_access_token"},
    }
}
EXPIRED = {
    "fault": {
        "faultstring": "Access Token expired",
        "detail": {"errorcode": "keymanagement.service.access_token_expired"},
    }
}


def says(code: str, message: str) -> dict[str, str]:
    return {"requestId": "1-2-3", "errorCode": code, "errorMessage": message}


# product, status, body, meaning, our name for it
ROWS: list[tuple[str, int, Any, type[PartnerError], str]] = [
    # the gateway did not let it in
    (STK, 404, says("404.001.03", "Invalid Access Token"), StaleToken, "token"),
    (B2C, 401, says("401.002.01", "Error Occurred - Invalid Access Token - x"), StaleToken,
     "token"),
    (STATUS, 400, says("400.003.01", "Invalid Access Token"), StaleToken, "token"),
    (STATUS, 401, says("401.001", "Invalid Access Token"), StaleToken, "token"),
    (B2C, 401, STALE, StaleToken, "token"),
    (BALANCE, 401, EXPIRED, StaleToken, "token"),
    (REVERSAL, 404, says("404.001.03", "Invalid Access Token"), StaleToken, "token"),
    (BALANCE, 401, says("401.002.01", "Error Occurred - Invalid Access Token - x"), StaleToken,
     "token"),
    (C2B_REGISTER, 400, says("400.003.01", "Invalid Access Token"), StaleToken, "token"),
    (PULL, 401, says("401.001", "Invalid Access Token"), StaleToken, "token"),
    (B2C, 401, says("401.002.01", "Invalid API call as no apiproduct match found"), NotSent,
     "no_product"),
    (STK, 429, SPIKE, NotSent, "throttled"),
    (B2C, 429, None, NotSent, "throttled"),
    (STK, 500, says("500.003.02", "Error Occurred: Spike Arrest Violation"), NotSent, "throttled"),
    (B2C, 500, says("500.003.03", "Quota Violation"), NotSent, "throttled"),
    (B2C, 403, says("403.002.1001", "Forbidden"), NotSent, "gateway"),
    (STATUS, 404, says("404.001.04", "Invalid Authentication Header"), NotSent, "gateway"),
    (PULL, 429, SPIKE, NotSent, "throttled"),
    (B2C, 404, says("404.001.01", "Resource not found"), NotSent, "path"),
    (STK, 405, says("405.001", "GET Method Not Allowed"), NotSent, "path"),
    # OAuth knows neither the key nor the way it is shown
    (OAUTH, 400, says("400.008.01", "Invalid Authentication passed"), Rejected, "credentials"),
    (OAUTH, 400, says("400.008.02", "Invalid grant type passed"), Rejected, "credentials"),
    (OAUTH, 500, says("400.008.01", "Invalid Authentication passed"), Rejected, "credentials"),
    (OAUTH, 400, None, Rejected, "credentials"),
    (OAUTH, 401, {"fault": {"faultstring": "Invalid client"}}, Rejected, "credentials"),
    (OAUTH, 200, None, Unknown, "unreadable"),
    (OAUTH, 200, {"expires_in": "3599"}, Unknown, "unreadable"),
    (OAUTH, 429, SPIKE, NotSent, "throttled"),
    # addresses are registered once
    (C2B_REGISTER, 500, says("500.003.1001", "Urls are already registered."), Rejected,
     "registered"),
    (C2B_REGISTER, 500, says("500.003.1001", "Duplicate notification info, SP ID is 107"),
     Rejected, "registered"),
    (C2B_REGISTER, 400, says("400.003.02", "Bad Request - Invalid ConfirmationURL"), Rejected,
     "field"),
    # a question asked too early
    (STK_QUERY, 500, says("500.001.1001", "The transaction is being processed"), Unknown,
     "in_flight"),
    (STK_QUERY, 400, says("400.002.02", "Bad Request - Invalid CheckoutRequestID"), Unknown,
     "in_flight"),
    # M-PESA refused it
    (STK, 400, says("400.002.02", "Bad Request - Invalid Amount"), Rejected, "field"),
    (B2C, 400, says("400.002.02", "Bad Request - Invalid PartyB"), Rejected, "field"),
    (B2C, 400, says("400.003.02", "Bad Request - Invalid ResultURL"), Rejected, "field"),
    (STK, 500, says("500.001.1001", LOCK), Rejected, "locked"),
    (STK, 500, says("500.001.1001", "Merchant does not exist"), Rejected, "merchant"),
    (STK, 500, says("500.001.1001", "[MerchantValidate] - Wrong credentials"), Rejected,
     "credentials"),
    (REVERSAL, 400, says("400.002.02", "Bad Request - Invalid TransactionID"), Rejected, "field"),
    (STK, 400, says("400.777", "Something new"), Rejected, "refused"),
    (STK, 403, says("403.777", "Something new"), Rejected, "refused"),
    (STK, 404, says("404.777", "Something new"), Rejected, "refused"),
    # it may have been done
    (B2C, 500, says("500.002.1001", "Duplicate OriginatorConversationID."), Unknown, "duplicate"),
    (B2C, 500, says("500.002.1001", "System internal error."), Unknown, "internal"),
    (B2C, 500, says("500.002.1001", "Service is currently under maintenance"), Unknown,
     "maintenance"),
    (STK, 500, says("500.003.02", "System is busy. Please try again in few minutes."), Unknown,
     "busy"),
    (B2C, 500, says("500.003.1001", "Internal Server Error"), Unknown, "internal"),
    (REVERSAL, 500, says("500.003.02", "System is busy. Please try again in few minutes."),
     Unknown, "busy"),
    (REVERSAL, 500, says("500.002.1001", "Service is currently under maintenance"), Unknown,
     "maintenance"),
    (B2C, 502, None, Unknown, "unavailable"),
    (B2C, 503, None, Unknown, "unavailable"),
    (REVERSAL, 504, {"fault": {"faultstring": "Gateway Timeout", "detail": 7}}, Unknown,
     "unavailable"),
    # and what the table does not know
    (STK, 500, says("500.001.1001", "Something new"), Unknown, "unclear"),
    (B2C, 500, says("500.001.1001", LOCK), Unknown, "unclear"),
    (B2C, 500, says("500.001.1001", "The transaction is being processed"), Unknown, "unclear"),
    (B2C, 400, says("400.777", "Something new"), Unknown, "unclear"),
    (B2C, 403, says("403.777", "Something new"), Unknown, "unclear"),
    (B2C, 403, None, Unknown, "unreadable"),
    (STK, 403, None, Unknown, "unreadable"),
    (B2C, 400, None, Unknown, "unreadable"),
    (B2C, 500, None, Unknown, "unreadable"),
    (STK, 302, None, Unknown, "unreadable"),
    (B2C, 500, {"fault": "odd"}, Unknown, "unclear"),
    (B2C, 500, {"fault": {"faultstring": "Unexpected EOF", "detail": 7}}, Unknown, "unclear"),
    (REVERSAL, 400, says("400.777", "Something new"), Unknown, "unclear"),
    (B2C, 500, says("500.003.1001", "Urls are already registered."), Unknown, "internal"),
    # 200, but not yes
    (B2C, 200, None, Unknown, "unreadable"),
    (STK, 200, {}, Unknown, "unclear"),
    (B2C, 200, {"ResponseCode": "1", "ResponseDescription": "Rejected"}, Unknown, "unclear"),
    (B2C, 200, {"ResponseCode": "0"}, Unknown, "unreadable"),
    (STK, 200, {"ResponseCode": "0", "CheckoutRequestID": " "}, Unknown, "unreadable"),
    (STK_QUERY, 200, {"ResponseCode": "0", "ResultCode": None}, Unknown, "unreadable"),
    (REVERSAL, 200, {"ResponseCode": "0"}, Unknown, "unreadable"),
    (BALANCE, 200, {"ResponseCode": "0", "ConversationID": ""}, Unknown, "unreadable"),
    (B2C, 200, {"ResponseCode": "1000", "ConversationID": "AG_1"}, Unknown, "unclear"),
    (PULL, 200, {"ResponseCode": "0", "Response": [[]]}, Unknown, "unclear"),
    (PULL, 200, {"ResponseStatus": "500", "ResponseMessage": "no"}, Unknown, "unclear"),
]  # fmt: skip


@pytest.mark.parametrize(("product", "status", "body", "meaning", "name"), ROWS)
def test_each_answer_means_one_thing(product, status, body, meaning, name):
    with pytest.raises((NotSent, Rejected, Unknown)) as said:
        answers.read(product, status, body)

    assert (said.type, said.value.code) == (meaning, name)


def test_every_line_of_the_table_is_needed():
    """Each line decides at least one of the answers above."""
    deciding = set()
    for product, status, body, _, _ in ROWS:
        code, message = answers._envelope(body or {})
        rows = (row for row in answers.TABLE if row.fits(product, status, code, message))
        deciding.add(next(rows, None))

    assert [row for row in answers.TABLE if row not in deciding] == []


@pytest.mark.parametrize(
    ("product", "body"),
    [
        (STK, {"ResponseCode": "0", "CheckoutRequestID": "ws_CO_1", "MerchantRequestID": "1"}),
        (STK_QUERY, {"ResponseCode": "0", "ResultCode": 1032}),
        (STK_QUERY, {"ResponseCode": "0", "ResultCode": 0}),
        (B2C, {"ResponseCode": 0, "ConversationID": "AG_1"}),
        (STATUS, {"ResponseCode": "0", "ConversationID": "AG_1"}),
        (REVERSAL, {"ResponseCode": "0", "ConversationID": "AG_1"}),
        (BALANCE, {"ResponseCode": "0", "ConversationID": "AG_1"}),
        (OAUTH, {"access_token": "x", "expires_in": "3599"}),
        (C2B_REGISTER, {"ResponseCode": "0", "OriginatorCoversationID": "1"}),
        (PULL, {"ResponseCode": "1000", "Response": [[{"transactionId": "A"}]]}),
        (PULL, {"Response Code": 1001, "Response": [[]]}),
        (PULL_REGISTER, {"ResponseStatus": "1000"}),
        (PULL_REGISTER, {"Response Status": "1001"}),
    ],
)
def test_yes_is_yes(product, body):
    assert answers.read(product, 200, body) == body


def test_what_staff_get_to_see_has_no_token_and_no_phone_in_it():
    for code, message in (
        ("401.002.01", "Error Occurred - Invalid Access Token - s3cr3tt0k3nOfTheHouse"),
        ("500.999", "Cannot pay 254712345678"),
    ):
        with pytest.raises((NotSent, Unknown)) as said:
            answers.read(B2C, 401, says(code, message))
        assert code in said.value.detail
        assert not {"s3cr3tt0k3nOfTheHouse", "254712345678"} & set(said.value.detail.split())


def test_no_detail_is_longer_than_staff_can_read():
    with pytest.raises(Unknown) as said:
        answers.read(B2C, 500, says("500.999", "no " * 10_000))

    assert len(said.value.detail) == answers.DETAIL


LINE, POOL = HTTPConnection("127.0.0.1", 9), HTTPConnectionPool("127.0.0.1", 9)


def wrapped(reason: Exception) -> MaxRetryError:
    return MaxRetryError(POOL, "/", reason)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (requests.ConnectionError(wrapped(NewConnectionError(LINE, "refused"))), NotSent),
        (requests.ConnectionError(wrapped(NameResolutionError("x", LINE, gaierror()))), NotSent),
        (requests.ConnectTimeout(wrapped(ConnectTimeoutError(LINE, "slow"))), NotSent),
        (requests.ReadTimeout(ReadTimeoutError(POOL, "/", "slow")), Unknown),
        (requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError())),
         Unknown),
        (requests.ConnectionError(wrapped(ProtocolError("cut"))), Unknown),
        (requests.exceptions.SSLError(wrapped(SSLError("bad record"))), Unknown),
        (requests.exceptions.ChunkedEncodingError("cut"), Unknown),
        (requests.RequestException(), Unknown),
    ],
)  # fmt: skip
def test_a_broken_line_is_not_sent_only_where_it_never_stood(error, meaning):
    assert type(answers.of_failure(error)) is meaning
