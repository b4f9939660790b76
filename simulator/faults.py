"""What goes wrong: scenarios armed for a product, a phone number or an amount."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.handsets import number_of

# product -> what a scenario can be armed on
PRODUCTS = (
    "oauth", "stk", "stk_query", "b2c", "status", "balance", "reversal", "pull",
    "c2b", "c2b_validation", "c2b_register",
    "sms", "sms_in", "delivery", "ussd", "ussd_end",
)  # fmt: skip

# Every scenario in one sentence; `params` in brackets are given beside it when it is armed.
SCENARIOS: dict[str, str] = {
    "completes": "nothing goes wrong (shields one request from sticky faults)",
    # before M-PESA or the aggregator looks at the request
    "dropConnectionBeforeProcessing": "the request is read, then the connection is cut",
    "spikeArrest429": "the gateway refuses: 429 with its own envelope",
    "tokenInvalidated": "somebody else minted a token: this one is dead",
    "rejectsSync": "the request is refused in the answer [error: a name of `errors`, or code]",
    "refusesV3": "the gateway refuses: 403.002.1001",
    "duplicateOCID": "the answer says that the id was used before [pays=false]",
    # it happens, but the answer does not say so
    "losesSync": "it happens, the answer is lost with the connection",
    "dropConnectionAfterProcessing": "the same as losesSync",
    "http500AfterExecuting": "it happens, the answer is a 500",
    "htmlBody": "it happens, the answer is a page of HTML [status=200]",
    "emptyBody": "it happens, the answer has no body [status=200]",
    "slow": "it happens, the answer comes late [seconds=5, before=true: it happens late too]",
    # what follows
    "losesCallback": "it happens, nobody is told",
    "lateCallback": "the callback takes its time [seconds=5]",
    "contradicts": "after the callback another one says that it failed [code]",
    "duplicatesCallback": "the callback is sent several times at once [count=3]",
    "callbackBeforeAck": "the callback arrives before the answer (a waiting prompt is paid)",
    "neverAnswers": "accepted, then nothing happens at all",
    "disagrees": "the callback says it failed, the books say it was paid [code]",
    "stringTypes": "numbers in the callback are strings",
    "wrongAmount": "the callback tells another amount [says]",
    "wrongPhone": "the callback tells another phone [says]",
    "wrongShortcode": "the confirmation tells another paybill [says]",
    "maskedPhone": "the callback shows only parts of the phone's number",
    "noPhone": "the callback does not name the phone",
    "noReceipt": "the callback says paid and names no receipt",
    "shuffledItems": "the callback's items come in another order",
    "resultCode": "it fails with this code [code, desc]",
    "credentialError": "the initiator information is invalid (2001)",
    "queueTimeoutEcho": "the request comes back to QueueTimeOutURL [shape=echo|result, pays=false]",
    "lateSuccessAfter1037": "a 1037 is told while the prompt stays, and can still be paid",
    "query4999": "the query says that the payment is under processing",
    "c2bAlsoForStk": "the payment is confirmed as C2B too, with the same receipt",
    "unknownOCID": "a status query finds nothing (25)",
    "otherKeys": "a pull answers with its keys spelled the other way",
    "echoesPaymentId": "a status result carries the payment's OriginatorConversationID",
    # the aggregator
    "invalidSenderId": "201 without recipients",
    "recipientStatus": "each recipient gets this code [code=405]",
    "deliveryStatus": "these delivery reports are sent [statuses=Failed, reason]",
    "duplicatesHop": "each USSD hop is sent several times at once [count=2]",
    "losesReply": "the house answers, the customer never sees it",
}

# Other names for the same.
ALIASES = {
    "tokenInvalidatedByOtherWorker": "tokenInvalidated",
    "customerPays": "losesCallback",
}


@dataclass
class Fault:
    id: int
    scenario: str
    on: str
    phone: str | None = None
    amount: int | None = None
    left: int | None = 1  # how many requests it still meets; None is all of them
    params: dict[str, Any] = field(default_factory=dict)
    met: int = 0

    def fits(self, on: str, phone: str | None, amount: int | None) -> bool:
        return (
            self.left != 0
            and self.on == on
            and self.phone in (None, phone)
            and self.amount in (None, amount)
        )


class Plan:
    """What goes wrong with one request."""

    def __init__(self, faults: Mapping[str, dict[str, Any]] | None = None) -> None:
        self._faults = {} if faults is None or "completes" in faults else dict(faults)

    def has(self, *scenarios: str) -> bool:
        return any(scenario in self._faults for scenario in scenarios)

    def param(self, scenario: str, name: str, default: Any) -> Any:
        return self._faults.get(scenario, {}).get(name, default)

    def number(self, scenario: str, name: str, default: int) -> int:
        return int(self.param(scenario, name, default))

    def names(self) -> list[str]:
        return sorted(self._faults)


NOTHING = Plan()


class Faults:
    """The armed faults, oldest first. The world's lock guards them."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._ids = itertools.count(1)

    def arm(
        self,
        scenario: str,
        on: str,
        *,
        phone: str | None = None,
        amount: int | None = None,
        times: int = 1,
        params: dict[str, Any] | None = None,
    ) -> Fault:
        """Arms one for so many requests (0: for all to come). ValueError on unknown names."""
        scenario = ALIASES.get(scenario, scenario)
        if scenario not in SCENARIOS:
            raise ValueError(f"no such scenario: {scenario}")
        if on not in PRODUCTS:
            raise ValueError(f"no such product: {on}")
        fault = Fault(next(self._ids), scenario, on, phone, amount, times or None, params or {})
        self._armed.append(fault)
        return fault

    def arm_standing(self, told: str) -> None:
        """`on:who:scenario[:name=value]`, comma between; who is a number, `=77` or `*` for all.

        They meet every request that fits. ValueError on what cannot be read.
        """
        for entry in filter(None, (part.strip() for part in told.split(","))):
            on, who, scenario, *params = entry.split(":")
            number = "" if who == "*" or who.startswith("=") else number_of(who)
            self.arm(
                scenario, on, phone=number or None, times=0,
                amount=int(who[1:]) if who.startswith("=") else None,
                params=dict(param.split("=", 1) for param in params),
            )  # fmt: skip

    def take(self, on: str, *, phone: str | None = None, amount: int | None = None) -> Plan:
        """The plan for one request: the oldest fitting fault of each scenario, used up by one."""
        met: dict[str, dict[str, Any]] = {}
        for fault in self._armed:
            if fault.scenario in met or not fault.fits(on, phone, amount):
                continue
            met[fault.scenario] = fault.params
            fault.met += 1
            if fault.left is not None:
                fault.left -= 1
        self._armed = [fault for fault in self._armed if fault.left != 0]
        return Plan(met)

    def armed(self) -> list[Fault]:
        return list(self._armed)

    def disarm(self, fault_id: int | None = None) -> None:
        self._armed = [f for f in self._armed if fault_id is not None and f.id != fault_id]
