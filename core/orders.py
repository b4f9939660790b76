"""Orders: a bet that waits for its money, and is placed in the transaction in which that lands.

Who is short of money for a bet is offered to deposit what is missing and to bet in one. An order
lives ten minutes, and a customer has one; a push that failed is tried again for the same order.
Whichever of its deposits lands first, the bet is placed if it still can be, by all the rules of
bets; else the money stays in the wallet, and the customer is told why.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import partial
from typing import Any

import structlog
from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import customers, deposits, effects, markets, messages, wishes
from core.base import Base, Small
from core.betting import Placed
from core.config import Config
from core.customers import Customer
from core.effects import Channel, Recalled, Refused
from core.money import Cents
from core.payments import Deposit
from core.runtime import current, in_the_way
from core.say import say
from core.wishes import Terms, Wish

log = structlog.get_logger(__name__)

MARKET_LOCKS = 1  # the class of advisory locks that bets share and closing takes alone


class OrderState(IntEnum):
    """Where an order stands. Only the first two are live, and not after `expires_at`."""

    OFFERED = 1  # by text; a yes makes it wait for its money
    WAITING = 2
    PLACED = 3
    NOT_PLACED = 4  # the money came, and the rules said no
    LAPSED = 5  # no money came in time
    REPLACED = 6  # by a newer one


REASONS = {
    OrderState.LAPSED: "betting.order_lapsed",
    OrderState.REPLACED: "betting.order_replaced",
}


class DepositOrder(Base):
    """One bet that waits for a deposit."""

    __tablename__ = "deposit_order"
    __table_args__ = (
        CheckConstraint("state BETWEEN 1 AND 6", name="state"),
        CheckConstraint("stake > 0", name="stake"),
        CheckConstraint("(state = 3) = (bet_id IS NOT NULL)", name="placed"),
        CheckConstraint("(state > 2) = (ended_at IS NOT NULL)", name="ended"),
        Index("ix_deposit_order_customer_id", "customer_id", "id"),
        Index("uq_deposit_order_offered", "customer_id", unique=True, postgresql_where="state = 1"),
        Index("uq_deposit_order_live", "customer_id", unique=True, postgresql_where="state = 2"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[uuid.UUID] = mapped_column(unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    market_id: Mapped[int] = mapped_column(ForeignKey("market.id"))
    outcome: Mapped[int] = mapped_column(Small)
    stake: Mapped[int]
    channel: Mapped[int] = mapped_column(Small)
    session: Mapped[str]
    with_pin: Mapped[bool]
    state: Mapped[int] = mapped_column(Small)
    expires_at: Mapped[datetime]
    reason: Mapped[str | None]  # a sentence's key: why it was not placed
    bet_id: Mapped[int | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    @property
    def wish(self) -> Wish:
        """The bet it is about."""
        return Wish(
            self.market_id, self.outcome, Cents(self.stake), self.with_pin, Channel(self.channel),
            self.session,
        )  # fmt: skip


@dataclass(frozen=True)
class Ordered:
    """A prompt is on its way, and the bet follows the money. `again`: this key had asked before."""

    ref: str
    amount: Cents
    again: bool


def offer(
    tx: Session, *, key: uuid.UUID, customer: Customer, wish: Wish, now: datetime, config: Config
) -> Terms | Placed | Refused:
    """Offer by text to deposit and bet; it takes the place of an offer that was open before.

    The bet is placed if the money has come meanwhile.
    """
    customers.hold(tx, customer)
    need = wishes.terms(tx, customer.id, wish.stake, now=now, config=config)
    if need is None:
        return wishes.place(tx, customer.id, wish, key=key, config=config)
    if refused := wishes.refuses(tx, customer.id, wish, now=now, config=config):
        return refused
    if before := _of(tx, customer.id, OrderState.OFFERED):
        _end(tx, before, OrderState.REPLACED, now=now)
    tx.add(_new(key, customer, wish, OrderState.OFFERED, until=now + config.order_offer, now=now))
    return need


def accept(
    tx: Session, *, key: uuid.UUID, customer: Customer, now: datetime, config: Config
) -> Ordered | Placed | Refused:
    """The yes to the open offer, while it is open; what is asked for is what is missing by now."""
    customers.hold(tx, customer)
    offered = _of(tx, customer.id, OrderState.OFFERED)
    if offered is None:
        return Refused("betting.order_none")
    if offered.expires_at <= now:
        _end(tx, offered, OrderState.LAPSED, now=now)
        return Refused("betting.order_offer_lapsed")
    came = ask(tx, key=key, customer=customer, wish=offered.wish, now=now, config=config)
    if isinstance(came, Placed):
        offered.bet_id = came.bet_id
        _end(tx, offered, OrderState.PLACED, now=now)
    return came


def ask(
    tx: Session, *, key: uuid.UUID, customer: Customer, wish: Wish, now: datetime, config: Config
) -> Ordered | Placed | Refused:
    """Have M-PESA prompt for what is missing, and the bet placed when it lands, once per `key`.

    The first answer is the answer for ever. The bet is placed at once if the money is there by now;
    a bet that could not be placed now is refused before anybody pays for it.
    """
    if known := effects.recall(tx, key):
        return _recalled(known)
    customers.hold(tx, customer)
    need = wishes.terms(tx, customer.id, wish.stake, now=now, config=config)
    if need is None:
        return wishes.place(tx, customer.id, wish, key=key, config=config)
    told: dict[str, Any] = {"channel": wish.channel, "session": wish.session, "now": now}
    if refused := wishes.refuses(tx, customer.id, wish, now=now, config=config):
        effects.record(
            tx, key=key, customer_id=customer.id, verb="order", verdict="refused",
            reason=refused.reason, facts=effects.written(refused.facts), **told,
        )  # fmt: skip
        return refused
    asked = deposits.ask(tx, key=key, customer=customer, amount=need.deposit, config=config, **told)
    if isinstance(asked, Refused):
        return asked
    order = _waiting(tx, key, customer, wish, now=now, config=config)
    tx.flush()  # its number
    tx.get_one(Deposit, asked.deposit_id).order_id = order.id
    return Ordered(asked.ref, asked.amount, again=False)


def live(tx: Session, customer_id: int, *, now: datetime) -> DepositOrder | None:
    """The customer's order that still waits for its money."""
    waiting = select(DepositOrder).where(
        DepositOrder.customer_id == customer_id,
        DepositOrder.state == OrderState.WAITING,
        DepositOrder.expires_at > now,
    )
    return tx.scalar(waiting)


