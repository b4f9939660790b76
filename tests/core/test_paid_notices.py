"""What M-PESA tells of payments by hand and of reversals, read whatever shape it comes in."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import notices, paybills
from demo.settings import PAYBILL
from tests import paybill

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
FIELDS = ("TransID", "TransAmount", "BusinessShortCode", "BillRefNumber", "MSISDN", "TransTime")
WORDS = ("receipt", "at", "phone", "account", "amount", "type")


def test_a_confirmation():
    paid = notices.paybill(paybill.confirmation(" 0712000001 "))
    assert paid is not None
    assert paid == notices.Paid(
        receipt="SKC2B00001",
        amount=100_00,
        shortcode=PAYBILL,
        bill_ref="0712000001",
        payer="2547*****001",
        at=datetime(2026, 11, 20, 11, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("shown", "payer"),
    [
        ("2547 ***** 126", "2547*****126"),
        (254712000001, "254712000001"),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", None),
        (None, None),
    ],
)
def test_the_payer_is_whole_masked_or_nobody(shown, payer):
    paid = notices.paybill(paybill.confirmation("x") | {"MSISDN": shown})
    assert paid is not None
    assert paid.payer == payer


def test_a_row_of_the_pull_carries_nairobis_clock():
    paid = notices.pulled(paybill.row("rent"), PAYBILL)
    assert paid is not None
    assert (paid.at, paid.payer) == (datetime(2026, 11, 20, 11, 30, tzinfo=UTC), "254712000001")


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_whatever_is_posted_a_confirmation_is_read_or_nothing(told):
    paid = notices.paybill(told)
    assert paid is None or paid.amount > 0


@given(st.dictionaries(st.sampled_from(WORDS), JSON))
def test_whatever_is_pulled_a_row_is_read_or_nothing(row):
    paid = notices.pulled(row, PAYBILL)
    assert paid is None or paid.amount > 0


@given(JSON)
def test_whatever_is_posted_a_reversal_is_read_or_nothing(inside):
    notice = notices.reversal({"Result": inside})
    assert notice is None or notice.from_kept(notice.kept()) == notice


def test_a_reversal_is_kept_as_it_was():
    notice = notices.reversal(paybill.reversal_result("AG_1"))
    assert notice is not None
    assert (notice.original, notice.receipt, notice.amount) == ("SKC2B00001", "SKR0000001", 100_00)
    assert notices.ReversalNotice.from_kept(notice.kept()) == notice


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("254712000001", "2547*****001", True),
        ("2547*****001", "254712000001", True),
        ("2547*****001", "25471****001", True),
        ("254712000001", "2547*****002", False),
        ("254712000001", "25471200001", False),
        (None, "254712000001", False),
        ("254712000001", None, False),
    ],
)
def test_two_numbers_can_be_one(one, other, same):
    assert notices.same_party(one, other) == same


@pytest.mark.parametrize(
    ("typed", "form"),
    [
        ("d5m6xqk", "ref"),
        (" D5M6XQK", "ref"),
        ("0712 000 001", "phone"),
        ("712000001", "phone"),
        ("D5M6XQ", None),
        ("0202000000", None),
        ("", None),
    ],
)
def test_what_an_account_number_can_be(typed, form):
    assert paybills.form_of(typed) == form
