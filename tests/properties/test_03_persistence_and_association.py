"""3. Whatever is asked for is kept before anything leaves, and each answer finds its own row."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from core.deposits import Asked
from core.outbox import Promise
from core.payments import Deposit, DepositState
from tests import mpesa, teller

WISHES = st.lists(st.tuples(st.integers(0, 1), st.integers(10, 900)), min_size=1, max_size=4)
NOISY = list(HealthCheck)


def test_each_push_belongs_to_a_row_that_was_there_before_it(rt, amina, brian, wait, counts):
    daraja = mpesa.Daraja(rt)
    people = (amina, brian)

    @settings(max_examples=counts.cases // 5, deadline=None, suppress_health_check=NOISY)
    @given(WISHES, st.permutations(range(4)))
    def asked_in_a_row(wishes, order):
        wait(minutes=10)
        made, before = {}, len(daraja.requests("stk"))
        for who, shillings in wishes:
            asked = teller.asking(rt, people[who], shillings * 100)
            if isinstance(asked, Asked):
                made[asked.deposit_id] = (people[who], shillings)
        assert len(daraja.requests("stk")) == before, "something left before it was kept"
        rows = kept(rt, made)

        teller.push(rt, wait)

        pushed = {request["ref"]: request for request in daraja.requests("stk")[before:]}
        for number, (person, shillings) in made.items():
            request = pushed[rows[number].ref]
            assert (request["phone"], request["amount"]) == (person.phone, shillings * 100)
        for place in order:
            if place < len(made):
                answered(rt, *list(made.items())[place])

    asked_in_a_row()
    assert teller.clean(rt)


def kept(rt, made):
    """The rows of what was asked for, each with a promise and a reference of its own."""
    with rt.transaction() as tx:
        rows = {row.id: row for row in tx.scalars(select(Deposit).where(Deposit.id.in_(made)))}
        refs = select(func.count(func.distinct(Deposit.ref)), func.count()).select_from(Deposit)
        different, every = tx.execute(refs).one()
        promised = tx.scalar(select(func.count()).select_from(Promise).where(Promise.kind == "stk"))
    assert rows.keys() == made.keys()
    assert different == every
    assert promised >= len(made)
    return rows


def answered(rt, number, asked):
    """Its callback credits whoever asked, and nobody else."""
    person, shillings = asked
    had = mpesa.balance(rt, person)
    checkout = mpesa.deposit(rt, number).checkout_request_id
    result = mpesa.push_result(
        checkout, receipt=f"SKP{number:07}", amount=shillings, phone=int(person.phone[1:])
    )
    mpesa.post(rt, "stk", result)
    state = mpesa.deposit(rt, number).state
    came = shillings * 100 if state == DepositState.CREDITED else 0
    assert came or state == DepositState.CONFIRMING  # much for a day waits for a second word
    assert mpesa.balance(rt, person) == had + came
