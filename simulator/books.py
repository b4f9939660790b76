"""M-PESA's own books: people, organisations, and every transaction between them."""

import hashlib
import itertools
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from simulator import ids
from simulator.clock import nairobi_now

LARGEST = 250_000  # one transaction
MOST_A_DAY = 500_000  # out of and into one customer's account
FULLEST = 500_000  # what a customer's account may hold
SAME_AMOUNT_WAIT = timedelta(minutes=2)
PINS_BEFORE_LOCK = 3

# Safaricom's form of August 2023; the band above 150,000 is not in it and is taken as the last.
B2C_TARIFF = ((100, 0), (1_500, 5), (5_000, 9), (20_000, 11), (LARGEST, 13))

_FIRST = (
    "AMINA", "BRIAN", "WANJIRU", "OTIENO", "HALIMA", "KIPCHOGE", "NJERI", "MUSA", "ACHIENG",
    "JUMA", "ZAWADI", "MWANGI",
)  # fmt: skip
_LAST = (
    "HASSAN", "ODHIAMBO", "KAMAU", "CHEBET", "MOHAMED", "MUTUA", "WAIRIMU", "OMONDI", "NJOROGE",
    "KIPTOO",
)  # fmt: skip


@dataclass
class Subscriber:
    """A person's M-PESA account; money is whole shillings."""

    phone: str
    name: str
    pin: str
    balance: int
    opening: int
    registered: bool = True
    wrong_pins: int = 0

    @property
    def party(self) -> str:
        return f"{self.phone} - {self.name}"


@dataclass
class Organisation:
    """A paybill, till or bulk-payment account; charges are kept apart, as M-PESA does."""

    shortcode: str
    name: str
    opening: int
    utility: int
    working: int = 0
    charges: int = 0

    @property
    def party(self) -> str:
        return f"{self.shortcode} - {self.name}"


@dataclass
class Transaction:
    """One line of the books. Only a Completed one moved money."""

    receipt: str
    reason: str
    status: str
    phone: str
    shortcode: str
    amount: int
    paid_in: bool  # from the organisation's side
    charge: int
    account: str
    at: datetime
    originator_id: str
    conversation_id: str
    checkout_id: str = ""
    number: int = field(default_factory=itertools.count(1).__next__)

    def shown(self) -> dict[str, Any]:
        return asdict(self) | {"at": self.at.isoformat(timespec="seconds")}


