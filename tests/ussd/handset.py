"""A handset for tests of the engine: it joins what is typed with `*`, as the aggregator does."""

import itertools
import json
from dataclasses import dataclass, field, replace
from typing import Any, cast

from core import gsm7
from core.runtime import Runtime
from ussd.calls import Hop, Reply
from ussd.engine import Switchboard
from ussd.pages import LIMIT
from ussd.transcripts import STREAM

CODE, NETWORK = "*384*2468#", "63902"
_numbers = itertools.count(1)


def transcript(rt: Runtime) -> list[dict[str, Any]]:
    """Every hop that Redis holds for Postgres, the oldest first."""
    entries = cast(list[tuple[bytes, dict[bytes, bytes]]], rt.redis.xrange(STREAM))
    return [json.loads(entry[b"hop"]) for _, entry in entries]


@dataclass
class Handset:
    """One phone; every screen it is sent must fit it."""

    board: Switchboard
    phone: str = "+254712000009"
    session: str = ""
    text: str = ""
    screen: str = ""
    more: bool = False
    seen: list[str] = field(default_factory=list)

    def dial(self, path: str = "") -> "Handset":
        """Begin a session; `path` is what stands after the code: `*384*2468*3*100#`."""
        self.session = f"ATUid_{next(_numbers):032x}"
        self.text = path
        return self._shows(self.send())

    def press(self, *answers: str) -> "Handset":
        """Type one answer after the other."""
        for answer in answers:
            assert self.more, f"the session is over: {self.screen}"
            self.text = f"{self.text}*{answer}" if self.text else answer
            self._shows(self.send())
        return self

    def send(self, text: str | None = None, **other: str) -> Reply:
        """One hop as the aggregator would send it, without reading the reply."""
        hop = self.hop(self.text if text is None else text)
        return self.board.answer(replace(hop, **other))

    def hop(self, text: str) -> Hop:
        """The hop of this session that has such a text."""
        return Hop(self.session, CODE, self.phone, NETWORK, text)

    def repeat(self) -> "Handset":
        """The same hop once more."""
        return self._shows(self.send())

    def sees(self, *parts: str) -> "Handset":
        """The screen holds each part."""
        for part in parts:
            assert part in self.screen, f"not on the screen: {part!r}\n{self.screen}"
        return self

    def sees_not(self, *parts: str) -> "Handset":
        """The screen holds none of the parts."""
        for part in parts:
            assert part not in self.screen, f"on the screen: {part!r}\n{self.screen}"
        return self

    def ended(self) -> "Handset":
        """The session is over."""
        assert not self.more, self.screen
        return self

    def _shows(self, reply: Reply) -> "Handset":
        assert gsm7.fits(reply.text, LIMIT), f"too long: {len(reply.text)}\n{reply.text}"
        self.screen, self.more = reply.text, reply.more
        self.seen.append(reply.text)
        return self
