"""What M-PESA says we hold, beside the ledger; and the age of the operator's password."""

import uuid
from datetime import timedelta

import pytest
from prometheus_client import generate_latest
from sqlalchemy import select
from structlog.testing import capture_logs

from admin.gauges import House
from core import balances, jobs, operator_password, outbox
from core.balances import BalanceReading, Held, ReadingState
from core.errors import NotSent, Rejected, Unknown
from core.outbox import MONEY
from core.say import NAIROBI
from core.staff import Role
from demo.settings import B2C_SHORTCODE, PAYBILL
from tests import cashier, mpesa, people, teller
from tests.finance import keep, post


@pytest.fixture
def daraja(rt):
    daraja = mpesa.Daraja(rt)
    rt.senders["balance"] = lambda request: daraja.answer("balance", request)
    return daraja


def ask(rt):
    """M-PESA is asked; the ids of its answers by shortcode."""
    with rt.transaction() as tx:
        balances.ask(tx, rt.now(), rt.config)
    work(rt)
    with rt.transaction() as tx:
        found = select(BalanceReading).order_by(BalanceReading.id.desc()).limit(2)
        return {one.shortcode: one.conversation_id for one in tx.scalars(found)}


def work(rt):
    with rt.transaction() as tx:
        due = outbox.due(tx, MONEY, now=rt.now(), limit=100)
    for promise_id in due:
        jobs.deliver(promise_id)


def told(conversation, *, utility=0, working=0, charges=0, at=None, code=0):
    """The result of a balance query, in shillings."""
    accounts = {"Working Account": working, "Float Account": 0, "Utility Account": utility,
                "Charges Paid Account": charges, "Organization Settlement Account": 0}  # fmt: skip
    said = "&".join(
        f"{name}|KES|{amount:.2f}|{amount:.2f}|0.00|0.00" for name, amount in accounts.items()
    )
    result = {"ResultType": 0, "ResultCode": code, "ResultDesc": "told", "TransactionID": "X1",
              "ConversationID": conversation,
              "OriginatorConversationID": str(uuid.uuid4())}  # fmt: skip
    if code == 0:
        stamp = int(f"{at.astimezone(NAIROBI):%Y%m%d%H%M%S}")
        result["ResultParameters"] = {
            "ResultParameter": [
                {"Key": "AccountBalance", "Value": said},
                {"Key": "BOCompletedTime", "Value": stamp},
            ]
        }
    return {"Result": result}


def reading(rt, shortcode=PAYBILL):
    with rt.transaction() as tx:
        newest = select(BalanceReading).where(BalanceReading.shortcode == shortcode)
        return tx.scalars(newest.order_by(BalanceReading.id.desc())).first()


def sweep(rt):
    with rt.transaction() as tx:
        balances.sweep(tx, rt.now(), rt.config)


def compared(rt, wait, shillings, *, shortcode=B2C_SHORTCODE, **more):
    """What comes of a reading in which M-PESA says so much, a quarter of an hour later."""
    conversation = ask(rt)[shortcode]
    told_at = more.pop("at", None) or rt.now()
    answer = told(conversation, utility=shillings, at=told_at, **more)
    assert mpesa.post(rt, "balance_result", answer) == "read"
    sweep(rt)
    assert reading(rt, shortcode).state == ReadingState.READ
    wait(minutes=16)
    sweep(rt)
    found = reading(rt, shortcode)
    assert found.state == ReadingState.COMPARED
    return found.verdict, found.difference, found.drift


def test_each_shortcode_is_asked_and_read(rt, daraja):
    ids = ask(rt)
    assert daraja.requests("balance") == [{"shortcode": PAYBILL}, {"shortcode": B2C_SHORTCODE}]
    now = rt.now()
    answer = told(ids[PAYBILL], utility=700_000, working=12.5, charges=-1_540, at=now)
    assert mpesa.post(rt, "balance_result", answer) == "read"
    assert mpesa.post(rt, "balance_result", answer) == "again"
    found = reading(rt)
    assert (found.utility, found.working, found.charges) == (700_000_00, 12_50, -1_540_00)
    assert abs(found.read_at - now) < timedelta(seconds=1)
    assert reading(rt, B2C_SHORTCODE).state == ReadingState.ASKED


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ("Utility Account|KES|5.00|5.00|0.00|0.00", Held(5_00, 0, 0)),
        ("utility account|KES|5", Held(5_00, 0, 0)),
        ("Working Account|KES|7.00|7.00|0.00|0.00&Utility Account|KES|-1.50|0|0|0",
         Held(-1_50, 7_00, 0)),
        ("Working Account|KES|7.00", None),
        ("Utility Account|KES|much", None),
        ("Utility Account", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_accounts_as_m_pesa_writes_them(said, held):
    assert balances.read(said) == held


def test_an_answer_before_our_question_was_answered_is_not_lost(rt, daraja):
    heard = []

    def early(request):
        if request["shortcode"] == PAYBILL:
            answer = told("AG_1", utility=5, at=rt.now())
            heard.append(mpesa.post(rt, "balance_result", answer))

    daraja.meanwhile["balance"] = early
    ask(rt)
    assert heard == ["orphan"]
    assert reading(rt).utility == 5_00


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Unknown("x"), ReadingState.LOST),
        (Rejected("x"), ReadingState.LOST),
        (NotSent("x"), ReadingState.WAITING),
    ],
)
def test_a_question_that_failed(rt, daraja, wait, error, state):
    daraja.says["balance"] = error
    ask(rt)
    assert reading(rt).state == state
    daraja.says.clear()
    wait(minutes=2)
    work(rt)
    assert (reading(rt).state == ReadingState.ASKED) == (state == ReadingState.WAITING)


