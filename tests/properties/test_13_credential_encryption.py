"""13. A credential comes back as it was for whom it is meant, and for nobody else in any way."""

import base64
import contextlib

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from core.crypto import KeyRing, Unopenable
from mpesa import secrets
from tests.daraja import KEY, certificate

PEM = certificate().public_bytes(Encoding.PEM).decode()
OLD, NEW = base64.b64encode(b"o" * 32).decode(), base64.b64encode(b"n" * 32).decode()
BEFORE, AFTER = KeyRing.from_text(f"k1:{OLD}"), KeyRing.from_text(f"k2:{NEW},k1:{OLD}")
ALONE = KeyRing.from_text(f"k2:{NEW}")
PLACES = st.integers(1, 2**63 - 1).map(lambda row: f"staff_key.secret|{row}")


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_m_pesa_alone_reads_the_operators_password(password):
    sealed = secrets.credential(password, PEM)

    assert KEY.decrypt(base64.b64decode(sealed), PKCS1v15()).decode() == password
    assert sealed != secrets.credential(password, PEM)  # padded anew each time


@given(st.binary(max_size=300), PLACES, PLACES, st.data())
def test_what_is_kept_is_opened_where_it_belongs_and_unbent(secret, place, other, data):
    envelope = BEFORE.seal(secret, aad=place)
    turned = AFTER.reseal(envelope, aad=place)

    assert AFTER.open(envelope, aad=place) == ALONE.open(turned, aad=place) == secret
    with pytest.raises(Unopenable):
        ALONE.open(envelope, aad=place)
    if other != place:
        with pytest.raises(Unopenable):
            AFTER.open(envelope, aad=other)
    at = data.draw(st.integers(0, len(envelope) - 1))
    bent = envelope[:at] + data.draw(st.sampled_from("Aa0|+")) + envelope[at + 1 :]
    if bent != envelope:
        with contextlib.suppress(Unopenable):
            assert AFTER.open(bent, aad=place) == secret  # base64 has bits that say nothing
