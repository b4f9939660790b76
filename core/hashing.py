"""Hashes of what people keep in their heads: slow on purpose, and as slow where there is none."""

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

# OWASP's least: about 25 ms. Four digits fall in minutes to whoever has hash and pepper, whatever
# this says; the pepper, which no database holds, and the counters are what protects a PIN. A
# password that passes the rules needs no more.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def hashed(secret: str | bytes) -> str:
    """What may be kept of it; the salt is in it."""
    return HASHER.hash(secret)


def fits(kept: str | None, secret: str | bytes) -> bool:
    """Compare; with nothing to compare with, the same time is spent."""
    if kept is None:
        HASHER.hash(secret)
        return False
    try:
        return HASHER.verify(kept, secret)
    except VerifyMismatchError:
        return False
