"""The one way to hold a simulated phone: tests, the terminal and scripts all use this."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from simulator import exchange, gsm7

SCREEN = 160  # septets that every network shows
MPESA = "MPESA"


class Trouble(AssertionError):
    """The simulated world refused, or showed something else than was expected."""


@dataclass(frozen=True)
class Sms:
    """A text on the phone, with what it was billed as."""

    id: int
    sender: str
    text: str
    at: str
    ref: str
    segments: int


@dataclass(frozen=True)
class StkPrompt:
    checkout_id: str
    amount: int
    payee: str
    account: str
    words: str
    age: float


class _Line:
    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, **body: Any) -> Any:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        data = b"" if body is None else _encoded(body)
        answer = exchange.send(method, f"{self.base_url}/control{path}", data, timeout=90)
        told = answer.json()
        if answer.status == 408:
            raise _Late(told)
        if answer.status >= 400:
            raise Trouble(f"{method} {path}: {answer.status} {told.get('error', told)}")
        return told


class _Late(Exception):
    """Nothing came in time; carries the state of the phone."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__("nothing came in time")
        self.state = state


class Phone(_Line):
    """A phone and its owner. Money is whole shillings, since M-PESA moves nothing less."""

    def __init__(self, number: str, base_url: str) -> None:
        super().__init__(base_url)
        self.number = number
        self._path = f"/phones/{quote(number)}"
        self._seen: set[int] = set()
        self._state: dict[str, Any] = {}

    def state(self) -> dict[str, Any]:
        """Everything the phone shows, fresh."""
        self._state = self.get(self._path)
        return self._state

    # -- USSD

    def dial(self, code: str | None = None, *, copies: int = 1) -> "Phone":
        """The house's own code unless another is given; `copies` start the session twice."""
        self._state = self.post(f"{self._path}/dial", code=code, copies=copies)
        return self

    def press(self, *inputs: str) -> "Phone":
        """Types each and sends it, one hop after the other."""
        self._state = self.post(f"{self._path}/press", inputs=list(inputs))
        return self

    def hang_up(self) -> "Phone":
        self._state = self.post(f"{self._path}/hangup")
        return self

    def repeat_hop(self, *, copies: int = 1, back: int = 0) -> list[str]:
        """The network sends the last hop (or one before it) again, all copies at the same instant.

        Returns the house's raw answers; the screen stays as it is.
        """
        replies: list[str] = self.post(f"{self._path}/repeat_hop", copies=copies, back=back)
        return replies

    @property
    def reply(self) -> str:
        """The last screen as the house sent it, with its CON or END."""
        return str((self._state or self.state())["reply"])

    @property
    def screen(self) -> str:
        """What can be read, as of the last thing done with this phone."""
        return str((self._state or self.state())["screen"])

    @property
    def in_session(self) -> bool:
        return (self._state or self.state())["session"] is not None

    def sees(self, *words: str) -> "Phone":
        """Every one of them is on the screen ("CON" and "END" too), and the screen fits a phone."""
        shown = self.reply or self.screen
        missing = [word for word in words if word not in shown]
        if missing:
            raise Trouble(self._picture(f"does not see {missing}"))
        if foreign := gsm7.foreign(self.screen):
            raise Trouble(self._picture(f"sees characters that are not GSM-7: {foreign}"))
        if (length := gsm7.septets(self.screen)) > SCREEN:
            raise Trouble(self._picture(f"sees {length} septets, a phone shows {SCREEN}"))
        return self

    def lacks(self, *words: str) -> "Phone":
        """None of them is on the screen."""
        found = [word for word in words if word in (self.reply or self.screen)]
        if found:
            raise Trouble(self._picture(f"should not see {found}"))
        return self

    def _picture(self, complaint: str) -> str:
        frame = "+" + "-" * 42 + "+"
        lines = [f"| {line:<40} |" for line in (self.reply or self.screen).splitlines()]
        return "\n".join([f"{self.number} {complaint}:", frame, *lines, frame])

    # -- texts

    def text(
        self,
        words: str,
        *,
        to: str = "",
        id: str = "",
        link_id: str = "",
        copies: int = 1,
    ) -> str:
        """Sends a text to the house's short code; its id."""
        sent = self.post(
            f"{self._path}/text", text=words, to=to, id=id, link_id=link_id, copies=copies
        )
        return str(sent["id"])

    def repeat_text(self, id: str = "", *, copies: int = 1) -> str:
        """The aggregator delivers the same text again: the last one, or the one with this id."""
        return str(self.post(f"{self._path}/repeat_text", id=id, copies=copies)["id"])

    def opt_out(self, sender: str) -> None:
        self.post(f"{self._path}/optout", sender=sender)

    def inbox(self) -> list[Sms]:
        """The house's texts, oldest first."""
        return [text for text in self._texts() if text.sender != MPESA]

    def mpesa_texts(self) -> list[Sms]:
        """M-PESA's own confirmations."""
        return [text for text in self._texts() if text.sender == MPESA]

    def await_sms(
        self, *words: str, containing: str = "", timeout: float = 20, sender: str = ""
    ) -> Sms:
        """The oldest text with all the words that this call has not returned before."""
        wanted = [*words, containing] if containing else list(words)
        try:
            told = self.post(
                f"{self._path}/await_sms", containing=wanted, timeout=timeout,
                seen=sorted(self._seen), sender=sender,
            )  # fmt: skip
        except _Late:
            texts = "\n".join(f"  {text.sender}: {text.text}" for text in self._texts())
            raise Trouble(
                f"{self.number} got no text with {wanted} in {timeout} s; its inbox:\n{texts}"
            ) from None
        self._seen.add(told["id"])
        return Sms(**told)

    def _texts(self) -> list[Sms]:
        return [Sms(**text) for text in self.state()["inbox"]]

    # -- M-PESA

    def balance(self) -> int:
        return int(self.state()["balance"])

    def stk_prompt(self) -> StkPrompt | None:
        told = self.state()["stk"]
        return None if told is None else StkPrompt(**told)

    def await_stk(self, *, timeout: float = 20) -> StkPrompt:
        try:
            self._state = self.post(f"{self._path}/await_stk", timeout=timeout)
        except _Late as late:
            raise Trouble(
                f"{self.number} got no M-PESA prompt in {timeout} s ({late.state['note']})"
            ) from None
        return StkPrompt(**self._state["stk"])

    def enter_mpesa_pin(self, pin: str) -> "Phone":
        self._state = self.post(f"{self._path}/stk", pin=pin)
        return self

    def cancel_stk(self) -> "Phone":
        self._state = self.post(f"{self._path}/stk", cancel=True)
        return self

    def ignore_stk(self) -> "Phone":
        """Looks away until the prompt's time is up, which is at once."""
        self._state = self.post(f"{self._path}/stk", ignore=True)
        return self

    def pay_paybill(
        self, amount: int, *, account: str = "", shortcode: str = "", deliver: bool = True
    ) -> str:
        """Pays by hand from the M-PESA menu; the receipt. Without `deliver` the house is not told.

        `shortcode` is the house's paybill unless given; its till takes no account.
        """
        paid = self.post(
            f"{self._path}/pay", amount=amount, account=account, shortcode=shortcode,
            deliver=deliver,
        )  # fmt: skip
        return str(paid["receipt"])

    def change(self, **to: Any) -> "Phone":
        """Any of balance, pin, name, registered, reachable, habit, network_code, unlock."""
        self._state = self._ask("PATCH", self._path, to)
        return self


