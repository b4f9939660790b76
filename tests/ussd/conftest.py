"""The switchboards of tests: the toy shop's, and the house's own with people and games."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select

from core import codes
from core.codes import OneTimeCode
from core.customers import Customer
from core.markets import Market
from core.runtime import Runtime
from core.staff import Staff
from tests import games
from tests.people import STRANGER
from tests.ussd import toys
from tests.ussd.handset import Handset
from ussd.engine import Switchboard
from ussd.screens.entry import entry


@pytest.fixture
def board(rt: Runtime) -> Iterator[Switchboard]:
    """A switchboard whose calls begin in the toy shop."""
    toys.clear()
    yield Switchboard(rt, toys.home)
    toys.clear()


@pytest.fixture
def handset(board: Switchboard) -> Handset:
    """A phone nobody knows, in the toy shop."""
    return Handset(board)


@pytest.fixture
def house(rt: Runtime) -> Switchboard:
    """The house's own switchboard."""
    return Switchboard(rt, entry)


@pytest.fixture
def stranger(house: Switchboard) -> Handset:
    """A phone nobody knows."""
    return Handset(house, phone=STRANGER)


@pytest.fixture
def phone(house: Switchboard, amina: Customer) -> Handset:
    """Amina's phone."""
    return Handset(house, phone=amina.phone)


@pytest.fixture
def derby(rt: Runtime, wanjiku: Staff) -> Market:
    """A game with three outcomes, closing in three hours."""
    return games.derby(rt, wanjiku, "Gor Mahia", "Draw", "AFC Leopards", closes=3 * games.HOUR)


@pytest.fixture
def code_sent(rt: Runtime) -> Callable[[str], str]:
    """`code_sent(phone)`: the digits of the newest one-time code, as the SMS would show them."""

    def digits(phone: str) -> str:
        newest = select(OneTimeCode).where(OneTimeCode.phone == phone)
        with rt.transaction() as tx:
            code = tx.scalars(newest.order_by(OneTimeCode.id.desc()).limit(1)).one()
            return codes.derive(rt.config, code.id, code.phone, code.purpose)

    return digits
