"""8. Of every payment it can be told what was asked, answered and posted."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from core import explain
from core.inbox import Callback
from tests import cashier, mpesa, people, teller

ENDS = st.lists(
    st.tuples(st.sampled_from(["deposit", "withdrawal"]), st.sampled_from([0, 1032, 2040])),
    min_size=1, max_size=3,
)  # fmt: skip


def test_nothing_happens_without_a_trace(rt, amina, wait, counts):
    daraja = mpesa.Daraja(rt)
    rt.config = rt.config.model_copy(update={"daraja_confirm_over": 10**12,
                                             "daraja_confirm_cap": 10**12})  # fmt: skip

    @settings(
        max_examples=counts.cases // 5, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(ENDS)
    def live(ends):
        wait(minutes=10)
        people.fund(rt, amina, 300_00)
        posted = 0
        for what, code in ends:
            wait(minutes=5)
            (deposited if what == "deposit" else withdrawn)(rt, daraja, amina, wait, code)
            posted += 1
            if cashier.is_paused(rt):
                cashier.resume(rt)
        traced(rt, amina, posted)

    live()
    assert teller.clean(rt)


def deposited(rt, daraja, customer, wait, code):
    asked = teller.ask(rt, customer, 100)
    teller.push(rt, wait)
    row = mpesa.deposit(rt, asked.deposit_id)
    told = mpesa.push_result(row.checkout_request_id, code, receipt=f"SKA{asked.deposit_id:07}")
    mpesa.post(rt, "stk", told)


def withdrawn(rt, daraja, customer, wait, code):
    number = cashier.sent(rt, customer, 100)
    request = daraja.requests("b2c")[-1]
    mpesa.post(rt, "b2c_result", mpesa.payout_result(request, code, receipt=f"SKB{number:07}"))


def traced(rt, customer, posted):
    """Every line of the wallet, every callback and every request has its end."""
    with rt.transaction() as tx:
        told = explain.Explanation(tx, customer.id)
        # What the tests give away themselves has no origin.
        odd = [line for line in told.lines() if line.problems and line.kind != "adjustment"]
        assert not odd, odd
        assert not told.faults
        kept = tx.scalars(select(Callback).order_by(Callback.id.desc()).limit(posted)).all()
        assert all(callback.verdict for callback in kept)
        open_ones = "SELECT count(*) FROM promise WHERE kind IN ('stk', 'b2c') AND state < 3"
        assert tx.scalar(text(open_ones)) == 0
