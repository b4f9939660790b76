"""What every page must be, whoever looks: named, labelled, legible, and as wide as the screen."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.browser.visit import Visit

LOOK = (Path(__file__).parent / "looks.js").read_text()
OF_A_KIND = 2  # pages that differ by a number only: more would be the same again
PHONE = {"width": 400, "height": 800}
NUMBER = re.compile(r"\d+")


def faults(visit: Visit, *, dark: bool) -> list[str]:
    """What is wrong with the page that is open, where its ground should be dark or light."""
    seen = visit.page.evaluate(LOOK)
    wrong = [*seen["faults"], *(["the wrong colours"] if seen["dark"] != dark else [])]
    return [f"{urlsplit(visit.page.url).path}: {fault}" for fault in wrong]


def pages(visit: Visit, start: str = "/admin/", *, lists: bool = False) -> Iterator[str]:
    """Every page that links lead to, each opened; of pages that differ by a number, a few.

    With `lists`, every list of a page too, as its address asks for them.
    """
    waiting, known, kinds = [start], {start}, Counter[str]()
    while waiting:
        path = waiting.pop(0)
        same = kind(path, lists=lists)
        if kinds[same] == OF_A_KIND:
            continue
        kinds[same] += 1
        visit.go(path)
        yield path
        for link in links(visit):
            if link not in known:
                known.add(link)
                waiting.append(link)


def links(visit: Visit) -> list[str]:
    """The addresses of ours that the page leads to, downloads left out."""
    found = visit.page.eval_on_selector_all(
        "a[href]:not([download])", "links => links.map(link => link.href)"
    )
    paths = [urlsplit(link) for link in found if link.startswith(f"{visit.house.url}/admin")]
    return [f"{one.path}?{one.query}" if one.query else one.path for one in paths]


def kind(path: str, *, lists: bool = False) -> str:
    """The page without its numbers, and without what it is asked for unless that is a list."""
    return NUMBER.sub("N", path if lists else path.partition("?")[0])
