"""Callbacks that lie, hide, contradict or come late, and answers that refuse for no reason."""

import time

import pytest

from simulator.driver import Network, Phone
from simulator.faults import Faults
from tests.simulator.merchant import Merchant, error, parameters
from tests.simulator.stub import StubHouse

pytestmark = pytest.mark.usefixtures("balanced")


@pytest.fixture
def pushed(merchant: Merchant, phone: Phone, house: StubHouse, network: Network):
    """`pushed("noPhone")`: the callback's items of a push that was paid on such a day."""

    def push(scenario: str, **told) -> list[dict]:
        phone.change(habit="pays")
        network.fault(scenario, "stk", **told)
        merchant.stk()
        return house.awaits("stk")[0]["Body"]["stkCallback"]["CallbackMetadata"]["Item"]

    return push


def values(items: list[dict]) -> dict:
    return {item["Name"]: item.get("Value") for item in items}


def test_a_push_that_names_no_receipt(pushed, phone: Phone) -> None:
    assert "MpesaReceiptNumber" not in values(pushed("noReceipt"))
    assert phone.balance() == 4_900


def test_a_push_that_names_no_phone_or_half_of_one(pushed) -> None:
    assert "PhoneNumber" not in values(pushed("noPhone"))


def test_a_push_that_masks_the_phone(pushed) -> None:
    assert values(pushed("maskedPhone"))["PhoneNumber"] == "2547*****001"


def test_a_push_of_another_phone(pushed) -> None:
    assert values(pushed("wrongPhone", says=254700000009))["PhoneNumber"] == 254700000009


def test_a_push_whose_items_are_shuffled(pushed) -> None:
    assert [item["Name"] for item in pushed("shuffledItems")][::-1] == [
        "Amount", "MpesaReceiptNumber", "Balance", "TransactionDate", "PhoneNumber",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scenario", "shown"),
    [("maskedPhone", "2547*****001 - "), ("wrongPhone", "254799999999 - "), ("noPhone", None)],
)
def test_a_payout_to_somebody_else(
    merchant: Merchant, house: StubHouse, network: Network, scenario: str, shown: str | None
) -> None:
    network.fault(scenario, "b2c")
    network.fault("noReceipt", "b2c")
    network.fault("shuffledItems", "b2c")
    merchant.b2c()
    found = dict(parameters(house.awaits("b2c/result")[0]))
    assert "TransactionReceipt" not in found
    if shown is None:
        assert "ReceiverPartyPublicName" not in found
    else:
        assert found["ReceiverPartyPublicName"].startswith(shown)


def test_a_confirmation_with_everything_wrong(
    phone: Phone, house: StubHouse, network: Network
) -> None:
    for scenario in ("wrongAmount", "wrongShortcode", "wrongPhone", "shuffledItems"):
        network.fault(scenario, "c2b", says=7 if scenario == "wrongAmount" else "600111")
    phone.pay_paybill(100, account="ABC")
    told = house.awaits("c2b")[0]
    assert (told["TransAmount"], told["BusinessShortCode"]) == ("7.00", "600111")
    assert told["MSISDN"] == "6001 ***** 111"
    assert next(iter(told)) == "LastName"
    network.fault("noPhone", "c2b")
    phone.pay_paybill(100, account="ABC")
    assert house.awaits("c2b", 2)[1]["MSISDN"] == ""


@pytest.mark.parametrize(
    ("on", "door", "code"), [("stk", "stk", 1032), ("b2c", "b2c/result", 2040)]
)
def test_two_callbacks_that_contradict_each_other(
    merchant: Merchant,
    phone: Phone,
    house: StubHouse,
    network: Network,
    on: str,
    door: str,
    code: int,
) -> None:
    phone.change(habit="pays")
    network.fault("contradicts", on)
    merchant.stk() if on == "stk" else merchant.b2c()
    kept = house.awaits(door, 2)
    told = [one["Body"]["stkCallback"] if on == "stk" else one["Result"] for one in kept]
    assert [one["ResultCode"] for one in told] == [0, code]
    assert not {"CallbackMetadata", "ResultParameters"} & set(told[1])


def test_a_callback_that_takes_its_time(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    started = time.monotonic()
    network.fault("lateCallback", "b2c", seconds=0.3)
    merchant.b2c()
    house.awaits("b2c/result")
    assert time.monotonic() - started > 0.3


@pytest.mark.parametrize("pays", [True, False])
def test_an_id_that_was_never_used_is_called_a_duplicate(
    merchant: Merchant, phone: Phone, network: Network, pays: bool
) -> None:
    network.fault("duplicateOCID", "b2c", pays=pays)
    duplicate = (500, "500.002.1001", "Duplicate OriginatorConversationID.")
    assert error(merchant.b2c(100, "new")) == duplicate
    network.drain()
    assert phone.balance() == (5_100 if pays else 5_000)
    again = merchant.b2c(100, "new")
    assert again.status_code == (500 if pays else 200)


def test_a_gateway_that_will_not_have_v3(
    merchant: Merchant, phone: Phone, network: Network
) -> None:
    network.fault("refusesV3", "b2c")
    assert error(merchant.b2c(100, "same"))[:2] == (403, "403.002.1001")
    assert network.payouts() == []
    assert merchant.b2c(100, "same").status_code == 200


def test_a_token_that_another_worker_made_invalid(merchant: Merchant, network: Network) -> None:
    network.fault("tokenInvalidatedByOtherWorker", "balance")
    assert error(merchant.balance())[:2] == (401, "401.002.01")
    assert error(merchant.reverse("ABCDEF1234", 10))[:2] == (404, "404.001.03")
    merchant.mint()
    assert merchant.balance().status_code == 200


def test_a_status_query_that_finds_nothing(
    merchant: Merchant, house: StubHouse, network: Network
) -> None:
    merchant.b2c(100, "paid")
    house.awaits("b2c/result")
    network.fault("unknownOCID", "status")
    merchant.status(OriginalConversationID="paid")
    assert house.awaits("status/result")[0]["Result"]["ResultCode"] == 25


# -- standing scenarios: by number, by amount, for good


def test_standing_scenarios_meet_their_number_and_their_amount(
    merchant: Merchant, phone: Phone, house: StubHouse, network: Network
) -> None:
    network.settings(
        scenarios="b2c:=77:rejectsSync:error=quota, b2c:0712000009:refusesV3, c2b:*:losesCallback"
    )
    for _ in range(2):
        merchant.mint()
        assert merchant.b2c(77).status_code == 500
        assert merchant.b2c(78, PartyB="254712000009").status_code == 403
        phone.pay_paybill(10)
        network.reset()  # it forgets all but what stands
    merchant.mint()
    assert merchant.b2c(78).status_code == 200
    network.drain()
    assert house.got("c2b") == []


@pytest.mark.parametrize("told", ["b2c:=77", "b2c:x:losesSync", "b2c:*:explodes", "b2c:=x:slow"])
def test_standing_scenarios_that_cannot_be_read(told: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Faults().arm_standing(told)
