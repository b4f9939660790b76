"""What two people decide of a payment: whose it is, that it goes back, whether it ever was."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from core import ledger, refunds, settling, suspense
from core.errors import Refusal
from core.ledger import AccountKind
from core.payments import Deposit, DepositState
from core.proposals import Proposal, ProposalState
from core.receipts import ClaimState, Source
from core.refund_rows import Method, RefundState
from core.staff import Role
from tests import cashier, games, mpesa, paybill, people, teller
from tests.paybill import RECEIPT


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def nobodys(rt, daraja):
    """KES 100 in suspense, confirmed."""
    assert paybill.confirmed(rt, daraja, "rent") == "suspense"


def test_money_is_attached_to_its_owner_by_two(rt, amina, nobodys):
    assert paybill.decide(rt, "attach", to="0712000001") == "credited"

    assert (mpesa.balance(rt, amina), paybill.held(rt)) == (1_100_00, 0)
    kept = paybill.registered(rt)
    assert (kept.customer_id, kept.bill_ref) == (amina.id, "rent")
    assert paybill.moves(rt, 1, 18) == [100_00, 100_00]
    assert teller.unconfirmed(rt, amina) == 0
    assert mpesa.texts(rt, amina) == ["money.deposit_received"]
    assert teller.clean(rt)
    # What comes of it later is known, and a second proposal has nothing to move.
    assert paybill.pay(rt, "rent") == "again"
    refused(rt, "staff.receipt_elsewhere", "attach", to="0712000001")


def test_the_excise_is_taken_when_it_finds_its_owner(rt, amina, nobodys):
    with rt.transaction() as tx:
        number = tx.scalars(
            text("INSERT INTO proposal (act, subject, content, content_hash, note, state,"
                 " proposed_by, proposed_at, expires_at)"
                 " VALUES ('x', 'x', '{}', 'x', '', 4, :by, now(), now()) RETURNING id").columns(),
            {"by": paybill.finance(rt, "akinyi").id},
        ).one()  # fmt: skip
        tx.execute(
            text("INSERT INTO levy_rate (kind, rate_bp, from_at, proposal_id)"
                 " VALUES (1, 500, '2020-01-01', :number)"), {"number": number},
        )  # fmt: skip

    paybill.decide(rt, "attach", to="0712000001")

    assert mpesa.balance(rt, amina) == 1_095_00
    assert teller.clean(rt)


def test_money_attached_to_the_excluded_is_due_back(rt, amina, nobodys):
    teller.exclude(rt, amina)

    assert paybill.decide(rt, "attach", to="0712000001") == "refund_due"

    assert paybill.held(rt, AccountKind.REFUND_DUE, amina) == 100_00
    assert teller.clean(rt)


def test_nobody_decides_alone(rt, amina, nobodys):
    seen = paybill.propose(rt, "attach", to="0712000001")
    for name, refusal in (("akinyi", "staff.own_proposal"), ("otieno", None)):
        if refusal is None:
            assert paybill.approve(rt, seen, name=name) == "credited"
            continue
        with pytest.raises(Refusal, match=refusal):
            paybill.approve(rt, seen, name=name)


def test_who_approves_saw_the_very_same(rt, amina, brian, nobodys):
    paybill.propose(rt, "attach", to="0712000001")
    with pytest.raises(Refusal, match="content_changed"):
        paybill.approve(rt, "0" * 64)
    with pytest.raises(Refusal, match="already_proposed"):
        paybill.propose(rt, "attach", to="0712000002")


def test_a_no_makes_room_for_another_proposal(rt, amina, brian, nobodys):
    paybill.propose(rt, "attach", to="0712000001")
    with rt.transaction() as tx:
        suspense.refuse(tx, RECEIPT.lower(), by=paybill.finance(rt, "otieno"), now=rt.now())
    assert paybill.decide(rt, "attach", to="0712000002") == "credited"
    assert mpesa.balance(rt, brian) == 600_00
    with rt.transaction() as tx:
        states = list(tx.scalars(select(Proposal.state).order_by(Proposal.id)))
    assert states == [ProposalState.REFUSED, ProposalState.APPROVED]


def test_only_finance_decides(rt, amina, nobodys):
    trader = people.member(rt, "juma", Role.TRADER)
    with pytest.raises(Refusal, match="not_your_role"), rt.transaction() as tx:
        suspense.propose(tx, RECEIPT, "attach", to="0712000001", note="", by=trader, now=rt.now(),
                         config=rt.config)  # fmt: skip


def test_what_could_not_be_done_is_not_proposed(rt, amina, nobodys):
    for act, wishes, refusal in (
        ("attach", {"to": "0799999999"}, "receipt_no_customer"),
        ("attach", {}, "receipt_no_customer"),
        ("attach", {"receipt": "SKNOBODY01"}, "receipt_unknown"),
        ("steal", {}, "receipt_unknown"),
        ("refund", {"method": "cheque"}, "refund_method"),
        ("refund", {"method": "b2c", "to": "0712000777"}, "refund_payee"),
        ("refund", {"method": "b2c"}, "refund_payee"),
        ("real", {}, "receipt_certain"),
        ("never", {}, "receipt_certain"),
    ):
        refused(rt, refusal, act, **wishes)


def test_a_small_refund_does_not_go_by_b2c(rt, daraja):
    paybill.confirmed(rt, daraja, "rent", amount="9.00")
    refused(rt, "staff.refund_amount", "refund", method="b2c", to="0712000001")


def test_money_that_m_pesa_has_said_once_goes_nowhere(rt, amina, daraja):
    paybill.pay(rt, "rent")
    for act, wishes in (("attach", {"to": "0712000001"}), ("refund", {"method": "reversal"})):
        refused(rt, "staff.receipt_unconfirmed", act, **wishes)


def test_money_that_is_being_sent_back_is_not_attached(rt, amina, daraja, nobodys):
    seen = paybill.propose(rt, "refund", method="reversal")
    assert paybill.approve(rt, seen) == "refunding"
    refused(rt, "staff.receipt_refunding", "attach", to="0712000001")
    refused(rt, "staff.receipt_refunding", "refund", method="b2c", to="0712000001")


def test_money_that_begins_to_go_back_at_that_instant_is_not_attached(rt, amina, nobodys):
    """Nor is a deposit left that waits for ever, and uses the customer's limit up."""
    seen = paybill.propose(rt, "attach", to="0712000001")
    with ThreadPoolExecutor(1) as second:
        with rt.transaction() as tx:  # the refund is not there to be seen before it is committed
            assert refunds.start(
                tx, RECEIPT, method=Method.REVERSAL, now=rt.now(), config=rt.config
            )
            attaching = second.submit(paybill.approve, rt, seen)
            teller.until_somebody_waits(rt)
        with pytest.raises(Refusal, match="receipt_refunding"):
            attaching.result()

    with rt.transaction() as tx:
        assert tx.scalars(select(Deposit)).all() == []
    assert paybill.held(rt) == 100_00


