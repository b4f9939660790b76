"""Client libraries nobody here wrote, against the simulated M-PESA: `make test-peers`.

They are as their registries give them, but for their base address. Not a part of `make test`: they
need a network once, to be installed.
"""

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.driver import Network, Phone
from tests.simulator.merchant import PHONE, TOLD, Merchant, parameters
from tests.simulator.stub import StubHouse

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".venv-peers"
COMMANDS = {
    "mpesakit": [str(INSTALLED / "bin/python"), str(HERE / "with_mpesakit.py")],
    "mpesa-node": ["node", str(HERE / "with_mpesa_node.js")],
}

pytestmark = pytest.mark.usefixtures("balanced")


class Peer:
    """One library in a process of its own."""

    def __init__(self, name: str, told: dict[str, str]) -> None:
        self.name = name
        quiet = {"PATH": "/usr/local/bin:/usr/bin:/bin", "NO_PROXY": "127.0.0.1"}
        self.process = subprocess.Popen(
            COMMANDS[name], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=quiet | {"NODE_PATH": str(INSTALLED / "node_modules")},
        )  # fmt: skip
        self._write(told)

    def __call__(self, call: str, **asked: Any) -> dict[str, Any]:
        self._write({"call": call, **asked})
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        assert answer, f"{self.name} has died of {call}"
        told: dict[str, Any] = json.loads(answer)
        return told

    def _write(self, line: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()


@pytest.fixture(params=sorted(COMMANDS))
def peer(request: Any, base: str, house: StubHouse, merchant: Merchant) -> Iterator[Peer]:
    """Each library, told what an app of the portal is told."""
    peer = Peer(
        request.param,
        {
            "base_url": base,
            "callbacks": house.url,
            "consumer_key": TOLD.consumer_key,
            "consumer_secret": TOLD.consumer_secret,
            "shortcode": TOLD.shortcode,
            "b2c_shortcode": TOLD.b2c_shortcode,
            "passkey": TOLD.passkey,
            "initiator": TOLD.initiator_name,
            "password": TOLD.initiator_password,
            "credential": merchant.credential(),
            "certificate": merchant.certificate,
        },
    )
    with peer.process:
        yield peer
        peer.process.kill()


def test_a_token(peer: Peer) -> None:
    assert len(peer("oauth")["token"]) == 28


def test_a_push_is_paid_and_asked_about(
    peer: Peer, phone: Phone, house: StubHouse, network: Network
) -> None:
    pushed = peer("stk", phone=str(PHONE), amount=150, reference="7Q2MXA")
    assert str(pushed["ResponseCode"]) == "0"
    assert phone.await_stk().account == "7Q2MXA"

    waiting = peer("query", checkout_id=pushed["CheckoutRequestID"])
    assert waiting == {"refused": "The transaction is being processed", "status": 500}

    phone.enter_mpesa_pin("1234")
    told = house.awaits("stk")[0]
    assert told["Body"]["stkCallback"]["CheckoutRequestID"] == pushed["CheckoutRequestID"]
    asked = peer("query", checkout_id=pushed["CheckoutRequestID"])
    assert str(asked["ResultCode"]) == "0"
    assert network.utility(TOLD.shortcode) == TOLD.utility_float + 150
    if peer.name == "mpesakit":
        assert peer("parse", payload=told)["Body"]["stkCallback"]["ResultCode"] == 0


def test_a_cancelled_push(peer: Peer, phone: Phone, house: StubHouse) -> None:
    pushed = peer("stk", phone=str(PHONE), amount=150, reference="7Q2MXA")
    phone.await_stk()
    phone.cancel_stk()
    house.awaits("stk")
    asked = peer("query", checkout_id=pushed["CheckoutRequestID"])
    assert str(asked["ResultCode"]) == "1032"


def test_a_payout_arrives(peer: Peer, phone: Phone, house: StubHouse) -> None:
    ocid = str(uuid.uuid4())
    answer = peer("b2c", phone=str(PHONE), amount=285, ocid=ocid)
    assert answer["ResponseCode"] == "0"
    told = house.awaits("b2c/result")[0]["Result"]
    assert (told["ResultCode"], told["ConversationID"]) == (0, answer["ConversationID"])
    assert phone.balance() == 5_285
    if peer.name == "mpesakit":  # it speaks v3, which remembers the id
        again = peer("b2c", phone=str(PHONE), amount=285, ocid=ocid)
        assert again == {"refused": "Duplicate OriginatorConversationID.", "status": 500}
        assert phone.balance() == 5_285


def test_a_payment_is_asked_about_by_its_receipt(
    peer: Peer, phone: Phone, house: StubHouse
) -> None:
    receipt = phone.pay_paybill(400, account="0712000001")
    answer = peer("status", receipt=receipt)
    assert answer["ResponseCode"] == "0"
    told = house.awaits("status/result")[0]
    assert told["Result"]["ConversationID"] == answer["ConversationID"]
    found = dict(parameters(told))
    assert (found["TransactionStatus"], found["ReceiptNo"]) == ("Completed", receipt)


def test_the_balance(peer: Peer, house: StubHouse, phone: Phone) -> None:
    phone.pay_paybill(400, account="0712000001")
    assert peer("balance")["ResponseCode"] == "0"
    found = dict(parameters(house.awaits("balance/result")[0]))
    assert f"Utility Account|KES|{TOLD.utility_float + 400}.00|" in found["AccountBalance"]


def test_registered_addresses_are_told_of_payments(
    peer: Peer, phone: Phone, house: StubHouse
) -> None:
    assert peer("register")["ResponseCode"] == "0"
    receipt = phone.pay_paybill(75, account="KAMAU")
    told = house.awaits("paid")[0]
    assert (told["TransID"], told["BillRefNumber"]) == (receipt, "KAMAU")
    assert len(told["MSISDN"]) == 64, "the first version, which both speak, hashes the number"


def test_a_token_of_somebody_elses(peer: Peer, network: Network) -> None:
    """Strict as Safaricom is, unless that is turned off for those who mint one for each call."""
    network.settings(strict_tokens=False)
    first = peer("oauth")["token"]
    other = Merchant(network.base_url, "http://127.0.0.1:9")
    other.mint()
    assert first != other.token
    assert peer("balance")["ResponseCode"] == "0"
