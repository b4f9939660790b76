"""Every scenario the simulated partners can play, and that the books balance after each."""

import time

import pytest
import requests
from requests import Response

from simulator.driver import Network, Phone, Trouble
from simulator.faults import SCENARIOS
from tests.simulator.merchant import Merchant, error, parameters
from tests.simulator.stub import StubHouse

pytestmark = pytest.mark.usefixtures("balanced")


def codes(house: StubHouse, count: int) -> list:
    return [t["Body"]["stkCallback"]["ResultCode"] for t in house.awaits("stk", count)]


# -- the answer


@pytest.mark.parametrize("scenario", ["losesSync", "dropConnectionAfterProcessing"])
def test_a_payout_whose_answer_is_lost_is_paid(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network, scenario: str
) -> None:
    network.fault(scenario, "b2c")
    with pytest.raises(requests.ConnectionError):
        merchant.b2c(100, "lost")
    assert house.awaits("b2c/result")[0]["Result"]["ResultCode"] == 0
    assert phone.balance() == 5_100


def test_a_connection_cut_before_does_nothing(
    merchant: Merchant, phone: Phone, network: Network
) -> None:
    merchant.mint()
    network.fault("dropConnectionBeforeProcessing", "b2c")
    with pytest.raises(requests.ConnectionError):
        merchant.b2c(100, "cut")
    network.drain()
    assert network.payouts() == []
    assert phone.balance() == 5_000


def hides_json(answer: Response) -> bool:
    return "json" not in answer.headers["Content-Type"]


@pytest.mark.parametrize(
    ("scenario", "looks"),
    [
        ("http500AfterExecuting", lambda a: error(a)[:2] == (500, "500.003.1001")),
        ("htmlBody", lambda a: a.status_code == 200 and "<html>" in a.text and hides_json(a)),
        ("emptyBody", lambda a: a.status_code == 200 and a.text == "" and hides_json(a)),
    ],
)
def test_a_payout_whose_answer_cannot_be_read_is_paid(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network, scenario: str, looks
) -> None:
    network.fault(scenario, "b2c")
    assert looks(merchant.b2c(100))
    house.awaits("b2c/result")
    assert phone.balance() == 5_100


def test_the_gateways_own_envelope(merchant: Merchant, phone: Phone, network: Network) -> None:
    network.fault("spikeArrest429", "stk")
    answer = merchant.stk()
    assert answer.status_code == 429
    code = answer.json()["fault"]["detail"]["errorcode"]
    assert code == "policies.ratelimit.SpikeArrestViolation"
    assert phone.stk_prompt() is None


def test_refusals_by_name_and_by_code(merchant: Merchant, network: Network) -> None:
    network.fault("rejectsSync", "b2c", error="maintenance")
    network.fault("rejectsSync", "b2c", code="9.9", status=503, message="Closed")
    maintenance = (500, "500.002.1001", "Service is currently under maintenance")
    assert error(merchant.b2c(100, "same")) == maintenance
    assert error(merchant.b2c(100, "same")) == (503, "9.9", "Closed")
    assert merchant.b2c(100, "same").status_code == 200


def test_a_token_killed_elsewhere(merchant: Merchant, network: Network, phone: Phone) -> None:
    network.fault("tokenInvalidated", "stk")
    assert error(merchant.stk())[1] == "404.001.03"
    assert error(merchant.stk())[1] == "404.001.03"
    merchant.mint()
    assert merchant.stk().status_code == 200
    phone.await_stk()


