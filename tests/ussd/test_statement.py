"""The statement on a feature phone: lists, filters, pages, details, and the SMS."""

import pytest
from sqlalchemy import select, text

from core.customers import Customer
from core.messages import Message
from core.runtime import Runtime
from core.staff import Staff
from tests import affairs, games
from tests.core.test_verify import as_owner
from tests.ussd.handset import Handset


@pytest.fixture
def busy(rt: Runtime, amina: Customer, brian: Customer, wanjiku: Staff, kamau: Staff) -> None:
    """Amina has a line of every sort."""
    affairs.of(rt, amina, brian, wanjiku, kamau)


def test_the_newest_lines_are_two_presses_away(phone: Handset, busy: None) -> None:
    phone.dial().sees("6 Statement").press("6").sees("1 Latest", "2 By kind", "5 Send by SMS")
    phone.press("1").sees("01 Show only..", "Deposit 95, failed", "Deposit +90", "98 More")
    phone.press("98").sees("To M-PESA -70, waiting")
    while "98 More" in phone.screen:
        phone.press("98")
    phone.sees("11 ", "Adjustment +1,000", "0 Back")


def test_every_line_opens_its_detail(phone: Handset, busy: None) -> None:
    for number, part in (
        (1, "KES 95 not paid"),
        (2, "M-PESA receipt QAB1234567. Balance after it KES 1,655."),
        (3, "KES 80"),
        (4, "Back to wallet, KES 60. Balance after it KES 1,565"),
        (5, "on its way to your M-PESA."),
        (6, "KES 60 did not reach your M-PESA. This number is not registered for M-PESA. It is"),
        (7, "Bet 3: KES 50 on Yes"),
        (8, "won"),
        (9, "won"),
        (10, "Adjustment, KES 500"),
    ):
        phone.dial("6*1").press(str(number)).sees(part, "0 Back")
        phone.press("0").sees("Statement")


def test_a_list_is_narrowed_down_step_by_step(phone: Handset, busy: None) -> None:
    phone.dial("6*2").sees("1 Deposits", "2 Bets", "3 To M-PESA", "4 Other").press("3")
    phone.sees("Statement: To M-PESA", "-70, waiting")
    phone.press("01").sees("1 Latest", "2 By state", "3 By date").sees_not("By kind", "SMS")
    phone.press("2").sees("1 Waiting", "2 Done", "3 Failed").press("3")
    phone.sees("Statement: To M-PESA, Failed", "To M-PESA -60, failed").sees_not("waiting")
    phone.press("01").press("2").sees("1 Today", "2 7 days", "3 This month").press("1")
    phone.sees("To M-PESA, Failed, Today", "-60, failed").sees_not("01 Show")
    phone.press("0", "0", "0").sees("Statement: To M-PESA, Failed")


def test_an_empty_list_says_so(phone: Handset) -> None:
    phone.dial("6*3*3").sees("Statement: Failed", "Nothing here yet.", "01 Show only..")


def test_older_lines_follow_the_newest_twenty(
    phone: Handset, rt: Runtime, amina: Customer, wanjiku: Staff
) -> None:
    derby = games.derby(rt, wanjiku)
    for stake in range(20, 42):
        games.placed(rt, amina, derby, 1, stake)
    phone.dial("6*2*2").sees("1 ", "-41, waiting")
    while "98 More" in phone.screen:
        phone.press("98")
    phone.sees("-22, waiting", "21 Older").press("21").sees("-21, waiting", "-20, waiting")
    phone.sees_not("Older")


def test_a_digit_keeps_its_line_while_new_ones_arrive(
    phone: Handset, rt: Runtime, amina: Customer, busy: None
) -> None:
    phone.dial("6*1").sees("2 ", "Deposit +90")
    affairs.deposited(rt, amina, 33, "QAB7654321")
    phone.press("2").sees("QAB1234567")


def test_a_deposit_that_arrives_meanwhile_is_said(
    phone: Handset, rt: Runtime, amina: Customer
) -> None:
    asked = affairs.stored(rt, amina, 80, 3)
    phone.dial("6*1").sees("Deposit 80, waiting")
    with rt.transaction() as tx:
        tx.execute(
            text("""SELECT credit_receipt('QAB1234567', '600000', 8000, 1::smallint, :deposit,
                                          app_now(), true)"""),
            {"deposit": asked},
        )
    phone.press("1").sees("has arrived since")


def test_it_comes_by_sms_once_for_the_same_lines(
    phone: Handset, rt: Runtime, amina: Customer, busy: None
) -> None:
    phone.dial("6*5").sees("5 Send by SMS")  # a path leads through no effect
    phone.press("5").sees("sending your statement by SMS")
    phone.dial("6").press("5").sees("sending your statement by SMS")
    with rt.transaction() as tx:
        sent = [one for one in tx.scalars(select(Message)) if "Balance" in (one.body or "")]
    assert len(sent) == 1


@pytest.mark.parametrize("lang", ["en", "sw"])
def test_the_worst_payouts_and_receipts_fit(
    phone: Handset, rt: Runtime, busy: None, lang: str
) -> None:
    with as_owner(rt) as connection:
        for change in (
            "UPDATE transfer SET amount = 99999999999,"
            " credit_balance_after = credit_seq * 0 + 99999999999,"
            " debit_balance_after = debit_seq * 0 + 99999999999",
            f"UPDATE customer SET lang = '{lang}'",
            "UPDATE market SET code = 999000 + id",
            "UPDATE payout SET failure = 'money.why_receiver_day_limit' WHERE state = 9",
        ):
            connection.execute(text(change))
    for number in range(1, 11):  # the handset refuses what does not fit
        phone.dial("6*1").press(str(number)).sees("0 ")
