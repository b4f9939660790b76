"""Idempotency keys: one decision is one key, and a key betrays nothing of what it was made of."""

import hmac
import uuid
from hashlib import sha256


def derive(secret: bytes, *parts: object) -> uuid.UUID:
    """The key of a decision named by `parts`, the same for the same parts.

    Keyed (HMAC-SHA256 under `KEY_KEY`), because the parts may hold the text a customer typed, and
    that may hold a PIN: an unkeyed digest of four digits can be guessed in a second.
    """
    message = b"\x1f".join(str(part).encode() for part in parts)
    return uuid.UUID(bytes=hmac.new(secret, message, sha256).digest()[:16])
