"""A house with open doors in a simulated world, whose workers answer when the test says so."""

import shlex
from collections.abc import Callable, Iterator

import pytest
from rq.serializers import JSONSerializer

from core import verify
from core.config import Config
from core.runtime import Runtime
from core.staff import Role
from core.workers import Steady
from demo import settings
from demo.engines import Urls
from simulator.driver import Network, Phone
from simulator.server import running
from simulator.settings import Settings
from tests import people, standing
from tests.doors import free_port, open_house
from tests.ground import environment_for

MPESA_PIN = "1234"
QUIET = 3  # looks in a row that find nothing to do: then the house is at rest
SHIFTS = 60  # looks at the most: a house that never rests is a bug


class Shift(Steady):
    """A worker for a moment: nobody calls to it, and to stop listening would take longer."""

    def subscribe(self) -> None:
        """Listen to nobody."""


@pytest.fixture(scope="session")
def world() -> Iterator[str]:
    """The simulated world; it is emptied before each test."""
    told = settings.world(web="http://127.0.0.1:9", port=0) | {"SIM_ANSWER_DELAY": "0"}
    with running(Settings.from_env(told)) as base:
        yield base


@pytest.fixture
def web_port() -> int:
    """Where the house's doors will open."""
    return free_port()


@pytest.fixture
def network(world: str, web_port: int) -> Network:
    """Everything outside that is not one phone."""
    network = Network(world)
    network.reset()
    told = settings.world(web=f"http://127.0.0.1:{web_port}", port=0)
    doors = {name[4:].lower(): url for name, url in told.items() if url.startswith("http")}
    network.settings(**doors)
    return network


@pytest.fixture
def config(urls: Urls, network: Network, web_port: int) -> Config:
    """The settings of a house whose partners are the simulated ones."""
    return Config.from_env(
        environment_for(
            urls,
            PUBLIC_URL=f"http://127.0.0.1:{web_port}",
            DARAJA_BASE_URL=network.base_url,
            AT_BASE_URL=network.base_url,
            MPESA_CERTIFICATE=network.certificate(),
            STK_DELAY="0",
        )
    )


@pytest.fixture
def rt(config: Config, web_port: int) -> Iterator[Runtime]:
    """The house as `wsgi.py` builds it, with its doors open."""
    with open_house(config, web_port) as rt:
        yield rt


@pytest.fixture
def work(rt: Runtime, network: Network) -> Callable[[], None]:
    """`work()`: the clock strikes and the workers work, until nothing is left to do."""

    def until_quiet() -> None:
        quiet = 0
        for _ in range(SHIFTS):
            for tick in rt.ticks:
                if tick.queue is None:
                    tick.work(rt)
            waiting = [queue for queue in rt.queues.values() if queue.count]
            for queue in waiting:
                worker = Shift([queue], connection=rt.redis, serializer=JSONSerializer)
                worker.work(burst=True, logging_level="ERROR")
            network.post("/drain", timeout=10)
            quiet = 0 if waiting else quiet + 1
            if quiet == QUIET:
                return
        raise AssertionError("the house never comes to rest")

    return until_quiet


@pytest.fixture
def phone(network: Network, work: Callable[[], None]) -> Callable[[str], Phone]:
    """`phone("+254712000001")`: a phone in somebody's hand."""
    return lambda number: Phone(number, network.base_url)


@pytest.fixture(autouse=True)
def books_agree(rt: Runtime, network: Network) -> Iterator[None]:
    """However a story ends, the ledger is clean and M-PESA's own books say the same."""
    yield
    broken = [finding for finding in verify.verify(rt) if not finding.holds]
    assert not broken, broken
    assert network.books()["discrepancies"] == []


@pytest.fixture
def flask(rt: Runtime):
    """`flask("mpesa gaps")`: what it printed, and that it ended with `code`; for finance."""
    runner = standing.application(rt).test_cli_runner()
    for name in ("fatuma", "otieno"):
        people.member(rt, name, Role.FINANCE)
    people.member(rt, "salma", Role.SUPPORT)

    def run(typed, code=0):
        result = runner.invoke(args=shlex.split(typed))
        assert "Traceback" not in result.output
        assert result.exit_code == code, result.output
        return result.output

    return run
