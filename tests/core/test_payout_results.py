"""How payouts end: paid and given back only on proof, once, in any order and after any silence."""

import uuid

import pytest

from core import ledger
from core.errors import Unknown
from core.ledger import AccountKind
from core.payments import HeldFor, PayoutState
from core.reasons import PAYOUT, Act
from demo.settings import B2C_SHORTCODE
from tests import cashier, mpesa, teller


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def number(rt, amina, daraja):
    """A payout of KES 300 that M-PESA has taken."""
    return cashier.sent(rt, amina, 300)


def test_the_same_result_three_times_is_one_payment(rt, amina, daraja, number):
    verdicts = [tell(rt, daraja) for _ in range(3)]

    assert verdicts == ["paid", "duplicate", "duplicate"]
    assert mpesa.texts(rt, amina) == ["money.payout_sent"]
    with rt.transaction() as tx:
        utility = ledger.account_balance(tx, AccountKind.MPESA_UTILITY, shortcode=B2C_SHORTCODE)
    assert utility == -300_00
    assert teller.clean(rt)


def test_a_result_before_the_answer_is_taken_by_our_own_id(rt, amina, daraja):
    heard = []
    daraja.meanwhile["b2c"] = lambda request: heard.append(
        mpesa.post(rt, "b2c_result", mpesa.payout_result(request))
    )
    number = cashier.withdraw(rt, amina, 300)
    mpesa.work(rt)

    assert heard == ["paid"]
    assert cashier.state(rt, number) == PayoutState.PAID


def test_a_result_without_our_id_is_found_by_m_pesas(rt, amina, daraja):
    heard = []

    def early(request):
        told = mpesa.payout_result(request | {"ocid": "lost"}, conversation="AG_1")
        heard.append(mpesa.post(rt, "b2c_result", told))

    daraja.meanwhile["b2c"] = early
    number = cashier.withdraw(rt, amina, 300)
    mpesa.work(rt)
    assert heard == ["orphan"]
    assert cashier.state(rt, number) == PayoutState.ACCEPTED

    mpesa.sweep(rt)
    assert cashier.state(rt, number) == PayoutState.PAID


def test_a_failure_gives_the_money_back_once(rt, amina, daraja, number):
    assert [tell(rt, daraja, 2040) for _ in range(3)] == ["released", "late", "late"]

    assert cashier.state(rt, number) == PayoutState.FAILED
    assert (mpesa.balance(rt, amina), cashier.pending(rt)) == (1_000_00, 0)
    assert mpesa.texts(rt, amina) == ["money.payout_returned"]
    assert teller.clean(rt)


def test_each_result_code_acts_as_the_table_says(rt, amina, daraja):
    codes = [code for code in PAYOUT if code.isdigit() or "_IC" in code]
    for code in codes:
        number = cashier.sent(rt, amina, 20)
        tell(rt, daraja, int(code) if code.isdigit() else code)

        act = PAYOUT[code].act
        state = {Act.TOP_UP: PayoutState.HELD, Act.DOUBT: PayoutState.IN_DOUBT}
        assert cashier.state(rt, number) == state.get(act, PayoutState.FAILED), code
        assert cashier.is_paused(rt) == (act in (Act.TOP_UP, Act.RELEASE_AND_PAUSE)), code
        if cashier.is_paused(rt):
            cashier.resume(rt)
    pausing = {code for code in codes if PAYOUT[code].act is Act.RELEASE_AND_PAUSE}
    assert pausing == {"11", "21", "2001", "2006", "2028", "8006"}


@pytest.mark.parametrize("code", [15, 17, 18, 20, 22, 24, 25, 26, 100000000, "strange"])
def test_a_code_that_proves_nothing_is_doubt(rt, amina, daraja, number, code):
    assert tell(rt, daraja, code) == "in doubt"

    assert cashier.state(rt, number) == PayoutState.IN_DOUBT
    assert cashier.pending(rt) == 300_00