def test_what_changed_between_the_two_is_looked_at_again(rt, amina, daraja, nobodys):
    seen = paybill.propose(rt, "attach", to="0712000001")
    paybill.reversed_by_mpesa(rt)
    with pytest.raises(Refusal, match="content_changed"):
        paybill.approve(rt, seen)
    assert mpesa.balance(rt, amina) == 1_000_00


@pytest.mark.parametrize("status", ["Declined", None])
def test_a_credit_that_m_pesa_never_confirms_comes_to_an_end(
    rt, amina, brian, daraja, wait, wanjiku, kamau, status
):
    """Denied, or never answered: the market it is in waits for two people, not for ever."""
    paybill.pay(rt, "0712000001")
    if status is None:
        for _ in range(12):
            wait(hours=13)
            mpesa.sweep(rt)
    else:
        mpesa.sweep(rt)
        paybill.answer(rt, daraja, status=status)
    derby = games.derby(rt, wanjiku)
    games.placed(rt, amina, derby, 1, 100)
    games.placed(rt, brian, derby, 2, 200)
    games.close(rt, derby, wanjiku)
    run = games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau)
    assert not settling.work(rt, run.id)
    with rt.transaction() as tx:
        assert [claim.receipt for claim in suspense.doubtful(tx)] == [RECEIPT]

    assert paybill.decide(rt, "never") == "reversed"

    assert mpesa.balance(rt, amina) == 900_00
    assert mpesa.texts(rt, amina)[-1] == "money.deposit_unmade"
    assert settling.work(rt, run.id)
    with rt.transaction() as tx:
        assert suspense.doubtful(tx) == []
    assert teller.clean(rt)


def test_a_credit_that_is_in_the_portal_is_real(rt, amina, daraja):
    paybill.pay(rt, "0712000001")
    mpesa.sweep(rt)
    paybill.answer(rt, daraja, status="Declined")

    assert paybill.decide(rt, "real") == "confirmed"

    assert teller.unconfirmed(rt, amina) == 0
    assert paybill.registered(rt).confirmed_by == Source.STAFF
    assert cashier.withdraw(rt, amina, 1_100)


