"""USSD and texts as the aggregator speaks them."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import africastalking
import pytest
import requests

from simulator.driver import Network, Phone, Trouble
from tests.simulator.stub import PATIENCE, StubHouse, slowly


def test_a_session_accumulates_what_is_typed(phone: Phone, house: StubHouse) -> None:
    house.screen = lambda hop: "END Bye" if hop["text"] == "1*2*100" else "CON More"
    phone.dial("*384*7#").sees("CON More")
    phone.press("1", "2").sees("CON")
    phone.press("100").sees("END Bye")

    hops = house.got("ussd")
    assert [hop["text"] for hop in hops] == ["", "1", "1*2", "1*2*100"]
    assert {tuple(sorted(hop)) for hop in hops} == {
        ("networkCode", "phoneNumber", "serviceCode", "sessionId", "text")
    }
    assert re.fullmatch(r"ATUid_[0-9a-f]{32}", hops[0]["sessionId"])
    assert len({hop["sessionId"] for hop in hops}) == 1
    assert hops[0]["phoneNumber"] == "+254712000001"
    assert (hops[0]["serviceCode"], hops[0]["networkCode"]) == ("*384*7#", "63902")
    notice = house.awaits("end")[0]
    assert notice["status"] == "Success"
    assert notice["input"] == "1*2*100"
    assert notice["lastAppResponse"] == "END Bye"
    assert notice["hopsCount"] == "4"
    assert not phone.in_session
    with pytest.raises(Trouble, match="no open session"):
        phone.press("1")


def test_a_direct_dial_and_the_longest_code(phone: Phone, house: StubHouse) -> None:
    phone.dial("*384*7*3*100#").sees("You typed 3*100")
    phone.dial("*384*70*5#").sees("You typed 5")
    phone.dial("*100#").sees("invalid MMI code")
    services = [hop["serviceCode"] for hop in house.got("ussd")]
    assert services == ["*384*7#", "*384*70#"]


def test_hanging_up_and_dialling_again(phone: Phone, house: StubHouse) -> None:
    phone.dial().press("1").hang_up()
    assert phone.screen == ""
    assert house.awaits("end")[0]["status"] == "Incomplete"
    phone.dial()
    phone.dial()
    assert house.awaits("end", 2)[1]["status"] == "Incomplete"
    assert len({hop["sessionId"] for hop in house.got("ussd")}) == 3


@pytest.mark.parametrize("reply", ["Hello", "CONTINUE", "", "con hello"])
def test_an_answer_that_is_none_ends_the_session(
    phone: Phone, house: StubHouse, reply: str
) -> None:
    house.screen = lambda _: reply
    phone.dial().sees("Connection problem")
    assert not phone.in_session
    assert house.awaits("end")[0]["status"] == "Failed"
    assert house.got("end")[0]["errorMessage"]


def test_a_house_that_is_too_slow(phone: Phone, house: StubHouse, network: Network) -> None:
    network.settings(app_timeout=0.1)
    house.screen = slowly(0.3, "CON Late")
    phone.dial().sees("Connection problem")
    assert house.awaits("end")[0]["status"] == "Failed"


def test_a_customer_who_thinks_too_long(phone: Phone, house: StubHouse, network: Network) -> None:
    phone.dial()
    network.settings(handset_timeout=0)
    assert house.awaits("end")[0]["status"] == "Incomplete"
    assert not Phone(phone.number, phone.base_url).in_session


def test_the_same_hop_at_the_same_instant(phone: Phone, house: StubHouse) -> None:
    phone.dial().press("1")
    assert phone.repeat_hop(copies=5) == ["CON You typed 1"] * 5
    assert phone.repeat_hop(back=1) == ["CON You typed nothing"]
    assert [hop["text"] for hop in house.got("ussd")] == ["", "1", *["1"] * 5, ""]
    phone.sees("You typed 1")


def test_the_same_instant_is_the_same_instant(phone: Phone, house: StubHouse) -> None:
    """The house answers only once all five are inside."""
    phone.dial()
    together = threading.Barrier(5)

    def screen(_: dict[str, str]) -> str:
        together.wait(3)
        return "CON All here"

    house.screen = screen
    assert phone.repeat_hop(copies=5) == ["CON All here"] * 5


def test_a_session_that_starts_twice(phone: Phone, house: StubHouse, network: Network) -> None:
    phone.dial(copies=2).sees("CON")
    first, second = house.got("ussd")
    assert first == second
    network.fault("duplicatesHop", "ussd", count=3)
    phone.press("1").sees("CON")
    assert [hop["text"] for hop in house.got("ussd")] == ["", "", "1", "1", "1"]


def test_a_reply_that_never_reaches_the_phone(
    phone: Phone, house: StubHouse, network: Network
) -> None:
    network.fault("losesReply", "ussd", phone="+254712000001")
    phone.dial().sees("Connection problem")
    assert len(house.got("ussd")) == 1


def test_one_phone_types_one_thing_at_a_time(phone: Phone, house: StubHouse) -> None:
    answering = threading.Event()
    house.screen = lambda _: "CON Slow" if answering.wait(PATIENCE) else "CON Never asked"
    with ThreadPoolExecutor(1) as other:
        first = other.submit(phone.dial)
        house.awaits("ussd")
        with pytest.raises(Trouble, match="still waiting"):
            phone.dial()
        answering.set()
        first.result()
    phone.sees("Slow")
    assert len(house.got("ussd")) == 1


# -- texts to the house


def test_a_text_reaches_the_house(phone: Phone, house: StubHouse) -> None:
    message_id = phone.text("BET 101 1 50")
    told = house.awaits("sms")[0]
    assert told["id"] == message_id
    assert (told["from"], told["to"], told["text"]) == ("+254712000001", "22384", "BET 101 1 50")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", told["date"])
    assert "linkId" not in told
    phone.text("BAL", link_id="L1", to="40404")
    assert house.awaits("sms", 2)[1]["linkId"] == "L1"


def test_the_same_text_twice(phone: Phone, house: StubHouse, network: Network) -> None:
    phone.text("BET 101 1 50", copies=2)
    phone.repeat_text(copies=2)
    kept = house.awaits("sms", 4)
    assert all(body == kept[0] for body in kept)
    network.fault("duplicatesCallback", "sms_in", count=2)
    phone.text("BAL", id="fixed")
    assert [told["id"] for told in house.awaits("sms", 6)[4:]] == ["fixed", "fixed"]
    with pytest.raises(Trouble, match="sent no such text"):
        phone.repeat_text("unknown")


def test_a_house_that_does_not_acknowledge_gets_it_again(phone: Phone, house: StubHouse) -> None:
    house.failures = 2
    phone.text("BAL")
    kept = house.awaits("sms", 3)
    time.sleep(0.1)
    assert len(house.got("sms")) == 3
    assert all(body == kept[0] for body in kept)


def test_a_network_that_gives_up(phone: Phone, house: StubHouse, network: Network) -> None:
    network.settings(retry_window=0.03)
    house.failures = 99
    phone.text("BAL")
    house.awaits("sms", 2)
    time.sleep(0.1)
    assert len(house.got("sms")) == 2


def test_opting_out(phone: Phone, house: StubHouse, base: str) -> None:
    phone.opt_out("HOUSE")
    assert house.awaits("optout") == [{"senderId": "HOUSE", "phoneNumber": "+254712000001"}]
    refused = send(base, sender="HOUSE")["Recipients"][0]
    assert (refused["statusCode"], refused["status"]) == (406, "UserInBlacklist")
    assert (refused["messageId"], refused["cost"]) == ("None", "0")
    assert phone.inbox() == []


# -- texts from the house


def send(base: str, words: str = "Hello", to: str = "+254712000001", sender: str = "") -> dict:
    form = {"username": "house", "to": to, "message": words, "bulkSMSMode": 1}
    answer = requests.post(
        f"{base}/version1/messaging", form | ({"from": sender} if sender else {}), timeout=20
    )
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert set(body) == {"SMSMessageData"}
    return body["SMSMessageData"]


def test_a_text_to_a_phone(phone: Phone, house: StubHouse, base: str) -> None:
    told = send(base, "x" * 161, sender="HOUSE")
    assert told["Message"] == "Sent to 1/1 Total Cost: KES 1.6000"
    recipient = told["Recipients"][0]
    assert (recipient["statusCode"], recipient["status"]) == (101, "Success")
    assert recipient["cost"] == "KES 1.6000"
    sms = phone.await_sms("xxx")
    assert (sms.ref, sms.segments, sms.sender) == (recipient["messageId"], 2, "HOUSE")
    reports = house.awaits("delivery", 2)
    assert {report["status"] for report in reports} == {"Sent", "Success"}
    assert {report["id"] for report in reports} == {sms.ref}


def test_the_aggregators_own_sdk(
    phone: Phone, base: str, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.settings(at_username="house", at_api_key="key")
    africastalking.initialize("house", "key")
    monkeypatch.setattr(africastalking.SMS, "_baseUrl", f"{base}/version1")
    told = africastalking.SMS.send("Salio KES 100", ["+254712000001", "+254712000002"])
    assert told["SMSMessageData"]["Message"] == "Sent to 2/2 Total Cost: KES 1.6000"
    assert phone.await_sms("Salio").segments == 1

    network.settings(at_api_key="another")
    with pytest.raises(africastalking.Service.AfricasTalkingException, match="authentication"):
        africastalking.SMS.send("Salio", ["+254712000001"])


def test_201_and_nobody_reached(phone: Phone, base: str, network: Network) -> None:
    network.settings(sender_ids="HOUSE")
    nothing = {"Message": "InvalidSenderId", "Recipients": []}
    assert send(base, sender="WRONG") == nothing
    assert send(base, sender="HOUSE")["Recipients"]
    network.fault("invalidSenderId", "sms")
    assert send(base, sender="HOUSE") == nothing


def test_recipients_that_are_refused(phone: Phone, base: str, network: Network) -> None:
    network.fault("recipientStatus", "sms", code=405)
    assert send(base)["Recipients"][0]["status"] == "InsufficientBalance"
    assert send(base, to="12")["Recipients"][0]["statusCode"] == 403
    assert send(base, to="12,+254712000001")["Message"].startswith("Sent to 1/2")
    assert len(phone.inbox()) == 1


def test_delivery_reports_that_are_not_success(
    phone: Phone, house: StubHouse, base: str, network: Network
) -> None:
    network.fault(
        "deliveryStatus", "delivery", statuses="Buffered,Failed", reason="DeliveryFailure"
    )
    send(base)
    reports = {report["status"]: report for report in house.awaits("delivery", 2)}
    assert reports["Failed"]["failureReason"] == "DeliveryFailure"
    assert "failureReason" not in reports["Buffered"]
    phone.change(reachable=False)
    send(base)
    assert "AbsentSubscriber" in {report["status"] for report in house.awaits("delivery", 4)}
    assert phone.inbox() == []


def test_answers_that_do_not_say_that_it_was_sent(
    phone: Phone, base: str, network: Network
) -> None:
    form = {"to": "+254712000001", "message": "Hello"}
    url = f"{base}/version1/messaging"
    network.fault("losesSync", "sms")
    with pytest.raises(requests.ConnectionError):
        requests.post(url, form, timeout=20)
    network.fault("http500AfterExecuting", "sms")
    assert requests.post(url, form, timeout=20).status_code == 500
    network.fault("htmlBody", "sms")
    assert "<html>" in requests.post(url, form, timeout=20).text
    assert len(phone.inbox()) == 3
    network.fault("dropConnectionBeforeProcessing", "sms")
    with pytest.raises(requests.ConnectionError):
        requests.post(url, form, timeout=20)
    network.fault("rejectsSync", "sms", status=400)
    assert requests.post(url, form, timeout=20).status_code == 400
    network.fault("spikeArrest429", "sms")
    assert requests.post(url, form, timeout=20).status_code == 429
    assert requests.post(url, {"to": "+254712000001"}, timeout=20).status_code == 400
    assert requests.post(url, {"message": "Hello"}, timeout=20).status_code == 400
    assert len(phone.inbox()) == 3


# -- the wire log


def test_the_wire_log_holds_no_secret(
    phone: Phone, house: StubHouse, base: str, network: Network
) -> None:
    house.screen = lambda hop: "CON Enter your PIN" if not hop["text"] else "END ok"
    phone.dial().press("7391").sees("END")
    phone.text("W#500#7391")
    send(base, "Your code is 482915")
    network.drain()
    log = str(network.wire())
    assert "7391" not in log
    assert "482915" not in log
    assert "W#500#****" in log
    assert "482915" in phone.inbox()[0].text


def test_the_wire_log_masks_the_tokens_of_doors(
    phone: Phone, house: StubHouse, network: Network
) -> None:
    token = "ab12" * 8
    network.settings(ussd_callback=f"{house.url}/hooks/{token}/ussd")
    phone.dial()
    line = network.wire()[-1]
    assert line["path"] == "/hooks/****/ussd"
    assert token not in str(network.wire())