def test_no_answer_a_refusal_and_a_timeout_are_no_reading(rt, daraja, wait):
    ids = ask(rt)
    assert mpesa.post(rt, "balance_result", told(ids[PAYBILL], code=21)) == "refused"
    late = {"Result": {"ConversationID": ids[B2C_SHORTCODE], "ResultCode": 1}}
    assert mpesa.post(rt, "balance_timeout", late) == "not final"
    assert reading(rt).state == reading(rt, B2C_SHORTCODE).state == ReadingState.LOST
    ask(rt)
    wait(minutes=31)
    sweep(rt)
    assert reading(rt).state == ReadingState.LOST
    assert mpesa.post(rt, "balance_timeout", {}) == "unmatched"
    assert mpesa.post(rt, "balance_result", {"Result": 5}) == "unreadable"


def test_the_ledger_is_compared_at_m_pesas_moment(rt, amina, daraja, wait):
    finance = [people.member(rt, name, Role.FINANCE) for name in ("fatuma", "otieno")]
    post(rt, finance, "owner in", 50_000, "B1")
    post(rt, finance, "top up", 40_000, "B2", shortcode=B2C_SHORTCODE)
    wait(days=1)  # the entry is of yesterday's noon, or today's
    assert compared(rt, wait, 40_000)[0] == "agrees"
    cashier.sent(rt, amina, 300)
    mpesa.post(rt, "b2c_result", mpesa.payout_result(daraja.requests("b2c")[0]))
    # The test's payout says that it was done on a day before: by then M-PESA had it too.
    assert compared(rt, wait, 39_700) == ("agrees", 0, 0)
    assert compared(rt, wait, 39_000) == ("differs", -700_00, -700_00)
    assert compared(rt, wait, 39_000) == ("differs", -700_00, 0)
    assert compared(rt, wait, 40_400, charges=-700) == ("agrees", 0, 700_00)


def test_what_came_after_m_pesas_moment_is_left_out(rt, amina, daraja, wait):
    conversation = ask(rt)[PAYBILL]
    moment = rt.now()
    keep(rt, "SKB0000001", 100_00, moment - timedelta(minutes=1))
    mpesa.post(rt, "balance_result", told(conversation, utility=100, at=moment))
    keep(rt, "SKB0000002", 70_00, moment + timedelta(minutes=1))
    wait(minutes=16)
    sweep(rt)
    assert (reading(rt).verdict, reading(rt).ledger) == ("agrees", 100_00)


def test_what_is_under_way_explains_a_difference(rt, amina, daraja, wait):
    cashier.sent(rt, amina, 300)
    assert compared(rt, wait, -300)[0] == "in flight"
    assert compared(rt, wait, -301)[0] == "differs"
    assert compared(rt, wait, 1)[0] == "differs"
    assert compared(rt, wait, 0)[0] == "agrees"
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    assert compared(rt, wait, 100, shortcode=PAYBILL)[0] == "in flight"
    assert compared(rt, wait, 101, shortcode=PAYBILL)[0] == "differs"


@pytest.mark.parametrize(("shillings", "alerts"), [(50_000, 0), (49_999, 1), (-5, 1)])
def test_a_low_float_is_said_once_a_reading(rt, daraja, shillings, alerts):
    ids = ask(rt)
    with capture_logs() as said:
        for shortcode in (PAYBILL, B2C_SHORTCODE):  # payouts leave from the second alone
            answer = told(ids[shortcode], utility=shillings, at=rt.now())
            mpesa.post(rt, "balance_result", answer)
            mpesa.post(rt, "balance_result", answer)
    assert [one["event"] for one in said].count("float is low") == alerts
    figures = generate_latest(House(rt))
    assert f"float_low {float(alerts)}".encode() in figures
    assert f'account="utility",shortcode="{PAYBILL}"}} {float(shillings)}'.encode() in figures


@pytest.mark.parametrize(("days", "alerts"), [(0, 0), (79, 0), (80, 1), (89, 1), (120, 1)])
def test_the_operators_password_grows_old(rt, days, alerts):
    today = rt.now().astimezone(NAIROBI).date()
    rt.config = rt.config.model_copy(update={"mpesa_password_set_on": today - timedelta(days=days)})
    with capture_logs() as said:
        operator_password.check(rt)
    assert operator_password.age(rt.config, now=rt.now()) == days
    assert [(one["count"], one["left"]) for one in said] == [(days, 90 - days)] * alerts


def test_a_password_without_a_date_is_said_where_it_matters(rt):
    with capture_logs() as said:
        operator_password.check(rt)
        assert operator_password.age(rt.config, now=rt.now()) is None
        rt.config = rt.config.model_copy(update={"app_env": "production"})
        operator_password.check(rt)
    assert [one["event"] for one in said] == ["operator password has no date"]
