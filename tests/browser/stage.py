"""Who a story is about: staff who have enrolled, and customers who bet and are paid."""

import itertools
from dataclasses import dataclass

from core import staff_invitations
from core.customers import Customer
from core.staff import Role, Staff
from simulator.driver import Phone
from tests import people, staff_people
from tests.browser.house import PATIENCE, House
from tests.browser.visit import Authenticator

_numbers = itertools.count(712_100_001)


@dataclass
class Person:
    """A member of staff with both factors."""

    staff: Staff
    password: str
    authenticator: Authenticator

    @property
    def name(self) -> str:
        """What they are called."""
        return self.staff.name


def hire(house: House, name: str, role: Role = Role.TRADER) -> Person:
    """Someone who was invited and has enrolled."""
    known = staff_people.enrolled(house.rt, name, role)
    shown = Authenticator(house, known.secret, last=known.step)
    return Person(known.staff, staff_people.PASSWORD, shown)


def invite(house: House, name: str, role: Role = Role.TRADER) -> tuple[Staff, str]:
    """Someone who has not enrolled, and the code that came to their phone."""
    rt, member = house.rt, people.member(house.rt, name, role)
    rt.attempt(lambda tx: staff_invitations.send(tx, member, now=rt.now(), config=rt.config))
    phone = Phone(str(member.phone), house.network.base_url)
    text = phone.await_sms("enrolment code", timeout=PATIENCE)
    return member, staff_people.code_in(text.text)


def customer(house: House, name: str, *, shillings: int) -> Customer:
    """Someone with a number that no other story has, and money in the wallet."""
    return people.customer(house.rt, f"+254{next(_numbers)}", name, money=shillings * 100)