class Books:
    """The world's lock guards them."""

    def __init__(self) -> None:
        self.people: dict[str, Subscriber] = {}
        self.organisations: dict[str, Organisation] = {}
        self.transactions: list[Transaction] = []
        self._by_receipt: dict[str, Transaction] = {}
        self._by_originator: dict[str, Transaction] = {}
        self._days: Counter[tuple[str, bool, date]] = Counter()

    # -- accounts

    def open_person(self, phone: str, *, pin: str, balance: int) -> Subscriber:
        known = self.people.get(phone)
        if known is None:
            known = Subscriber(phone, _name_of(phone), pin, balance, balance)
            self.people[phone] = known
        return known

    def open_organisation(self, shortcode: str, *, name: str, utility: int) -> Organisation:
        known = self.organisations.get(shortcode)
        if known is None:
            known = Organisation(shortcode, name, utility, utility)
            self.organisations[shortcode] = known
        return known

    def set_balance(self, phone: str, balance: int) -> None:
        """Cash in or out at an agent: money from outside these books."""
        person = self.people[phone]
        person.opening += balance - person.balance
        person.balance = balance

    def set_float(self, shortcode: str, utility: int) -> None:
        organisation = self.organisations[shortcode]
        organisation.opening += utility - organisation.utility
        organisation.utility = utility

    # -- movements

    def pay_in(
        self, person: Subscriber, organisation: Organisation, amount: int, **line: str
    ) -> Transaction:
        person.balance -= amount
        organisation.utility += amount
        return self._write(person, organisation, amount, paid_in=True, charge=0, **line)

    def pay_out(
        self, organisation: Organisation, person: Subscriber, amount: int, **line: str
    ) -> Transaction:
        charge = next(fee for top, fee in B2C_TARIFF if amount <= top)
        organisation.utility -= amount
        organisation.charges -= charge
        person.balance += amount
        return self._write(person, organisation, amount, paid_in=False, charge=charge, **line)

    def note_failure(
        self,
        person: Subscriber,
        organisation: Organisation,
        amount: int,
        *,
        paid_in: bool,
        **line: str,
    ) -> Transaction:
        """A failed line has a receipt too; it moves nothing."""
        return self._write(
            person, organisation, amount, paid_in=paid_in, charge=0, status="Cancelled", **line
        )

    def _write(
        self,
        person: Subscriber,
        organisation: Organisation,
        amount: int,
        *,
        paid_in: bool,
        charge: int,
        reason: str,
        status: str = "Completed",
        account: str = "",
        originator_id: str = "",
        conversation_id: str = "",
        checkout_id: str = "",
        receipt: str = "",
    ) -> Transaction:
        line = Transaction(
            receipt or self.new_receipt(), reason, status, person.phone, organisation.shortcode,
            amount, paid_in, charge, account, nairobi_now(), originator_id, conversation_id,
            checkout_id,
        )  # fmt: skip
        self.transactions.append(line)
        self._by_receipt[line.receipt] = line
        if originator_id:
            self._by_originator[originator_id] = line
        if status == "Completed":
            self._days[person.phone, paid_in, line.at.date()] += amount
        return line

    def new_receipt(self) -> str:
        receipt = ids.receipt()
        return self.new_receipt() if receipt in self._by_receipt else receipt

    # -- questions

    def find(self, *, receipt: str = "", originator_id: str = "") -> Transaction | None:
        return self._by_receipt.get(receipt) or self._by_originator.get(originator_id)

    def moved_today(self, phone: str, *, paid_in: bool) -> int:
        return self._days[phone, paid_in, nairobi_now().date()]

    def paid_lately(self, phone: str, shortcode: str, amount: int) -> bool:
        since = nairobi_now() - SAME_AMOUNT_WAIT
        return any(
            (line.phone, line.shortcode, line.amount) == (phone, shortcode, amount)
            and line.paid_in
            and line.at > since
            for line in self._completed()
        )

    def totals(self) -> dict[str, int]:
        people, houses = self.people.values(), self.organisations.values()
        lines = list(self._completed())
        return {
            "people": sum(person.balance for person in people),
            "utility": sum(house.utility for house in houses),
            "charges": sum(house.charges for house in houses),
            "paid_in": sum(line.amount for line in lines if line.paid_in),
            "paid_out": sum(line.amount for line in lines if not line.paid_in),
            "payments_in": sum(1 for line in lines if line.paid_in),
            "payments_out": sum(1 for line in lines if not line.paid_in),
        }

    def discrepancies(self) -> list[str]:
        """Every account whose balance is not its opening plus its lines; none is the only right."""
        people, houses, charges = Counter[str](), Counter[str](), Counter[str]()
        for line in self._completed():
            into_house = line.amount if line.paid_in else -line.amount
            people[line.phone] -= into_house
            houses[line.shortcode] += into_house
            charges[line.shortcode] -= line.charge
        held = [
            (person.phone, person.balance, person.opening + people[person.phone])
            for person in self.people.values()
        ]
        for house in self.organisations.values():
            code = house.shortcode
            held.append((code, house.utility, house.opening + houses[code]))
            held.append((f"{code} charges", house.charges, charges[code]))
        return [f"{who} holds {has}, its lines say {due}" for who, has, due in held if has != due]

    def _completed(self) -> list[Transaction]:
        return [line for line in self.transactions if line.status == "Completed"]


def _name_of(phone: str) -> str:
    """A person's name, the same in every run."""
    seed = int.from_bytes(hashlib.sha256(phone.encode()).digest()[:4], "big")
    return f"{_FIRST[seed % len(_FIRST)]} {_LAST[seed // 16 % len(_LAST)]}"
