"""Secrets at rest: AES-256-GCM envelopes bound to their row, under a ring of keys that can turn."""

import base64
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = "v1"
KEY_BYTES = 32
NONCE_BYTES = 12
URL_SAFE = str.maketrans("-_", "+/")
KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,16}")


class Unopenable(Exception):
    """An envelope that this ring cannot open: damaged, moved to another row, or its key is gone."""


@dataclass(frozen=True)
class KeyRing:
    """The keys by id; new envelopes are sealed under the first, old ones opened by their own."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `id:base64,id:base64`, the current key first. Raises ValueError, quoting no key."""
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(text.split(","), start=1):
            key_id, _, encoded = entry.strip().partition(":")
            if not KEY_ID.fullmatch(key_id):
                raise ValueError(f"key {number} has no id of letters and digits before its colon")
            if key_id in keys:
                raise ValueError(f"the id {key_id} is there twice")
            keys[key_id] = key_bytes(encoded)
            if len(keys[key_id]) != KEY_BYTES:
                raise ValueError(f"key {key_id} is not {KEY_BYTES} bytes long")
        return cls(current=next(iter(keys)), keys=keys)

    def seal(self, plaintext: bytes, *, aad: str) -> str:
        """Encrypt for one place; `aad` names it (`table.column|row id`) and must open it again."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self.keys[self.current]).encrypt(nonce, plaintext, aad.encode())
        return "|".join((VERSION, self.current, _encode(nonce), _encode(sealed)))

    def open(self, envelope: str, *, aad: str) -> bytes:
        """Decrypt what was sealed for `aad`; raises Unopenable, quoting nothing secret."""
        key_id, nonce, sealed = _parts(envelope)
        if key_id not in self.keys:
            raise Unopenable(f"no key {key_id} in the ring (for {aad})")
        try:
            return AESGCM(self.keys[key_id]).decrypt(nonce, sealed, aad.encode())
        except InvalidTag as error:
            raise Unopenable(f"damaged, or not sealed for {aad}") from error

    def is_current(self, envelope: str) -> bool:
        """Whether the envelope is under the current key, so that rotation can pass it by."""
        return _parts(envelope)[0] == self.current

    def reseal(self, envelope: str, *, aad: str) -> str:
        """The same content under the current key; an envelope that is there already is kept."""
        if self.is_current(envelope):
            return envelope
        return self.seal(self.open(envelope, aad=aad), aad=aad)


def digest(secret: bytes, *parts: str) -> bytes:
    """HMAC-SHA256 over `parts`: a look-up or a comparison that betrays nothing of them.

    Each part goes in with its length, so that ("1", "23") and ("12", "3") differ.
    """
    message = b"".join(
        len(encoded).to_bytes(4) + encoded for encoded in (part.encode() for part in parts)
    )
    return hmac.new(secret, message, sha256).digest()


def same(one: str | bytes, other: str | bytes) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(_raw(one), _raw(other))


def key_bytes(encoded: str) -> bytes:
    """The bytes of a key written in base64, in either alphabet; raises ValueError."""
    try:
        return base64.b64decode(encoded.strip().translate(URL_SAFE), validate=True)
    except ValueError as error:
        raise ValueError("not base64 (make one with: openssl rand -base64 32)") from error


def _parts(envelope: str) -> tuple[str, bytes, bytes]:
    """Key id, nonce and ciphertext of an envelope."""
    version, _, rest = envelope.partition("|")
    try:
        key_id, nonce, sealed = rest.split("|")
        parts = (
            key_id,
            base64.b64decode(nonce, validate=True),
            base64.b64decode(sealed, validate=True),
        )
    except ValueError as error:
        raise Unopenable("not an envelope") from error
    if version != VERSION or len(parts[1]) != NONCE_BYTES:
        raise Unopenable("not an envelope")
    return parts


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _raw(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
