"""Secrets at rest: sealed to their row, opened by the right key only, and turned to a new one."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import crypto
from core.crypto import KeyRing, Unopenable

OLD, NEW = base64.b64encode(b"o" * 32).decode(), base64.b64encode(b"n" * 32).decode()
YESTERDAY = KeyRing.from_text(f"k1:{OLD}")
TODAY = KeyRing.from_text(f"k2:{NEW}, k1:{OLD}")
TOMORROW = KeyRing.from_text(f"k2:{NEW}")
BIRTH = "customer.birth|7"


@given(st.binary(max_size=200), st.text(max_size=40))
def test_what_is_sealed_is_opened_again(plaintext: bytes, aad: str) -> None:
    assert TODAY.open(TODAY.seal(plaintext, aad=aad), aad=aad) == plaintext


def test_an_envelope_has_the_form_of_the_design_and_shows_nothing() -> None:
    envelope = YESTERDAY.seal(b"1990-05-17", aad=BIRTH)
    version, key_id, nonce, sealed = envelope.split("|")
    assert (version, key_id) == ("v1", "k1")
    assert len(base64.b64decode(nonce)) == 12
    assert len(base64.b64decode(sealed)) == len(b"1990-05-17") + 16
    assert "1990" not in envelope


def test_the_same_secret_is_never_sealed_alike_twice() -> None:
    assert len({YESTERDAY.seal(b"x", aad=BIRTH) for _ in range(100)}) == 100


def test_swapped_rows_do_not_open() -> None:
    amina = TODAY.seal(b"1990-05-17", aad="customer.birth|7")
    with pytest.raises(Unopenable, match=r"not sealed for customer\.birth\|8"):
        TODAY.open(amina, aad="customer.birth|8")
    with pytest.raises(Unopenable):
        TODAY.open(amina, aad="customer.name|7")


def test_no_bit_of_an_envelope_can_be_changed() -> None:
    envelope = TODAY.seal(b"1990-05-17", aad=BIRTH)
    nonce, sealed = (base64.b64decode(part) for part in envelope.split("|")[2:])
    for at in range(len(nonce + sealed)):
        bent = bytearray(nonce + sealed)
        bent[at] ^= 1
        parts = (base64.b64encode(part).decode() for part in (bent[:12], bent[12:]))
        with pytest.raises(Unopenable):
            TODAY.open("|".join(("v1", "k2", *parts)), aad=BIRTH)


@pytest.mark.parametrize(
    "envelope",
    [
        "",
        "v1",
        "1990-05-17",
        "v2|k1|AAAA|AAAA",
        "v1|k1|AAAA",
        "v1|k1|!|AAAA",
        "v1|k1||",
        "v1|k1|é|é",
    ],
)
def test_what_is_no_envelope_is_named_so(envelope: str) -> None:
    with pytest.raises(Unopenable):
        TODAY.open(envelope, aad=BIRTH)


def test_a_ring_turns_and_the_old_key_can_be_retired() -> None:
    envelope = YESTERDAY.seal(b"1990-05-17", aad=BIRTH)
    assert TODAY.open(envelope, aad=BIRTH) == b"1990-05-17"
    assert not TODAY.is_current(envelope)

    turned = TODAY.reseal(envelope, aad=BIRTH)

    assert TODAY.is_current(turned)
    assert TODAY.reseal(turned, aad=BIRTH) == turned
    assert TOMORROW.open(turned, aad=BIRTH) == b"1990-05-17"
    with pytest.raises(Unopenable, match="no key k1"):
        TOMORROW.open(envelope, aad=BIRTH)


def test_turning_a_swapped_row_fails_rather_than_blessing_it() -> None:
    envelope = YESTERDAY.seal(b"1990-05-17", aad=BIRTH)
    with pytest.raises(Unopenable):
        TODAY.reseal(envelope, aad="customer.birth|8")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no id"),
        (OLD, "no id"),
        (f":{OLD}", "no id"),
        (f"k 1:{OLD}", "no id"),
        (f"k1|x:{OLD}", "no id"),
        ("k1:", "not 32 bytes"),
        ("k1:c2hvcnQ=", "not 32 bytes"),
        ("k1:%%%%", "not base64"),
        (f"k1:{OLD},k1:{NEW}", "twice"),
        (f"k1:{OLD},", "no id"),
    ],
)
def test_a_ring_that_cannot_be_read_is_refused_without_its_keys(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as refused:
        KeyRing.from_text(text)
    assert OLD not in str(refused.value)


def test_a_ring_never_shows_its_keys() -> None:
    assert not re.search("nnn|ooo", repr(TODAY) + str(TODAY))
    assert NEW not in repr(TODAY)


def test_both_alphabets_of_base64_are_read() -> None:
    raw = bytes(range(224, 256))
    assert crypto.key_bytes(base64.b64encode(raw).decode()) == raw
    assert crypto.key_bytes(base64.urlsafe_b64encode(raw).decode()) == raw


def test_a_digest_depends_on_the_secret_and_on_every_part() -> None:
    digests = {
        crypto.digest(b"a", "1", "23"),
        crypto.digest(b"b", "1", "23"),
        crypto.digest(b"a", "12", "3"),
        crypto.digest(b"a", "123"),
        crypto.digest(b"a", "1", "23", ""),
        crypto.digest(b"a"),
    }
    assert len(digests) == 6
    assert crypto.digest(b"a", "1", "23") in digests


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("ab", "ab", True),
        ("ab", b"ab", True),
        ("é", "é", True),
        ("ab", "abc", False),
        ("", "a", False),
    ],
)
def test_secrets_are_compared_whatever_they_are_made_of(one, other, are_same) -> None:
    assert crypto.same(one, other) is are_same
