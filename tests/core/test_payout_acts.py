"""What people do about payouts alone, and that none of it can pay or give back twice."""

import uuid

import pytest

from core import payout_acts, payout_retries, payouts
from core.effects import Channel, Refused
from core.errors import NotSent, Refusal
from core.outbox import Promise, Sent
from core.payments import HeldFor, Payout, PayoutAttempt, PayoutState
from core.payout_acts import Cancelled
from core.staff import Role
from tests import cashier, mpesa, people, teller


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def ann(rt):
    return people.member(rt, "ann", Role.FINANCE)


def test_a_customer_takes_back_what_has_not_left_once(rt, amina, daraja):
    number, key = cashier.withdraw(rt, amina, 300), uuid.uuid4()

    first, again = (cancel(rt, amina, number, key=key) for _ in range(2))

    assert first == Cancelled(300_00, 0, 1_000_00, again=False)
    assert again == Cancelled(300_00, 0, 1_000_00, again=True)
    assert cancel(rt, amina, number) == Refused("money.cancel_too_late")
    mpesa.work(rt)
    assert daraja.requests("b2c") == []
    assert cashier.state(rt, number) == PayoutState.CANCELLED
    assert teller.clean(rt)


def test_all_parts_come_back_together_and_those_that_left_stay_gone(rt, amina, daraja):
    people.fund(rt, amina, 600_000_00)
    rt.config = rt.config.model_copy(update={"payout_hold_over": 10**9})
    first = cashier.withdraw(rt, amina, 500_001)
    with rt.transaction() as tx:
        (offered,) = payout_acts.cancellable(tx, amina.id)
        assert offered.id == first
        part = tx.get_one(Payout, first + 1)
        assert payouts.PAY.begin(tx, Promise(payload={"payout_id": part.id}), rt.now())

    taken = cancel(rt, amina, first + 2)

    assert isinstance(taken, Cancelled)
    assert taken.amount == 2 * 166_667_00
    states = [cashier.state(rt, first + n) for n in range(3)]
    assert states == [PayoutState.CANCELLED, PayoutState.SENDING, PayoutState.CANCELLED]
    with rt.transaction() as tx:
        assert payout_acts.cancellable(tx, amina.id) == []


def test_what_m_pesa_may_have_is_never_taken_back(rt, amina, brian, daraja):
    number = cashier.sent(rt, amina, 300)
    mine = cashier.withdraw(rt, amina, 100)

    assert cancel(rt, amina, number) == Refused("money.cancel_too_late")
    assert cancel(rt, brian, mine) == Refused("money.cancel_too_late")  # nor another's
    assert cashier.pending(rt) == 400_00


def test_what_surely_never_left_can_be_taken_back(rt, amina, daraja):
    number = cashier.withdraw(rt, amina, 300)
    daraja.says["b2c"] = NotSent("M-PESA is left alone", code="breaker")
    mpesa.work(rt)

    assert isinstance(cancel(rt, amina, number), Cancelled)


@pytest.mark.race
def test_a_wish_and_a_worker_at_once_leave_it_paid_or_taken_back(rt, amina, daraja):
    for _ in range(8):
        number = cashier.withdraw(rt, amina, 50)
        before = len(daraja.requests("b2c"))

        def act(place, number=number):
            return mpesa.work(rt) if place % 2 else cancel(rt, amina, number)

        taken = [one for one in teller.at_once(4, act) if isinstance(one, Cancelled)]
        sent = len(daraja.requests("b2c")) - before
        assert (len(taken), sent) in ((1, 0), (0, 1))
    assert teller.clean(rt)


def test_staff_hold_what_has_not_left_and_let_it_go(rt, amina, daraja, ann, kamau):
    number = cashier.withdraw(rt, amina, 300)
    with pytest.raises(Refusal, match=r"staff.not_your_role"):
        act(rt, payout_acts.hold, number, reason="odd", by=kamau)
    with pytest.raises(Refusal, match=r"staff.reason_missing"):
        act(rt, payout_acts.hold, number, reason="", by=ann)
    act(rt, payout_acts.hold, number, reason="odd", by=ann)
    mpesa.sweep(rt)
    assert mpesa.payout(rt, number).held_for == HeldFor.STAFF
    assert daraja.requests("b2c") == []

    act(rt, payout_acts.let_go, number, by=ann)
    mpesa.work(rt)

    assert cashier.state(rt, number) == PayoutState.ACCEPTED
    for verb, more in ((payout_acts.hold, {"reason": "late"}), (payout_acts.let_go, {})):
        with pytest.raises(Refusal):
            act(rt, verb, number, by=ann, **more)


