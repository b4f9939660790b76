"""One payment, told by any channels in any order, any number of times: credited exactly once."""

import uuid
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core import c2b
from core.payments import DepositState
from demo.settings import TILL
from tests import mpesa, paybill, teller

NOISY = list(HealthCheck)
WORDS = ("callback", "confirmation", "row", "failure", "sweep", "answer", "line")
CHANNELS = ("callback", "confirmation", "row")  # any of which is enough


@dataclass
class Payment:
    """One payment of KES 100 by Amina, and what of it has been told."""

    rt: object
    daraja: mpesa.Daraja
    account: str  # "" at a till
    checkout: str = ""
    receipt: str = field(default_factory=lambda: "SK" + uuid.uuid4().hex[:8].upper())

    def told(self, word):
        acts = {
            "callback": self.callback,
            "failure": lambda: mpesa.post(
                self.rt, "stk", mpesa.push_result(self.checkout, 1037)
            ),
            "confirmation": lambda: paybill.pay(self.rt, self.account, receipt=self.receipt),
            "row": self.row,
            "line": self.line,
            "sweep": lambda: mpesa.sweep(self.rt),
            "answer": self.answer,
        }  # fmt: skip
        return acts[word]()

    def callback(self):
        told = mpesa.push_result(self.checkout, receipt=self.receipt)
        return mpesa.post(self.rt, "stk", told)

    def row(self):
        with self.rt.transaction() as tx:
            row = paybill.row(self.account, receipt=self.receipt)
            return c2b.take_pull_row(tx, row, self.rt.now())

    def line(self):
        with self.rt.transaction() as tx:
            now = self.rt.now()
            return c2b.take_line(
                tx, receipt=self.receipt, amount=100_00, account=self.account,
                payer="2547*****001", at=now, shortcode=self.rt.config.mpesa_shortcode, now=now,
            )  # fmt: skip

    def answer(self):
        """M-PESA answers whatever was asked of it about this payment."""
        for number, (kind, request) in enumerate(self.daraja.asked, 1):
            if kind == "status_query" and request.get("receipt") == self.receipt:
                told = mpesa.status_result(f"AG_{number}", receipt=self.receipt)
                mpesa.post(self.rt, "status_result", told)


@pytest.fixture
def believing(rt):
    """Examples come on top of each other: what the day brings must not wait for its second word."""
    measures = {"daraja_confirm_over": 10**12, "daraja_confirm_cap": 10**12}
    rt.config = rt.config.model_copy(update=measures)
    return rt


def test_told_in_any_order_a_prompt_is_credited_exactly_once(believing, amina, wait, counts):
    rt, daraja = believing, mpesa.Daraja(believing)

    @settings(max_examples=counts.schedules // 4, deadline=None, suppress_health_check=NOISY)
    @given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=7), st.booleans(), st.booleans())
    @example(["confirmation", "callback"], True, True)
    @example(["callback", "confirmation", "row"], False, False)
    def schedule(words, at_till, loudly):
        wait(minutes=10)
        till = TILL if at_till else ""
        rt.config = rt.config.model_copy(update={"mpesa_till_number": till})
        before, waiting = mpesa.balance(rt, amina), paybill.held(rt)
        asked = teller.ask(rt, amina, 100)
        teller.push(rt, wait)
        checkout = mpesa.deposit(rt, asked.deposit_id).checkout_request_id
        payment = Payment(rt, daraja, "" if at_till else asked.ref, checkout)
        for word in words:
            payment.told(word)
        if loudly:
            payment.told("callback")

        paid = mpesa.balance(rt, amina) - before, paybill.held(rt) - waiting
        told = {*words, *(["callback"] if loudly else [])}
        assert paid == expected(told, words, at_till)
        if paid[0]:
            assert teller.state(rt, asked) == DepositState.CREDITED

    schedule()
    assert teller.clean(rt)


def expected(told, words, at_till):
    """What the wallet and suspense have more, by a model that knows the words and no order."""
    found = _after(words, "line", "sweep", "answer")
    if "callback" in told or (not at_till and (told & set(CHANNELS) or found)):
        return (100_00, 0)
    return (0, 100_00) if told & set(CHANNELS) or found else (0, 0)


def _after(words, *order):
    """Whether these words were said in this order, perhaps with others between."""
    rest = iter(words)
    return all(word in rest for word in order)


def test_told_in_any_order_a_payment_by_hand_is_credited_exactly_once(
    believing, amina, wait, counts
):
    rt, daraja = believing, mpesa.Daraja(believing)
    words = st.sampled_from(["confirmation", "row", "sweep", "answer", "line"])

    @settings(max_examples=counts.schedules // 4, deadline=None, suppress_health_check=NOISY)
    @given(st.lists(words, min_size=1, max_size=7), st.sampled_from(["0712000001", "rent"]))
    def schedule(words, account):
        before, waiting = mpesa.balance(rt, amina), paybill.held(rt)
        payment = Payment(rt, daraja, account)
        for word in words:
            payment.told(word)

        paid = mpesa.balance(rt, amina) - before, paybill.held(rt) - waiting
        known = {"confirmation", "row"} & set(words) or _after(words, "line", "sweep", "answer")
        amount = 100_00 if known else 0
        assert paid == ((0, amount) if account == "rent" else (amount, 0))

    schedule()
    assert teller.clean(rt)
