"""Orders: what is missing for a bet is asked for, and the bet follows the money or does not."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from core import levies, limits, orders
from core.betting import Bet, Placed
from core.effects import Channel, Refused
from core.limits import Kind, Period
from core.messages import Message
from core.orders import DepositOrder, Ordered, OrderState
from core.payments import Deposit, DepositState
from core.wishes import Terms, Wish
from tests import games, mpesa, people, teller
from tests.core.test_levies import paid, taxed

CROWD = 8  # orders that land while a market closes
DAILY = {"kind": Kind.STAKE, "period": Period.DAY}


@pytest.fixture(autouse=True)
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def derby(rt, wanjiku):
    return games.derby(rt, wanjiku)


def wish(market, shillings, *, outcome=1, with_pin=True, channel=Channel.USSD):
    return Wish(market.id, outcome, shillings * 100, with_pin, channel, "test")


def ask(rt, customer, wanted, *, key=None):
    """The answer to a customer who wants to deposit what is missing, and bet."""
    with rt.transaction() as tx:
        return orders.ask(
            tx,
            key=key or uuid.uuid4(),
            customer=tx.merge(customer, load=False),
            wish=wanted,
            now=rt.now(),
            config=rt.config,
        )


def pushed(rt, wait):
    """The newest push is on the phone; its deposit."""
    wait(seconds=3)
    mpesa.work(rt)
    return newest(rt)


def newest(rt):
    with rt.transaction() as tx:
        return tx.scalars(select(Deposit).order_by(Deposit.id.desc()).limit(1)).one()


def land(rt, deposit, receipt="SKL7RT61SV"):
    """M-PESA says that a push was paid."""
    told = mpesa.push_result(
        deposit.checkout_request_id, amount=deposit.amount / 100, receipt=receipt
    )
    return mpesa.post(rt, "stk", told)


def fail(rt, deposit, code=1032):
    return mpesa.post(rt, "stk", mpesa.push_result(deposit.checkout_request_id, code))


def told(rt):
    """What the texts say, word for word."""
    with rt.transaction() as tx:
        return list(tx.scalars(select(Message.body).order_by(Message.id)))


def every(rt):
    with rt.transaction() as tx:
        return list(tx.scalars(select(DepositOrder).order_by(DepositOrder.id)))


def states(rt):
    return [OrderState(order.state) for order in every(rt)]


def bets(rt):
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(Bet))


@given(st.integers(1, 10_000_000), st.integers(0, 5_000))
def test_the_deposit_is_the_least_of_which_enough_is_left(missing, bp):
    deposit = levies.to_land(missing, bp)
    assert deposit % 100 == 0
    assert deposit - levies.excise(deposit, bp) >= missing
    less = deposit - 100
    assert less - levies.excise(less, bp) < missing


def test_the_bet_is_placed_as_the_money_lands(rt, wait, amina, derby):
    asked = ask(rt, amina, wish(derby, 1_500))
    assert isinstance(asked, Ordered)
    assert asked.amount == 500_00
    assert bets(rt) == 0
    assert land(rt, pushed(rt, wait)) == "credited"
    assert mpesa.balance(rt, amina) == 0
    assert bets(rt) == 1
    (order,) = every(rt)
    assert (order.state, order.stake) == (OrderState.PLACED, 1_500_00)
    assert mpesa.texts(rt, amina) == ["money.deposit_received", "betting.order_placed"]
    assert all("Balance KES 0." in text for text in told(rt))  # whichever arrives last
    assert teller.clean(rt)


def test_what_lands_is_enough_after_the_excise(rt, wait, amina, derby):
    finance = [people.member(rt, name, people.Role.FINANCE) for name in ("fatuma", "otieno")]
    taxed(rt, finance, wait)
    asked = ask(rt, amina, wish(derby, 1_100))
    assert asked.amount == 106_00  # of 105 only 99.75 are left
    pushed(rt, wait)
    assert paid(rt, 106) == "credited"
    assert bets(rt) == 1
    assert mpesa.balance(rt, amina) == 70
    assert teller.clean(rt)


def test_the_same_notice_again_places_nothing_more(rt, wait, amina, derby):
    ask(rt, amina, wish(derby, 1_500))
    deposit = pushed(rt, wait)
    verdicts = teller.at_once(4, lambda _: land(rt, deposit))
    assert sorted(verdicts) == ["credited", "duplicate", "duplicate", "duplicate"]
    assert (bets(rt), mpesa.balance(rt, amina)) == (1, 0)
    assert mpesa.texts(rt, amina).count("betting.order_placed") == 1


def test_the_same_key_asks_once(rt, amina, derby):
    key = uuid.uuid4()
    first, again = (ask(rt, amina, wish(derby, 1_500), key=key) for _ in range(2))
    assert (again.ref, again.amount, again.again) == (first.ref, first.amount, True)
    assert len(every(rt)) == 1


def test_a_refused_order_stays_refused(rt, amina, derby, wanjiku):
    key = uuid.uuid4()
    games.suspend(rt, derby, wanjiku)
    assert ask(rt, amina, wish(derby, 1_500), key=key) == Refused("betting.market_suspended")
    games.resume(rt, derby, wanjiku)
    assert ask(rt, amina, wish(derby, 1_500), key=key) == Refused("betting.market_suspended")
    assert isinstance(ask(rt, amina, wish(derby, 1_500)), Ordered)


def test_with_the_money_there_the_bet_is_placed_at_once(rt, amina, derby):
    key = uuid.uuid4()
    placed, again = (ask(rt, amina, wish(derby, 1_000), key=key) for _ in range(2))
    assert isinstance(placed, Placed)
    assert (again.bet_id, again.balance, again.again) == (placed.bet_id, 0, True)
    assert every(rt) == []


def test_nobody_pays_for_a_bet_that_the_rules_would_refuse(rt, amina, brian, derby, wanjiku):
    with rt.transaction() as tx:
        limits.set_limit(
            tx, key=uuid.uuid4(), customer_id=brian.id, amount=600_00, channel=Channel.USSD,
            session="test", now=rt.now(), **DAILY,
        )  # fmt: skip
    refusals = [
        ask(rt, amina, wish(derby, 1_500, with_pin=False)),
        ask(rt, amina, wish(derby, 1_500, outcome=3)),
        ask(rt, amina, wish(derby, 200_000)),
        ask(rt, brian, wish(derby, 700)),
    ]
    games.close(rt, derby, wanjiku)
    refusals.append(ask(rt, amina, wish(derby, 1_500)))
    assert [refused.reason for refused in refusals] == [
        "betting.pin_needed", "betting.no_such_outcome", "betting.stake_high",
        "betting.limit_stake", "betting.market_closed",
    ]  # fmt: skip
    assert every(rt) == []


def test_a_push_that_failed_is_tried_again_for_the_same_order(rt, wait, amina, derby):
    ask(rt, amina, wish(derby, 1_500))
    first = pushed(rt, wait)
    fail(rt, first)
    assert told(rt)[-1].startswith("Deposit of KES 500 was not made, so your bet was not placed.")
    wait(minutes=2)
    ask(rt, amina, wish(derby, 1_500))
    second = pushed(rt, wait)
    assert first.id != second.id
    assert first.order_id == second.order_id
    assert states(rt) == [OrderState.WAITING]
    land(rt, second)
    assert (bets(rt), mpesa.balance(rt, amina)) == (1, 0)
    wait(minutes=3)
    land(rt, first, "SKL8RT61SV")  # the first prompt was answered too, at long last
    assert (bets(rt), mpesa.balance(rt, amina)) == (1, 500_00)
    assert teller.clean(rt)


def test_an_earlier_push_of_the_order_may_bring_the_money(rt, wait, amina, derby):
    ask(rt, amina, wish(derby, 1_500))
    first = pushed(rt, wait)
    fail(rt, first, 1037)
    wait(minutes=2)
    ask(rt, amina, wish(derby, 1_500))
    land(rt, first)
    assert states(rt) == [OrderState.PLACED]


def test_two_pushes_of_an_order_that_land_at_once_bring_one_bet(rt, wait, amina, derby):
    ask(rt, amina, wish(derby, 1_500))
    first = pushed(rt, wait)
    fail(rt, first, 1037)
    wait(minutes=2)
    ask(rt, amina, wish(derby, 1_500))
    both = first, pushed(rt, wait)
    assert mpesa.texts(rt, amina) == ["money.deposit_failed_order"]
    teller.at_once(2, lambda number: land(rt, both[number], f"SKL{number}RT61SV"))
    assert (bets(rt), mpesa.balance(rt, amina)) == (1, 500_00)
    assert states(rt) == [OrderState.PLACED]
    assert teller.clean(rt)


def test_a_customer_has_one_live_order(rt, wait, amina, derby, wanjiku):
    other = games.derby(rt, wanjiku)
    ask(rt, amina, wish(derby, 1_500))
    first = pushed(rt, wait)
    assert ask(rt, amina, wish(other, 1_400)) == Refused("money.deposit_waiting")
    assert states(rt) == [OrderState.WAITING]
    fail(rt, first, 1037)
    wait(minutes=2)
    ask(rt, amina, wish(other, 1_400))
    second = pushed(rt, wait)
    assert states(rt) == [OrderState.REPLACED, OrderState.WAITING]
    land(rt, first)  # late, and for a bet that is not wanted any more
    assert (bets(rt), mpesa.balance(rt, amina)) == (0, 1_500_00)
    assert mpesa.texts(rt, amina)[-1] == "betting.order_not_placed"
    land(rt, second, "SKL8RT61SV")
    assert (bets(rt), mpesa.balance(rt, amina)) == (1, 500_00)


def test_an_order_lives_ten_minutes(rt, wait, amina, derby):
    ask(rt, amina, wish(derby, 1_500))
    deposit = pushed(rt, wait)
    wait(minutes=10)
    land(rt, deposit)
    assert states(rt) == [OrderState.LAPSED]
    assert (bets(rt), mpesa.balance(rt, amina)) == (0, 1_500_00)
    assert mpesa.texts(rt, amina)[-2:] == ["money.deposit_received", "betting.order_not_placed"]


def test_the_money_stays_where_the_bet_cannot_be_placed_any_more(
    rt, wait, amina, brian, derby, wanjiku
):
    ask(rt, amina, wish(derby, 1_500))
    ask(rt, brian, wish(derby, 700))
    pushed(rt, wait)
    with rt.transaction() as tx:
        amina_s, brian_s = tx.scalars(select(Deposit).order_by(Deposit.id)).all()
        limits.set_limit(
            tx, key=uuid.uuid4(), customer_id=brian.id, amount=600_00, channel=Channel.USSD,
            session="test", now=rt.now(), **DAILY,
        )  # fmt: skip
    told = mpesa.push_result(brian_s.checkout_request_id, amount=200, phone=254712000002)
    assert mpesa.post(rt, "stk", told) == "credited"
    games.close(rt, derby, wanjiku)
    land(rt, amina_s, "SKL8RT61SV")
    assert states(rt) == [OrderState.NOT_PLACED, OrderState.NOT_PLACED]
    assert [order.reason for order in every(rt)] == ["betting.market_closed", "betting.limit_stake"]
    assert [mpesa.balance(rt, one) for one in (amina, brian)] == [1_500_00, 700_00]
    assert bets(rt) == 0


def test_who_is_excluded_meanwhile_gets_the_money_back_and_no_bet(rt, wait, amina, derby):
    ask(rt, amina, wish(derby, 1_500))
    deposit = pushed(rt, wait)
    teller.exclude(rt, amina)
    assert land(rt, deposit) == "refund_due"
    assert (bets(rt), mpesa.balance(rt, amina)) == (0, 1_000_00)
    assert states(rt) == [OrderState.WAITING]


def test_a_fault_of_the_bet_does_not_take_the_money_with_it(rt, wait, amina, derby):
    ask(rt, amina, wish(derby, 1_500))
    (order,) = every(rt)
    key = uuid.uuid5(order.key, "bet")  # was used for something else: that is a fault, not a no
    games.placed(rt, amina, derby, 2, 100, key=key)
    assert land(rt, pushed(rt, wait)) == "credited"
    assert mpesa.balance(rt, amina) == 1_400_00
    assert [(one.state, one.reason) for one in every(rt)] == [
        (OrderState.NOT_PLACED, "betting.order_fault")
    ]


def test_an_offer_by_text_is_open_for_five_minutes(rt, wait, amina, derby, wanjiku):
    offered = offer(rt, amina, wish(derby, 1_500, channel=Channel.SMS))
    assert isinstance(offered, Terms)
    assert (offered.missing, offered.deposit) == (500_00, 500_00)
    wait(minutes=5)
    assert accept(rt, amina) == Refused("betting.order_offer_lapsed")
    assert accept(rt, amina) == Refused("betting.order_none")
    offer(rt, amina, wish(derby, 1_500, channel=Channel.SMS))
    offer(rt, amina, wish(games.derby(rt, wanjiku), 1_200, channel=Channel.SMS))
    asked = accept(rt, amina)  # the newer offer is the one that is open
    assert asked.amount == 200_00
    assert states(rt) == [OrderState.LAPSED, OrderState.REPLACED, OrderState.WAITING]
    land(rt, pushed(rt, wait))
    assert states(rt)[-1] == OrderState.PLACED


def test_an_offer_is_taken_up_from_the_wallet_if_the_money_has_come(rt, amina, derby):
    offer(rt, amina, wish(derby, 1_500, channel=Channel.SMS))
    people.fund(rt, amina, 500_00)
    assert isinstance(accept(rt, amina), Placed)
    assert states(rt) == [OrderState.PLACED]


def test_a_yes_at_the_same_instant_asks_once(rt, amina, derby):
    offer(rt, amina, wish(derby, 1_500, channel=Channel.SMS))
    came = teller.at_once(3, lambda _: accept(rt, amina))
    assert sum(isinstance(one, Ordered) for one in came) == 1
    assert [one.reason for one in came if isinstance(one, Refused)] == ["betting.order_none"] * 2


def test_many_orders_land_while_the_market_closes(rt, wait, derby, wanjiku):
    """Every one of them is placed, or its money is in the wallet: never both, never neither."""
    crew = [people.customer(rt, f"+2547120002{n:02}", "Amina Wanjiru") for n in range(CROWD)]
    for one in crew:
        ask(rt, one, wish(derby, 100))
    pushed(rt, wait)
    with rt.transaction() as tx:
        asked = {d.customer_id: d for d in tx.scalars(select(Deposit))}

    def act(number):
        if number == CROWD // 2:
            return games.close(rt, derby, wanjiku)
        one = crew[number - (number > CROWD // 2)]
        deposit = asked[one.id]
        told = mpesa.push_result(
            deposit.checkout_request_id, receipt=f"SKL7RT{number:04}", phone=int(one.phone[1:])
        )
        return mpesa.post(rt, "stk", told)

    teller.at_once(CROWD + 1, act)
    for one, order in zip(crew, every(rt), strict=True):
        assert mpesa.balance(rt, one) == (0 if order.state == OrderState.PLACED else 100_00)
    assert bets(rt) == states(rt).count(OrderState.PLACED)
    assert teller.clean(rt)


def test_money_claimed_or_confirmed_later_still_brings_the_bet(rt, wait, amina, derby, daraja):
    """A callback that tells another amount is not believed; M-PESA's answer about it is."""
    ask(rt, amina, wish(derby, 1_500))
    deposit = pushed(rt, wait)
    told = mpesa.push_result(deposit.checkout_request_id, amount=900)
    assert mpesa.post(rt, "stk", told) == "mismatch"
    mpesa.sweep(rt)
    asked = len(daraja.asked)
    mpesa.post(rt, "status_result", mpesa.status_result(f"AG_{asked}", amount=500))
    assert mpesa.deposit(rt, deposit.id).state == DepositState.CREDITED
    assert states(rt) == [OrderState.PLACED]


def offer(rt, customer, wanted):
    with rt.transaction() as tx:
        return orders.offer(
            tx,
            key=uuid.uuid4(),
            customer=tx.merge(customer, load=False),
            wish=wanted,
            now=rt.now(),
            config=rt.config,
        )


def accept(rt, customer):
    with rt.transaction() as tx:
        return orders.accept(
            tx,
            key=uuid.uuid4(),
            customer=tx.merge(customer, load=False),
            now=rt.now(),
            config=rt.config,
        )