def test_a_failed_payout_is_tried_again_once_as_a_new_one(rt, amina, daraja, ann):
    number = failed(rt, amina, daraja)
    again = retry(rt, number, ann)
    mpesa.work(rt)

    first, second = daraja.requests("b2c")
    assert first["ocid"] != second["ocid"]
    assert cashier.state(rt, again) == PayoutState.ACCEPTED
    with pytest.raises(Refusal, match=r"staff.payout_retried"):
        retry(rt, number, ann)
    assert mpesa.balance(rt, amina) == 700_00
    assert teller.clean(rt)


def test_only_what_failed_is_tried_again_and_only_by_the_rules_of_a_withdrawal(
    rt, amina, daraja, ann
):
    waiting = cashier.sent(rt, amina, 300)
    with pytest.raises(Refusal, match=r"staff.payout_not_failed"):
        retry(rt, waiting, ann)
    tell(rt, daraja, 2040)
    people.fund(rt, amina, 1)
    other = cashier.withdraw(rt, amina, 900)
    with pytest.raises(Refusal, match=r"money.withdraw_short"):
        retry(rt, waiting, ann)
    cancel(rt, amina, other)

    retry(rt, waiting, ann)  # what was against it is gone

    with rt.transaction() as tx:
        assert payout_retries.untried(tx, now=rt.now()) == []


def test_what_m_pesa_says_it_paid_after_all_is_not_tried_again(rt, amina, daraja, ann):
    number = failed(rt, amina, daraja)
    tell(rt, daraja)

    with pytest.raises(Refusal, match=r"staff.payout_disputed"):
        retry(rt, number, ann)


def test_a_worker_frozen_across_a_new_attempt_does_not_name_it(rt, amina, daraja):
    number = cashier.sent(rt, amina, 300)
    with rt.transaction() as tx:  # the answer of the first is lost on the way to us
        tx.get_one(Payout, number).conversation_id = None
    tell(rt, daraja, 1)
    cashier.resume(rt)
    with rt.transaction() as tx:
        payouts.new_attempt(tx, tx.get_one(Payout, number), now=rt.now())
    mpesa.work(rt)
    second = mpesa.payout(rt, number)
    assert (second.attempt, second.state) == (2, PayoutState.ACCEPTED)

    with rt.transaction() as tx:
        frozen = Promise(payload={"payout_id": number})
        payouts.PAY.finish(tx, frozen, Sent({"conversation_id": "AG_OLD"}), rt.now())

    now = mpesa.payout(rt, number)
    assert (now.conversation_id, now.state) == (second.conversation_id, PayoutState.ACCEPTED)
    with rt.transaction() as tx:
        dead = tx.query(PayoutAttempt).one()
        assert dead.conversation_id == "AG_OLD"
    # And a late result that names only that id is known to be of the dead attempt.
    request = daraja.requests("b2c")[0] | {"ocid": "lost"}
    told = mpesa.payout_result(request, 2040, conversation="AG_OLD")
    assert mpesa.post(rt, "b2c_result", told) == "late"
    assert cashier.state(rt, number) == PayoutState.ACCEPTED


def cancel(rt, customer, number, *, key=None):
    with rt.transaction() as tx:
        return payout_acts.cancel(
            tx, key=key or uuid.uuid4(), customer=customer, payout_id=number, channel=Channel.USSD,
            session="s", now=rt.now(),
        )  # fmt: skip


def act(rt, verb, number, **more):
    with rt.transaction() as tx:
        return verb(tx, number, now=rt.now(), **more)


def retry(rt, number, by):
    with rt.transaction() as tx:
        again = payout_acts.retry(tx, number, by=by, now=rt.now(), config=rt.config)
        return again.payout_ids[0]


def failed(rt, customer, daraja):
    number = cashier.sent(rt, customer, 300)
    tell(rt, daraja, 2040)
    return number


def tell(rt, daraja, code=0):
    request = daraja.requests("b2c")[-1]
    return mpesa.post(rt, "b2c_result", mpesa.payout_result(request, code))
