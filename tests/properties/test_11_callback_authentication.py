"""11. A callback without the token, or from elsewhere, is nobody's: nothing is kept or credited."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from core.inbox import Callback
from tests import mpesa, standing, teller

DOORS = st.sampled_from(["stk", "c2b/confirm", "b2c/result", "status/result", "reversal/result"])
ADDRESSES = st.ip_addresses().filter(lambda ip: not ip.is_private and not ip.is_loopback).map(str)
TOKENS = st.text("0123456789abcdef", min_size=64, max_size=64) | st.text(
    "abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=80
)


@pytest.fixture
def visitor(rt):
    return standing.application(rt).test_client()


def test_nobody_else_is_heard(rt, visitor, amina, wait, counts):
    mpesa.Daraja(rt)
    asked = teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    checkout = mpesa.deposit(rt, asked.deposit_id).checkout_request_id
    before = mpesa.balance(rt, amina)
    right = rt.config.daraja_hook_token[0].get_secret_value()
    paybill = rt.config.c2b_hook_token[0].get_secret_value()

    @settings(max_examples=counts.cases, deadline=None, suppress_health_check=list(HealthCheck))
    @given(DOORS, st.none() | TOKENS, ADDRESSES, st.lists(ADDRESSES, max_size=3), st.booleans())
    def knock(door, token, address, hops, from_inside):
        """Right in one half and wrong in the other, or wrong in both."""
        known = paybill if door.startswith("c2b") else right
        token = token or known
        if token in (right, paybill) and token == known and from_inside:
            return
        spoofed = {
            "REMOTE_ADDR": "127.0.0.1" if from_inside and token != known else address,
            "HTTP_X_FORWARDED_FOR": ", ".join([*hops, "196.201.214.200", "127.0.0.1"]),
        }
        answer = visitor.post(
            f"/hooks/{token}/{door}", json=mpesa.push_result(checkout), environ_overrides=spoofed
        )
        assert answer.status_code in (403, 404, 429)

    knock()
    with rt.transaction() as tx:
        assert tx.scalar(select(func.count()).select_from(Callback)) == 0
    assert mpesa.balance(rt, amina) == before
