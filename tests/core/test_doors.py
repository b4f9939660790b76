"""Who may knock, case by case."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import doors
from core.config_forms import ANYWHERE
from core.doors import Door, Turned, knock

LIVE, NEXT = "a1" * 32, "b2" * 32
SAFARICOM, PROXY, STRANGER = "196.201.214.200", "10.0.0.5", "203.0.113.9"
DOOR = Door(
    tokens=(LIVE, NEXT),
    admitted=(ip_network("196.201.214.0/24"), ip_network("2001:db8::/64")),
    trusted_proxies=(ip_network("10.0.0.0/24"),),
    content_type=doors.JSON,
)
CALL = {"REMOTE_ADDR": SAFARICOM, "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "612"}


def _via(*hops: str, last: str = PROXY) -> dict[str, str]:
    return {**CALL, "REMOTE_ADDR": last, "HTTP_X_FORWARDED_FOR": ", ".join(hops)}


@pytest.mark.parametrize("token", [LIVE, NEXT])
def test_both_live_tokens_open(token: str) -> None:
    assert knock(DOOR, CALL, token) is None


@pytest.mark.parametrize(
    "token", ["", LIVE[:-1], LIVE + "a", LIVE.upper(), "é", "\ud800", "x" * 9999]
)
def test_any_other_token_finds_nothing_there(token: str) -> None:
    assert knock(DOOR, CALL, token) == Turned(404, "token")


def test_a_wrong_token_hides_that_the_address_is_wrong_too() -> None:
    assert knock(DOOR, {**CALL, "REMOTE_ADDR": STRANGER}, "wrong") == Turned(404, "token")


@pytest.mark.parametrize(
    ("environ", "admitted"),
    [
        (CALL, True),
        ({**CALL, "REMOTE_ADDR": "2001:db8::7"}, True),
        ({**CALL, "REMOTE_ADDR": f"::ffff:{SAFARICOM}"}, True),
        ({**CALL, "REMOTE_ADDR": STRANGER}, False),
        ({**CALL, "REMOTE_ADDR": ""}, False),
        ({**CALL, "REMOTE_ADDR": "unix:"}, False),
        ({"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "2"}, False),
        # a proxy of ours says who called
        (_via(SAFARICOM), True),
        (_via(STRANGER), False),
        (_via(SAFARICOM, "10.0.0.9"), True),
        # what came before the one who called is hearsay
        (_via(SAFARICOM, STRANGER), False),
        (_via(STRANGER, SAFARICOM), True),
        # anybody can write the header; only a proxy of ours is believed
        (_via(SAFARICOM, last=STRANGER), False),
        (_via(SAFARICOM, "nonsense"), False),
        (_via("nonsense", SAFARICOM), True),
        (_via(""), False),
        (_via(PROXY), False),
    ],
)
def test_only_listed_addresses_are_admitted(environ: dict[str, str], admitted: bool) -> None:
    assert knock(DOOR, environ, LIVE) == (None if admitted else Turned(403, "address"))


def test_an_empty_list_admits_nobody_and_any_admits_all() -> None:
    assert knock(replace(DOOR, admitted=()), CALL, LIVE) == Turned(403, "address")
    anyone = replace(DOOR, admitted=ANYWHERE)
    assert knock(anyone, {**CALL, "REMOTE_ADDR": STRANGER}, LIVE) is None
    assert knock(anyone, {**CALL, "REMOTE_ADDR": "2001:db9::1"}, LIVE) is None


@pytest.mark.parametrize(
    ("header", "turned"),
    [
        ({"CONTENT_LENGTH": "16384"}, None),
        ({"CONTENT_LENGTH": "16385"}, Turned(413, "body")),
        ({"CONTENT_LENGTH": "9" * 5_000}, Turned(413, "body")),
        ({"CONTENT_LENGTH": ""}, None),
        ({"CONTENT_LENGTH": "-1"}, Turned(400, "length")),
        ({"CONTENT_LENGTH": "1e3"}, Turned(400, "length")),
        ({"CONTENT_LENGTH": "٣"}, Turned(400, "length")),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, Turned(411, "length")),
        ({"CONTENT_TYPE": "Application/JSON; charset=utf-8"}, None),
        ({"CONTENT_TYPE": "application/x-www-form-urlencoded"}, Turned(415, "content_type")),
        ({"CONTENT_TYPE": "application/jsonp"}, Turned(415, "content_type")),
        ({"CONTENT_TYPE": ""}, Turned(415, "content_type")),
    ],
)
def test_a_body_must_be_small_and_of_the_right_type(
    header: dict[str, str], turned: Turned | None
) -> None:
    assert knock(DOOR, {**CALL, **header}, LIVE) == turned


def test_a_partner_that_signs_is_held_to_its_signature() -> None:
    signed = replace(DOOR, verify_signature=lambda environ: environ.get("HTTP_SIGNATURE") == "good")
    assert knock(signed, {**CALL, "HTTP_SIGNATURE": "good"}, LIVE) is None
    assert knock(signed, CALL, LIVE) == Turned(403, "signature")


@given(st.text(), st.text(), st.text(), st.text(), st.text())
def test_no_request_breaks_the_door(address, forwarded, length, content_type, token) -> None:
    environ = {
        "REMOTE_ADDR": address,
        "HTTP_X_FORWARDED_FOR": forwarded,
        "CONTENT_LENGTH": length,
        "CONTENT_TYPE": content_type,
    }
    assert knock(DOOR, environ, token) is not None
    assert knock(DOOR, {**environ, "REMOTE_ADDR": PROXY}, LIVE) is not None


@given(st.lists(st.ip_addresses(), min_size=1, max_size=6), st.ip_addresses())
def test_what_a_stranger_forwards_never_changes_who_called(hops, stranger) -> None:
    environ = {
        "REMOTE_ADDR": str(stranger),
        "HTTP_X_FORWARDED_FOR": ",".join(map(str, hops)),
    }
    mapped = getattr(stranger, "ipv4_mapped", None)
    assert doors.caller(environ, ()) == (mapped or stranger)


def test_a_door_never_shows_its_tokens() -> None:
    assert LIVE not in repr(DOOR)


def test_the_last_hop_that_is_no_proxy_is_the_caller() -> None:
    environ = _via("1.1.1.1", STRANGER, "10.0.0.7")
    assert doors.caller(environ, DOOR.trusted_proxies) == ip_address(STRANGER)
