"""Money that goes back: once, in full, one way at a time, and never again while in doubt."""

import pytest
from sqlalchemy import text

from core import errands, jobs, outbox, payouts, refunds, suspense
from core.errors import NotSent, Refusal, Rejected, Unknown
from core.ledger import AccountKind
from core.receipts import Source
from core.refund_rows import Method, RefundState
from demo.settings import B2C_SHORTCODE, PAYBILL
from tests import cashier, mpesa, paybill, teller
from tests.paybill import RECEIPT, REVERSAL

DOUBTFUL = Unknown("read timed out", code="no_answer")


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


def test_suspense_goes_back_by_reversal(rt, daraja, reversing):
    assert daraja.requests("reversal") == [
        {"receipt": RECEIPT, "shortcode": PAYBILL, "amount": 100_00}
    ]
    assert paybill.refund_state(rt) == RefundState.ACCEPTED
    told = paybill.reversal_result(reversing)

    said = [mpesa.post(rt, "reversal_result", told) for _ in range(3)]

    assert said == ["paid", "duplicate", "duplicate"]
    assert paybill.held(rt) == 0
    kept = paybill.registered(rt, REVERSAL)
    assert (kept.direction, kept.amount, kept.source) == (2, 100_00, Source.REVERSAL)
    assert paybill.moves(rt, 17) == [100_00]
    assert teller.clean(rt)


def test_suspense_goes_back_by_b2c_to_the_number_that_paid(rt, daraja, paying):
    told = mpesa.payout_result(paying, receipt="SKP0000001")

    said = [mpesa.post(rt, "b2c_result", told) for _ in range(2)]

    assert said == ["paid", "duplicate"]
    assert paybill.held(rt) == 0
    assert paybill.registered(rt, "SKP0000001").shortcode == B2C_SHORTCODE
    assert teller.clean(rt)


def test_the_tariff_is_paid_for_b2c_and_not_for_a_reversal(rt, daraja, paying):
    with rt.transaction() as tx:
        tx.execute(
            text("INSERT INTO proposal (act, subject, content, content_hash, note, state,"
                 " proposed_by, proposed_at, expires_at)"
                 " VALUES ('x', 'x', '{}', 'x', '', 4, :by, now(), now())"),
            {"by": paybill.finance(rt, "akinyi").id},
        )  # fmt: skip
        tx.execute(
            text("INSERT INTO tariff (from_at, upto, charge, proposal_id)"
                 " SELECT '2020-01-01', 25000000, 500, max(id) FROM proposal")
        )  # fmt: skip
    mpesa.post(rt, "b2c_result", mpesa.payout_result(paying, receipt="SKP0000001"))

    assert paybill.moves(rt, 16, 17) == [100_00, 5_00]
    assert teller.clean(rt)


def test_what_is_due_to_the_excluded_goes_back_unasked(rt, amina, daraja, wait):
    teller.exclude(rt, amina)
    paybill.pay(rt, "0712000001")
    mpesa.sweep(rt)
    assert daraja.requests("reversal") == []  # not before M-PESA confirms that it came
    paybill.answer(rt, daraja)

    mpesa.sweep(rt)
    mpesa.sweep(rt)

    assert len(daraja.requests("reversal")) == 1
    mpesa.post(rt, "reversal_result", paybill.reversal_result(f"AG_{len(daraja.asked)}"))
    assert paybill.held(rt, AccountKind.REFUND_DUE, amina) == 0
    assert mpesa.texts(rt, amina) == ["money.deposit_refund_due", "money.refund_sent"]
    assert teller.clean(rt)


def test_much_money_that_is_due_back_is_for_two_people(rt, amina, daraja):
    teller.exclude(rt, amina)
    paybill.confirmed(rt, daraja, "0712000001", amount="10001.00")
    mpesa.sweep(rt)
    assert daraja.requests("reversal") == []
    with rt.transaction() as tx:
        assert [one.receipt for one in refunds.due(tx)] == [RECEIPT]

    paybill.decide(rt, "refund", method="reversal")
    mpesa.work(rt)

    assert [one["amount"] for one in daraja.requests("reversal")] == [10_001_00]


