"""What may happen between two steps of a settlement or a correction, and who would gain by it."""

import pytest
from sqlalchemy import create_engine, text

from core import corrections, decisions, ledger, receipts, settlement, settling
from core.effects import Refused
from core.errors import Refusal
from core.ledger import AccountKind
from core.payments import DepositState
from tests import affairs, cashier, games, mpesa, teller

RECEIPT = "QFORGED001"
NOW = "app_now()"


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def game(rt, amina, brian, wanjiku):
    """100 of Amina's on Yes and 200 of Brian's on No."""
    game = games.derby(rt, wanjiku)
    games.placed(rt, amina, game, 1, 100)
    games.placed(rt, brian, game, 2, 200)
    return game


@pytest.fixture
def won(rt, game, amina, wanjiku, kamau):
    """Amina has only what she won wrongly: 285, queued for M-PESA and not sent."""
    cashier.withdraw(rt, amina, 900)
    games.settle(rt, game, 1, proposer=wanjiku, approver=kamau)
    return game


def test_what_a_correction_calls_back_is_not_withdrawn_before_it_is_taken(
    rt, daraja, won, amina, wanjiku, kamau
):
    run = correct(rt, won, 2, wanjiku, kamau)
    assert rt.attempt(lambda tx: settlement.undo(tx, run.id, config=rt.config)) == 1  # payouts

    answer = cashier.withdrawing(rt, amina, 285_00)

    assert isinstance(answer, Refused)
    assert answer.reason == "money.withdraw_correcting"
    assert settling.work(rt, run.id)
    assert owed(rt, amina) == 0
    assert teller.clean(rt)


def test_nor_what_the_worker_of_payouts_gives_back(rt, daraja, won, amina, wanjiku, kamau):
    run = correct(rt, won, 2, wanjiku, kamau)
    mpesa.work(rt)  # her payout is given back: the result was corrected

    assert isinstance(cashier.withdrawing(rt, amina, 285_00), Refused)

    assert settling.work(rt, run.id)
    assert owed(rt, amina) == 0
    cashier.withdrawing(rt, amina, 285_00)  # and afterwards nothing is in the way any more
    assert teller.clean(rt)


@pytest.mark.parametrize("way", ["withdraw", "stake"])
def test_a_win_that_is_gone_is_not_cashed_out_of_money_nobody_has_confirmed(
    rt, game, amina, wanjiku, kamau, way
):
    rt.config = rt.config.model_copy(update={"settle_chunk": 1})
    other = games.derby(rt, wanjiku, question="Will it rain in Kisumu?")
    games.close(rt, game, wanjiku)
    run = games.decide(rt, game, 1, proposer=wanjiku, approver=kamau)
    assert rt.attempt(lambda tx: settlement.start(tx, run.id, now=rt.now()))
    assert rt.attempt(lambda tx: settlement.step(tx, run.id, config=rt.config)) == 1
    if way == "withdraw":  # she is paid and not yet seen to: her 900 + 285 go
        cashier.withdraw(rt, amina, 1_185)
    else:
        games.placed(rt, amina, other, 1, 1_185)
    forged(rt, amina, 300)

    assert settling.work(rt, run.id)

    with rt.transaction() as tx:
        sent = "SELECT count(*) FROM payout WHERE settlement_id = :id"
        assert tx.scalar(text(sent), {"id": run.id}) == 0
    assert mpesa.balance(rt, amina) == 300_00
    assert teller.clean(rt)


def test_a_bet_that_waited_for_the_wallet_stakes_what_came_meanwhile(rt, amina, wanjiku):
    """Its moment is from before the money; the wallet's own count knows better."""
    forged(rt, amina, 300)
    other = games.derby(rt, wanjiku, question="Will it rain in Kisumu?")
    games.placed(rt, amina, other, 1, 100)
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as connection:
        later = "UPDATE mpesa_receipt SET created_at = created_at + interval '1 minute'"
        connection.execute(text(later))
    owner.dispose()

    with rt.transaction() as tx:
        assert receipts.market_unconfirmed(tx, other.id)


def test_a_bet_from_before_the_money_does_not_hold_its_market_up(rt, game, amina):
    forged(rt, amina, 300)

    with rt.transaction() as tx:
        assert not receipts.market_unconfirmed(tx, game.id)


def test_a_proposed_void_holds_up_a_result_that_was_only_counted(
    rt, game, amina, wanjiku, kamau, wait
):
    games.close(rt, game, wanjiku)
    run = games.decide(rt, game, 1, proposer=wanjiku, approver=kamau)
    assert rt.attempt(lambda tx: settlement.start(tx, run.id, now=rt.now()))  # the worker dies
    told = {"now": rt.now(), "config": rt.config}
    with rt.transaction() as tx:
        decisions.propose(tx, game.code, winners=(), source="abandoned", by=kamau, **told)

    assert not settling.work(rt, run.id)
    assert mpesa.balance(rt, amina) == 900_00

    wait(hours=25)  # nobody decides on it: it lapses, and the result stands
    assert settling.work(rt, run.id)
    assert teller.clean(rt)


def test_what_was_too_late_stays_so_across_a_void_before_the_first_payment(
    rt, game, amina, wanjiku, kamau, wait
):
    with rt.transaction() as tx:
        tx.execute(text("UPDATE customer SET auto_cashout = false"))
    wait(minutes=10)
    goal = rt.now()
    wait(minutes=1)
    games.placed(rt, amina, game, 2, 100)  # she has seen it
    games.close(rt, game, wanjiku)
    games.decide(rt, game, 2, proposer=wanjiku, approver=kamau, effective_close=goal)
    void = games.decide(rt, game, None, proposer=wanjiku, approver=kamau)
    assert settling.work(rt, void.id)

    assert settling.work(rt, correct(rt, game, 2, wanjiku, kamau).id)

    assert mpesa.balance(rt, amina) == 900_00  # the late stake is back, and has won nothing
    assert teller.clean(rt)


def test_a_correction_of_what_has_been_corrected_meanwhile_is_refused(rt, game, wanjiku, kamau):
    games.settle(rt, game, 1, proposer=wanjiku, approver=kamau)
    first = correct(rt, game, 2, wanjiku, kamau)
    told = {"now": rt.now(), "config": rt.config}
    with rt.transaction() as tx:
        _, seen = corrections.propose(tx, game.code, winners=(), source="x", by=wanjiku, **told)
    assert settling.work(rt, first.id)

    with pytest.raises(Refusal, match=r"staff\.settling_begun"), rt.transaction() as tx:
        decisions.approve(tx, game.code, seen_hash=seen.hash, by=kamau, **told)


def correct(rt, market, winner, proposer, approver):
    return games.decide(
        rt, market, winner, proposer=proposer, approver=approver, put=corrections.propose
    )


def forged(rt, customer, shillings):
    """A callback that M-PESA may not have sent: credited, and not confirmed."""
    asked = affairs.stored(rt, customer, shillings, DepositState.PROMPTED)
    credit = (
        f"SELECT credit_receipt(:receipt, '600000', :amount, 1::smallint, :deposit, {NOW}, false)"
    )
    with rt.transaction() as tx:
        facts = {"receipt": RECEIPT, "amount": shillings * 100, "deposit": asked}
        tx.execute(text(credit), facts)


def owed(rt, customer):
    with rt.transaction() as tx:
        return ledger.account_balance(tx, AccountKind.RECEIVABLE, customer_id=customer.id)
