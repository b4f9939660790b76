"""The state machine of payouts, row for row: each event in each state, and what changes nothing."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core import notices, payout_acts, payout_ends, payout_results, payout_states, payouts
from core.effects import Channel, Refused
from core.errors import NotSent, Refusal, Rejected, Unknown
from core.outbox import Failed, Promise, Sent
from core.payments import HeldFor, Payout, PayoutState
from core.payout_states import (
    ACCEPTED,
    FOR_APPROVAL,
    FOR_FLOAT,
    FOR_PAUSE,
    FOR_SETTLEMENT,
    FOR_STAFF,
    IN_DOUBT,
    NEEDS_HUMAN,
    QUEUED,
    SENDING,
)
from core.staff import Role
from core.status_queries import StatusQuery
from demo.settings import B2C_SHORTCODE
from tests import cashier, mpesa, people

REQUESTED = (PayoutState.REQUESTED, None)
PAID, FAILED, CANCELLED = (
    (state, None) for state in (PayoutState.PAID, PayoutState.FAILED, PayoutState.CANCELLED)
)
HELD = (FOR_SETTLEMENT, FOR_PAUSE, FOR_FLOAT, FOR_APPROVAL, FOR_STAFF)
SENT = (SENDING, ACCEPTED, IN_DOUBT, NEEDS_HUMAN)
OPEN = (REQUESTED, QUEUED, *HELD, *SENT)
PLACES = (*OPEN, PAID, FAILED, CANCELLED)
LAST = 6  # questions, after which a person is called

# What each event makes of each state; where a state is not named the event changes nothing at all.
TABLE = {
    "a worker takes it": {QUEUED: SENDING, FOR_SETTLEMENT: SENDING},
    "a worker takes it while payouts are paused": {QUEUED: FOR_PAUSE, FOR_SETTLEMENT: FOR_PAUSE},
    "a worker takes it and it is large": {QUEUED: FOR_APPROVAL, FOR_SETTLEMENT: FOR_APPROVAL},
    "a worker has the promise of another attempt": {},
    "M-PESA took it": {SENDING: ACCEPTED},
    "it never left": {SENDING: QUEUED},
    "M-PESA refused a field": {SENDING: FAILED},
    "no answer, or the worker is lost": {SENDING: IN_DOUBT},
    "a dead attempt is answered": {},
    "result 0": dict.fromkeys(OPEN, PAID),
    "result 0 for another amount": {SENDING: IN_DOUBT, ACCEPTED: IN_DOUBT},
    "result 0 for another phone": {SENDING: IN_DOUBT, ACCEPTED: IN_DOUBT},
    **{
        f"result {code}": dict.fromkeys(SENT, FAILED)
        for code in ("2", "3", "4", "8", "11", "21", "2001", "2006", "2028", "2040", "8006")
    },
    "result SFC_IC0003": dict.fromkeys(SENT, FAILED),
    "result 1": dict.fromkeys(SENT, FOR_FLOAT),
    **{
        f"result {code}": {SENDING: IN_DOUBT, ACCEPTED: IN_DOUBT}
        for code in ("17", "26", "strange")
    },
    "queue time-out": {ACCEPTED: IN_DOUBT},
    "status Completed": dict.fromkeys(OPEN, PAID),
    "status Cancelled": {**dict.fromkeys(SENT, FAILED), FOR_FLOAT: QUEUED},
    "status Declined": {**dict.fromkeys(SENT, FAILED), FOR_FLOAT: QUEUED},
    "status Expired": {**dict.fromkeys(SENT, FAILED), FOR_FLOAT: QUEUED},
    "status Initiated": {},
    "status Authorized": {},
    "status 25": {},
    "status SFC_IC0003": {},
    "the clock": {ACCEPTED: IN_DOUBT, FOR_PAUSE: QUEUED},
    "the clock for the last time": {
        ACCEPTED: NEEDS_HUMAN, IN_DOUBT: NEEDS_HUMAN, FOR_FLOAT: NEEDS_HUMAN, FOR_PAUSE: QUEUED,
    },
    "the customer takes it back": dict.fromkeys(
        (REQUESTED, QUEUED, FOR_SETTLEMENT, FOR_PAUSE, FOR_APPROVAL, FOR_STAFF), CANCELLED
    ),
    "staff hold it": dict.fromkeys((QUEUED, FOR_PAUSE, FOR_APPROVAL), FOR_STAFF),
    "staff let it go": {FOR_STAFF: QUEUED},
    "two people let it go": {FOR_APPROVAL: QUEUED},
    "two people have its receipt": {NEEDS_HUMAN: PAID},
    "two people without a statement": {},
}  # fmt: skip


class Stage:
    """One payout in one place, and all that can happen to it."""

    def __init__(self, rt, customer, finance):
        self.rt, self.customer, self.finance = rt, customer, finance
        self.number = 0

    def put(self, tx, place) -> Payout:
        """A payout of KES 20 that stands there."""
        self.number = cashier.withdraw(self.rt, self.customer, 20)
        state, held = place
        if place in (PAID, FAILED, CANCELLED):
            tx.execute(
                text("UPDATE payout SET state = :s, sending_at = app_now() WHERE id = :id"),
                {"s": 3 if place == CANCELLED else 5, "id": self.number},
            )
            tx.execute(text(ENDS[place]), {"id": self.number, "receipt": self.receipt})
        else:
            asks = place in (ACCEPTED, IN_DOUBT, FOR_FLOAT)
            left = place in (*SENT, FOR_FLOAT)
            tx.execute(
                text(
                    "UPDATE payout SET state = :state, held_for = :held, ask_at = :ask,"
                    " sending_at = :sent, shortcode = :shortcode WHERE id = :id"
                ),
                {"state": int(state), "held": held and int(held), "id": self.number,
                 "ask": self.rt.now() if asks else None, "sent": self.rt.now() if left else None,
                 "shortcode": B2C_SHORTCODE},
            )  # fmt: skip
        return self.payout(tx)

    @property
    def receipt(self):
        return f"SKT{self.number:07}"

    def payout(self, tx) -> Payout:
        return tx.get_one(Payout, self.number, populate_existing=True)

    def happens(self, tx, event):
        """What the event comes to, where it comes to anything that is said."""
        now, config, payout = self.rt.now(), self.rt.config, self.payout(tx)
        name, _, detail = event.partition(" ")
        if event in WORKER:
            return self.works(tx, event, now)
        if name == "result":
            return payout_results.take_result(tx, self.result(payout, detail), now)
        if name == "status":
            query = StatusQuery(payout_id=payout.id, ocid=payout.ocid)
            told = notices.status(self.status(payout, detail))
            assert told is not None
            return payout_results.take_status(tx, query, told, now=now, config=config)
        if event == "queue time-out":
            told = {"OriginatorConversationID": str(payout.ocid)}
            return payout_results.take_timeout(tx, told, now)
        if name == "the" and detail.startswith("clock"):
            if detail.endswith("last time"):
                payout.asked = LAST
            return payout_results.sweep(tx, now, config)
        return self.decided(tx, event, now)

    def works(self, tx, event, now):
        promise = Promise(payload={"payout_id": self.number, "attempt": 1})
        if event.endswith("paused"):
            payouts.pause(tx, "1", "for the test", now=now)
        if event.endswith("large"):
            self.rt.config = self.rt.config.model_copy(update={"payout_hold_over": 10_00})
        if "another attempt" in event or "dead attempt" in event:
            promise.payload = {"payout_id": self.number, "attempt": 7}
        outcome = WORKER[event]
        if outcome is None:
            return payouts.PAY.begin(tx, promise, now)
        return payouts.PAY.finish(tx, promise, outcome, now)

    def result(self, payout, detail):
        request = {"ocid": str(payout.ocid), "phone": payout.phone, "amount": payout.amount}
        code, _, odd = detail.partition(" for another ")
        odds = {"": {}, "amount": {"amount": 21}, "phone": {"payee": "254712000002 - B"}}[odd]
        return mpesa.payout_result(request, code, receipt=self.receipt, **odds)

    def status(self, payout, detail):
        code, status = (0, detail) if detail.isalpha() else (detail, "Completed")
        return mpesa.status_result(
            "AG_q", status, code=code, receipt=self.receipt, amount=payout.amount // 100,
            payer=f"{B2C_SHORTCODE} - HOUSE", payee=f"{payout.phone.removeprefix('+')} - AMINA",
        )  # fmt: skip

    def decided(self, tx, event, now):
        one, other = self.finance
        number, config = self.number, self.rt.config
        if event == "the customer takes it back":
            return payout_acts.cancel(
                tx, key=uuid.uuid4(), customer=self.customer, payout_id=number,
                channel=Channel.USSD, session="s", now=now,
            )  # fmt: skip
        if event == "staff hold it":
            return payout_acts.hold(tx, number, reason="odd", by=one, now=now)
        if event == "staff let it go":
            return payout_acts.let_go(tx, number, by=one, now=now)
        if event == "two people let it go":
            told = payout_ends.propose_release(
                tx, number, note="called", by=one, now=now, config=config
            )
            return payout_ends.approve_release(
                tx, number, seen_hash=told.content_hash, by=other, now=now
            )
        end = "paid" if event.endswith("receipt") else "dead"
        told = payout_ends.propose_end(
            tx, number, end, receipt=self.receipt, note="portal", by=one, now=now, config=config
        )
        return payout_ends.approve_end(tx, number, seen_hash=told.content_hash, by=other, now=now)


WORKER = {
    "a worker takes it": None,
    "a worker takes it while payouts are paused": None,
    "a worker takes it and it is large": None,
    "a worker has the promise of another attempt": None,
    "M-PESA took it": Sent({"conversation_id": "AG_1", "receipt": "AG_1"}),
    "it never left": Failed(NotSent("refused", code="connection")),
    "M-PESA refused a field": Failed(Rejected("no", code="field")),
    "no answer, or the worker is lost": Failed(Unknown("read timed out")),
    "a dead attempt is answered": Sent({"conversation_id": "AG_0", "receipt": "AG_0"}),
}
HELD_WHERE = text("""
    SELECT (SELECT balance FROM wallet WHERE customer_id = :customer) AS balance,
           sum(coalesce(ledger_sum(a.id), 0)) FILTER (WHERE a.kind = 20) AS pending,
           sum(coalesce(ledger_sum(a.id), 0)) FILTER (WHERE a.kind = 27) AS disputed,
           sum(coalesce(ledger_sum(a.id), 0)) FILTER (WHERE a.kind = 10) AS paid,
           (SELECT coalesce(sum(amount + tax), 0) FROM payout WHERE state < 8) AS reserved
      FROM account a WHERE a.kind IN (10, 20, 27)
