"""Deposit and bet by text: the offer, the one word that takes it, and payments by code and hand."""

import pytest
from sqlalchemy import func, select

from core import staff
from core.betting import Bet
from core.customers import Customer
from core.markets import Market
from core.orders import DepositOrder
from core.payments import Deposit
from core.runtime import Runtime
from core.staff import Staff
from tests import cashier, games, mpesa, people, teller
from tests.people import PIN
from tests.sms.phone import Phone


@pytest.fixture(autouse=True)
def daraja(rt: Runtime) -> mpesa.Daraja:
    return mpesa.Daraja(rt)


@pytest.fixture
def derby(rt: Runtime, wanjiku: Staff) -> Market:
    return games.derby(rt, wanjiku)


@pytest.fixture
def poor(rt: Runtime) -> Customer:
    return people.customer(rt, "+254712000007", "Otieno Odhiambo", money=30_00)


@pytest.fixture
def phone(rt: Runtime, poor: Customer) -> Phone:
    return Phone(rt, poor.phone)


def count(rt: Runtime, table: type) -> int:
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(table)) or 0


def paid(rt: Runtime, wait, shillings: int) -> None:
    teller.push(rt, wait)
    with rt.transaction() as tx:
        newest = select(Deposit).order_by(Deposit.id.desc()).limit(1)
        checkout = tx.scalars(newest).one().checkout_request_id
    assert checkout
    told = mpesa.push_result(checkout, amount=shillings, phone=254712000007)
    mpesa.post(rt, "stk", told)


def test_yes_brings_the_money_and_the_bet(phone: Phone, rt: Runtime, poor, derby, wait) -> None:
    reply = phone.text(f"{derby.code}#1#100")
    assert reply == (
        f"You have KES 30. Deposit KES 70 and bet KES 100 on Yes, game {derby.code}?"
        " Send YES to 22384 within 5 minutes."
    )
    assert count(rt, Deposit) == 0
    assert "Your bet is placed as soon as it is paid" in phone.text("YES")
    assert phone.text("YES") == "There is no offer to say YES to. Send your bet again."
    paid(rt, wait, 70)
    assert (count(rt, Bet), mpesa.balance(rt, poor)) == (1, 0)
    assert "placed: KES 100 on Yes" in phone.inbox()[-1]


def test_the_offer_is_in_the_customers_language(phone: Phone, derby, wait) -> None:
    phone.text("LANG SW")
    assert "Tuma NDIO kwa 22384 ndani ya dakika 5" in phone.text(f"{derby.code}#1#100")
    wait(minutes=5)
    assert phone.text("NDIO") == "Ofa hiyo imeisha. Tuma bet yako tena."


def test_the_same_yes_twice_asks_once(phone: Phone, rt: Runtime, derby) -> None:
    phone.text(f"{derby.code}#1#100")
    phone.text("YES", id="ATXid_yes")
    phone.client.post(
        f"/hooks/{rt.config.aggregator_hook_token[0].get_secret_value()}/sms",
        data={"id": "ATXid_yes", "from": phone.number, "to": "22384", "text": "YES"},
    )
    assert (count(rt, Deposit), count(rt, DepositOrder)) == (1, 1)


def test_a_bet_above_the_limit_needs_its_pin_before_anything_is_offered(
    phone: Phone, rt: Runtime, derby
) -> None:
    assert "need your PIN" in phone.text(f"{derby.code}#1#300")
    assert phone.text("YES").startswith("There is no offer")
    reply = phone.text(f"{derby.code}#1#300 {PIN}")
    assert "Deposit KES 270 and bet KES 300" in reply
    assert "Delete your text" in reply
    phone.text("YES")
    with rt.transaction() as tx:
        assert tx.scalars(select(DepositOrder)).one().with_pin


def test_a_game_that_closed_after_the_offer_is_not_paid_for(
    phone: Phone, rt: Runtime, derby, wanjiku
) -> None:
    phone.text(f"{derby.code}#1#100")
    games.close(rt, derby, wanjiku)
    assert phone.text("YES").startswith("Betting on this game has closed")
    assert count(rt, Deposit) == 0


