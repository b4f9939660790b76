"""M-PESA Express as the wire shows it."""

import pytest
import requests

from simulator.driver import Network, Phone, Trouble
from tests.simulator.merchant import PHONE, TOLD, Merchant, error, password
from tests.simulator.stub import StubHouse

pytestmark = pytest.mark.usefixtures("balanced")


def pushed(merchant: Merchant, phone: Phone, amount: int = 100) -> str:
    checkout_id = merchant.stk(amount).json()["CheckoutRequestID"]
    assert phone.await_stk().amount == amount
    return str(checkout_id)


def callback(house: StubHouse) -> dict:
    return house.awaits("stk")[-1]["Body"]["stkCallback"]


def test_the_right_pin_pays(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    answer = merchant.stk(100)

    assert answer.status_code == 200
    assert set(answer.json()) == {
        "MerchantRequestID", "CheckoutRequestID", "ResponseCode", "ResponseDescription",
        "CustomerMessage",
    }  # fmt: skip
    assert answer.json()["ResponseCode"] == "0"
    assert answer.json()["CheckoutRequestID"].startswith("ws_CO_")
    prompt = phone.await_stk()
    assert (prompt.amount, prompt.account) == (100, "7Q2MXA")
    phone.enter_mpesa_pin("1234")
    told = callback(house)
    assert told["ResultCode"] == 0
    assert told["CheckoutRequestID"] == answer.json()["CheckoutRequestID"]
    items = {
        item["Name"]: item.get("Value", "(no value)") for item in told["CallbackMetadata"]["Item"]
    }
    assert items["Amount"] == 100.0
    assert isinstance(items["Amount"], float)
    assert items["Balance"] == "(no value)"
    assert items["PhoneNumber"] == PHONE
    assert isinstance(items["TransactionDate"], int)
    assert len(items["MpesaReceiptNumber"]) == 10
    assert phone.balance() == 4_900
    assert network.utility(TOLD.shortcode) == TOLD.utility_float + 100
    assert items["MpesaReceiptNumber"] in phone.mpesa_texts()[0].text
    assert phone.inbox() == []


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda phone: phone.enter_mpesa_pin("9999"), 2001),
        (lambda phone: phone.cancel_stk(), 1032),
        (lambda phone: phone.ignore_stk(), 1037),
        (lambda phone: phone.change(balance=99).enter_mpesa_pin("1234"), 1),
    ],
    ids=["wrong pin", "cancelled", "ignored", "short of money"],
)
def test_what_else_can_happen_to_a_prompt(
    merchant: Merchant, phone: Phone, house: StubHouse, act, code: int
) -> None:
    checkout_id = pushed(merchant, phone)
    before = phone.balance()

    act(phone)

    told = callback(house)
    assert told["ResultCode"] == code
    assert "CallbackMetadata" not in told
    assert phone.balance() in (before, 99)
    asked = merchant.query(checkout_id).json()
    assert asked["ResultCode"] == str(code)
    assert asked["ResponseCode"] == "0"
    assert "MpesaReceiptNumber" not in str(asked)


def test_three_wrong_pins_lock(merchant: Merchant, phone: Phone, house: StubHouse) -> None:
    for place in range(3):
        pushed(merchant, phone)
        phone.enter_mpesa_pin("0000")
        house.awaits("stk", place + 1)
    pushed(merchant, phone)
    phone.enter_mpesa_pin("1234")

    codes = [told["Body"]["stkCallback"]["ResultCode"] for told in house.awaits("stk", 4)]
    assert codes == [2001, 2001, 2001, 8006]


def test_a_phone_that_cannot_be_reached(merchant: Merchant, phone: Phone, house: StubHouse) -> None:
    phone.change(reachable=False)
    merchant.stk()
    assert callback(house)["ResultCode"] == 1037


def test_an_open_ussd_session_is_in_the_way(
    merchant: Merchant, phone: Phone, house: StubHouse
) -> None:
    phone.dial()
    merchant.stk()
    assert callback(house)["ResultCode"] == 1037
    assert phone.stk_prompt() is None


def test_a_second_push_cannot_lock_the_subscriber(merchant: Merchant, phone: Phone) -> None:
    pushed(merchant, phone)
    status, code, message = error(merchant.stk())
    assert (status, code) == (500, "500.001.1001")
    assert message.startswith("Unable to lock subscriber")


def test_an_unanswered_prompt_times_out(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    pushed(merchant, phone)
    network.settings(stk_timeout=0)
    assert callback(house)["ResultCode"] == 1037


def test_while_it_is_open_the_query_says_so(merchant: Merchant, phone: Phone) -> None:
    checkout_id = pushed(merchant, phone)
    answer = merchant.query(checkout_id)
    assert error(answer) == (500, "500.001.1001", "The transaction is being processed")
    assert answer.json()["requestId"] == checkout_id
    assert error(merchant.query("ws_CO_nobody"))[:2] == (400, "400.002.02")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Amount", 0),
        ("Amount", 10.5),
        ("Amount", "1e3"),
        ("PhoneNumber", "0712000001"),
        ("AccountReference", "A" * 13),
        ("TransactionDesc", "A" * 14),
        ("TransactionType", "PayBill"),
        ("CallBackURL", "https://house.example/mpesa"),
        ("CallBackURL", None),
        ("Timestamp", "20 November"),
    ],
)
def test_a_bad_push_is_refused_by_the_name_of_its_field(
    merchant: Merchant, phone: Phone, field: str, value: object
) -> None:
    refused = error(merchant.stk(**{field: value}))
    assert refused == (400, "400.002.02", f"Bad Request - Invalid {field}")
    assert phone.stk_prompt() is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Password": password("other")}, "Wrong credentials"),
        ({"Timestamp": "20261120143001"}, "Wrong credentials"),
        ({"BusinessShortCode": 123456}, "Merchant does not exist"),
    ],
)
def test_one_code_has_many_meanings(merchant: Merchant, changed: dict, message: str) -> None:
    assert error(merchant.stk(**changed)) == (500, "500.001.1001", message)