""")
FORCED = text(
    "UPDATE payout SET state = :to, held_for = NULL,"
    " receipt = CASE WHEN :to = 8 THEN 'SKZ0000001' END WHERE id = :id"
)
ENDS = {
    PAID: "SELECT payout_paid(:id, :receipt, '600986', 2000, 5::smallint, app_now())",
    FAILED: "SELECT payout_release(:id, 9::smallint, '2040', NULL) WHERE :receipt <> ''",
    CANCELLED: "SELECT payout_release(:id, 10::smallint, NULL, NULL) WHERE :receipt <> ''",
}


@pytest.fixture
def stage(rt, amina):
    return Stage(rt, amina, [people.member(rt, name, Role.FINANCE) for name in ("ann", "ben")])


@pytest.mark.parametrize("place", PLACES, ids=lambda p: f"{p[0].name}{p[1] or ''}")
def test_every_event_does_what_the_table_says_and_every_other_pair_does_nothing(rt, stage, place):
    config = rt.config
    with rt.transaction() as tx:
        stage.put(tx, place)
    with rt.transaction() as tx:
        before = seen(tx, stage)
    assert before["place"] == place
    for event, moves in TABLE.items():
        with rt.sessions() as tx:
            said = attempted(tx, stage, event)
            after = seen(tx, stage)
            tx.rollback()
        rt.config = config
        to = moves.get(place)
        if to is None:
            assert changed(before, after) <= booked(place, event), (event, said)
        else:
            assert after["place"] == to, (event, said)
        assert after["pending"] == after["reserved"], event


def test_all_events_and_places_are_in_the_table():
    """A step that the table does not know could not be proved to be harmless."""
    steps = {(of, one.to) for one in payout_states.STEPS.values() for of in one.of}
    moves = {(of, to) for row in TABLE.values() for of, to in row.items()}
    held_again = {(IN_DOUBT, IN_DOUBT)}
    people_only = {(NEEDS_HUMAN, QUEUED)}  # sent anew, which wants a statement: test_payout_ends
    assert steps - moves == held_again | people_only
    assert {of for of, _ in steps} <= set(PLACES)


def test_the_database_itself_refuses_what_nobody_may_do(rt, stage):
    forbidden = [
        (PAID, 3), (PAID, 9), (FAILED, 8), (FAILED, 3), (CANCELLED, 3), (CANCELLED, 4),
        (SENDING, 10), (ACCEPTED, 10), (IN_DOUBT, 10), (NEEDS_HUMAN, 10),
        (ACCEPTED, 3), (IN_DOUBT, 3), (IN_DOUBT, 4), (NEEDS_HUMAN, 4), (FOR_FLOAT, 3),
        (FOR_FLOAT, 4),
    ]  # fmt: skip
    for place, to in forbidden:
        with rt.transaction() as tx:
            stage.put(tx, place)
        with rt.sessions() as tx, pytest.raises(DBAPIError, match="does not go from state"):
            tx.execute(FORCED, {"to": to, "id": stage.number})


def test_a_step_from_where_the_payout_is_no_more_moves_nothing(rt, stage):
    """The compare of the compare-and-set, with the attempt in it."""
    with rt.transaction() as tx:
        stage.put(tx, SENDING)
    with rt.transaction() as late, rt.transaction() as tx:
        stale = late.get_one(Payout, stage.number)
        fresh = tx.get_one(Payout, stage.number)
        assert payout_states.doubt(tx, fresh, "no_result", ask_at=rt.now() + timedelta(hours=1))
        tx.commit()
        assert not payout_states.step(late, stale, "accept", ask_at=rt.now())
        assert payout_states.place(stale) == IN_DOUBT
        stale.attempt = 0
        with late.no_autoflush:
            assert not payout_states.step(late, stale, "doubt", code="x")
    assert cashier.state(rt, stage.number) == PayoutState.IN_DOUBT
    assert mpesa.payout(rt, stage.number).code == "no_result"


def attempted(tx, stage, event):
    try:
        said = stage.happens(tx, event)
    except Refusal as refusal:
        return refusal
    tx.flush()
    return said.reason if isinstance(said, Refused) else said


def seen(tx, stage):
    """All that money and machine can show of it."""
    tx.flush()
    payout = stage.payout(tx)
    return {
        "place": payout_states.place(payout),
        "attempt": (payout.attempt, payout.ocid, payout.receipt, payout.ended_at),
        **tx.execute(HELD_WHERE, {"customer": stage.customer.id}).one()._asdict(),
    }


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


def booked(place, event):
    """A success after the money went back sets money aside, and still ends nothing."""
    late = place in (FAILED, CANCELLED) and event in ("result 0", "status Completed")
    return {"balance", "disputed"} if late else set()


assert len(HELD) == HeldFor.STAFF, "a new reason to hold wants its place here"
