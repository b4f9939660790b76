"""Chromium, as the machine has it, and one house for every story: `make test-browser`."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser import visit
from tests.browser.house import House, open_house
from tests.browser.visit import Visit
from tests.ground import Ground

CHROMIUM = ("chromium", "chromium-browser")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to look at the pages afterwards."""
    parser.addoption("--shots", help="A folder for pictures of every page; a temporary one else.")


@pytest.fixture(scope="session")
def shots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for pictures."""
    told = request.config.getoption("--shots")
    folder = Path(told) if told else tmp_path_factory.mktemp("shots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.exit("Chromium is missing: apt-get install chromium", returncode=1)
    # Chromium keeps its sandbox for whoever may have one; it refuses to give root one.
    expect.set_options(timeout=visit.CLICK)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, chromium_sandbox=os.getuid() != 0
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def home(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that is open all through; its people and markets are each story's own."""
    with ground.clone() as urls, open_house(urls, tmp_path_factory.mktemp("logs")) as house:
        yield house
        assert house.broken() == []
        assert house.faults() == []


@pytest.fixture
def visitor(browser: Browser, home: House, shots: Path) -> Iterator[Callable[..., Visit]]:
    """`visitor("wanjiku")`: somebody at a browser; nobody may have complaints in the end."""
    visits: list[Visit] = []

    def arrive(name: str, **looks: object) -> Visit:
        visits.append(visit.visit(browser, home, shots, name, **looks))
        return visits[-1]

    yield arrive
    for one in visits:
        one.shot("end")
        one.context.close()
    assert [complaint for one in visits for complaint in one.complaints] == []
