"""Any order of answers, notices, silence and crashes: in the end M-PESA's books and ours agree."""

import contextlib
import uuid

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from core import jobs, outbox, payout_acts, payouts, staff
from core.effects import Channel
from core.errands import ERRANDS
from core.errors import NotSent, PartnerError, Refusal, Rejected, Unknown
from core.outbox import Promise, Sent
from core.payments import DepositState, PayoutState
from core.reasons import PAYOUT
from core.receipts import MpesaReceipt
from core.staff import Role, Staff
from demo.settings import B2C_SHORTCODE
from tests import cashier, mpesa, people, teller

NOISY = list(HealthCheck)
PAID = ("0", "paid in doubt")
TOLD = {"paid in doubt": "26"}  # what the result says, where it is not what the books say
ROUNDS = 12  # of asking, after which every doubt that can end has ended
ANSWERS = ["yes", "yes", "lost", "never left", "refused"]


class Books:
    """M-PESA's own: what each request came to. The answers may lie or be lost, the books do not."""

    def __init__(self, rt, answers, fates):
        self.rt, self.answers, self.fates = rt, list(answers), list(fates)
        self.payments = {}  # by our id of it: (fate, request)
        self.refused, self.told = False, set[str]()
        self.run = uuid.uuid4().hex[:8].upper()
        self.numbers = 0
        rt.senders = {
            "stk": self.push,
            "b2c": self.pay,
            "status_query": self.ask,
            "stk_query": self.query,
        }
        self.questions = {}

    def push(self, request):
        return {"checkout_request_id": self.take(request["ref"], request), "receipt": "r",
                "merchant_request_id": "m"}  # fmt: skip

    def pay(self, request):
        return {"conversation_id": self.take(request["ocid"], request), "receipt": "r"}

    def take(self, name, request):
        answer = self.answers.pop(0) if self.answers else "yes"
        if answer == "never left":
            raise NotSent("refused", code="connection")
        if answer == "refused":
            self.refused = True
            raise Rejected("no", code="field")
        if name in self.payments:
            raise Unknown("Duplicate OriginatorConversationID.", code="duplicate")
        self.payments[name] = (self.fates.pop(0) if self.fates else "0", request)
        if answer == "lost":
            raise Unknown("read timed out", code="no_answer")
        return self.conversation(name)

    def ask(self, request):
        self.numbers += 1
        conversation = f"AG_{self.run}_{self.numbers}"
        self.questions[conversation] = request
        return {"conversation_id": conversation, "originator_conversation_id": "", "receipt": "r"}

    def query(self, request):
        checkout = request["checkout_request_id"]
        fates = {self.conversation(name): fate for name, (fate, _) in self.payments.items()}
        fate = fates.get(checkout, "4999")
        return {"code": fate, "detail": ""}

    def conversation(self, name):
        return f"{self.run}_{name}"

    def receipt(self, name):
        return f"SK{self.run}{list(self.payments).index(name)}"

    def paid(self):
        return [name for name, (fate, _) in self.payments.items() if fate in PAID]

    def tell_push(self):
        """The callback of the push, which may have been told before."""
        for name, (fate, _) in self.payments.items():
            told = mpesa.push_result(self.conversation(name), int(fate), receipt=self.receipt(name))
            mpesa.post(self.rt, "stk", told)

    def lie(self):
        """Somebody says that it was paid, with an amount that nobody asked for."""
        for name in self.payments:
            lie = mpesa.push_result(
                self.conversation(name), receipt=self.receipt(name), amount=1_000
            )
            mpesa.post(self.rt, "stk", lie)

    def tell_payouts(self, *, door="b2c_result"):
        """The results of all payouts so far, the newest first."""
        for name, (fate, request) in reversed(self.payments.items()):
            told = mpesa.payout_result(
                request,
                int(TOLD.get(fate, fate)),
                receipt=self.receipt(name),
                conversation=self.conversation(name),
            )
            mpesa.post(self.rt, door, told)
            if door == "b2c_result":
                self.told.add(name)

    def give_reason_to_give_up(self):
        """An empty float is none, where M-PESA said that it was that."""
        name, (fate, _) = list(self.payments.items())[-1] if self.payments else ("", ("", {}))
        return self.refused or fate in ("2040", "26") or name not in self.told

    def answer_questions(self):
        """What the books say, to every question that is open; of an unknown id they say nothing."""
        for conversation, asked in self.questions.items():
            if "receipt" in asked:
                known = asked["receipt"] in map(self.receipt, self.paid())
                said = mpesa.status_result(
                    conversation, code=0 if known else 25, receipt=asked["receipt"]
                )
            else:
                said = self.about_payout(conversation, asked["ocid"])
            mpesa.post(self.rt, "status_result", said)
        self.questions.clear()

    def about_payout(self, conversation, ocid):
        if ocid not in self.payments:
            return mpesa.status_result(conversation, code=25)
        fate, _ = self.payments[ocid]
        return mpesa.status_result(
            conversation,
            "Completed" if fate in PAID else "Cancelled",
            receipt=self.receipt(ocid),
            payer=f"{B2C_SHORTCODE} - HOUSE",
            payee="254712000001 - AMINA",
        )


