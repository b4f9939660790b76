"""What M-PESA posts, read: every way it writes a number, a moment, a party; and nothing else."""

import json
import uuid
from datetime import UTC, datetime

import pytest

from core import notices
from core.notices import PayoutNotice, PushNotice, StatusNotice
from tests import mpesa

EVENING = datetime(2026, 11, 20, 11, 30, tzinfo=UTC)  # 14:30 in Nairobi


def pushed(**items):
    """The notice of a push whose metadata has these items."""
    told = mpesa.push_result("ws_CO_1")
    metadata = told["Body"]["stkCallback"]["CallbackMetadata"]
    metadata["Item"] = [{"Name": name, "Value": value} for name, value in items.items()]
    notice = notices.push(told)
    assert notice is not None
    return notice


@pytest.mark.parametrize(
    ("written", "cents"),
    [
        (100, 100_00), (1.0, 1_00), ("5.00", 5_00), ("1,000", None), ("285.5", 285_50),
        ("0.001", None), (0, None), (-5, None), ("NaN", None), ("Infinity", None),
        ("1E+999999", None), (True, None), (None, None), ([100], None), ("9" * 300, None),
    ],
)  # fmt: skip
def test_an_amount_is_cents_or_nothing(written, cents):
    assert pushed(Amount=written).amount == cents


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        (20261120143000, EVENING),
        ("20261120143000", EVENING),
        ("20.11.2026 14:30:00", EVENING),
        ("2026-11-20", None),
        (20261320143000, None),
        ("00010101000000", None),  # before time began in UTC
        (None, None),
    ],
)
def test_a_moment_is_nairobis(written, moment):
    assert pushed(TransactionDate=written).at == moment


@pytest.mark.parametrize(
    ("written", "party"),
    [
        (254712000001, "254712000001"),
        ("+254712000001", "254712000001"),
        ("2547 ***** 001", "2547*****001"),
        ("0712000001", None),
        ("a3f5" * 16, None),
    ],
)
def test_a_phone_is_whole_masked_or_nothing(written, party):
    assert pushed(PhoneNumber=written).phone == party


@pytest.mark.parametrize(
    ("written", "receipt"),
    [("nlj7rt61sv", "NLJ7RT61SV"), (" NLJ7RT61SV ", "NLJ7RT61SV"), ("NLJ-7", None), ("", None)],
)
def test_a_receipt_is_upper_case(written, receipt):
    assert pushed(MpesaReceiptNumber=written).receipt == receipt


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        ("254712000001", True),
        ("2547*****001", True),
        ("254712000002", False),
        ("2547*****002", False),
        ("600986", False),
        (None, False),
    ],
)
def test_a_masked_phone_fits_where_its_digits_do(shown, same):
    assert notices.same_phone(shown, "+254712000001") is same


def test_codes_are_text_whatever_they_were():
    for code in (0, "0", 1032, "SFC_IC0003"):
        notice = notices.push(mpesa.push_result("ws_CO_1", code))
        assert notice is not None
        assert notice.code == str(code)


def test_one_item_alone_may_stand_outside_its_list():
    told = mpesa.push_result("ws_CO_1")
    told["Body"]["stkCallback"]["CallbackMetadata"]["Item"] = {"Name": "Amount", "Value": 7}

    notice = notices.push(told)

    assert notice is not None
    assert notice.amount == 7_00


def test_who_paid_and_who_got_are_told_by_one_key_twice_or_by_two():
    twice = mpesa.status_result("AG_1")
    named = mpesa.status_result("AG_1")
    pairs = named["Result"]["ResultParameters"]["ResultParameter"]
    pairs[2] = {"Key": "CreditPartyName", "Value": pairs[2]["Value"]}

    first, second = notices.status(twice), notices.status(named)

    assert first == second
    assert first is not None
    assert (first.payer, first.payee) == ("254712000001", "174379")


def test_a_name_never_leaves_the_sealed_body():
    ocid = str(uuid.uuid4())
    result = mpesa.payout_result({"ocid": ocid, "phone": "+254712000001", "amount": 100_00})
    notice = notices.payout(result)

    assert notice is not None
    assert notice.payee == "254712000001"
    assert "AMINA" not in json.dumps(notice.kept())


def test_a_kept_notice_is_the_same_notice():
    ocid = str(uuid.uuid4())
    payout = {"ocid": ocid, "phone": "+254712000001", "amount": 100_00}
    for kind, notice in (
        (PushNotice, notices.push(mpesa.push_result("ws_CO_1"))),
        (PushNotice, notices.push(mpesa.push_result("ws_CO_1", 1032))),
        (PayoutNotice, notices.payout(mpesa.payout_result(payout, conversation="AG_1"))),
        (StatusNotice, notices.status(mpesa.status_result("AG_1"))),
    ):
        assert notice is not None
        assert kind.from_kept(json.loads(json.dumps(notice.kept()))) == notice
