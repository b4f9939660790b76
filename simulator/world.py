"""The simulated world: everything it remembers, behind one lock."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from threading import Condition, RLock
from typing import Any

from simulator import clock, exchange, wire
from simulator.books import Books, Organisation, Subscriber
from simulator.courier import Courier
from simulator.faults import NOTHING, Faults, Plan
from simulator.handsets import Handset, number_of
from simulator.keys import Keys
from simulator.payments import Addresses, Payout, Push
from simulator.settings import Settings
from simulator.tokens import Tokens

CALLBACKS_KEPT = 500


@dataclass
class Parcel:
    """One callback to the house: the same bytes each time it is sent."""

    kind: str
    sender: str
    url: str
    body: bytes
    content_type: str
    shown: str  # the body as the wire log may show it
    id: int = 0
    statuses: list[int] = field(default_factory=list)  # 0: no answer


class World:
    """Take `lock` to read or change anything; never speak HTTP while holding it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lock = RLock()
        self._stirred = Condition(self.lock)
        self.version = 0
        self.courier = Courier()
        self.wire = wire.Wire()
        self.keys = Keys(settings.key_file)
        self._clear()

    def _clear(self) -> None:
        self.books = Books()
        self.faults = Faults()
        self.faults.arm_standing(self.settings.scenarios)
        clock.set_ahead(self.settings.clock_ahead)
        self.addresses: dict[str, Addresses] = {}  # by shortcode
        self.pulls: set[str] = set()  # shortcodes registered for it
        self.wire.clear()
        self.tokens = Tokens()
        self.handsets: dict[str, Handset] = {}
        self.pushes: dict[str, Push] = {}
        self.last_push: dict[str, Push] = {}  # by phone
        self.payouts: dict[str, Payout] = {}
        self.refused_credentials = 0
        self.texts: list[dict[str, str]] = []
        self.parcels: list[Parcel] = []
        self.held: list[Parcel] | None = None
        self._parcel_count = 0

    def reset(self) -> None:
        """Forgets everything but the settings and the keys."""
        with self.lock:
            self.courier.forget()
            self._clear()
            self.stir()

    def tell(self, changes: Mapping[str, Any]) -> None:
        """New settings from now on; ValueError on what is not one."""
        with self.lock:
            self.settings = self.settings.told(changes)
            if "scenarios" in changes:
                self.faults = Faults()
                self.faults.arm_standing(self.settings.scenarios)
            clock.set_ahead(self.settings.clock_ahead)

    # -- waiting

    def stir(self) -> None:
        """Wakes all who wait; called by whoever changed what somebody can see."""
        with self.lock:
            self.version += 1
            self._stirred.notify_all()

    def wait_until(self, happened: Callable[[], Any], timeout: float) -> Any:
        """The first true answer of `happened`, or its last one."""
        with self.lock:
            return self._stirred.wait_for(happened, timeout)

    # -- people and organisations

    def handset(self, number: str) -> Handset:
        """Everybody has a phone: one that was never seen is made. Call with the lock held."""
        number = number_of(number)
        if number not in self.handsets:
            self.handsets[number] = Handset(number, self.settings.network_code)
            self.person(number)
        return self.handsets[number]

    def person(self, number: str) -> Subscriber:
        told = self.settings
        return self.books.open_person(
            number_of(number), pin=told.phone_pin, balance=told.phone_balance
        )

    def organisation(self, shortcode: str) -> Organisation | None:
        """None for a shortcode that is not the house's."""
        told = self.settings
        if shortcode not in {told.shortcode, told.till_number, told.b2c_shortcode}:
            return None
        return self.books.open_organisation(
            shortcode, name=told.organisation, utility=told.utility_float
        )

    # -- callbacks

    def post(self, parcel: Parcel, plan: Plan = NOTHING, *, retries: bool = False) -> None:
        """Sends a callback now, on this thread; holds it back while callbacks are held."""
        if not parcel.url or plan.has("losesCallback"):
            self._note(parcel, 0, "not sent" if parcel.url else "nobody listens", 0)
            return
        with self.lock:
            self._parcel_count += 1
            parcel.id = self._parcel_count
            self.parcels = [*self.parcels[-CALLBACKS_KEPT:], parcel]
            if self.held is not None:
                self.held.append(parcel)
                self.stir()
                return
        if plan.has("duplicatesCallback"):
            for _ in range(plan.number("duplicatesCallback", "count", 3) - 1):
                self.courier.later(0, lambda: self._carry(parcel, retries=False))
        self._carry(parcel, retries=retries)

    def ask(self, parcel: Parcel, timeout: float) -> str | None:
        """Posts and waits for the answer's text; None when none comes, or none that is a 200."""
        started = time.monotonic()
        try:
            reply = exchange.send(
                "POST", parcel.url, parcel.body, content_type=parcel.content_type, timeout=timeout
            )
            status, text = reply.status, reply.text
        except (OSError, HTTPException) as error:
            status, text = 0, f"{type(error).__name__}: {error}"
        self._note(parcel, status, text, int((time.monotonic() - started) * 1000))
        return text if status == 200 else None

    def hold(self) -> None:
        with self.lock:
            self.held = [] if self.held is None else self.held

    def release(self, *, backwards: bool = False) -> int:
        """Sends what was held, one after the other, and holds no longer."""
        with self.lock:
            parcels = (self.held or [])[:: -1 if backwards else 1]
            self.held = None
        for parcel in parcels:
            self._carry(parcel, retries=False)
        return len(parcels)

    def replay(self, parcel: Parcel) -> int:
        """Sends a callback once more; the HTTP status of the answer, 0 for none."""
        return self._carry(parcel, retries=False)

    def _carry(self, parcel: Parcel, *, retries: bool, waited: float = 0.0) -> int:
        started = time.monotonic()
        try:
            reply = exchange.send("POST", parcel.url, parcel.body, content_type=parcel.content_type)
            status, text = reply.status, reply.text
        except (OSError, HTTPException) as error:
            status, text = 0, f"{type(error).__name__}: {error}"
        self._note(parcel, status, text, int((time.monotonic() - started) * 1000))
        if retries and not 200 <= status < 300:
            self._retry(parcel, waited)
        return status

    def _retry(self, parcel: Parcel, waited: float) -> None:
        wait = max(self.settings.retry_first, waited)
        if waited + wait <= self.settings.retry_window:
            self.courier.later(
                wait,
                lambda: self._carry(parcel, retries=True, waited=waited + wait),
                counted=False,
            )

    def _note(self, parcel: Parcel, status: int, text: str, millis: int) -> None:
        with self.lock:
            parcel.statuses.append(status)
            self.wire.add(
                sender=parcel.sender, receiver="house", kind=parcel.kind, url=parcel.url,
                request=parcel.shown, status=status, response=text[:2000], millis=millis,
                callback=parcel.id,
            )  # fmt: skip
            self.stir()
