"""A person at a browser of their own: signs in, clicks, and complains of what no page may do."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

from tests.browser.house import House

STEP = 30  # seconds; an authenticator shows each code as long, and the house takes each once
AHEAD = 1  # codes of the next step are taken too
CLICK = 15_000  # milliseconds until what should be on a page is missed
FAILED = re.compile(r"the server responded with a status of (\d+)")
# The policy tells the page alone what it has stopped; the page passes it on.
TELL = """document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy: ${event.violatedDirective} stopped ${event.blockedURI}`))"""


@dataclass
class Authenticator:
    """The app on a person's phone; it never shows a code again that the house has seen."""

    house: House
    secret: str
    last: int = 0

    def code(self) -> str:
        """The next code that the house will take, if need be after a move of its clock."""
        now = int(self.house.rt.now().timestamp()) // STEP
        step = max(self.last + 1, now)
        if step > now + AHEAD:
            self.house.wait(seconds=(step - now) * STEP)
        self.last = step
        return pyotp.TOTP(self.secret).at(step * STEP)


@dataclass
class Visit:
    """One browser context with one page, and what was wrong on it so far."""

    house: House
    context: BrowserContext
    page: Page
    shots: Path
    name: str
    complaints: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)  # statuses of refusals that are meant
    taken: int = 0

    def go(self, path: str) -> "Visit":
        """Open a page by its address."""
        self.page.goto(f"{self.house.url}{path}")
        return self

    def shot(self, what: str) -> None:
        """Keep what is to be seen, from top to end."""
        self.taken += 1
        path = self.shots / f"{self.name}-{self.taken:02}-{what}.png"
        self.page.screenshot(path=path, full_page=True, animations="disabled")

    def _complain(self, complaint: str) -> None:
        self.complaints.append(f"{self.name} at {self.page.url}: {complaint}")

    def hears(self, message: ConsoleMessage) -> None:
        """A message of the console: a page has nothing to say there."""
        refused = FAILED.search(message.text)
        if not (refused and int(refused[1]) in self.expected):
            self._complain(f"{message.type}: {message.text}")

    def sends(self, request: Request) -> None:
        """A request: none may go to anybody else."""
        if not request.url.startswith((f"{self.house.url}/", "data:", "about:")):
            self._complain(f"asks {request.url}")

    def gets(self, response: Response) -> None:
        """An answer: the house answers what its own pages ask."""
        if response.status >= 400 and response.status not in self.expected:
            self._complain(f"{response.status} from {response.url}")


def visit(browser: Browser, house: House, shots: Path, name: str, **looks: Any) -> Visit:
    """A new person at a new browser; `looks` as Playwright knows them, such as color_scheme."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | looks)
    context.set_default_timeout(CLICK)
    context.add_init_script(TELL)
    page = context.new_page()
    one = Visit(house, context, page, shots, name)
    page.on("console", one.hears)
    page.on("pageerror", lambda error: one.complaints.append(f"{name}: {error}"))
    page.on("request", one.sends)
    page.on("response", one.gets)
    return one
