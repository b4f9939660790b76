"""Balance, reversal and pull, as the wire shows them."""

from datetime import timedelta

import pytest

from simulator.clock import nairobi_now
from simulator.driver import Network, Phone, Trouble
from tests.simulator.merchant import TOLD, Merchant, error, parameters
from tests.simulator.stub import StubHouse

pytestmark = pytest.mark.usefixtures("balanced")

FLOAT = TOLD.utility_float


# -- balance


def test_the_balance_of_every_account(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    phone.pay_paybill(300)
    merchant.b2c(285, "paid", PartyA=TOLD.shortcode)
    house.awaits("b2c/result")
    network.treasury("utility to working", 1_000, shortcode=TOLD.shortcode)

    answer = merchant.balance().json()

    told = house.awaits("balance/result")[0]
    assert told["Result"]["ConversationID"] == answer["ConversationID"]
    found = dict(parameters(told))
    accounts = [one.split("|") for one in found["AccountBalance"].split("&")]
    utility = f"{FLOAT + 300 - 285 - 1_000}.00"
    assert [(name, current) for name, _, current, *_ in accounts] == [
        ("Working Account", "1000.00"), ("Float Account", "0.00"), ("Utility Account", utility),
        ("Charges Paid Account", "-5.00"), ("Organization Settlement Account", "0.00"),
    ]  # fmt: skip
    assert accounts[2][1:] == ["KES", utility, utility, "0.00", "0.00"]
    assert len(str(found["BOCompletedTime"])) == 14


def test_a_balance_that_may_not_be_asked(merchant: Merchant, house: StubHouse) -> None:
    assert error(merchant.balance(PartyA="555555"))[2] == "Bad Request - Invalid PartyA"
    merchant.balance(SecurityCredential=merchant.credential("old"))
    assert house.awaits("balance/result")[0]["Result"]["ResultCode"] == 2001
    merchant.token = "dead"
    answer = error(merchant.balance())
    assert answer == (401, "401.002.01", "Error Occurred - Invalid Access Token - dead")


# -- reversal


def test_a_payment_is_taken_back_whole(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    receipt = phone.pay_paybill(300, account="STRANGE")

    answer = merchant.reverse(receipt, 300).json()

    told = house.awaits("reversal/result")[0]
    assert told["Result"]["ResultCode"] == 0
    assert told["Result"]["OriginatorConversationID"] == answer["OriginatorConversationID"]
    found = dict(parameters(told))
    assert found["OriginalTransactionID"] == receipt != told["Result"]["TransactionID"]
    assert found["Amount"] == "300.00"
    assert found["CreditPartyPublicName"].startswith("254712000001 - ")
    assert phone.balance() == 5_000
    assert network.utility(TOLD.shortcode) == FLOAT
    assert "was reversed" in phone.mpesa_texts()[-1].text


def test_what_cannot_be_taken_back(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    receipt = phone.pay_paybill(300)
    merchant.b2c(100, "payout")
    paid = house.awaits("b2c/result")[0]["Result"]["TransactionID"]
    wrong = merchant.credential("old")
    tries = [
        (("NOSUCH1234", 300), {}, "R000002"),
        ((receipt, 299), {}, "R000002"),
        ((receipt, 300), {"ReceiverParty": TOLD.till_number}, "R000002"),
        ((paid, 100), {"ReceiverParty": TOLD.b2c_shortcode}, 2028),
        ((receipt, 300), {"SecurityCredential": wrong}, 2001),
        ((receipt, 300), {}, 0),
        ((receipt, 300), {}, "R000001"),
    ]
    for place, (about, more, code) in enumerate(tries, 1):
        merchant.reverse(*about, **more)
        told = house.awaits("reversal/result", place)[-1]["Result"]
        assert (told["ResultCode"], len(told["TransactionID"])) == (code, 10)
    second = phone.pay_paybill(300)
    network.set_float(299, shortcode=TOLD.shortcode)
    merchant.reverse(second, 300)
    assert house.awaits("reversal/result", len(tries) + 1)[-1]["Result"]["ResultCode"] == 1
    assert phone.balance() == 5_000 - 300 + 100


def test_mpesa_takes_a_payment_back_by_itself(
    phone: Phone, house: StubHouse, network: Network
) -> None:
    receipt = phone.pay_paybill(300)
    house.awaits("c2b")
    back = network.reverse(receipt)
    network.drain()
    assert [door for door, _ in house.kept] == ["c2b"]
    lines = {line["receipt"]: line for line in network.books()["transactions"]}
    assert lines[back]["linked"] == receipt
    assert phone.balance() == 5_000
    for wrong in (receipt, back, "NOSUCH1234"):
        with pytest.raises(Trouble, match=r"reversed|invalid"):
            network.reverse(wrong)


@pytest.mark.parametrize("shape", ["echo", "result"])
@pytest.mark.parametrize("pays", [True, False])
def test_a_reversal_whose_queue_timed_out(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network, shape: str, pays: bool
) -> None:
    receipt = phone.pay_paybill(300)
    network.fault("queueTimeoutEcho", "reversal", amount=300, shape=shape, pays=pays)
    conversation = merchant.reverse(receipt, 300).json()["ConversationID"]
    told = house.awaits("reversal/timeout")[0]
    if shape == "echo":
        assert told["TransactionID"] == receipt
    else:
        assert told["Result"]["ConversationID"] == conversation
    assert phone.balance() == (5_000 if pays else 4_700)


def test_a_reversal_that_is_denied_and_was_done(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    receipt = phone.pay_paybill(300)
    network.fault("disagrees", "reversal", phone="0712000001")
    merchant.reverse(receipt, 300)
    assert house.awaits("reversal/result")[0]["Result"]["ResultCode"] == "R000002"
    assert phone.balance() == 5_000


@pytest.mark.parametrize("ask", ["balance", "status"])
def test_other_questions_time_out_too(
    merchant: Merchant, house: StubHouse, network: Network, ask: str
) -> None:
    about = {} if ask == "balance" else {"TransactionID": "NOSUCH1234"}
    network.fault("queueTimeoutEcho", ask, shape="result")
    getattr(merchant, ask)(**about)
    assert house.awaits(f"{ask}/timeout")[0]["Result"]["ResultCode"] == 1
    network.fault("neverAnswers", ask)
    getattr(merchant, ask)(**about)
    network.drain()
    assert len(house.kept) == 1


# -- pull


def test_pull_shows_what_customers_paid(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    phone.change(habit="pays")
    receipt = phone.pay_paybill(300, account="0712000001", deliver=False)
    merchant.stk(100)
    house.awaits("stk")
    merchant.b2c(50)
    network.drain()

    told = merchant.pull().json()

    assert (told["ResponseCode"], told["ResponseMessage"]) == ("1000", "Success")
    by_hand, pushed = told["Response"][0]
    assert by_hand["transactionId"] == receipt
    assert by_hand["msisdn"] == 254712000001
    assert (by_hand["billreference"], by_hand["amount"]) == ("0712000001", "300.00")
    assert by_hand["transactiontype"] == "c2b-pay-bill-debit"
    assert (pushed["billreference"], pushed["amount"]) == ("7Q2MXA", "100.00")
    assert by_hand["trxDate"][:13] == f"{nairobi_now():%Y-%m-%dT%H}"
    network.settings(pull_utc=True)
    utc = merchant.pull().json()["Response"][0][0]["trxDate"]
    assert utc[11:13] == f"{(nairobi_now() - timedelta(hours=3)):%H}"


def test_pull_reads_a_hundred_at_a_time(merchant: Merchant, phone: Phone) -> None:
    receipts = [phone.pay_paybill(1) for _ in range(101)]
    first, second = (merchant.pull(OffSetValue=str(n)).json()["Response"][0] for n in (0, 100))
    assert [row["transactionId"] for row in (*first, *second)] == receipts
    assert len(first) == 100
    assert merchant.pull(OffSetValue="101").json()["ResponseCode"] == "1001"


def test_pull_looks_back_two_days(merchant: Merchant, phone: Phone, network: Network) -> None:
    phone.pay_paybill(10)
    network.settings(clock_ahead=3 * 86_400)
    late = phone.pay_paybill(20)
    week = {"StartDate": f"{nairobi_now() - timedelta(days=7):%Y-%m-%d %H:%M:%S}"}
    rows = merchant.pull(**week).json()["Response"][0]
    assert [row["transactionId"] for row in rows] == [late]


def test_pull_by_its_other_name(merchant: Merchant, phone: Phone, network: Network) -> None:
    phone.pay_paybill(10)
    network.fault("otherKeys", "pull")
    told = merchant.pull().json()
    assert (told["Response Code"], told["Response Message"]) == ("1000", "Success")
    assert error(merchant.pull(StartDate="yesterday"))[2] == "Bad Request - Invalid StartDate"
    assert error(merchant.pull(ShortCode="555555"))[1] == "400.001"
    merchant.token = "dead"
    assert error(merchant.pull())[:2] == (401, "401.001")


def test_pull_is_registered_once(merchant: Merchant) -> None:
    body = {
        "ShortCode": TOLD.shortcode, "RequestType": "Pull", "NominatedNumber": "254712000009",
        "CallBackURL": "https://house.example/pulled",
    }  # fmt: skip
    answers = [merchant.post("/pulltransactions/v1/register", body).json() for _ in range(2)]
    assert [answer["Response Status"] for answer in answers] == ["1000", "1001"]