@pytest.mark.parametrize(
    "odd",
    [{"amount": 299}, {"amount": "nonsense"}, {"payee": "254712000002 - BRIAN"}, {"receipt": "?"}],
)
def test_a_result_that_does_not_fit_books_nothing_and_is_asked_about(
    rt, amina, daraja, number, odd
):
    assert tell(rt, daraja, **odd) == "mismatch"
    assert cashier.state(rt, number) == PayoutState.IN_DOUBT

    mpesa.sweep(rt)
    assert len(daraja.requests("status_query")) == 1
    assert cashier.pending(rt) == 300_00


def test_a_failure_after_the_payment_changes_nothing(rt, amina, daraja, number):
    tell(rt, daraja)

    assert tell(rt, daraja, 2040) == "late"
    assert cashier.state(rt, number) == PayoutState.PAID
    assert mpesa.balance(rt, amina) == 700_00


def test_a_payment_after_the_money_was_given_back_is_an_incident(rt, amina, daraja, number):
    tell(rt, daraja, 2040)

    assert tell(rt, daraja) == "incident"

    assert cashier.state(rt, number) == PayoutState.FAILED
    assert mpesa.balance(rt, amina) == 700_00  # the rest of it: test_payout_incidents
    assert cashier.is_paused(rt)


@pytest.mark.parametrize("shape", ["echo", "result"])
def test_a_queue_timeout_is_not_final(rt, amina, daraja, number, shape):
    (request,) = daraja.requests("b2c")
    echo = {
        "OriginatorConversationID": request["ocid"],
        "SecurityCredential": "redacted",
        "Amount": 300,
    }
    told = echo if shape == "echo" else mpesa.payout_result(request, 1)

    assert mpesa.post(rt, "b2c_timeout", told) == "not final"

    assert cashier.state(rt, number) == PayoutState.IN_DOUBT
    assert tell(rt, daraja) == "paid"


def test_silence_is_doubt_and_is_asked_about_ever_more_rarely(rt, amina, daraja, number, wait):
    looked_at = [1, 2, 4, 5, 14, 15, 59, 60, 179, 180, 719, 720, 1_439, 1_440]
    asked_at, minute = [], 0
    for look in looked_at:
        wait(minutes=look - minute)
        minute, before = look, len(daraja.requests("status_query"))
        mpesa.sweep(rt)
        told = ["money.payout_checking"] if look >= 15 else []  # once, and not for what is usual
        assert mpesa.texts(rt, amina) == told
        if len(daraja.requests("status_query")) > before:
            asked_at.append(minute)

    assert asked_at == [2, 5, 15, 60, 180, 720]
    assert cashier.state(rt, number) == PayoutState.NEEDS_HUMAN
    assert cashier.pending(rt) == 300_00
    assert mpesa.texts(rt, amina) == ["money.payout_checking"]
    assert tell(rt, daraja) == "paid"


def test_a_status_answer_ends_the_doubt(rt, amina, daraja, wait):
    number = in_doubt(rt, amina, daraja, wait)

    assert answer(rt, daraja) == "paid"

    assert cashier.state(rt, number) == PayoutState.PAID
    assert mpesa.texts(rt, amina) == ["money.payout_sent"]
    assert answer(rt, daraja) == "duplicate"
    assert teller.clean(rt)


@pytest.mark.parametrize("status", ["Cancelled", "Declined", "Expired"])
def test_a_payment_that_m_pesa_ended_is_given_back(rt, amina, daraja, wait, status):
    number = in_doubt(rt, amina, daraja, wait)

    assert answer(rt, daraja, status) == "released"

    assert cashier.state(rt, number) == PayoutState.FAILED
    assert mpesa.balance(rt, amina) == 1_000_00