def test_what_could_not_be_sent_back_unasked_is_for_people(rt, amina, daraja):
    teller.exclude(rt, amina)
    paybill.confirmed(rt, daraja, "0712000001")
    mpesa.sweep(rt)
    conversation = f"AG_{len(daraja.asked)}"
    assert mpesa.post(
        rt, "reversal_result", paybill.reversal_result(conversation, "R000002")
    ) == "failed"  # fmt: skip
    mpesa.sweep(rt)

    assert len(daraja.requests("reversal")) == 1
    with rt.transaction() as tx:
        assert [one.receipt for one in suspense.lying(tx, AccountKind.REFUND_DUE)] == [RECEIPT]
    paybill.decide(rt, "refund", method="b2c", to="0712000001")
    mpesa.work(rt)
    assert [one["phone"] for one in daraja.requests("b2c_refund")] == ["+254712000001"]


def test_a_result_before_the_answer_is_not_lost(rt, daraja, nobodys):
    paybill.decide(rt, "refund", method="reversal")
    early = paybill.reversal_result(f"AG_{len(daraja.asked) + 1}", "R000002")
    heard = []
    daraja.meanwhile["reversal"] = lambda _: heard.append(mpesa.post(rt, "reversal_result", early))

    mpesa.work(rt)
    mpesa.sweep(rt)

    assert heard == ["orphan"]
    assert paybill.refund_state(rt) == RefundState.FAILED


def test_success_that_names_the_payment_ends_a_doubt_without_an_id(rt, daraja, nobodys):
    daraja.says["reversal"] = DOUBTFUL
    paybill.decide(rt, "refund", method="reversal")
    mpesa.work(rt)
    assert paybill.refund_state(rt) == RefundState.IN_DOUBT

    assert mpesa.post(rt, "reversal_result", paybill.reversal_result("AG_99")) == "paid"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (NotSent("no connection", code="connection"), RefundState.QUEUED),
        (Rejected("no", code="field"), RefundState.FAILED),
        (DOUBTFUL, RefundState.IN_DOUBT),
    ],
)
@pytest.mark.parametrize("method", ["reversal", "b2c"])
def test_what_the_request_came_to(rt, daraja, nobodys, method, error, state):
    kind = "reversal" if method == "reversal" else "b2c_refund"
    daraja.says[kind] = error
    to = "0712000001" if method == "b2c" else None
    paybill.decide(rt, "refund", method=method, to=to)
    mpesa.work(rt)

    assert paybill.refund_state(rt) == state
    assert paybill.held(rt) == 100_00
    if state == RefundState.QUEUED:
        daraja.says.clear()
        with rt.transaction() as tx:
            tx.execute(text("UPDATE promise SET due_at = now() WHERE state = 1"))
        mpesa.work(rt)
        assert paybill.refund_state(rt) == RefundState.ACCEPTED
        ocids = {one.get("ocid") for one in daraja.requests(kind)}
        assert len(ocids) == 1


def test_a_worker_that_dies_leaves_a_doubt(rt, daraja, nobodys):
    paybill.decide(rt, "refund", method="reversal")
    with rt.transaction() as tx:
        number = tx.scalars(text("SELECT max(id) FROM promise").columns()).one()
        promise = outbox.claim(tx, number, now=rt.now())
        assert errands.ERRANDS["reversal"].begin(tx, promise, rt.now()) is not None
    with rt.transaction() as tx:
        tx.get_one(outbox.Promise, number).claimed_at -= rt.config.sending_stuck * 2
    jobs.recover(number)

    mpesa.work(rt)

    assert paybill.refund_state(rt) == RefundState.IN_DOUBT
    assert daraja.requests("reversal") == []


