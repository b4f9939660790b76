"""How payments stand on a feature phone, paying by hand, and the payment that did not arrive."""

import pytest
from sqlalchemy import select

from core import payouts
from core.code_claims import CodeClaim, CodeState
from core.config import Config
from core.customers import Customer
from core.payments import Deposit
from core.runtime import Runtime
from demo.engines import Urls
from tests import cashier, mpesa, people, teller
from tests.ground import config_for
from tests.people import PIN
from tests.ussd.handset import Handset


@pytest.fixture
def config(urls: Urls) -> Config:
    """A house in which no payout is so large that somebody has to look at it first."""
    return config_for(urls, PAYOUT_HOLD_OVER="1000000")


@pytest.fixture(autouse=True)
def daraja(rt: Runtime) -> mpesa.Daraja:
    return mpesa.Daraja(rt)


def test_paybill_on_request_names_the_callers_own_number(phone: Handset, rt: Runtime) -> None:
    phone.dial("3").sees("02 Paybill").press("02")
    phone.sees("Lipa na M-PESA", f"Paybill {rt.config.mpesa_shortcode}", "account 0712000001")


def test_a_failed_deposit_can_be_paid_by_hand_under_its_own_reference(
    phone: Handset, rt: Runtime, amina: Customer, wait
) -> None:
    asked = teller.ask(rt, amina, 250)
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", 1037))
    phone.dial("3*01").sees("not paid", "1 Try again")
    phone.press("98").sees("3 I have paid").press("2").sees(f"account {asked.ref}", "KES 250")


def test_a_payment_that_is_missing_is_claimed_by_its_code(
    phone: Handset, rt: Runtime, amina: Customer, daraja: mpesa.Daraja
) -> None:
    phone.dial("3").sees("03 Paid, not credited").press("03").sees("Type the M-PESA code")
    for wrong in ("4826", "hello", "QWE12", ""):
        phone.press(wrong).sees("has 10 letters and numbers")
    phone.press("qwe12rty34").sees("We are asking M-PESA about QWE12RTY34", "0 Back")
    asked = phone.screen
    assert phone.repeat().screen == asked
    rt.redis.flushdb()
    assert phone.repeat().screen == asked
    mpesa.work(rt)
    assert len(daraja.requests("status_query")) == 1
    mpesa.post(rt, "status_result", mpesa.status_result("AG_1", receipt="QWE12RTY34"))
    assert mpesa.balance(rt, amina) == 1_100_00
    with rt.transaction() as tx:
        (claim,) = tx.scalars(select(CodeClaim))
        (deposit,) = tx.scalars(select(Deposit))
    assert (claim.state, claim.deposit_id) == (CodeState.CREDITED, deposit.id)
    phone.dial("3*01").sees("KES 100 reached your wallet", "QWE12RTY34")
    phone.dial("3*03*QWE12RTY34").press("QWE12RTY34").sees("added to your account already")


def test_too_many_codes_are_refused(phone: Handset, rt: Runtime) -> None:
    for number in range(rt.config.claims_per_day):
        phone.dial("3*03").press(f"QWE12RTY{number:02}").sees("asking")
    phone.dial("3*03").press("QWE12RTY99").sees("You have sent 5 codes in one day")


def test_the_last_withdrawal_says_how_it_stands(
    phone: Handset, rt: Runtime, amina: Customer, daraja: mpesa.Daraja, wait
) -> None:
    phone.dial("4").sees_not("01 ")
    cashier.withdraw(rt, amina, 300)
    phone.dial("4").sees("01 Last: KES 300, on its way").press("01").sees(
        "on its way to your M-PESA"
    )
    mpesa.work(rt)
    (request,) = daraja.requests("b2c")
    wait(seconds=rt.config.payout_result_wait.seconds)
    mpesa.sweep(rt)
    doubted = "KES 300 on its way to M-PESA, we are checking"
    for way in ("", "4", "6"):
        phone.dial(way).sees(doubted)
    phone.dial("6*1").press("1").sees("Withdrawal of KES 300", "we are checking it with M-PESA")
    mpesa.post(rt, "b2c_result", mpesa.payout_result(request))
    phone.dial("").sees_not("checking")
    phone.dial("4").sees("01 Last: KES 300, sent").press("01").sees("receipt SKP1PAYOUT")
    cashier.withdraw(rt, amina, 200)
    mpesa.work(rt)
    mpesa.post(rt, "b2c_result", mpesa.payout_result(daraja.requests("b2c")[-1], 2040))
    phone.dial("4").sees("01 Last: KES 200, not sent")
    phone.press("01").sees("back in your wallet", "not registered for M-PESA")


def test_a_split_withdrawal_is_told_as_one(
    phone: Handset, rt: Runtime, amina: Customer, daraja: mpesa.Daraja
) -> None:
    people.fund(rt, amina, 300_000_00)
    phone.dial("4*300000").press(PIN, "1").sees("KES 300,000 is on its way", "in 2 parts").ended()
    mpesa.work(rt)
    first, second = daraja.requests("b2c")
    mpesa.post(rt, "b2c_result", mpesa.payout_result(first))
    phone.dial("4").sees("01 Last: KES 300,000, on its way")
    mpesa.post(rt, "b2c_result", mpesa.payout_result(second, 4))
    phone.dial("4").sees("01 Last: KES 300,000, sent in part")
    phone.press("01").sees("KES 150,000 sent", "the rest is back", "M-PESA limit for today")


def test_nothing_is_withdrawn_for_a_day_after_a_new_pin(
    phone: Handset, rt: Runtime, amina: Customer, wait
) -> None:
    with rt.transaction() as tx:
        tx.get_one(Customer, amina.id).pin_reset_at = rt.now()
    phone.dial("4").sees("Your PIN was reset, so withdrawals open on", "4 Withdraw")
    wait(hours=24)
    phone.dial("4").sees("How much do you want to withdraw?")


def test_a_withdrawal_that_has_not_left_is_taken_back(
    phone: Handset, rt: Runtime, amina: Customer
) -> None:
    cashier.withdraw(rt, amina, 300)
    phone.dial("4*01").sees("on its way", "1 Cancel it").press("1")
    phone.sees("KES 300 is back in your wallet. Balance KES 1,000.")
    told = phone.screen
    assert phone.repeat().screen == told
    rt.redis.flushdb()
    assert phone.repeat().screen.startswith("KES 300 is back")
    phone.dial("4").sees("01 Last: KES 300, not sent").press("01").sees_not("Cancel it")


def test_one_that_has_left_meanwhile_is_not(phone: Handset, rt: Runtime, amina: Customer) -> None:
    cashier.withdraw(rt, amina, 300)
    phone.dial("4*01").sees("1 Cancel it")
    mpesa.work(rt)
    phone.press("1")
    assert mpesa.balance(rt, amina) == 700_00


def test_a_withdrawal_that_waits_for_us_says_so(
    phone: Handset, rt: Runtime, amina: Customer, daraja: mpesa.Daraja
) -> None:
    with rt.transaction() as tx:
        payouts.pause(tx, "1", "our float is empty", now=rt.now())
    cashier.withdraw(rt, amina, 300)
    mpesa.work(rt)
    phone.dial("4").sees("01 Last: KES 300, waiting").press("01")
    phone.sees("waiting on our side", "Your money is safe", "1 Cancel it")