@pytest.mark.parametrize(
    ("status", "more"),
    [
        ("Initiated", {}),
        ("Authorized", {}),
        ("", {}),
        ("Completed", {"code": 25}),
        ("Completed", {"code": "SFC_IC0003"}),
        ("Completed", {"amount": 299}),
        ("Completed", {"payee": "254712000002 - BRIAN"}),
        ("Completed", {"receipt": ""}),
    ],
)
def test_an_answer_that_proves_nothing_leaves_the_doubt(rt, amina, daraja, wait, status, more):
    number = in_doubt(rt, amina, daraja, wait)

    assert answer(rt, daraja, status, **more) in ("open", "mismatch")

    assert cashier.state(rt, number) == PayoutState.IN_DOUBT
    assert cashier.pending(rt) == 300_00


def test_a_status_answer_before_its_query_was_answered_is_matched(rt, amina, daraja, wait):
    number = in_doubt(rt, amina, daraja, wait, ask=False)
    conversation = f"AG_{len(daraja.asked) + 1}"
    heard = []
    daraja.meanwhile["status_query"] = lambda request: heard.append(
        mpesa.post(rt, "status_result", answer_to(request, conversation))
    )
    mpesa.sweep(rt)
    assert heard == ["orphan"]

    mpesa.sweep(rt)
    assert cashier.state(rt, number) == PayoutState.PAID


def test_a_query_that_timed_out_is_asked_again(rt, amina, daraja, wait):
    in_doubt(rt, amina, daraja, wait)
    told = {"Result": {"ConversationID": f"AG_{len(daraja.asked)}", "ResultCode": 1}}

    assert mpesa.post(rt, "status_timeout", told) == "not final"
    assert mpesa.post(rt, "status_timeout", {"odd": True}) == "unmatched"

    wait(minutes=5)
    mpesa.sweep(rt)
    assert len(daraja.requests("status_query")) == 2


def test_an_empty_float_keeps_the_money_and_tries_with_a_new_id_once_the_old_is_dead(
    rt, amina, daraja, number
):
    assert tell(rt, daraja, 1) == "out of float"
    assert mpesa.payout(rt, number).held_for == HeldFor.FLOAT
    assert cashier.pending(rt) == 300_00
    mpesa.sweep(rt)
    assert daraja.requests("status_query") == []  # nothing moves until there is money again

    cashier.resume(rt)
    mpesa.sweep(rt)
    assert len(daraja.requests("b2c")) == 1  # not before M-PESA says that the first is dead
    assert answer(rt, daraja, "Cancelled") == "new attempt"
    mpesa.work(rt)

    first, second = daraja.requests("b2c")
    assert first["ocid"] != second["ocid"]
    assert tell(rt, daraja, request=second) == "paid"
    assert mpesa.balance(rt, amina) == 700_00
    assert teller.clean(rt)


def test_a_dead_attempt_that_was_paid_after_all_is_an_incident(rt, amina, daraja, number):
    tell(rt, daraja, 1)
    cashier.resume(rt)
    mpesa.sweep(rt)
    answer(rt, daraja, "Cancelled")
    first = daraja.requests("b2c")[0]

    assert tell(rt, daraja, request=first) == "incident"
    assert tell(rt, daraja, 1, request=first) == "late"
    assert answer(rt, daraja) == "incident"
    assert cashier.is_paused(rt)


@pytest.mark.parametrize("told_by", ["result", "status"])
def test_a_dead_attempt_that_was_paid_after_all_is_not_paid_once_more(
    rt, amina, daraja, number, told_by
):
    tell(rt, daraja, 1)
    cashier.resume(rt)
    mpesa.sweep(rt)
    answer(rt, daraja, "Cancelled")  # and the second attempt waits for its worker

    first = daraja.requests("b2c")[0]
    told = tell(rt, daraja, request=first) if told_by == "result" else answer(rt, daraja)
    assert told == "incident"
    cashier.resume(rt)
    for _ in range(2):
        mpesa.sweep(rt)

    assert daraja.requests("b2c") == [first]
    assert cashier.state(rt, number) == PayoutState.PAID
    assert mpesa.texts(rt, amina) == ["money.payout_sent"]
    assert teller.clean(rt)


