"""What customers pay by hand: addresses, validation, confirmation."""

import hashlib

import pytest

from simulator.driver import Network, Phone, Trouble
from tests.simulator.merchant import TOLD, Merchant, error
from tests.simulator.stub import StubHouse

pytestmark = pytest.mark.usefixtures("balanced")


def test_any_account_number_is_passed_on(phone: Phone, house: StubHouse) -> None:
    for typed in ("0712 000 001", "kamau's rent", "7q2mxa", "", "x" * 30):
        phone.pay_paybill(10, account=typed)
    told = [one["BillRefNumber"] for one in house.awaits("c2b", 5)]
    assert sorted(told) == sorted(["0712 000 001", "kamau's rent", "7q2mxa", "", "x" * 20])


def test_a_till_takes_no_account(phone: Phone, house: StubHouse, network: Network) -> None:
    phone.pay_paybill(80, shortcode=TOLD.till_number)
    told = house.awaits("c2b")[0]
    assert (told["TransactionType"], told["BusinessShortCode"]) == ("Buy Goods", TOLD.till_number)
    assert network.utility(TOLD.till_number) == TOLD.utility_float + 80
    with pytest.raises(Trouble, match="no paybill or till 555555"):
        phone.pay_paybill(80, shortcode="555555")


def test_a_payment_the_house_is_never_told_of(
    phone: Phone, house: StubHouse, network: Network
) -> None:
    phone.pay_paybill(80, account="ABC", deliver=False)
    network.fault("customerPays", "c2b")  # the same, armed before
    phone.pay_paybill(90, account="ABC")
    network.drain()
    assert house.got("c2b") == []
    assert phone.balance() == 5_000 - 170


def test_the_first_version_hashes_the_number_and_the_second_masks_it(
    merchant: Merchant, phone: Phone, house: StubHouse
) -> None:
    hashed = hashlib.sha256(b"254712000001").hexdigest()
    for version, shown in (("v1", hashed), ("v2", "2547 ***** 001")):
        assert merchant.register(version).json()["ResponseCode"] == "0"
        phone.pay_paybill(20, account="ABC")
        assert house.awaits("paid")[-1]["MSISDN"] == shown
        house.clear()


def test_in_production_addresses_are_registered_once(merchant: Merchant, network: Network) -> None:
    network.settings(register_once=True)
    assert merchant.register().status_code == 200
    assert error(merchant.register()) == (500, "500.003.1001", "Urls are already registered.")
    assert merchant.register(ShortCode=TOLD.till_number).status_code == 200
    assert error(merchant.register(ShortCode="555555"))[1] == "400.003.02"
    bad = error(merchant.register(ConfirmationURL="https://house.example/mpesa/paid"))
    assert bad == (400, "400.002.02", "Bad Request - Invalid ConfirmationURL")


def test_validation_is_off_until_it_is_turned_on(phone: Phone, house: StubHouse) -> None:
    house.verdict = {"ResultCode": "C2B00012", "ResultDesc": "Rejected"}
    phone.pay_paybill(20)
    assert house.awaits("c2b")
    assert house.got("may") == []


@pytest.fixture
def validating(network: Network) -> None:
    network.settings(c2b_validates=True)


@pytest.mark.usefixtures("validating")
def test_the_house_may_accept(phone: Phone, house: StubHouse) -> None:
    house.verdict = {"ResultCode": "0", "ResultDesc": "Accepted", "ThirdPartyTransID": "ours-7"}
    receipt = phone.pay_paybill(20, account="ABC")
    asked, told = house.awaits("may")[0], house.awaits("c2b")[0]
    assert asked["TransID"] == told["TransID"] == receipt
    assert asked["OrgAccountBalance"] == ""
    assert told["OrgAccountBalance"] == f"{TOLD.utility_float + 20}.00"
    assert told["ThirdPartyTransID"] == "ours-7"


@pytest.mark.usefixtures("validating")
def test_the_house_may_refuse(phone: Phone, house: StubHouse, network: Network) -> None:
    house.verdict = {"ResultCode": "C2B00012", "ResultDesc": "Rejected"}
    with pytest.raises(Trouble, match="C2B00012"):
        phone.pay_paybill(20, account="ABC")
    network.drain()
    assert house.got("c2b") == []
    assert phone.balance() == 5_000
    assert "did not accept" in phone.state()["note"]


@pytest.mark.usefixtures("validating")
@pytest.mark.parametrize(("on_silence", "left"), [("Completed", 4_980), ("Cancelled", 5_000)])
def test_silence_is_what_was_registered(
    merchant: Merchant, phone: Phone, network: Network, on_silence: str, left: int
) -> None:
    merchant.register(ResponseType=on_silence)
    network.fault("losesCallback", "c2b_validation")
    if on_silence == "Completed":
        phone.pay_paybill(20)
    else:
        with pytest.raises(Trouble, match="no answer"):
            phone.pay_paybill(20)
    assert phone.balance() == left


@pytest.mark.usefixtures("validating")
def test_an_answer_that_cannot_be_read_is_silence(phone: Phone, house: StubHouse) -> None:
    phone.pay_paybill(20)
    assert house.awaits("may")
    assert phone.balance() == 4_980


def test_the_sandbox_can_simulate_a_customer(merchant: Merchant, house: StubHouse) -> None:
    body = {
        "ShortCode": TOLD.shortcode, "CommandID": "CustomerPayBillOnline", "Amount": 15,
        "Msisdn": 254712000001, "BillRefNumber": "ABC",
    }  # fmt: skip
    assert merchant.post("/mpesa/c2b/v2/simulate", body).json()["ResponseCode"] == "0"
    assert house.awaits("c2b")[0]["TransAmount"] == "15.00"
    too_much = merchant.post("/mpesa/c2b/v2/simulate", body | {"Amount": 9_000})
    assert error(too_much)[1] == "400.003.02"