def test_several_bets_on_one_text_get_no_offer(phone: Phone, rt: Runtime, derby) -> None:
    reply = phone.text(f"{derby.code}#1#100 {derby.code}#2#90")
    assert "not enough money" in reply
    assert count(rt, DepositOrder) == 0


def test_who_could_not_bet_on_it_anyway_is_told_so(phone: Phone, rt: Runtime, derby, wait) -> None:
    phone.text(f"{derby.code}#1#100")
    assert count(rt, DepositOrder) == 1
    phone.text(f"{derby.code}#2#100")
    phone.text("YES")
    with rt.transaction() as tx:
        outcomes = tx.scalars(select(DepositOrder.outcome).order_by(DepositOrder.id)).all()
    assert outcomes == [1, 2]


def test_whoever_works_for_the_house_is_asked_for_no_money(
    phone: Phone, rt: Runtime, poor, derby
) -> None:
    with rt.transaction() as tx:
        staff.add(tx, "otieno", staff.Role.VIEWER, now=rt.now(), number=poor.phone)
    assert "Our staff may not bet" in phone.text(f"{derby.code}#1#100")
    assert "Our staff may not bet" in phone.text(f"{derby.code}#1#20")
    phone.text("LANG SW")
    assert "Wafanyakazi wetu hawaruhusiwi" in phone.text(f"{derby.code}#1#20")
    assert (count(rt, Bet), count(rt, DepositOrder), mpesa.balance(rt, poor)) == (0, 0, 30_00)


def test_a_pin_that_looks_like_a_stake_is_neither_used_nor_kept(phone: Phone, derby) -> None:
    reply = phone.text(f"{derby.code}#1#102#2#{PIN}")
    assert reply.startswith("No bet was placed: each needs its own amount")
    assert PIN not in reply
    assert PIN not in phone.kept()[-1].masked


def test_a_payment_is_claimed_by_its_code(phone: Phone, rt: Runtime, poor, daraja) -> None:
    assert phone.text("CLAIM 4826").startswith("Paid, but not credited?")
    assert phone.text("claim qwe12rty34").startswith("We are asking M-PESA about QWE12RTY34")
    mpesa.work(rt)
    told = mpesa.status_result("AG_1", receipt="QWE12RTY34", payer="254712000007 - OTIENO")
    assert mpesa.post(rt, "status_result", told) == "credited"
    assert mpesa.balance(rt, poor) == 130_00
    assert "added to your account already" in phone.text("CLAIM QWE12RTY34")


def test_how_to_pay_by_hand(phone: Phone, rt: Runtime, wait) -> None:
    assert f"Paybill {rt.config.mpesa_shortcode}, account 0712000007" in phone.text("PAYBILL")
    phone.text("DEP 50")
    teller.push(rt, wait)
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1", 1037))
    with rt.transaction() as tx:
        ref = tx.scalars(select(Deposit.ref)).one()
    assert f"Or by Paybill {rt.config.mpesa_shortcode}, account {ref}." in phone.inbox()[-1]
    assert f"account {ref}, and KES 50" in phone.text("LIPA")


def test_status_tells_of_deposits_and_withdrawals(phone: Phone, rt: Runtime, poor, daraja) -> None:
    assert phone.text("STATUS W").startswith("You have made no withdrawal yet")
    people.fund(rt, poor, 500_00)
    cashier.withdraw(rt, poor, 300)
    assert "on its way to your M-PESA" in phone.text("STATUS")
    mpesa.work(rt)
    mpesa.post(rt, "b2c_result", mpesa.payout_result(daraja.requests("b2c")[0]))
    phone.text("DEP 50")
    first, second = phone.text("STATUS").split("\n") if "\n" in phone.text("STATUS") else ("", "")
    assert "SKP1PAYOUT" in phone.text("STATUS W")
    assert not first or ("waiting" in first and "SKP1PAYOUT" in second)


def test_a_withdrawal_that_failed_says_why(phone: Phone, rt: Runtime, poor, daraja) -> None:
    people.fund(rt, poor, 500_00)
    cashier.withdraw(rt, poor, 300)
    mpesa.work(rt)
    told = mpesa.payout_result(daraja.requests("b2c")[0], 2040)
    mpesa.post(rt, "b2c_result", told)
    assert "not registered for M-PESA" in phone.text("STATUS W")
