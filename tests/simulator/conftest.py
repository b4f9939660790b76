"""A simulated world that listens, and a cardboard house for it to call."""

from collections.abc import Iterator

import pytest

from simulator.driver import Network, Phone
from simulator.server import running
from simulator.settings import Settings
from tests.simulator.merchant import PHONE, Merchant
from tests.simulator.stub import StubHouse


@pytest.fixture(scope="session")
def cardboard() -> Iterator[StubHouse]:
    house = StubHouse()
    yield house
    house.close()


@pytest.fixture(scope="session")
def base(cardboard: StubHouse) -> Iterator[str]:
    with running(Settings(port=0)) as base:
        yield base


@pytest.fixture
def house(cardboard: StubHouse, base: str) -> Iterator[StubHouse]:
    """The cardboard house, known to a world that has forgotten everything."""
    network = Network(base)
    network.reset()
    network.settings(
        answer_delay=0, retry_first=0.02, handset_timeout=60, stk_timeout=60, app_timeout=20,
        strict_tokens=True, strict_urls=True, c2b_copy=False, same_amount_rule=False,
        c2b_version="v2", c2b_validates=False, c2b_validation=f"{cardboard.url}/may",
        validation_timeout=20, register_once=False, b2c_charges=True, pull_utc=False,
        clock_ahead=0, scenarios="",
        sender_ids="", at_api_key="", at_username="", service_codes="*384*7#,*384*70#",
        ussd_callback=f"{cardboard.url}/ussd", ussd_end_callback=f"{cardboard.url}/end",
        sms_callback=f"{cardboard.url}/sms", delivery_callback=f"{cardboard.url}/delivery",
        optout_callback=f"{cardboard.url}/optout", c2b_confirmation=f"{cardboard.url}/c2b",
    )  # fmt: skip
    cardboard.clear()
    yield cardboard
    network.reset()


@pytest.fixture
def network(house: StubHouse, base: str) -> Network:
    return Network(base)


@pytest.fixture
def phone(house: StubHouse, base: str) -> Phone:
    """The phone that Merchant pushes to, with KES 5,000 in M-PESA."""
    return Phone(f"+{PHONE}", base)


@pytest.fixture
def merchant(house: StubHouse, base: str) -> Merchant:
    return Merchant(base, house.url)


@pytest.fixture
def balanced(network: Network) -> Iterator[None]:
    """After the test every account of M-PESA is its opening plus its lines."""
    yield
    network.drain()
    assert network.books()["discrepancies"] == []
