"""Any order of answers, results, silence, crashes and new tries: money goes back once at most."""

import uuid
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.errors import NotSent, Refusal, Rejected, Unknown
from core.refund_rows import RefundState
from tests import cashier, mpesa, paybill, teller
from tests.core.test_payment_schedules import crash

NOISY = list(HealthCheck)
ANSWERS = ["yes", "yes", "lost", "never left", "refused"]
EVENTS = ["work", "work", "tell", "sweep", "wait", "reversal", "b2c", "crash", "portal"]


class Books:
    """M-PESA's own: what each request came to. Answers may be lost, the books are not."""

    def __init__(self, rt, answers, executes):
        self.rt, self.answers, self.executes = rt, list(answers), list(executes)
        self.receipt = "SK" + uuid.uuid4().hex[:8].upper()
        self.sent: list[tuple[str, dict, bool]] = []  # kind, request, whether it was carried out
        rt.senders = {
            "reversal": lambda request: self.take("reversal", request),
            "b2c_refund": lambda request: self.take("b2c", request),
            "status_query": lambda _: {
                "conversation_id": f"AG_{uuid.uuid4()}", "originator_conversation_id": "",
            },
        }  # fmt: skip

    def take(self, kind, request):
        answer = self.answers.pop(0) if self.answers else "yes"
        if answer == "never left":
            raise NotSent("refused", code="connection")
        if answer == "refused":
            raise Rejected("no", code="field")
        done = self.executes.pop(0) if self.executes else True
        if kind == "reversal" and ("reversal", True) in [(k, d) for k, _, d in self.sent]:
            done = False  # it is reversed already
        self.sent.append((kind, dict(request), done))
        if answer == "lost":
            raise Unknown("read timed out", code="no_answer")
        return {"conversation_id": self.name(len(self.sent) - 1), "originator_conversation_id": "",
                "receipt": "r"}  # fmt: skip

    def name(self, place):
        return f"{self.receipt}_{place}"

    def back(self, place):
        return f"{self.receipt}B{place}"

    def done(self):
        return [place for place, (_, _, done) in enumerate(self.sent) if done]

    def tell(self):
        """Every result so far, the newest first, and each of them again."""
        for place, (kind, request, done) in reversed(list(enumerate(self.sent))):
            if kind == "reversal":
                told = paybill.reversal_result(
                    self.name(place), "0" if done else "R000002", receipt=self.back(place),
                    original=request["receipt"],
                )  # fmt: skip
                mpesa.post(self.rt, "reversal_result", told)
            else:
                told = mpesa.payout_result(
                    request, 0 if done else 2040, receipt=self.back(place),
                    conversation=self.name(place),
                )  # fmt: skip
                mpesa.post(self.rt, "b2c_result", told)

    def portal(self):
        """Somebody reads in the portal that it was reversed, if it was."""
        for place in self.done():
            kind, request, _ = self.sent[place]
            if kind == "reversal":
                receipt, back = request["receipt"], self.back(place)
                paybill.reversed_by_mpesa(self.rt, receipt=receipt, reversal=back)


@pytest.fixture
def believing(rt):
    """Examples come on top of each other."""
    measures = {"daraja_confirm_over": 10**12, "daraja_confirm_cap": 10**12}
    rt.config = rt.config.model_copy(update=measures)
    return rt


def test_whatever_happens_money_goes_back_once_at_most(believing, wait, counts):
    rt = believing

    @settings(max_examples=counts.schedules // 4, deadline=None, suppress_health_check=NOISY)
    @given(
        st.lists(st.sampled_from(ANSWERS), max_size=4),
        st.lists(st.booleans(), max_size=3),
        st.lists(st.sampled_from(EVENTS), max_size=9),
    )
    @example([], [False], ["work", "tell", "b2c"])
    def schedule(answers, executes, events):
        books, before = Books(rt, answers, executes), paybill.held(rt)
        assert paybill.pay(rt, "rent", receipt=books.receipt) == "suspense"
        paybill.decide(rt, "real", receipt=books.receipt)
        acts = {
            "work": lambda: mpesa.work(rt),
            "tell": books.tell,
            "sweep": lambda: mpesa.sweep(rt),
            "wait": lambda: wait(hours=1),
            "crash": lambda: crash(rt, "reversal"),
            "portal": books.portal,
            "reversal": lambda: begin(rt, books.receipt, "reversal"),
            "b2c": lambda: begin(rt, books.receipt, "b2c"),
        }
        for event in ["reversal", *events]:
            with suppress(KeyError):  # no such promise was made yet, so nobody can die with it
                acts[event]()
        to_the_end(rt, books, wait)

        gone = before + 100_00 - paybill.held(rt)
        assert len(books.done()) <= 1
        assert gone == 100_00 * len(books.done())

    schedule()
    assert teller.clean(rt)


def to_the_end(rt, books, wait):
    """What waited is sent over a line that is well, and told of: nothing is left for another."""
    books.answers.clear()
    for _ in range(2):
        go_on(rt)
        books.tell()
        wait(hours=1)
        mpesa.sweep(rt)
    books.tell()
    books.portal()
    go_on(rt)


def go_on(rt):
    if cashier.is_paused(rt):
        cashier.resume(rt)


def begin(rt, receipt, method):
    """Two people try; the rules say whether it may be."""
    with suppress(Refusal):
        paybill.decide(rt, "refund", receipt=receipt, method=method, to="0712000001")


def test_a_doubt_admits_no_second_way(rt, wait):
    books = Books(rt, ["lost"], [False])
    paybill.pay(rt, "rent", receipt=books.receipt)
    paybill.decide(rt, "real", receipt=books.receipt)
    begin(rt, books.receipt, "reversal")
    mpesa.work(rt)
    for _ in range(15):
        wait(hours=5)
        mpesa.sweep(rt)
        begin(rt, books.receipt, "b2c")

    assert paybill.refund_state(rt) == RefundState.NEEDS_HUMAN
    assert [kind for kind, _, _ in books.sent] == ["reversal"]
