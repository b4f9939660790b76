"""Payouts and status queries as the wire shows them."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from simulator.driver import Network, Phone, Trouble
from simulator.keys import Keys
from tests.simulator.merchant import TOLD, Merchant, error, parameters
from tests.simulator.stub import StubHouse

pytestmark = pytest.mark.usefixtures("balanced")


def result(house: StubHouse) -> dict:
    return house.awaits("b2c/result")[-1]["Result"]


def test_a_payout_arrives(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    answer = merchant.b2c(285, "our-own-id").json()

    assert set(answer) == {
        "ConversationID", "OriginatorConversationID", "ResponseCode", "ResponseDescription",
    }  # fmt: skip
    assert answer["OriginatorConversationID"] == "our-own-id"
    assert answer["ConversationID"].startswith("AG_")
    told = result(house)
    assert told["ResultCode"] == 0
    assert told["ConversationID"] == answer["ConversationID"]
    found = dict(parameters({"Result": told}))
    assert found["TransactionAmount"] == 285
    assert found["TransactionReceipt"] == told["TransactionID"]
    assert found["ReceiverPartyPublicName"].startswith("254712000001 - ")
    assert found["B2CUtilityAccountAvailableFunds"] == TOLD.utility_float - 285
    assert found["B2CChargesPaidAccountAvailableFunds"] == -5
    assert found["B2CRecipientIsRegisteredCustomer"] == "Y"
    assert found["TransactionCompletedDateTime"][2] == "."
    assert phone.balance() == 5_285
    assert network.utility(TOLD.b2c_shortcode) == TOLD.utility_float - 285
    assert "You have received Ksh285.00" in phone.mpesa_texts()[0].text


def test_one_id_pays_once(merchant: Merchant, phone: Phone, house: StubHouse) -> None:
    merchant.b2c(100, "once")
    result(house)
    again = error(merchant.b2c(100, "once"))
    assert again == (500, "500.002.1001", "Duplicate OriginatorConversationID.")
    assert phone.balance() == 5_100


def test_the_old_form_pays_twice(merchant: Merchant, phone: Phone, house: StubHouse) -> None:
    body = {
        "InitiatorName": TOLD.initiator_name, "SecurityCredential": merchant.credential(),
        "CommandID": "BusinessPayment", "Amount": 50, "PartyA": TOLD.b2c_shortcode,
        "PartyB": "254712000001", "Remarks": "ok", "Occassion": "",
        "QueueTimeOutURL": f"{house.url}/b2c/timeout", "ResultURL": f"{house.url}/b2c/result",
    }  # fmt: skip
    for _ in range(2):
        merchant.post("/mpesa/b2c/v1/paymentrequest", body)
    house.awaits("b2c/result", 2)
    assert phone.balance() == 5_100


def test_many_payouts_at_once(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    merchant.mint()
    with ThreadPoolExecutor(10) as ten:
        answers = list(ten.map(lambda n: merchant.b2c(10, f"p{n % 30}").status_code, range(60)))
    network.drain()
    assert sorted(answers) == [200] * 30 + [500] * 30
    assert len(house.awaits("b2c/result", 30)) == 30
    assert phone.balance() == 5_300


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"InitiatorName": "nobody"}, 2001),
        ({"SecurityCredential": "bm90IGVuY3J5cHRlZA=="}, 2001),
        ({"Amount": 9}, 2),
        ({"Amount": 250_001}, 3),
    ],
)
def test_a_payout_that_fails_moves_nothing_and_has_a_receipt_all_the_same(
    merchant: Merchant, phone: Phone, house: StubHouse, changed: dict, code: int
) -> None:
    assert merchant.b2c(**changed).json()["ResponseCode"] == "0"
    told = result(house)
    assert told["ResultCode"] == code
    assert "ResultParameters" not in told
    assert len(told["TransactionID"]) == 10
    assert phone.balance() == 5_000


def test_recipients_and_floats_that_cannot(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    phone.change(registered=False)
    merchant.b2c()
    assert result(house)["ResultCode"] == 2040
    phone.change(registered=True, balance=499_950)
    merchant.b2c()
    assert house.awaits("b2c/result", 2)[-1]["Result"]["ResultCode"] == 8
    phone.change(balance=0)
    network.set_float(99)
    merchant.b2c()
    assert house.awaits("b2c/result", 3)[-1]["Result"]["ResultCode"] == 1


def test_wrong_passwords_lock_the_operator(merchant: Merchant, house: StubHouse) -> None:
    for place in range(3):
        merchant.b2c(SecurityCredential=merchant.credential("old password"))
        house.awaits("b2c/result", place + 1)
    merchant.b2c()
    codes = [told["Result"]["ResultCode"] for told in house.awaits("b2c/result", 4)]
    assert codes == [2001, 2001, 2001, 8006]


@pytest.mark.parametrize(
    "changed",
    [{"Amount": "12.50"}, {"PartyB": "0712000001"}, {"Remarks": "x"}, {"CommandID": "Pay"},
     {"ResultURL": "https://x.co/exec"}, {"PartyA": "999999"}],
)  # fmt: skip
def test_bad_payouts_are_refused(merchant: Merchant, network: Network, changed: dict) -> None:
    answer = error(merchant.b2c(**changed))
    assert answer == (400, "400.002.02", f"Bad Request - Invalid {next(iter(changed))}")
    assert network.payouts() == []


def test_the_status_of_a_payout_by_our_id(merchant: Merchant, house: StubHouse) -> None:
    ocid = str(uuid.uuid4())
    paid = merchant.b2c(300, ocid).json()
    receipt = result(house)["TransactionID"]

    answer = merchant.status(OriginalConversationID=ocid).json()

    told = house.awaits("status/result")[0]
    assert told["Result"]["ResultCode"] == 0
    assert told["Result"]["ConversationID"] == answer["ConversationID"] != paid["ConversationID"]
    assert told["Result"]["OriginatorConversationID"] != ocid
    found = parameters(told)
    assert [key for key, _ in found].count("DebitPartyName") == 2
    parties = [value for key, value in found if key == "DebitPartyName"]
    assert parties[0].startswith(TOLD.b2c_shortcode)
    assert parties[1].startswith("254712000001")
    assert ("TransactionReason", "(no value)") in found
    assert dict(found)["TransactionStatus"] == "Completed"
    assert dict(found)["Amount"] == "300"
    assert dict(found)["ReceiptNo"] == receipt
    assert dict(found)["OriginatorConversationID"] == ocid
    assert dict(found)["ConversationID"] == paid["ConversationID"]


def test_the_status_of_a_deposit_by_its_receipt(
    merchant: Merchant, phone: Phone, house: StubHouse
) -> None:
    receipt = phone.pay_paybill(40)
    merchant.status(TransactionID=receipt)
    found = parameters(house.awaits("status/result")[0])
    parties = [value for key, value in found if key == "DebitPartyName"]
    assert parties[0].startswith("254712000001")
    assert parties[1].startswith(TOLD.shortcode)
    assert dict(found)["TransactionStatus"] == "Completed"


def test_the_status_of_what_nobody_knows(merchant: Merchant, house: StubHouse) -> None:
    assert merchant.status(OriginalConversationID="never").json()["ResponseCode"] == "0"
    told = house.awaits("status/result")[0]["Result"]
    assert told["ResultCode"] == 25
    assert "ResultParameters" not in told
    assert error(merchant.status())[1:] == ("400.002.02", "Bad Request - Invalid TransactionID")


def test_a_failed_payout_is_cancelled_and_an_open_one_authorized(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    merchant.b2c(9, "failed")
    result(house)
    network.fault("neverAnswers", "b2c")
    merchant.b2c(100, "open")

    merchant.status(OriginatorConversationID="failed")
    house.awaits("status/result")
    merchant.status(OriginatorConversationID="open")
    first, second = house.awaits("status/result", 2)
    assert dict(parameters(first))["TransactionStatus"] == "Cancelled"
    assert dict(parameters(second))["TransactionStatus"] == "Authorized"
    assert phone.balance() == 5_000

    network.end_payout("open")
    house.awaits("b2c/result", 2)
    network.end_payout("open")
    assert phone.balance() == 5_100


def test_an_open_payout_ends_as_told(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.fault("neverAnswers", "b2c")
    merchant.b2c(100, "open")
    for place, status in enumerate(("Initiated", "Expired", "Cancelled"), 1):
        network.end_payout("open", status)
        merchant.status(OriginalConversationID="open")
        told = dict(parameters(house.awaits("status/result", place)[-1]))
        # The first that is final stays.
        assert told["TransactionStatus"] == ("Expired" if place > 1 else "Initiated")
    with pytest.raises(Trouble, match="a status is one of"):
        network.end_payout("open", "Completed")
    assert house.got("b2c/result") == []
    assert phone.balance() == 5_000


def test_the_key_survives_a_restart(tmp_path) -> None:
    path = str(tmp_path / "keys" / "daraja.pem")
    sealed = Keys(path)
    assert Keys(path)._key.private_numbers() == sealed._key.private_numbers()
    assert Keys().opened("bm90IGVuY3J5cHRlZA==") is None