def test_a_doubt_is_asked_about_and_never_sent_again(rt, daraja, nobodys, wait):
    daraja.says["b2c_refund"] = DOUBTFUL
    paybill.decide(rt, "refund", method="b2c", to="0712000001")
    mpesa.work(rt)
    before = len(daraja.requests("status_query"))
    for _ in range(20):
        wait(hours=3)
        mpesa.sweep(rt)

    asked = daraja.requests("status_query")[before:]
    assert len(asked) == len(rt.config.status_retry)
    assert {one["ocid"] for one in asked} == {str(paybill.refund(rt).ocid)}
    assert len(daraja.requests("b2c_refund")) == 1
    assert paybill.refund_state(rt) == RefundState.NEEDS_HUMAN
    refused(rt, "refunding")


@pytest.mark.parametrize(
    ("answer", "verdict", "state"),
    [
        ({}, "paid", RefundState.PAID),
        ({"amount": 99}, "mismatch", RefundState.IN_DOUBT),
        ({"payee": "254712000777 - JUMA"}, "mismatch", RefundState.IN_DOUBT),
        ({"status": "Cancelled"}, "failed", RefundState.FAILED),
        ({"status": "Initiated"}, "open", RefundState.IN_DOUBT),
        ({"code": 25}, "open", RefundState.IN_DOUBT),
    ],
)
def test_a_status_answer_ends_the_doubt_of_a_payment(
    rt, daraja, nobodys, wait, answer, verdict, state
):
    daraja.says["b2c_refund"] = DOUBTFUL
    paybill.decide(rt, "refund", method="b2c", to="0712000001")
    mpesa.work(rt)
    wait(minutes=3)
    mpesa.sweep(rt)
    told = {"receipt": "SKP0000001", "payee": "254712000001 - AMINA", "payer": "600986 - HOUSE"}

    assert paybill.answer(rt, daraja, **(told | answer)) == verdict

    assert paybill.refund_state(rt) == state
    assert paybill.held(rt) == (0 if state == RefundState.PAID else 100_00)
    assert teller.clean(rt)


def test_that_the_payment_was_completed_is_no_proof_that_it_was_not_undone(
    rt, daraja, reversing, wait
):
    wait(minutes=3)
    mpesa.sweep(rt)
    assert paybill.refund_state(rt) == RefundState.IN_DOUBT

    assert paybill.answer(rt, daraja) == "open"
    assert paybill.refund_state(rt) == RefundState.IN_DOUBT

    assert paybill.answer(rt, daraja, status="Reversed") == "paid"
    assert paybill.refund(rt).paid_receipt == f"{RECEIPT}R"
    assert teller.clean(rt)


@pytest.mark.parametrize("first", ["status", "result"])
def test_a_reversal_that_is_told_by_two_is_one(rt, daraja, reversing, wait, first):
    """The status answer does not name the reversal's receipt, and its result does."""
    wait(minutes=3)
    mpesa.sweep(rt)
    told = {
        "status": lambda: paybill.answer(rt, daraja, status="Reversed"),
        "result": lambda: mpesa.post(rt, "reversal_result", paybill.reversal_result(reversing)),
    }

    assert told.pop(first)() == "paid"
    assert next(iter(told.values()))() == "duplicate"

    assert not cashier.is_paused(rt)
    assert paybill.held(rt) == 0
    assert teller.clean(rt)


def test_what_m_pesa_cannot_send_back_is_not_as_if_sent(rt, amina, daraja):
    teller.exclude(rt, amina)
    paybill.confirmed(rt, daraja, "0712000001", amount="100.50")

    mpesa.sweep(rt)
    mpesa.sweep(rt)

    assert daraja.requests("reversal") == []
    assert paybill.held(rt, AccountKind.REFUND_DUE, amina) == 100_50