def ahead(tx: Session, deposit: Deposit) -> None:
    """Take the locks of the deposit's order before its money is booked: wallets are locked last."""
    if deposit.order_id is not None:
        order = tx.get_one(DepositOrder, deposit.order_id, with_for_update=True)
        tx.execute(select(func.pg_advisory_xact_lock_shared(MARKET_LOCKS, order.market_id)))


def fulfil(tx: Session, deposit: Deposit, *, now: datetime) -> Callable[[], None]:
    """Place the bet that a deposit was for, now that its money is in the wallet.

    The rules' no, and a fault of the bet, leave the money in the wallet. Gives back the telling of
    it by SMS, for after the text about the money; where no bet waited, it tells nothing.
    """
    if deposit.order_id is None:
        return _nothing
    order = tx.get_one(DepositOrder, deposit.order_id, with_for_update=True, populate_existing=True)
    if order.state in (OrderState.PLACED, OrderState.NOT_PLACED):
        return _nothing  # this money is another one's, and has been told of
    if order.state == OrderState.WAITING and order.expires_at <= now:
        _end(tx, order, OrderState.LAPSED, now=now)
    came: Placed | Refused = Refused(order.reason or "")
    if order.state == OrderState.WAITING:
        came = _tried(tx, order)
    if isinstance(came, Refused):
        if order.state == OrderState.WAITING:
            _end(tx, order, OrderState.NOT_PLACED, now=now, reason=came.reason)
        return partial(_tell_why_not, tx, order, came, part=deposit.ref, now=now)
    order.bet_id = came.bet_id
    _end(tx, order, OrderState.PLACED, now=now)
    return partial(_tell_placed, tx, order, came, now=now)


def lost(tx: Session, deposit: Deposit) -> bool:
    """Whether a bet is not placed because this deposit was not made.

    One that another deposit of the order has brought is placed, or its customer was told why not.
    """
    if deposit.order_id is None:
        return False
    order = tx.get_one(DepositOrder, deposit.order_id)
    return order.state not in (OrderState.PLACED, OrderState.NOT_PLACED)


def _nothing() -> None:
    """No bet waited for this money."""