@pytest.fixture
def believing(rt):
    """Examples come on top of each other: what the day brings must not wait for its second word."""
    rt.config = rt.config.model_copy(update={"daraja_confirm_over": 10**12})
    return rt


DEPOSIT_EVENTS = st.sampled_from(["work", "tell", "lie", "query", "answer", "crash", "wait"])
PAYOUT_EVENTS = st.sampled_from(
    ["work", "work", "tell", "time out", "ask", "answer", "crash", "wait", "resume", "freeze",
     "thaw", "take back", "hold", "let go"]
)  # fmt: skip
ENDED = (PayoutState.PAID, PayoutState.FAILED, PayoutState.CANCELLED)


def test_whatever_happens_to_a_deposit_it_is_credited_as_often_as_it_was_paid(
    believing, amina, wait, counts
):
    @settings(max_examples=counts.schedules, deadline=None, suppress_health_check=NOISY)
    @given(
        st.sampled_from(ANSWERS),
        st.sampled_from(["0", "0", "1032"]),
        st.lists(DEPOSIT_EVENTS, max_size=8),
    )
    @example("lost", "1032", ["work", "wait"])
    @example("lost", "0", ["work", "wait", "wait", "wait"])
    def schedule(answer, fate, events):
        wait(minutes=10)
        books, before = Books(believing, [answer], [fate]), mpesa.balance(believing, amina)
        asked = teller.ask(believing, amina, 100)
        live_through_a_deposit(believing, books, events, wait)

        paid = books.paid()
        assert mpesa.balance(believing, amina) - before == 100_00 * len(paid)
        assert receipts(believing, asked) == [(books.receipt(name), True) for name in paid]
        assert (teller.state(believing, asked) == DepositState.CREDITED) == bool(paid)
        assert len(books.payments) <= 1

    schedule()
    assert teller.clean(believing)


def live_through_a_deposit(rt, books, events, wait):
    acts = {
        "work": lambda: mpesa.work(rt),
        "tell": books.tell_push,
        "lie": books.lie,
        "query": lambda: mpesa.sweep(rt),
        "answer": books.answer_questions,
        "crash": lambda: crash(rt, "stk"),
        "wait": lambda: wait(minutes=2),
    }
    for event in events:
        wait(seconds=3)
        acts[event]()
    mpesa.work(rt)
    books.lie()
    books.tell_push()
    for _ in range(3):  # the claim, the question about it, and its answer
        wait(minutes=5)
        mpesa.sweep(rt)
        books.answer_questions()


def test_whatever_happens_to_a_payout_it_is_paid_once_or_given_back_once(
    believing, amina, wait, counts
):
    @settings(max_examples=counts.schedules, deadline=None, suppress_health_check=NOISY)
    @given(
        st.lists(st.sampled_from(ANSWERS), max_size=4),
        st.lists(st.sampled_from(["0", "paid in doubt", "2040", "1", "26"]), max_size=3),
        st.lists(PAYOUT_EVENTS, max_size=12),
        st.booleans(),
    )
    @example([], ["1", "0"], ["freeze", "tell", "resume", "ask", "answer", "work", "thaw"], True)
    @example([], ["1", "0"], ["freeze", "tell", "resume", "ask", "answer", "thaw", "work"], False)
    def schedule(answers, fates, events, results_come):
        people.fund(believing, amina, 100_00)
        books, before = Books(believing, answers, fates), mpesa.balance(believing, amina)
        pending, number = cashier.pending(believing), cashier.withdraw(believing, amina, 100)
        live_through_a_payout(believing, books, amina, number, events, wait)
        let_go(believing, number)
        end_the_doubt(believing, books, number, wait, results_come)

        state, paid = cashier.state(believing, number), books.paid()
        assert len(paid) <= 1
        assert (state == PayoutState.PAID) == bool(paid)
        assert state != PayoutState.FAILED or books.give_reason_to_give_up()
        assert state != PayoutState.CANCELLED or not books.payments
        given_back = mpesa.balance(believing, amina) - (before - 100_00)
        back = state in (PayoutState.FAILED, PayoutState.CANCELLED)
        assert given_back == (100_00 if back else 0)
        kept = cashier.pending(believing) - pending
        assert kept == (0 if state in ENDED else 100_00)
        if kept:  # M-PESA never saw it, and cannot say so: that is for a person to end
            assert state in (PayoutState.IN_DOUBT, PayoutState.NEEDS_HUMAN)
            close(believing, number)

    schedule()
    assert teller.clean(believing)


