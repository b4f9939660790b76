"""Correcting a settled market: all of it taken back to the cent, what is gone owed and repaid."""

import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from core import betting, corrections, explain, ledger, results, settlement, settling
from core.errors import Refusal
from core.ledger import AccountKind
from core.markets import Status
from core.outbox import Promise
from core.payments import PayoutState
from core.verify import verify
from tests import cashier, exact, games, mpesa, people


@pytest.fixture
def derby(rt, wanjiku, amina, brian):
    """100 of Amina's on Yes, 200 of Brian's on No; settled, wrongly, for Yes."""
    derby = games.derby(rt, wanjiku)
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    return derby


@pytest.fixture
def wrong(rt, derby, wanjiku, kamau):
    keep_in_wallets(rt)
    return games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)


def test_the_money_goes_to_whom_it_belongs(rt, derby, wrong, amina, brian, wanjiku, kamau):
    run = correct(rt, derby, 2, wanjiku, kamau)
    assert status(rt, derby) == Status.CORRECTING
    with rt.transaction() as tx:
        assert [bet.state for bet in betting.my_bets(tx, amina.id, open=True, limit=9)] == ["open"]

    assert settling.work(rt, run.id)

    assert wallets(rt, amina, brian) == [900_00, 300_00 + 285_00]
    assert fees(rt) == 15_00
    assert status(rt, derby) == Status.SETTLED
    with rt.transaction() as tx:
        assert [bet.state for bet in betting.my_bets(tx, amina.id, open=False, limit=9)] == ["lost"]
        assert tx.scalar(text("SELECT corrects FROM settlement WHERE id = :id"), {"id": run.id})
    assert clean(rt)


def test_a_win_that_has_left_is_owed_and_repaid_by_a_later_one(
    rt, derby, amina, brian, wanjiku, kamau
):
    cash_out(rt, amina)
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)
    arrive(rt)  # 285.00 is with Amina, who then plays with what she had
    party(rt, amina, leaves=100_00, by=wanjiku)

    run = correct(rt, derby, 2, wanjiku, kamau)
    assert settling.work(rt, run.id)

    assert wallets(rt, amina, brian) == [0, 300_00 + 285_00]
    assert owed(rt, amina) == 185_00
    assert said(rt, run, amina) == [
        f"The result of game {derby.code} was corrected: we took KES 285 back. You owe KES 185, to"
        " be taken from your next wins."
    ]
    assert clean(rt)

    people.fund(rt, amina, 100_00)  # as a deposit: nobody takes of that
    later = games.derby(rt, wanjiku, question="Mathare United v Tusker")
    games.placed(rt, amina, later, 1, 100)
    games.placed(rt, brian, later, 2, 200)
    won = games.settle(rt, later, 1, proposer=wanjiku, approver=kamau)

    assert owed(rt, amina) == 0
    assert wallets(rt, amina) == [0]  # of 285.00 185.00 were kept and 100.00 sent
    assert said(rt, won, amina) == [
        f"Game {later.code} brought you KES 285. We kept KES 185 of it for what you owed us."
        " Balance KES 0."
    ]
    with rt.transaction() as tx:
        lines = list(explain.Explanation(tx, amina.id).lines())
    explained = [(line.kind, line.problems) for line in lines if line.kind.startswith("re")]
    assert explained == [(kind, ()) for kind in ("reserve", "reversal", "repayment", "reserve")]
    assert clean(rt)


def test_what_is_not_sent_yet_is_cancelled(rt, derby, amina, brian, wanjiku, kamau):
    cash_out(rt, amina)
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)
    run = correct(rt, derby, 2, wanjiku, kamau)

    assert settling.work(rt, run.id)

    assert payouts(rt) == [(PayoutState.CANCELLED, 285_00)]
    assert wallets(rt, amina, brian) == [900_00, 585_00]
    assert (owed(rt, amina), cashier.pending(rt)) == (0, 0)
    assert clean(rt)


def test_a_payout_in_doubt_is_gone_until_it_fails(rt, derby, amina, wanjiku, kamau):
    cash_out(rt, amina)
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)
    with rt.transaction() as tx:
        tx.execute(text("UPDATE payout SET state = 6, held_for = NULL"))
    party(rt, amina, leaves=0, by=wanjiku)
    settling.work(rt, correct(rt, derby, 2, wanjiku, kamau).id)
    assert owed(rt, amina) == 285_00

    with rt.transaction() as tx:
        tx.execute(text("SELECT payout_release(id, 9::smallint, '1', 'no') FROM payout"))

    assert (owed(rt, amina), wallets(rt, amina)) == (0, [0])
    assert clean(rt)