@pytest.mark.parametrize("account", ["0712000001", "rent"])
def test_a_large_claim_that_m_pesa_never_answers_is_booked_by_two(rt, amina, daraja, account):
    paybill.pay(rt, account, amount="20000.00")
    mpesa.sweep(rt)
    paybill.answer(rt, daraja, amount=20_000, payer="somebody")
    assert paybill.registered(rt) is None

    verdict = paybill.decide(rt, "real", amount=19_999_00)

    assert verdict == ("suspense" if account == "rent" else "credited")
    assert paybill.registered(rt).amount == 19_999_00
    assert {claim.state for claim in paybill.claims(rt)} == {ClaimState.CONFIRMED}
    assert teller.clean(rt)


def test_a_large_claim_that_is_no_payment_ends(rt, amina, daraja):
    paybill.pay(rt, "0712000001", amount="20000.00")

    assert paybill.decide(rt, "never") == "denied"

    assert [claim.state for claim in paybill.claims(rt)] == [ClaimState.DENIED]
    assert mpesa.texts(rt, amina) == ["money.deposit_confirming", "money.deposit_failed"]
    with rt.transaction() as tx:
        state = tx.scalars(text("SELECT state FROM deposit").columns()).one()
    assert state == DepositState.NOT_PAID


def test_several_claims_of_one_receipt_are_told_apart(rt, amina, brian, daraja):
    for account in ("0712000001", "0712000002"):
        paybill.pay(rt, account, amount="20000.00")
    refused(rt, "staff.claim_which", "real")

    assert paybill.decide(rt, "real", claim=paybill.claims(rt)[1].id) == "credited"

    assert mpesa.balance(rt, brian) == 20_500_00
    assert mpesa.balance(rt, amina) == 1_000_00


@pytest.mark.parametrize(("account", "held"), [("rent", 25), ("0712000001", 26)])
def test_what_has_cents_cannot_be_sent_back_and_is_kept_by_two(rt, amina, daraja, account, held):
    """M-PESA moves whole shillings, but nothing says that it never tells of cents."""
    teller.exclude(rt, amina)
    paybill.confirmed(rt, daraja, account, amount="100.50")
    mpesa.sweep(rt)  # which sends back what is due, if it can
    refused(rt, "refund_method", "refund", method="reversal")
    assert rt.attempt(lambda tx: ledger.total(tx, AccountKind(held))) == 100_50

    assert paybill.decide(rt, "keep") == "kept"

    assert rt.attempt(lambda tx: ledger.total(tx, AccountKind(held))) == 0
    assert rt.attempt(lambda tx: ledger.total(tx, AccountKind.ADJUSTMENTS)) == 100_50
    refused(rt, "receipt_elsewhere", "keep")
    assert teller.clean(rt)
    assert paybill.reversed_by_mpesa(rt) == "reversed"
    assert rt.attempt(lambda tx: ledger.total(tx, AccountKind.ADJUSTMENTS)) == 0
    assert teller.clean(rt)


def test_whole_shillings_are_not_kept_and_cents_find_their_owner(rt, amina, daraja, nobodys):
    refused(rt, "keep_whole", "keep")
    paybill.confirmed(rt, daraja, "shop", receipt="SKC2B00002", amount="7.05")
    assert paybill.decide(rt, "attach", receipt="SKC2B00002", to="0712000001") == "credited"
    assert mpesa.balance(rt, amina) == 1_007_05
    assert teller.clean(rt)


def test_the_list_shows_what_waits(rt, amina, daraja, nobodys):
    paybill.pay(rt, "shop", receipt="SKC2B00002")
    with rt.transaction() as tx:
        assert [one.receipt for one in suspense.lying(tx)] == [RECEIPT, "SKC2B00002"]
        assert suspense.waiting(tx) == []
    paybill.decide(rt, "refund", method="reversal")
    mpesa.work(rt)
    mpesa.post(rt, "reversal_result", paybill.reversal_result(f"AG_{len(daraja.asked)}"))
    assert paybill.refund_state(rt) == RefundState.PAID
    with rt.transaction() as tx:
        assert [one.receipt for one in suspense.lying(tx)] == ["SKC2B00002"]


def refused(rt, refusal, act, *, receipt=RECEIPT, **wishes):
    with pytest.raises(Refusal, match=refusal):
        paybill.propose(rt, act, receipt=receipt, **wishes)