class Network(_Line):
    """Everything that is not one phone: faults, M-PESA's books, callbacks, settings."""

    def reset(self) -> None:
        self.post("/reset")

    def settings(self, **changes: Any) -> None:
        """Changes fields of Settings, such as the house's addresses."""
        self.post("/settings", **changes)

    def certificate(self) -> str:
        """What initiators encrypt their password with, as PEM."""
        return exchange.send("GET", f"{self.base_url}/control/certificate").text

    # -- faults

    def fault(
        self,
        scenario: str,
        on: str,
        *,
        phone: str | None = None,
        amount: int | None = None,
        times: int = 1,
        **params: Any,
    ) -> int:
        """Arms a scenario for the next fitting request (`times=0`: for all to come); its id."""
        armed = self.post(
            "/faults", scenario=scenario, on=on, phone=phone, amount=amount, times=times, **params
        )
        return int(armed["id"])

    def clear_faults(self) -> None:
        self._ask("DELETE", "/faults", None)

    def armed(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.get("/faults")
        return told

    # -- M-PESA

    def books(self) -> dict[str, Any]:
        told: dict[str, Any] = self.get("/books")
        return told

    def transactions(self, *, phone: str = "", paid_in: bool | None = None) -> list[dict[str, Any]]:
        """The completed lines, of one phone if one is given, in one direction if one is given."""
        digits = phone.removeprefix("+")
        digits = f"254{digits[1:]}" if digits.startswith("0") else digits
        return [
            line
            for line in self.books()["transactions"]
            if line["status"] == "Completed"
            and digits in ("", line["phone"])
            and paid_in in (None, line["paid_in"])
        ]

    def utility(self, shortcode: str) -> int:
        """What the organisation's utility account holds; 0 if it never moved anything."""
        houses = self.books()["organisations"]
        return next((int(h["utility"]) for h in houses if h["shortcode"] == shortcode), 0)

    def set_float(self, utility: int, *, shortcode: str = "") -> None:
        self.post("/float", utility=utility, shortcode=shortcode)

    def treasury(self, act: str, amount: int, *, shortcode: str = "") -> str:
        """The house moves money of its own: "top up", "utility to bank" and so on; the receipt."""
        moved = self.post("/treasury", act=act, amount=amount, shortcode=shortcode)
        return str(moved["receipt"])

    def reverse(self, receipt: str) -> str:
        """M-PESA takes a customer's payment back by itself; the reversal's receipt."""
        return str(self.post("/reverse", receipt=receipt)["receipt"])

    def statement(self, shortcode: str = "", **asked: str) -> str:
        """The organisation's CSV: `account`, `dates` (iso or dmy), `since`, `until`."""
        query = urlencode({"shortcode": shortcode, **asked})
        reply = exchange.send("GET", f"{self.base_url}/control/statement?{query}")
        if reply.status != 200:
            raise Trouble(f"the portal says {reply.status}: {reply.text}")
        return reply.text

    def payouts(self) -> list[dict[str, Any]]:
        """Every payout that was accepted, with how it stands."""
        told: list[dict[str, Any]] = self.get("/payouts")
        return told

    def end_payout(self, originator_id: str, end: str = "pays") -> None:
        """Carries out an open payout and tells, or gives it a status only a query will show."""
        self.post(f"/payouts/{quote(originator_id)}", end=end)

    def kill_token(self) -> None:
        self.post("/tokens/kill")

    # -- callbacks

    def callbacks(self, kind: str = "") -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.get("/callbacks")["callbacks"]
        return [callback for callback in told if kind in ("", callback["kind"])]

    def hold_callbacks(self) -> None:
        """From now on callbacks wait."""
        self.post("/callbacks/hold")

    def release_callbacks(self, *, backwards: bool = False) -> int:
        return int(self.post("/callbacks/release", backwards=backwards)["released"])

    def replay(self, callback_id: int, *, times: int = 1) -> list[int]:
        """The HTTP statuses of the answers."""
        statuses: list[int] = self.post(f"/callbacks/{callback_id}/replay", times=times)
        return statuses

    def drain(self, timeout: float = 10) -> None:
        """Waits until nothing of the simulated world is under way."""
        try:
            self.post("/drain", timeout=timeout)
        except _Late:
            raise Trouble(f"the simulated world is still busy after {timeout} s") from None

    def wire(self, since: int = 0) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.get(f"/wire?since={since}")
        return told


def _encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()