def test_a_slow_answer_comes_after_the_deed(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.fault("slow", "b2c", seconds=0.3)
    started = time.monotonic()
    assert merchant.b2c(100).status_code == 200
    assert time.monotonic() - started > 0.3
    assert phone.balance() == 5_100


# -- the callback


def test_lost_callbacks(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.fault("losesCallback", "stk")
    checkout_id = merchant.stk().json()["CheckoutRequestID"]
    phone.await_stk()
    phone.enter_mpesa_pin("1234")
    network.drain()
    assert house.got("stk") == []
    assert phone.balance() == 4_900
    assert merchant.query(checkout_id).json()["ResultCode"] == "0"


def test_the_same_callback_again_and_again(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    phone.change(habit="pays")
    network.fault("duplicatesCallback", "stk", count=4)
    merchant.stk()
    network.drain()
    kept = house.awaits("stk", 4)
    assert len(kept) == 4
    assert all(body == kept[0] for body in kept)
    assert network.replay(network.callbacks("stk")[0]["id"], times=2) == [200, 200]
    assert len(house.got("stk")) == 6
    assert phone.balance() == 4_900


@pytest.mark.parametrize("on", ["stk", "b2c", "status"])
def test_a_callback_before_the_answer(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network, on: str
) -> None:
    network.fault("callbackBeforeAck", on)
    door = {"stk": "stk", "b2c": "b2c/result", "status": "status/result"}[on]
    ask = {"stk": merchant.stk, "b2c": merchant.b2c, "status": lambda: merchant.status(
        TransactionID="ABC"
    )}[on]  # fmt: skip
    assert ask().status_code == 200
    assert len(house.got(door)) == 1
    assert phone.stk_prompt() is None


def test_callbacks_held_back_and_let_go_backwards(
    merchant: Merchant, house: StubHouse, network: Network
) -> None:
    network.hold_callbacks()
    for ocid in ("first", "second"):
        merchant.b2c(100, ocid)
        network.drain()
    assert house.got("b2c/result") == []
    assert network.release_callbacks(backwards=True) == 2
    ids = [told["Result"]["OriginatorConversationID"] for told in house.got("b2c/result")]
    assert ids == ["second", "first"]


def test_never_an_answer(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.fault("neverAnswers", "stk")
    checkout_id = merchant.stk().json()["CheckoutRequestID"]
    network.drain()
    assert phone.stk_prompt() is None
    assert error(merchant.query(checkout_id))[2] == "The transaction is being processed"
    merchant.stk()
    phone.await_stk()


def test_a_callback_that_disagrees_with_the_books(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.fault("disagrees", "b2c")
    merchant.b2c(100, "who knows")
    assert house.awaits("b2c/result")[0]["Result"]["ResultCode"] == 2040
    assert phone.balance() == 5_100
    merchant.status(OriginalConversationID="who knows")
    found = dict(parameters(house.awaits("status/result")[0]))
    assert found["TransactionStatus"] == "Completed"


def test_a_status_that_disagrees_with_the_books(
    merchant: Merchant, house: StubHouse, network: Network
) -> None:
    merchant.b2c(100, "paid")
    house.awaits("b2c/result")
    network.fault("disagrees", "status", status="Declined")
    network.fault("echoesPaymentId", "status")
    merchant.status(OriginalConversationID="paid")
    told = house.awaits("status/result")[0]
    assert dict(parameters(told))["TransactionStatus"] == "Declined"
    assert told["Result"]["OriginatorConversationID"] == "paid"


def test_numbers_that_are_strings(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    phone.change(habit="pays")
    network.fault("stringTypes", "stk")
    network.fault("stringTypes", "b2c")
    merchant.stk()
    merchant.b2c()
    told = house.awaits("stk")[0]["Body"]["stkCallback"]
    assert told["ResultCode"] == "0"
    values = [item["Value"] for item in told["CallbackMetadata"]["Item"] if "Value" in item]
    assert all(isinstance(value, str) for value in values)
    assert house.awaits("b2c/result")[0]["Result"]["ResultCode"] == "0"


def test_another_amount_than_was_paid(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    phone.change(habit="pays")
    network.fault("wrongAmount", "stk", amount=100, says=7)
    merchant.stk(100)
    item = house.awaits("stk")[0]["Body"]["stkCallback"]["CallbackMetadata"]["Item"][0]
    assert item == {"Name": "Amount", "Value": 7.0}
    assert phone.balance() == 4_900


@pytest.mark.parametrize(("on", "door"), [("stk", "stk"), ("b2c", "b2c/result")])
def test_any_result_code(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network, on: str, door: str
) -> None:
    network.fault("resultCode", on, code="SFC_IC0003")
    merchant.stk() if on == "stk" else merchant.b2c()
    assert '"ResultCode": "SFC_IC0003"' in str(house.awaits(door)[0]).replace("'", '"')
    assert phone.balance() == 5_000


def test_a_password_that_is_suddenly_wrong(
    merchant: Merchant, house: StubHouse, network: Network
) -> None:
    network.fault("credentialError", "b2c")
    merchant.b2c()
    assert house.awaits("b2c/result")[0]["Result"]["ResultCode"] == 2001


def test_a_queue_that_gives_the_request_back(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.fault("queueTimeoutEcho", "b2c")
    merchant.b2c(100, "echoed")
    echoed = house.awaits("b2c/timeout")[0]
    assert echoed["OriginatorConversationID"] == "echoed"
    assert "SecurityCredential" in echoed
    merchant.status(OriginalConversationID="echoed")
    assert house.awaits("status/result")[0]["Result"]["ResultCode"] == 25
    assert phone.balance() == 5_000


def test_a_queue_that_says_so_in_the_other_shape_and_pays_all_the_same(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.fault("queueTimeoutEcho", "b2c", shape="result", pays=True)
    merchant.b2c(100, "queued")
    told = house.awaits("b2c/timeout")[0]["Result"]
    assert (told["ResultCode"], told["OriginatorConversationID"]) == (1, "queued")
    assert house.got("b2c/result") == []
    assert phone.balance() == 5_100


def test_a_success_after_1037(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.fault("lateSuccessAfter1037", "stk")
    merchant.stk()
    assert codes(house, 1) == [1037]
    phone.await_stk()
    phone.enter_mpesa_pin("1234")
    assert codes(house, 2) == [1037, 0]
    assert phone.balance() == 4_900


def test_a_1037_that_stays_one(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.fault("lateSuccessAfter1037", "stk")
    merchant.stk()
    phone.await_stk()
    phone.ignore_stk()
    network.drain()
    assert codes(house, 1) == [1037]


def test_a_query_that_does_not_know_yet(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    phone.change(habit="pays")
    checkout_id = merchant.stk().json()["CheckoutRequestID"]
    house.awaits("stk")
    network.fault("query4999", "stk_query", phone="0712000001")
    assert merchant.query(checkout_id).json()["ResultCode"] == "4999"
    assert merchant.query(checkout_id).json()["ResultCode"] == "0"


def test_a_push_confirmed_as_c2b_too(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    phone.change(habit="pays")
    network.fault("c2bAlsoForStk", "stk")
    merchant.stk(100)
    confirmed = house.awaits("c2b")[0]
    assert confirmed["BillRefNumber"] == "7Q2MXA"
    assert confirmed["TransID"] in str(house.awaits("stk")[0])
    network.settings(c2b_copy=True)
    merchant.stk(200)
    assert house.awaits("c2b", 2)[1]["TransAmount"] == "200.00"


# -- whom they meet


def test_faults_meet_a_phone_an_amount_and_only_so_many_requests(
    merchant: Merchant, phone: Phone, network: Network
) -> None:
    network.fault("rejectsSync", "b2c", phone="0712000009", error="quota")
    assert merchant.b2c().status_code == 200
    network.fault("rejectsSync", "b2c", amount=77, times=2, error="quota")
    assert merchant.b2c(78).status_code == 200
    assert [merchant.b2c(77).status_code for _ in range(3)] == [500, 500, 200]
    network.fault("rejectsSync", "b2c", times=0, error="quota")
    assert [merchant.b2c(PartyB="254712000001").status_code for _ in range(3)] == [500] * 3
    network.fault("completes", "b2c")
    assert merchant.b2c().status_code == 200
    network.clear_faults()
    assert network.armed() == []
    assert merchant.b2c().status_code == 200


def test_faults_combine(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.fault("losesSync", "b2c")
    network.fault("losesCallback", "b2c")
    with pytest.raises(requests.ConnectionError):
        merchant.b2c(100)
    network.drain()
    assert house.got("b2c/result") == []
    assert phone.balance() == 5_100


def test_what_nobody_knows_cannot_be_armed(network: Network) -> None:
    with pytest.raises(Trouble, match="no such scenario"):
        network.fault("explodes", "b2c")
    with pytest.raises(Trouble, match="no such product"):
        network.fault("slow", "pigeons")


def test_every_scenario_is_played_by_some_test(request: pytest.FixtureRequest) -> None:
    folder = request.path.parent
    tests = "".join(path.read_text() for path in folder.glob("test_*.py"))
    assert [name for name in SCENARIOS if f'"{name}"' not in tests] == []