@pytest.mark.parametrize(
    ("code", "verdict", "state"),
    [
        ("R000002", "failed", RefundState.FAILED),
        ("1", "failed", RefundState.FAILED),
        ("2001", "failed", RefundState.FAILED),
        ("26", "in doubt", RefundState.IN_DOUBT),
        ("777", "in doubt", RefundState.IN_DOUBT),
    ],
)
def test_each_code_of_a_reversal(rt, daraja, reversing, code, verdict, state):
    told = paybill.reversal_result(reversing, code)
    assert mpesa.post(rt, "reversal_result", told) == verdict
    assert paybill.refund_state(rt) == state
    assert paybill.held(rt) == 100_00


@pytest.mark.parametrize(
    ("code", "verdict", "state", "paused"),
    [
        (2040, "failed", RefundState.FAILED, False),
        (2001, "failed", RefundState.FAILED, True),
        (1, "in doubt", RefundState.IN_DOUBT, True),
        (26, "in doubt", RefundState.IN_DOUBT, False),
    ],
)
def test_each_sort_of_code_of_a_payment(rt, daraja, paying, code, verdict, state, paused):
    told = mpesa.payout_result(paying, code)
    assert mpesa.post(rt, "b2c_result", told) == verdict
    assert (paybill.refund_state(rt), cashier.is_paused(rt)) == (state, paused)


def test_a_payment_that_was_reversed_before_leaves_our_books_once(rt, daraja, reversing):
    told = paybill.reversal_result(reversing, "R000001")

    assert mpesa.post(rt, "reversal_result", told) == "reversed"

    assert paybill.held(rt) == 0
    assert paybill.moves(rt, 17, 19) == [100_00]
    assert paybill.refund_state(rt) == RefundState.FAILED
    refused(rt, "elsewhere")
    assert teller.clean(rt)


@pytest.mark.parametrize("odd", [{"amount": 99}, {"receipt": "?"}])
def test_success_that_does_not_fit_is_a_doubt(rt, daraja, reversing, odd):
    told = paybill.reversal_result(reversing, **odd)
    assert mpesa.post(rt, "reversal_result", told) == "mismatch"
    assert paybill.refund_state(rt) == RefundState.IN_DOUBT


def test_queue_timeouts_are_not_final(rt, daraja, paying):
    request = {"OriginatorConversationID": paying["ocid"], "SecurityCredential": "x"}
    assert mpesa.post(rt, "b2c_timeout", request) == "not final"
    assert paybill.refund_state(rt) == RefundState.IN_DOUBT
    assert mpesa.post(rt, "b2c_timeout", {"OriginatorConversationID": "x"}) == "unmatched"
    assert mpesa.post(rt, "reversal_timeout", {"Result": {"ConversationID": "?"}}) == "unmatched"


@pytest.mark.parametrize("method", ["b2c", "reversal"])
def test_refunds_wait_while_payouts_are_paused(rt, daraja, nobodys, wait, method):
    with rt.transaction() as tx:
        payouts.pause(tx, "ledger_broken", "test", now=rt.now())
    kind = "b2c_refund" if method == "b2c" else "reversal"
    paybill.decide(rt, "refund", method=method, to="0712000001")
    mpesa.work(rt)
    assert daraja.requests(kind) == []

    cashier.resume(rt)
    wait(minutes=2)
    mpesa.sweep(rt)

    assert len(daraja.requests(kind)) == 1


@pytest.mark.race
def test_threads_that_begin_a_refund_begin_one(rt, daraja, nobodys):
    def begin(_):
        with rt.transaction() as tx:
            found = refunds.start(
                tx, RECEIPT, method=Method.REVERSAL, now=rt.now(), config=rt.config
            )
            return found is not None

    assert sorted(teller.at_once(10, begin)) == [False] * 9 + [True]


def refused(rt, refusal):
    with pytest.raises(Refusal, match=refusal):
        paybill.propose(rt, "refund", method="reversal")