def _recalled(known: Recalled) -> Ordered | Placed | Refused:
    """What this decision was answered before."""
    facts = known.facts
    if known.verdict == "refused":
        return Refused(known.reason or "", effects.read(facts))
    if known.verb == "bet":
        return Placed(facts["bet_id"], Cents(facts["balance"]), again=True)
    assert known.verb == "deposit", f"an order's key was used for {known.verb}"
    return Ordered(facts["ref"], Cents(facts["amount"]), again=True)


def _waiting(
    tx: Session, key: uuid.UUID, customer: Customer, wish: Wish, *, now: datetime, config: Config
) -> DepositOrder:
    """The one live order: the same bet's, asked for again, or a new one in place of another's."""
    until = now + config.order_life
    waiting = _of(tx, customer.id, OrderState.WAITING)
    offered = _of(tx, customer.id, OrderState.OFFERED)
    if offered is not None and not offered.wish.same_bet(wish):
        offered = None  # it stays open
    if waiting is not None and waiting.expires_at > now and waiting.wish.same_bet(wish):
        if offered is not None:
            _end(tx, offered, OrderState.REPLACED, now=now)
        waiting.expires_at, waiting.with_pin = until, wish.with_pin
        return waiting
    if waiting is not None:
        lapsed = waiting.expires_at <= now
        _end(tx, waiting, OrderState.LAPSED if lapsed else OrderState.REPLACED, now=now)
    if offered is not None:
        offered.state, offered.expires_at = OrderState.WAITING, until
        return offered
    order = _new(key, customer, wish, OrderState.WAITING, until=until, now=now)
    tx.add(order)
    return order


def _new(
    key: uuid.UUID,
    customer: Customer,
    wish: Wish,
    state: OrderState,
    *,
    until: datetime,
    now: datetime,
) -> DepositOrder:
    return DepositOrder(
        key=key,
        customer_id=customer.id,
        state=state,
        expires_at=until,
        created_at=now,
        **vars(wish),
    )


def _of(tx: Session, customer_id: int, state: OrderState) -> DepositOrder | None:
    found = select(DepositOrder).where(
        DepositOrder.customer_id == customer_id, DepositOrder.state == state
    )
    return tx.scalar(found.with_for_update())


def _end(
    tx: Session,
    order: DepositOrder,
    state: OrderState,
    *,
    now: datetime,
    reason: str | None = None,
) -> None:
    order.state, order.ended_at = state, now
    order.reason = reason or REASONS.get(state)
    tx.flush()  # before another takes its place


def _tried(tx: Session, order: DepositOrder) -> Placed | Refused:
    """Place the bet; a fault of it must not take the money with it that has just landed."""
    key = uuid.uuid5(order.key, "bet")
    try:
        with tx.begin_nested():
            return wishes.place(tx, order.customer_id, order.wish, key=key, config=current().config)
    except DBAPIError as error:
        if in_the_way(error):
            raise  # money and bet come again together
        log.error("order not placed", order_id=order.id, exc_info=error)
        return Refused("betting.order_fault")


def _tell_placed(tx: Session, order: DepositOrder, came: Placed, *, now: datetime) -> None:
    game = markets.view(tx, order.market_id)
    assert game is not None, "a bet was placed on it"
    picked = next(pick.name for pick in game.outcomes if pick.number == order.outcome)
    estimate = game.estimate(order.outcome, order.stake)
    facts = {"bet": came.bet_id, "stake": order.stake, "outcome": picked, "code": game.code}
    facts |= {"estimate": estimate, "balance": came.balance}
    _tell(tx, order, "betting.order_placed", facts, part="placed", now=now)


def _tell_why_not(
    tx: Session, order: DepositOrder, refused: Refused, *, part: str, now: datetime
) -> None:
    game = markets.view(tx, order.market_id)
    lang = tx.get_one(Customer, order.customer_id).lang
    why = say(refused.reason, lang, **refused.facts)
    facts = {"stake": order.stake, "code": game.code if game else 0, "why": why}
    _tell(tx, order, "betting.order_not_placed", facts, part=part, now=now)


def _tell(
    tx: Session,
    order: DepositOrder,
    sentence: str,
    facts: Mapping[str, Any],
    *,
    part: str,
    now: datetime,
) -> None:
    customer = tx.get_one(Customer, order.customer_id)
    messages.text(
        tx,
        to=customer.phone,
        lang=customer.lang,
        sentence=sentence,
        facts=facts,
        key=uuid.uuid5(order.key, part),
        now=now,
        customer_id=customer.id,
    )
