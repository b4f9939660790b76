"""Fixtures of the API's tests: the application, and programs of staff with keys."""

import pytest

from core.staff import Role
from tests import standing
from tests.api import programs


@pytest.fixture
def client(rt):
    """The house's doors."""
    return standing.application(rt).test_client()


@pytest.fixture
def program(rt, client):
    """`program("ann", Role.FINANCE)`: somebody with a second factor and a key."""
    return lambda name, role=Role.TRADER: programs.program(rt, client, name, role)


@pytest.fixture
def wanjiku(program):
    """A trader's program; its owner is `wanjiku.member`."""
    return program("wanjiku")


@pytest.fixture
def kamau(program):
    """Another trader's."""
    return program("kamau")


@pytest.fixture
def ann(program):
    """One of finance."""
    return program("ann", Role.FINANCE)
