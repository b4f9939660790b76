"""M-PESA's own books: people, organisations, and every movement between them."""

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


# The moves of an organisation's own money: from, to, and M-PESA's reason. The bank is outside.
MOVES = {
    "top up": ("bank", "utility", "Deposit of Funds from Bank"),
    "top up working": ("bank", "working", "Deposit of Funds from Bank"),
    "utility to working": ("utility", "working", "Organization Settlement"),
    "working to utility": ("working", "utility", "Business Transfer from MMF to Utility"),
    "utility to bank": ("utility", "bank", "Withdraw Funds to Bank"),
    "working to bank": ("working", "bank", "Withdraw Funds to Bank"),
}


@dataclass
class Move:
    """One of those."""

    receipt: str
    act: str
    shortcode: str
    amount: int
    at: datetime
    number: int

    def into(self, account: str) -> int:
        """What it added to `utility` or `working`; negative when it took."""
        source, target, _ = MOVES[self.act]
        return self.amount * ((target == account) - (source == account))

    def shown(self) -> dict[str, Any]:
        return asdict(self) | {"at": self.at.isoformat(timespec="seconds")}


_numbers = itertools.count(1)  # one order for all movements


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
    linked: str = ""  # the receipt of the payment that this line takes back
    name: str = ""  # of the customer, as it was
    number: int = field(default_factory=_numbers.__next__)

    def shown(self) -> dict[str, Any]:
        return asdict(self) | {"at": self.at.isoformat(timespec="seconds")}


class Books:
    """The world's lock guards them."""

    def __init__(self) -> None:
        self.people: dict[str, Subscriber] = {}
        self.organisations: dict[str, Organisation] = {}
        self.transactions: list[Transaction] = []
        self.moves: list[Move] = []
        self._reversed: dict[str, Transaction] = {}
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
        drafted = self.draft(person, organisation, amount, paid_in=True, **line)
        return self.pay_in_draft(drafted)

    def pay_in_draft(self, line: Transaction) -> Transaction:
        """A payment that had its receipt before its money moved."""
        self.people[line.phone].balance -= line.amount
        self.organisations[line.shortcode].utility += line.amount
        return self._enter(line)

    def pay_out(
        self,
        organisation: Organisation,
        person: Subscriber,
        amount: int,
        *,
        charged: bool = True,
        **line: str,
    ) -> Transaction:
        charge = next(fee for top, fee in B2C_TARIFF if amount <= top) if charged else 0
        organisation.utility -= amount
        organisation.charges -= charge
        person.balance += amount
        drafted = self.draft(person, organisation, amount, paid_in=False, **line)
        drafted.charge = charge
        return self._enter(drafted)

    def reverse(self, line: Transaction, **ids_of_it: str) -> Transaction:
        """Takes a payment back, whole; the caller has looked whether it may be."""
        person, organisation = self.people[line.phone], self.organisations[line.shortcode]
        organisation.utility -= line.amount
        person.balance += line.amount
        back = self.draft(
            person, organisation, line.amount, paid_in=False, linked=line.receipt,
            reason=f"{line.reason} Reversal", account=line.account, **ids_of_it,
        )  # fmt: skip
        self._reversed[line.receipt] = self._enter(back)
        return back

    def move(self, organisation: Organisation, act: str, amount: int) -> Move:
        """The house moves its own money; ValueError on what cannot be."""
        if act not in MOVES:
            raise ValueError(f"treasury does one of {', '.join(MOVES)}")
        moved = Move(
            self.new_receipt(), act, organisation.shortcode, amount, nairobi_now(), next(_numbers)
        )
        utility = organisation.utility + moved.into("utility")
        working = organisation.working + moved.into("working")
        if amount < 1 or utility < 0 or working < 0:
            raise ValueError("not so much is there")
        organisation.utility, organisation.working = utility, working
        self.moves.append(moved)
        return moved

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
        drafted = self.draft(
            person, organisation, amount, paid_in=paid_in, status="Cancelled", **line
        )
        return self._enter(drafted)

    def draft(
        self,
        person: Subscriber,
        organisation: Organisation,
        amount: int,
        *,
        paid_in: bool,
        reason: str,
        status: str = "Completed",
        account: str = "",
        originator_id: str = "",
        conversation_id: str = "",
        checkout_id: str = "",
        linked: str = "",
    ) -> Transaction:
        """A line with a receipt that is in no book yet."""
        return Transaction(
            self.new_receipt(), reason, status, person.phone, organisation.shortcode, amount,
            paid_in, 0, account, nairobi_now(), originator_id, conversation_id, checkout_id,
            linked, person.name,
        )  # fmt: skip

    def _enter(self, line: Transaction) -> Transaction:
        self.transactions.append(line)
        self._by_receipt[line.receipt] = line
        if line.originator_id:
            self._by_originator[line.originator_id] = line
        if line.status == "Completed" and not line.linked:
            self._days[line.phone, line.paid_in, line.at.date()] += line.amount
        return line

    def new_receipt(self) -> str:
        receipt = ids.receipt()
        return self.new_receipt() if receipt in self._by_receipt else receipt

    # -- questions

    def find(self, *, receipt: str = "", originator_id: str = "") -> Transaction | None:
        return self._by_receipt.get(receipt) or self._by_originator.get(originator_id)

    def reversal_of(self, receipt: str) -> Transaction | None:
        """The line that took that payment back."""
        return self._reversed.get(receipt)

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
            "working": sum(house.working for house in houses),
            "charges": sum(house.charges for house in houses),
            "paid_in": sum(line.amount for line in lines if line.paid_in),
            "paid_out": sum(line.amount for line in lines if not line.paid_in and not line.linked),
            "taken_back": sum(line.amount for line in lines if line.linked),
            "payments_in": sum(1 for line in lines if line.paid_in),
            "payments_out": sum(1 for line in lines if not line.paid_in and not line.linked),
        }

    def discrepancies(self) -> list[str]:
        """Every account whose balance is not its opening plus its lines; none is the only right."""
        people, houses = Counter[str](), Counter[str]()
        working, charges = Counter[str](), Counter[str]()
        for line in self._completed():
            into_house = line.amount if line.paid_in else -line.amount
            people[line.phone] -= into_house
            houses[line.shortcode] += into_house
            charges[line.shortcode] -= line.charge
        for moved in self.moves:
            houses[moved.shortcode] += moved.into("utility")
            working[moved.shortcode] += moved.into("working")
        held = [
            (person.phone, person.balance, person.opening + people[person.phone])
            for person in self.people.values()
        ]
        for house in self.organisations.values():
            code = house.shortcode
            held.append((code, house.utility, house.opening + houses[code]))
            held.append((f"{code} working", house.working, working[code]))
            held.append((f"{code} charges", house.charges, charges[code]))
        return [f"{who} holds {has}, its lines say {due}" for who, has, due in held if has != due]

    def _completed(self) -> list[Transaction]:
        return [line for line in self.transactions if line.status == "Completed"]


def _name_of(phone: str) -> str:
    """A person's name, the same in every run."""
    seed = int.from_bytes(hashlib.sha256(phone.encode()).digest()[:4], "big")
    return f"{_FIRST[seed % len(_FIRST)]} {_LAST[seed // 16 % len(_LAST)]}"
