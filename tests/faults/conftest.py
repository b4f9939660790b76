"""A house in earnest: its web door open, its partners simulated, its workers real processes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import Config
from core.runtime import Runtime
from demo import settings
from demo.engines import RedisServer, Urls, own_folder
from simulator.driver import Network
from simulator.server import running
from simulator.settings import Settings
from tests.doors import free_port, open_house
from tests.faults.workers import Crew
from tests.ground import environment_for

# Whatever the house waits for takes a moment here, so that no test does.
HASTE = {"SENDING_STUCK": "1.5", "STATUS_RETRY": "0.2,0.5,1,2,4", "PAYOUT_RESULT_WAIT": "2"}


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis of the test's own, to be stopped at will."""
    with own_folder() as folder, RedisServer(folder / "redis") as server:
        yield server


@pytest.fixture
def addresses(urls: Urls, redis_server: RedisServer) -> Urls:
    """The engines of this house."""
    return Urls(urls.database, urls.migration, redis_server.url)


@pytest.fixture
def web_port() -> int:
    """Where the house's doors will open."""
    return free_port()


@pytest.fixture
def network(web_port: int) -> Iterator[Network]:
    """The simulated world around the house."""
    told = settings.world(web=f"http://127.0.0.1:{web_port}", port=0)
    with running(Settings.from_env(told | {"SIM_ANSWER_DELAY": "0.05"})) as base:
        yield Network(base)


@pytest.fixture
def environ(addresses: Urls, network: Network, web_port: int) -> dict[str, str]:
    """What every process of the house is told."""
    return environment_for(
        addresses,
        PUBLIC_URL=f"http://127.0.0.1:{web_port}",
        DARAJA_BASE_URL=network.base_url,
        AT_BASE_URL=network.base_url,
        MPESA_CERTIFICATE=network.certificate(),
        **HASTE,
    )


@pytest.fixture
def rt(environ: dict[str, str], web_port: int) -> Iterator[Runtime]:
    """The house, with its doors open to the simulated world."""
    with open_house(Config.from_env(environ), web_port) as rt:
        yield rt


@pytest.fixture
def crew(environ: dict[str, str], rt: Runtime, tmp_path: Path) -> Iterator[Crew]:
    """Workers and a clock, to be hired and killed."""
    with contextlib.closing(Crew(environ, rt, tmp_path)) as crew:
        yield crew