def test_an_empty_float_that_was_paid_after_all_is_paid(rt, amina, daraja, number):
    tell(rt, daraja, 1)
    cashier.resume(rt)
    mpesa.sweep(rt)

    assert answer(rt, daraja) == "paid"
    assert cashier.state(rt, number) == PayoutState.PAID
    assert len(daraja.requests("b2c")) == 1


def test_a_receipt_is_one_payouts_or_one_deposits(rt, amina, daraja, number, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    checkout = f"ws_CO_{len(daraja.asked)}"
    mpesa.post(rt, "stk", mpesa.push_result(checkout, receipt="SKSAME0001"))

    assert tell(rt, daraja, receipt="SKSAME0001") == "conflict"
    assert cashier.state(rt, number) == PayoutState.ACCEPTED
    assert cashier.pending(rt) == 300_00


def test_strangers_and_garbage_change_nothing(rt, amina, daraja, number):
    (request,) = daraja.requests("b2c")
    insides: list[object] = [None, [], {"ResultCode": 0}, {"ResultCode": None}]
    for inside in insides:
        for door in ("b2c_result", "status_result"):
            assert mpesa.post(rt, door, {"Result": inside}) == "unreadable"
    stranger = mpesa.payout_result(request | {"ocid": str(uuid.uuid4())})
    assert mpesa.post(rt, "b2c_result", stranger) == "orphan"
    assert mpesa.post(rt, "b2c_timeout", {"OriginatorConversationID": "x"}) == "unmatched"
    assert mpesa.post(rt, "status_result", mpesa.status_result("AG_none")) == "orphan"

    assert cashier.state(rt, number) == PayoutState.ACCEPTED


@pytest.mark.race
def test_threads_that_bring_success_and_failure_end_it_once(rt, amina, daraja, number):
    (request,) = daraja.requests("b2c")

    def bring(place):
        code = 0 if place % 2 else 2040
        return mpesa.post(rt, "b2c_result", mpesa.payout_result(request, code))

    verdicts = teller.at_once(12, bring)

    assert sum(verdict in ("paid", "released") for verdict in verdicts) == 1
    assert mpesa.balance(rt, amina) + cashier.pending(rt) in (700_00, 1_000_00)
    assert teller.clean(rt)


def tell(rt, daraja, code=0, *, request=None, **odd):
    """M-PESA's result for the first payout that was asked, or for `request`."""
    request = request or daraja.requests("b2c")[-1]
    return mpesa.post(rt, "b2c_result", mpesa.payout_result(request, code, **odd))


def in_doubt(rt, customer, daraja, wait, *, ask=True):
    """A payout of KES 300 whose answer was lost, and that M-PESA has been asked about."""
    number = cashier.withdraw(rt, customer, 300)
    daraja.says["b2c"] = Unknown("read timed out", code="no_answer")
    mpesa.work(rt)
    daraja.says.clear()
    assert cashier.state(rt, number) == PayoutState.IN_DOUBT
    wait(minutes=3)
    if ask:
        mpesa.sweep(rt)
        assert len(daraja.requests("status_query")) == 1
    return number


def answer_to(request, conversation, status="Completed", **more):
    told = {
        "payer": f"{B2C_SHORTCODE} - HOUSE",
        "payee": "254712000001 - AMINA",
        "amount": 300,
        "receipt": "SKP1PAYOUT",
        "ocid": request["ocid"],  # M-PESA may echo the payment's id instead of the question's
    }
    return mpesa.status_result(conversation, status, **(told | more))


def answer(rt, daraja, status="Completed", **more):
    """M-PESA's answer to the last status query."""
    place = max(n for n, (kind, _) in enumerate(daraja.asked, 1) if kind == "status_query")
    request = daraja.asked[place - 1][1]
    return mpesa.post(rt, "status_result", answer_to(request, f"AG_{place}", status, **more))
