"""7. A bet that waits for its money is placed when that comes in time, once, and never without."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from core.orders import DepositOrder, OrderState
from core.payments import DepositState
from tests import games, mpesa, people, teller
from tests.core.test_orders import ask, fail, newest, wish

EVENTS = st.lists(st.sampled_from(["paid", "failed", "waited"]), max_size=5)


def test_an_order_is_what_its_payment_makes_of_it(rt, wanjiku, wait, counts):
    mpesa.Daraja(rt)
    derby = games.derby(rt, wanjiku, closes=timedelta(days=365))
    numbers = iter(range(10**6))

    @settings(
        max_examples=counts.cases // 2, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(EVENTS)
    def follow(events):
        person = people.customer(rt, f"+2547120{next(numbers):05}", "Some One")
        ask(rt, person, wish(derby, 100))
        wait(seconds=3)
        mpesa.work(rt)
        deposit, late, came = newest(rt), 0, None
        for event in events:
            if event == "paid":
                came = late if came is None else came
                pay(rt, person, deposit)
            elif event == "failed":
                fail(rt, deposit, 1032)
            else:
                wait(minutes=4)
                late += 4
        with rt.transaction() as tx:
            order = tx.scalars(
                select(DepositOrder).where(DepositOrder.customer_id == person.id)
            ).one()
            paid = mpesa.deposit(rt, deposit.id).state == DepositState.CREDITED
        in_time = came is not None and came < 10
        assert paid == (came is not None)
        assert (order.state == OrderState.PLACED) == in_time == (order.bet_id is not None)
        left = 0 if came is None or in_time else 100_00
        assert mpesa.balance(rt, person) == left

    follow()
    assert teller.clean(rt)


def pay(rt, person, deposit):
    told = mpesa.push_result(
        deposit.checkout_request_id,
        amount=deposit.amount // 100,
        receipt=f"SKO{deposit.id:07}",
        phone=int(person.phone[1:]),
    )
    mpesa.post(rt, "stk", told)
