"""One OAuth token for every process: minting a new one kills the one before."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256

from redis import Redis
from redis.exceptions import LockNotOwnedError, RedisError

from core.crypto import KeyRing, Unopenable
from core.errors import NotSent

LOCK_SECONDS = 45  # longer than a mint may take, so that two processes never mint at once
AAD = "redis.daraja_token|"


class SharedToken:
    """The token in Redis, minted under a lock; sealed, since it is as good as our password."""

    def __init__(
        self,
        redis: Redis,
        ring: KeyRing,
        *,
        account: str,
        margin: timedelta,
        mint: Callable[[], tuple[str, int]],
    ) -> None:
        # Named by the account it belongs to: new credentials never meet an old token.
        self.name = f"daraja:token:{sha256(account.encode()).hexdigest()[:16]}"
        self.redis, self.ring, self.margin, self.mint = redis, ring, margin, mint

    def current(self, *, instead_of: str | None = None) -> str:
        """The token to use now; minted if there is none, or only the one that was refused.

        Raises NotSent where it cannot be had: without it nothing has left the house.
        """
        try:
            if (kept := self._kept()) and kept != instead_of:
                return kept
            return self._renewed(instead_of)
        except RedisError as error:
            raise NotSent(f"no token: {type(error).__name__}", code="token_store") from error

    def renewed(self) -> str:
        """A token minted now, whatever is kept: the proof that the account is right.

        Raises NotSent as `current` does; the one that is kept then stays.
        """
        try:
            return self._renewed(self._kept())
        except RedisError as error:
            raise NotSent(f"no token: {type(error).__name__}", code="token_store") from error

    def drop(self) -> None:
        """Forget the token: its account is ours no more. Raises NotSent if it could not be."""
        try:
            self.redis.delete(self.name)
        except RedisError as error:
            raise NotSent(f"token kept: {type(error).__name__}", code="token_store") from error

    def _kept(self) -> str | None:
        sealed = self.redis.get(self.name)
        if sealed is None:
            return None
        try:
            text = sealed.decode() if isinstance(sealed, bytes) else str(sealed)
            opened = json.loads(self.ring.open(text, aad=AAD + self.name))
        except (Unopenable, ValueError):
            return None  # under a key that is gone: mint another
        return str(opened["token"])

    def _renewed(self, instead_of: str | None) -> str:
        """Another's new token, if one was minted while we waited for the lock; else our own."""
        name, token = f"{self.name}:lock", ""
        # A lock that Redis forgot while we held it takes nothing from the token.
        with (
            suppress(LockNotOwnedError),
            self.redis.lock(name, timeout=LOCK_SECONDS, blocking_timeout=LOCK_SECONDS),
        ):
            kept = self._kept()
            token = kept if kept and kept != instead_of else self._renew()
        return token

    def _renew(self) -> str:
        token, seconds = self.mint()
        kept_for = timedelta(seconds=seconds) - self.margin
        if kept_for > timedelta(0):
            sealed = self.ring.seal(json.dumps({"token": token}).encode(), aad=AAD + self.name)
            self.redis.set(self.name, sealed, ex=kept_for)
        return token
