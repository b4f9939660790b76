"""The phones in people's hands: a screen, an inbox, a USSD session, an M-PESA prompt."""

import itertools
import re
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from simulator import gsm7

# What the phone does by itself when an M-PESA prompt appears. "asks" leaves it to its owner.
HABITS = ("asks", "pays", "wrong_pin", "cancels", "ignores")


@dataclass
class Text:
    """One SMS on the phone; `ref` is the aggregator's message id."""

    sender: str
    text: str
    at: str
    ref: str
    segments: int
    id: int = field(default_factory=itertools.count(1).__next__)


@dataclass
class Prompt:
    """An M-PESA request for a PIN on top of whatever the screen shows."""

    checkout_id: str
    amount: int
    payee: str
    account: str
    shown_at: float  # monotonic
    told: bool = False  # the customer may still pay, but the house has already been told 1037

    @property
    def words(self) -> str:
        return (
            f"Do you want to pay Ksh{self.amount:,} to {self.payee}"
            f" account {self.account}? Enter M-PESA PIN:"
        )


@dataclass
class Session:
    """A USSD session: what was typed, joined by `*` as the aggregator does."""

    id: str
    code: str
    started: float  # monotonic
    last: float
    typed: list[str] = field(default_factory=list)
    safe: list[str] = field(default_factory=list)  # the same with secrets masked
    reply: str = ""
    hops: int = 0

    @property
    def text(self) -> str:
        return "*".join(self.typed)


@dataclass
class Handset:
    number: str  # 254712000001
    network_code: str
    reachable: bool = True
    habit: str = "asks"
    screen: str = ""
    reply: str = ""  # what the house answered last, with its CON or END
    session: Session | None = None
    last_session: Session | None = None
    busy: bool = False  # the network is waiting for the house
    prompt: Prompt | None = None
    note: str = ""  # what M-PESA or the network told last
    inbox: list[Text] = field(default_factory=list)
    sent: list[dict[str, str]] = field(default_factory=list)
    opted_out: set[str] = field(default_factory=set)

    @property
    def e164(self) -> str:
        return f"+{self.number}"

    def shown(self) -> dict[str, Any]:
        """All that its owner can see, and a little more."""
        prompt = self.prompt
        return {
            "number": self.e164,
            "network_code": self.network_code,
            "reachable": self.reachable,
            "habit": self.habit,
            "screen": self.screen,
            "reply": self.reply,
            "septets": gsm7.septets(self.screen),
            "session": self.session.id if self.session else None,
            "busy": self.busy,
            "note": self.note,
            "stk": None
            if prompt is None
            else {
                "checkout_id": prompt.checkout_id,
                "amount": prompt.amount,
                "payee": prompt.payee,
                "account": prompt.account,
                "words": prompt.words,
                "age": round(time.monotonic() - prompt.shown_at, 1),
            },
            "inbox": [asdict(text) for text in self.inbox],
            "sent": self.sent,
        }


def number_of(text: str) -> str:
    """`0712…`, `+254712…` and `254712…` are one phone; ValueError if it cannot be one."""
    digits = re.sub(r"[\s()-]", "", text).removeprefix("+")
    if not re.fullmatch(r"[0-9]{4,15}", digits):
        raise ValueError(f"not a phone number: {text!r}")
    return f"254{digits[1:]}" if len(digits) == 10 and digits.startswith("0") else digits