def test_a_payee_that_does_not_fit(merchant: Merchant, house: StubHouse) -> None:
    merchant.stk(TransactionType="CustomerBuyGoodsOnline")
    assert callback(house)["ResultCode"] == 2028


def test_a_till_is_paid_too(merchant: Merchant, phone: Phone, house: StubHouse) -> None:
    merchant.stk(TransactionType="CustomerBuyGoodsOnline", PartyB=int(TOLD.till_number))
    phone.await_stk()
    phone.enter_mpesa_pin("1234")
    assert callback(house)["ResultCode"] == 0


def test_limits_are_told_later(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    merchant.stk(250_001)
    assert callback(house)["ResultCode"] == 3
    phone.change(balance=600_000)
    for place in range(3):
        pushed(merchant, phone, 200_000)
        phone.enter_mpesa_pin("1234")
        house.awaits("stk", place + 2)
    assert callback(house)["ResultCode"] == 4
    assert network.books()["totals"]["paid_in"] == 400_000


def test_the_same_amount_within_two_minutes_when_the_rule_is_on(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.settings(same_amount_rule=True)
    for place in range(2):
        pushed(merchant, phone)
        phone.enter_mpesa_pin("1234")
        house.awaits("stk", place + 1)
    assert callback(house)["ResultCode"] == 17
    assert phone.balance() == 4_900


def test_tokens(merchant: Merchant, base: str, network: Network) -> None:
    first = merchant.mint()
    second = merchant.mint()
    path = "/mpesa/stkpush/v1/processrequest"
    assert error(merchant.post(path, {}, first)) == (404, "404.001.03", "Invalid Access Token")
    assert error(merchant.post(path, {}, second))[1] == "400.002.02"
    paid = merchant.post("/mpesa/b2c/v3/paymentrequest", {}, first)
    assert error(paid) == (401, "401.002.01", f"Error Occurred - Invalid Access Token - {first}")
    asked = merchant.post("/mpesa/transactionstatus/v1/query", {}, first)
    assert error(asked) == (400, "400.003.01", "Invalid Access Token")
    network.settings(strict_tokens=False)
    merchant.mint()
    assert error(merchant.post(path, {}, second))[1] == "400.002.02"


def test_who_may_have_a_token(base: str) -> None:
    url = f"{base}/oauth/v1/generate"
    right = (TOLD.consumer_key, TOLD.consumer_secret)
    minted = requests.get(f"{url}?grant_type=client_credentials", auth=right, timeout=20)
    assert minted.json()["expires_in"] == "3599"
    wrong = requests.get(f"{url}?grant_type=client_credentials", auth=("a", "b"), timeout=20)
    assert (wrong.status_code, wrong.text) == (400, "")
    assert error(requests.get(url, auth=right, timeout=20))[1] == "400.008.02"
    bare = requests.get(f"{url}?grant_type=client_credentials", timeout=20)
    assert error(bare)[1] == "400.008.01"


def test_wrong_paths_and_methods(base: str) -> None:
    push = f"{base}/mpesa/stkpush/v1/processrequest"
    assert error(requests.get(push, timeout=20)) == (405, "405.001", "GET Method Not Allowed")
    assert error(requests.post(f"{base}/mpesa/stk", timeout=20))[1] == "404.001.01"
    assert error(requests.post(push, json={}, timeout=20))[1] == "404.001.04"


def test_no_prompt_no_pin(phone: Phone) -> None:
    with pytest.raises(Trouble, match="no M-PESA prompt"):
        phone.enter_mpesa_pin("1234")
    with pytest.raises(Trouble, match="got no M-PESA prompt"):
        phone.await_stk(timeout=0.05)


@pytest.mark.parametrize(
    ("habit", "code"), [("pays", 0), ("wrong_pin", 2001), ("cancels", 1032), ("ignores", 1037)]
)
def test_a_phone_with_a_habit_answers_by_itself(
    merchant: Merchant, phone: Phone, house: StubHouse, habit: str, code: int
) -> None:
    phone.change(habit=habit)
    merchant.stk()
    assert callback(house)["ResultCode"] == code


def test_the_paybill_paid_by_hand(phone: Phone, house: StubHouse, network: Network) -> None:
    receipt = phone.pay_paybill(300, account="0712000001")
    told = house.awaits("c2b")[0]
    assert told["TransID"] == receipt
    assert told["TransAmount"] == "300.00"
    assert told["TransactionType"] == "Pay Bill"
    assert told["BillRefNumber"] == "0712000001"
    assert told["MSISDN"] == "2547 ***** 001"
    assert phone.balance() == 4_700
    with pytest.raises(Trouble, match="insufficient"):
        phone.pay_paybill(4_701)


def test_registering_the_urls(merchant: Merchant, phone: Phone, house: StubHouse) -> None:
    body = {"ShortCode": TOLD.shortcode, "ResponseType": "Completed"}
    urls = {"ConfirmationURL": f"{house.url}/mine", "ValidationURL": f"{house.url}/valid"}
    answer = merchant.post("/mpesa/c2b/v2/registerurl", body | urls)
    assert set(answer.json()) == {"OriginatorCoversationID", "ResponseCode", "ResponseDescription"}
    phone.pay_paybill(50)
    assert house.awaits("mine")[0]["TransAmount"] == "50.00"