def live_through_a_payout(rt, books, customer, number, events, wait):
    frozen = []
    acts = {
        "freeze": lambda: freeze(rt, books, frozen),
        "thaw": lambda: thaw(rt, frozen),
        "take back": lambda: take_back(rt, customer, number),
        "hold": lambda: hold(rt, number),
        "let go": lambda: let_go(rt, number),
        "work": lambda: mpesa.work(rt),
        "tell": books.tell_payouts,
        "time out": lambda: books.tell_payouts(door="b2c_timeout"),
        "ask": lambda: mpesa.sweep(rt),
        "answer": books.answer_questions,
        "crash": lambda: crash(rt, "b2c"),
        "wait": lambda: wait(minutes=3),
        "resume": lambda: resume(rt),
    }
    for event in events:
        wait(seconds=7)
        acts[event]()


def end_the_doubt(rt, books, number, wait, results_come):
    """Time goes by, and M-PESA answers what it is asked."""
    for _ in range(ROUNDS):
        if cashier.state(rt, number) >= PayoutState.PAID:
            return
        resume(rt)
        wait(minutes=25)
        mpesa.sweep(rt)
        if results_come:
            books.tell_payouts()
        books.answer_questions()


def crash(rt, kind):
    """A worker takes the promise, commits, and dies before it calls; its loss is found at once."""
    begun = begin(rt, kind)
    if begun is not None:
        lose(rt, begun[0])


def begin(rt, kind):
    """A worker takes the newest promise of the kind and commits: its id, its try, the request."""
    with rt.transaction() as tx:
        ids = select(Promise.id).where(Promise.kind == kind).order_by(Promise.id.desc())
        promise_id = tx.scalar(ids.limit(1))
    with rt.transaction() as tx:
        promise = outbox.claim(tx, promise_id, now=rt.now())
        if promise is None:
            return None
        request = ERRANDS[kind].begin(tx, promise, rt.now())
        if request is None:
            outbox.drop(promise, now=rt.now())
            return None
        return promise_id, promise.attempts, request


def lose(rt, promise_id):
    """The worker is not heard of any more, and given up."""
    with rt.transaction() as tx:
        promise = tx.get_one(Promise, promise_id)
        assert promise.claimed_at is not None
        promise.claimed_at -= rt.config.sending_stuck * 2
    jobs.recover(promise_id)


def freeze(rt, books, frozen):
    """A worker asks, and is frozen with the answer in its hands until it is given up for lost."""
    begun = begin(rt, "b2c")
    if begun is None:
        return
    promise_id, attempt, request = begun
    with contextlib.suppress(PartnerError):  # then it knows no better than that it is lost
        frozen.append((promise_id, attempt, Sent(books.pay(request))))
    lose(rt, promise_id)


def thaw(rt, frozen):
    """It wakes up, however much later, and writes down what it was told."""
    if not frozen:
        return
    promise_id, attempt, outcome = frozen.pop()
    with rt.transaction() as tx:
        promise = outbox.hold_for_finish(tx, promise_id, attempt)
        if promise is not None:
            ERRANDS["b2c"].finish(tx, promise, outcome, rt.now())
            outbox.close(promise, outcome, now=rt.now(), waits=rt.config.send_retry)


def take_back(rt, customer, number):
    with rt.transaction() as tx:
        payout_acts.cancel(
            tx, key=uuid.uuid4(), customer=customer, payout_id=number, channel=Channel.USSD,
            session="s", now=rt.now(),
        )  # fmt: skip


def hold(rt, number):
    with contextlib.suppress(Refusal), rt.transaction() as tx:
        payout_acts.hold(tx, number, reason="odd", by=finance(tx, rt), now=rt.now())


def let_go(rt, number):
    with contextlib.suppress(Refusal), rt.transaction() as tx:
        payout_acts.let_go(tx, number, by=finance(tx, rt), now=rt.now())


def finance(tx, rt):
    known = tx.scalar(select(Staff).where(Staff.name == "ann"))
    return known or staff.add(tx, "ann", Role.FINANCE, now=rt.now())


def resume(rt):
    if cashier.is_paused(rt):
        cashier.resume(rt)


def close(rt, number):
    """Two people would: out of the way of the next example."""
    with rt.transaction() as tx:
        payout = mpesa.payout(rt, number)
        payouts.release(tx, tx.merge(payout, load=False), "not_paid", PAYOUT["not_paid"],
                        now=rt.now())  # fmt: skip


def receipts(rt, asked):
    with rt.transaction() as tx:
        rows = select(MpesaReceipt).where(MpesaReceipt.deposit_id == asked.deposit_id)
        return [(row.receipt, row.confirmed_at is not None) for row in tx.scalars(rows)]