def test_a_payout_that_would_be_sent_after_the_correction_is_not(rt, derby, amina, wanjiku, kamau):
    cash_out(rt, amina)
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)
    correct(rt, derby, 2, wanjiku, kamau)

    mpesa.work(rt)  # before the first chunk of the correction

    assert payouts(rt) == [(PayoutState.CANCELLED, 285_00)]
    assert wallets(rt, amina) == [900_00 + 285_00]
    assert clean(rt)


def test_broken_off_between_any_two_chunks_it_goes_on(rt, amina, brian, wanjiku, kamau):
    derby = games.derby(rt, wanjiku, "1", "X", "2")
    for number in range(6):
        games.placed(rt, amina, derby, 1 + number % 2, 20 + number)
        games.placed(rt, brian, derby, 3, 33.33)
    cash_out(rt, amina)
    games.settle(rt, derby, 1, proposer=wanjiku, approver=kamau)
    run = correct(rt, derby, (2, 3), wanjiku, kamau)
    ones = rt.config.model_copy(update={"settle_chunk": 1})
    chunks = 0
    while True:
        with rt.transaction() as tx:
            assert not settlement.start(tx, run.id, now=rt.now())
        with rt.transaction() as tx:
            if not settlement.undo(tx, run.id, config=ones):
                break
        chunks += 1
        assert clean(rt)
        with rt.transaction() as tx:  # and then the worker dies
            settlement.undo(tx, run.id, config=ones)
            tx.rollback()
        if chunks == 4:
            break

    assert settling.work(rt, run.id)
    assert settling.work(rt, run.id)

    exact_shares(rt, run)
    assert clean(rt)


def test_one_settlement_is_corrected_once_and_its_successor_again(
    rt, derby, wrong, amina, brian, wanjiku, kamau
):
    first = correct(rt, derby, 2, wanjiku, kamau)
    with rt.transaction() as tx:
        settlement.undo(tx, first.id, config=rt.config)
    with pytest.raises(Refusal, match=r"staff\.settling_begun"):
        correct(rt, derby, None, wanjiku, kamau)
    settling.work(rt, first.id)
    second = correct(rt, derby, None, wanjiku, kamau)
    assert settling.work(rt, second.id)
    assert wallets(rt, amina, brian) == [1_000_00, 500_00]
    assert (fees(rt), status(rt, derby)) == (0, Status.VOID)
    assert clean(rt)

    assert settling.work(rt, correct(rt, derby, 1, wanjiku, kamau).id)
    assert wallets(rt, amina, brian) == [900_00 + 285_00, 300_00]
    assert clean(rt)


def test_it_takes_two_and_another_result(rt, derby, wrong, wanjiku, kamau):
    with pytest.raises(Refusal, match=r"staff\.own_proposal"):
        correct(rt, derby, 2, wanjiku, wanjiku)
    assert status(rt, derby) == Status.SETTLED


def test_the_same_result_corrects_nothing(rt, derby, wrong, wanjiku, kamau):
    with pytest.raises(Refusal, match=r"staff\.nothing_changed"):
        correct(rt, derby, 1, wanjiku, kamau)


def test_a_text_of_the_wrong_result_is_not_sent_any_more(rt, derby, wrong, amina, wanjiku, kamau):
    correct(rt, derby, 2, wanjiku, kamau)

    assert said(rt, wrong, amina) == []


def test_a_debt_is_collected_once_for_each_key(rt, derby, wrong, amina, wanjiku, kamau):
    party(rt, amina, leaves=0, by=wanjiku)
    settling.work(rt, correct(rt, derby, 2, wanjiku, kamau).id)
    people.fund(rt, amina, 100_00)
    key = uuid.uuid4()
    taken = []
    for most in (60_00, 60_00):
        with rt.transaction() as tx:
            taken.append(tx.scalar(text(COLLECT), {"key": key, "who": amina.id, "most": most}))

    assert taken == [60_00, 60_00]
    assert (wallets(rt, amina), owed(rt, amina)) == ([40_00], 225_00)
    assert clean(rt)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    stakes=st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(20_00, 90_00)),
        min_size=1,
        max_size=8,
    ),
    ends=st.lists(st.sampled_from([None, 1, 2, (1, 3), (1, 2, 3)]), min_size=2, max_size=3),
    spent=st.lists(st.integers(0, 200_00), min_size=3, max_size=3),
)
def test_however_often_it_is_corrected_everybody_ends_as_if_it_never_was(
    rt, wanjiku, kamau, stakes, ends, spent
):
    """The last result alone decides what everybody has, less what they owe."""
    crowd = [people.customer(rt, phone(), "Some One", money=1_000_00) for _ in range(3)]
    keep_in_wallets(rt)
    market = games.derby(rt, wanjiku, "1", "X", "2")
    for who, outcome, stake in stakes:
        games.placed(rt, crowd[who], market, outcome, stake / 100)
    before = wallets(rt, *crowd)
    run = games.settle(rt, market, ends[0], proposer=wanjiku, approver=kamau)
    result = ends[0]
    for person, amount in zip(crowd, spent, strict=True):
        away(rt, person, amount)
    for end in ends[1:]:
        if end != result:
            run, result = correct(rt, market, end, wanjiku, kamau), end
            assert settling.work(rt, run.id)

    with rt.transaction() as tx:
        given = dict(tx.execute(text(GIVEN), {"run": run.id}).all())
    has = [held - owed(rt, one) for held, one in zip(wallets(rt, *crowd), crowd, strict=True)]
    due = [
        had + given.get(one.id, 0) - gone
        for had, one, gone in zip(before, crowd, spent, strict=True)
    ]
    assert has == due
    exact_shares(rt, run)
    assert clean(rt)


