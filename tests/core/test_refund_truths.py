"""Refunds that M-PESA first denies: in the end our books of M-PESA are its own."""

from contextlib import suppress
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from core import ledger
from core.errors import Refusal
from core.ledger import AccountKind
from core.payout_incidents import IncidentState, PayoutIncident
from tests import cashier, games, mpesa, paybill, teller
from tests.core.test_payout_incidents import approve, propose
from tests.core.test_refund_schedules import NOISY, Books, begin, believing
from tests.people import AMINA

WAYS = ["reversal", "b2c", "b2c", "attach"]
EVENTS = ["admit", "spend", "end", "sweep", "portal"]
# A way, whether M-PESA carries it out, whether it denies that first, and what happens then.
TRIES = st.tuples(
    st.sampled_from(WAYS),
    st.booleans(),
    st.sampled_from([True, True, False]),
    st.lists(st.sampled_from(EVENTS), max_size=2),
)
__all__ = ["believing"]


class Denying(Books):
    """An M-PESA that says of these requests, by their place, that they failed, until it admits."""

    def __init__(self, rt):
        super().__init__(rt, [], [])
        self.denied: set[int] = set()

    def tell(self):
        truth = self.sent
        self.sent = [
            (kind, request, done and place not in self.denied)
            for place, (kind, request, done) in enumerate(truth)
        ]
        super().tell()
        self.sent = truth

    def admit(self):
        self.denied = set()
        self.tell()


def test_whatever_m_pesa_says_first_its_books_and_ours_agree_in_the_end(
    believing, amina, wanjiku, wait, counts
):
    rt = believing
    market = games.derby(rt, wanjiku, closes=timedelta(days=365))

    @settings(max_examples=counts.schedules // 4, deadline=None, suppress_health_check=NOISY)
    @given(st.lists(TRIES, min_size=1, max_size=4))
    def schedule(rounds):
        books, before = Denying(rt), at_m_pesa(rt)
        acts = {
            "admit": books.admit,
            "spend": lambda: spend(rt, amina, market),
            "end": lambda: end_all(rt),
            "sweep": lambda: mpesa.sweep(rt),
            "portal": books.portal,
        }
        assert paybill.pay(rt, "rent", receipt=books.receipt) == "suspense"
        paybill.decide(rt, "real", receipt=books.receipt)
        for way, done, denied, events in rounds:
            books.executes = [done]
            books.denied |= {len(books.sent)} if denied else set()
            go(rt, books, way)
            for event in events:
                acts[event]()
        for _ in range(3):  # what was held meanwhile is sent, told of, and ended
            books.admit()
            books.portal()
            end_all(rt)
            wait(minutes=10)
            mpesa.sweep(rt)

        assert at_m_pesa(rt) - before == 100_00 - 100_00 * len(books.done())
        assert open_incidents(rt) == []

    schedule()
    assert teller.clean(rt)


def go(rt, books, way):
    """The money goes back one way, or to Amina, as far as the rules let it."""
    if cashier.is_paused(rt):
        with suppress(Refusal):
            cashier.resume(rt)
    with suppress(Refusal):
        if way == "attach":
            paybill.decide(rt, "attach", receipt=books.receipt, to=AMINA)
        else:
            begin(rt, books.receipt, way)
    mpesa.work(rt)
    books.tell()


def at_m_pesa(rt):
    """What M-PESA holds for the house, by our books."""
    with rt.transaction() as tx:
        return ledger.total(tx, AccountKind.MPESA_UTILITY)


def spend(rt, customer, market):
    """So that what comes back is not there to be taken."""
    if (shillings := mpesa.balance(rt, customer) // 100) >= 10:
        games.placed(rt, customer, market, 1, min(shillings, 1_000))


def open_incidents(rt):
    with rt.transaction() as tx:
        found = select(PayoutIncident).where(PayoutIncident.state == IncidentState.OPEN)
        return tx.scalars(found.order_by(PayoutIncident.id)).all()


def end_all(rt):
    """Two people look into the portal: M-PESA denies what it has done, and makes nothing up."""
    one, other = paybill.finance(rt, "akinyi"), paybill.finance(rt, "otieno")
    for incident in open_incidents(rt):
        with suppress(Refusal):
            approve(rt, other, incident.id, propose(rt, one, incident.id, "correct").content_hash)
    if cashier.is_paused(rt):
        with suppress(Refusal):
            cashier.resume(rt)
