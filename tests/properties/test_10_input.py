"""10. Whatever anybody types or posts is data: never a 5xx, a command or markup."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tests import mpesa, paybill, standing, teller

NASTY = st.sampled_from(
    ["'; DROP TABLE wallet; --", "<script>alert(1)</script>", "{{7*7}}", "%s%n", "=cmd()",
     "\x00", "\u202e", "254712000001\n{\"level\":\"error\"}", "A" * 3_000, "../../etc/passwd"]
)  # fmt: skip
TYPED = st.text(max_size=60) | NASTY


@pytest.fixture
def visitor(rt):
    return standing.application(rt).test_client()


def test_nothing_typed_as_an_account_is_more_than_that(rt, visitor, amina, counts):
    mpesa.Daraja(rt)
    token = rt.config.c2b_hook_token[0].get_secret_value()
    kept = iter(range(10**6))

    @settings(max_examples=counts.cases, deadline=None, suppress_health_check=list(HealthCheck))
    @given(TYPED, TYPED, TYPED)
    @example("0712000001", "2547 ***** 001", "AMINA")
    def pay(account, payer, name):
        told = paybill.confirmation(account, receipt=f"SKN{next(kept):07}", payer=payer)
        told["FirstName"] = name
        before = mpesa.balance(rt, amina), paybill.held(rt)
        for door in ("validate", "confirm"):
            answer = visitor.post(f"/hooks/{token}/c2b/{door}", json=told)
            assert answer.status_code == 200
        mpesa.work(rt)
        after = mpesa.balance(rt, amina), paybill.held(rt)
        assert sum(after) - sum(before) == 100_00  # with its owner, or waiting for him

    pay()
    with rt.transaction() as tx:
        assert tx.scalar(text("SELECT count(*) FROM wallet")) == 1
    assert teller.clean(rt)
