"""5. Of a callback everything is read that is there, in any order and type; the rest is nothing."""

import random

from hypothesis import given
from hypothesis import strategies as st

from core import notices
from core.notices import PushNotice

RECEIPTS = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=10, max_size=10)
AS_WRITTEN = st.sampled_from([str, int, float, lambda number: f"{number}.00"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["Body", "stkCallback", "Result", "ResultCode", "CheckoutRequestID", "CallbackMetadata",
             "Item", "Name", "Value", "ResultParameters", "ResultParameter", "Key", "TransID",
             "TransAmount", "MSISDN", "ConversationID", "OriginatorConversationID"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


@given(
    receipt=RECEIPTS,
    shillings=st.integers(1, 250_000),
    written=AS_WRITTEN,
    phone=st.integers(0, 99_999_999),
    order=st.randoms(use_true_random=False),
    lost=st.sets(st.sampled_from(["Balance", "TransactionDate", "PhoneNumber"])),
)
def test_a_push_callback_is_read_whole(receipt, shillings, written, phone, order, lost):
    items = [
        {"Name": "Amount", "Value": written(shillings)},
        {"Name": "MpesaReceiptNumber", "Value": receipt},
        {"Name": "Balance"},
        {"Name": "TransactionDate", "Value": 20261120143000},
        {"Name": "PhoneNumber", "Value": int(f"2547{phone:08}")},
    ]
    items = [item for item in items if item["Name"] not in lost]
    random.Random.shuffle(order, items)
    told = {"CheckoutRequestID": "ws_CO_1", "ResultCode": written(0), "ResultDesc": "told"}
    told["CallbackMetadata"] = {"Item": items}
    if str(told["ResultCode"]) != "0":
        told["ResultCode"] = 0

    notice = notices.push({"Body": {"stkCallback": told}})

    assert isinstance(notice, PushNotice)
    assert (notice.correlation, notice.code) == ("ws_CO_1", "0")
    assert (notice.receipt, notice.amount) == (receipt, shillings * 100)
    assert notice.phone == (None if "PhoneNumber" in lost else f"2547{phone:08}")
    assert (notice.at is None) == ("TransactionDate" in lost)
    assert PushNotice.from_kept(notice.kept()) == notice


@given(ANYTHING.filter(lambda one: isinstance(one, dict)))
def test_nothing_that_can_be_sent_is_an_error(payload):
    for read in (notices.push, notices.payout, notices.status, notices.reversal, notices.balance):
        found = read(payload)
        assert found is None or found.code
    notices.paybill(payload)
    notices.timed_out(payload)
    if (found := notices.push(payload)) is not None:
        assert found.amount is None or found.amount > 0
