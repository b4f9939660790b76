"""15. Told by any channel, in any order and any number of times, a receipt is credited once."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from core import c2b
from core.receipts import MpesaReceipt
from tests import mpesa, paybill, teller

TOLD = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["callback", "by hand", "pulled"])), max_size=10
)


def test_a_receipt_is_credited_once(rt, amina, wait, counts):
    mpesa.Daraja(rt)
    rt.config = rt.config.model_copy(
        update={"daraja_confirm_over": 10**12, "daraja_confirm_cap": 10**12}
    )
    runs = iter(range(10**6))

    @settings(max_examples=counts.cases, deadline=None, suppress_health_check=list(HealthCheck))
    @given(TOLD)
    def tell(words):
        wait(minutes=10)
        run = next(runs)
        asked = teller.ask(rt, amina, 100)
        teller.push(rt, wait)
        checkout = mpesa.deposit(rt, asked.deposit_id).checkout_request_id
        before, told = mpesa.balance(rt, amina), set()
        for number, channel in words:  # three payments at the most, each under its own receipt
            receipt = f"SKD{run:05}{number}X"
            if channel == "callback":
                mpesa.post(rt, "stk", mpesa.push_result(checkout, receipt=receipt))
            elif channel == "by hand":
                paybill.pay(rt, asked.ref, receipt=receipt)
            else:
                with rt.transaction() as tx:
                    c2b.take_pull_row(tx, paybill.row(asked.ref, receipt=receipt), rt.now())
            told.add(receipt)
        assert mpesa.balance(rt, amina) - before == 100_00 * len(told)
        with rt.transaction() as tx:
            mine = MpesaReceipt.deposit_id == asked.deposit_id
            assert tx.scalar(select(func.count()).where(mine)) == len(told)

    tell()
    assert teller.clean(rt)
