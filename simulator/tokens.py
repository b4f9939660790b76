"""OAuth tokens: an hour long, and only the newest of them is alive."""

import secrets
import time


class Tokens:
    """The world's lock guards them."""

    def __init__(self) -> None:
        self._alive: dict[str, float] = {}
        self.minted = 0

    def mint(self, *, seconds: int, strict: bool) -> str:
        """Strict is what Safaricom does: each new token kills the ones before."""
        if strict:
            self._alive.clear()
        token = secrets.token_urlsafe(21)
        self._alive[token] = time.monotonic() + seconds
        self.minted += 1
        return token

    def alive(self, token: str) -> bool:
        return self._alive.get(token, 0.0) > time.monotonic()

    def kill(self) -> None:
        """As when a worker elsewhere mints one."""
        self._alive.clear()