def correct(rt, market, winner, proposer, approver):
    return games.decide(
        rt, market, winner, proposer=proposer, approver=approver, put=corrections.propose
    )


def keep_in_wallets(rt):
    with rt.transaction() as tx:
        tx.execute(text("UPDATE customer SET auto_cashout = false"))


def cash_out(rt, customer):
    keep_in_wallets(rt)
    with rt.transaction() as tx:
        chosen = text("UPDATE customer SET auto_cashout = true WHERE id = :id")
        tx.execute(chosen, {"id": customer.id})


def arrive(rt):
    with rt.transaction() as tx:
        tx.execute(
            text(
                "SELECT payout_paid(id, 'RKB000000' || id, '600986', amount, 5::smallint,"
                " app_now()) FROM payout"
            )
        )


def party(rt, customer, *, leaves, by):
    """The customer loses all but `leaves` cents on a market that nobody settles."""
    (held,) = wallets(rt, customer)
    other = games.derby(rt, by, question="Will it rain in Kisumu?")
    if held > leaves:
        games.placed(rt, customer, other, 1, (held - leaves) / 100)


def away(rt, customer, amount):
    """The customer's money goes to the bank."""
    if amount:
        with rt.transaction() as tx:
            ledger.move(
                tx,
                key=uuid.uuid4(),
                kind=ledger.TransferKind.ADJUSTMENT,
                debit=ledger.open_wallet(tx, customer.id),
                credit=ledger.account(tx, AccountKind.BANK),
                amount=amount,
                at=rt.now(),
            )


def phone():
    return f"+2547{uuid.uuid4().int % 10**8:08}"


def said(rt, run, customer):
    """What the texts of a settlement to a customer say, as they would be sent now."""
    with rt.transaction() as tx:
        found = text("SELECT id FROM promise WHERE settlement_id = :run AND customer_id = :who")
        ids = tx.scalars(found, {"run": run.id, "who": customer.id}).all()
        promises = [tx.get_one(Promise, number) for number in ids]
        for promise in promises:
            if promise.kind == results.KIND:
                results.begin(tx, promise, rt.now())
        keys = [promise.key for promise in promises]
        bodies = text("SELECT body FROM message WHERE key = ANY(:keys) ORDER BY id")
        return tx.scalars(bodies, {"keys": keys}).all()


def wallets(rt, *whose):
    with rt.transaction() as tx:
        return [ledger.balance(tx, customer.id) for customer in whose]


def owed(rt, customer):
    with rt.transaction() as tx:
        return ledger.account_balance(tx, AccountKind.RECEIVABLE, customer_id=customer.id)


def fees(rt):
    with rt.transaction() as tx:
        return ledger.account_balance(tx, AccountKind.FEES)


def payouts(rt):
    with rt.transaction() as tx:
        return [tuple(row) for row in tx.execute(text("SELECT state, amount FROM payout"))]


def status(rt, market):
    with rt.transaction() as tx:
        return tx.scalar(text("SELECT status FROM market WHERE id = :id"), {"id": market.id})


def exact_shares(rt, run):
    """The newest settlement gave what plain arithmetic says."""
    with rt.transaction() as tx:
        found = tx.execute(text(exact.RUN), {"run": run.id}).one()
        bets = tx.execute(text(exact.BETS), {"market": found.market_id}).all()
        slips = [exact.Slip(*bet[:3]) for bet in bets]
        due = exact.divide(slips, found.winners, found.fee_bp)
        rows = tx.execute(
            text("SELECT bet_id, amount FROM dividend WHERE settlement_id = :run"), {"run": run.id}
        )
        assert dict(rows.all()) == due.given
    assert (found.state, found.fee) == (3, due.fee)


def clean(rt):
    broken = [finding for finding in verify(rt) if not finding.holds]
    assert not broken, broken
    return True


COLLECT = "SELECT receivable_collect(:key, :who, :most, app_now())"
GIVEN = """
    SELECT customer_id, sum(amount)::bigint FROM dividend WHERE settlement_id = :run
     GROUP BY customer_id
"""
