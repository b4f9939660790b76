"""Wishes: a bet that somebody would place if they had the money, and what it takes to have it."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from core import betting, effects, ledger, levies, markets
from core.betting import Placed
from core.config import Config
from core.effects import Channel, Refused
from core.levies import Levy
from core.markets import MarketView, Status
from core.money import Cents


@dataclass(frozen=True)
class Wish:
    """The bet, and where it was asked for; `with_pin` says that the PIN was right."""

    market_id: int
    outcome: int
    stake: Cents
    with_pin: bool
    channel: Channel
    session: str

    def same_bet(self, other: "Wish") -> bool:
        """Whether the other is about the same bet."""
        mine = (self.market_id, self.outcome, self.stake)
        return mine == (other.market_id, other.outcome, other.stake)


@dataclass(frozen=True)
class Terms:
    """What is missing for a stake, and the deposit of which that much lands, after its tax."""

    balance: Cents
    missing: Cents
    deposit: Cents
    tax: Cents


def terms(
    tx: Session, customer_id: int, stake: int, *, now: datetime, config: Config
) -> Terms | None:
    """What a customer has to deposit for a stake; None if the money is there."""
    balance = ledger.balance(tx, customer_id)
    if balance >= stake:
        return None
    rate = levies.rate(tx, Levy.EXCISE, at=now)
    missing = Cents(stake - balance)
    deposit = Cents(max(levies.to_land(missing, rate), config.deposit_min))
    return Terms(balance, missing, deposit, levies.excise(deposit, rate))


def refuses(
    tx: Session, customer_id: int, wish: Wish, *, now: datetime, config: Config
) -> Refused | None:
    """Why the bet could not be placed even with the money; `place_bet` decides once it is there."""
    game = markets.view(tx, wish.market_id)
    if game is None:
        return Refused("betting.market_closed")
    if reason := _closed(game, now):
        until = {"until": game.opens_at} if reason == "betting.market_not_yet" else {}
        return Refused(reason, until)
    if not any(pick.number == wish.outcome and not pick.withdrawn for pick in game.outcomes):
        return Refused("betting.no_such_outcome")
    if wish.stake < game.min_stake:
        return Refused("betting.stake_low", {"min": game.min_stake})
    if wish.stake > game.max_stake:
        return Refused("betting.stake_high", {"max": game.max_stake})
    return _out_of_limits(tx, customer_id, wish, now=now, config=config)


def place(
    tx: Session, customer_id: int, wish: Wish, *, key: uuid.UUID, config: Config
) -> Placed | Refused:
    """Place the bet from the wallet, once per `key`."""
    return betting.place_bet(
        tx,
        key=key,
        customer_id=customer_id,
        market_id=wish.market_id,
        outcome=wish.outcome,
        stake=wish.stake,
        channel=wish.channel,
        session=wish.session,
        with_pin=wish.with_pin,
        no_pin_limit=_no_pin_limit(wish.channel, config),
    )


BET_LIMIT = text("SELECT reason, facts FROM bet_limit(:customer, :stake, :now)")


def _closed(game: MarketView, now: datetime) -> str | None:
    if game.status == Status.SUSPENDED:
        return "betting.market_suspended"
    if game.opens_later(now):
        return "betting.market_not_yet"
    return None if game.is_open(now) else "betting.market_closed"


def _out_of_limits(
    tx: Session, customer_id: int, wish: Wish, *, now: datetime, config: Config
) -> Refused | None:
    most = _no_pin_limit(wish.channel, config)
    today = betting.staked_without_pin(tx, customer_id, now=now)
    if not wish.with_pin and today + wish.stake > most:
        return Refused("betting.pin_needed", {"limit": most})
    sides = {"customer": customer_id, "stake": wish.stake, "now": now}
    broken = tx.execute(BET_LIMIT, sides).one()
    return None if broken.reason is None else Refused(broken.reason, effects.read(broken.facts))


def _no_pin_limit(channel: Channel, config: Config) -> int:
    return config.sms_no_pin_limit if channel == Channel.SMS else config.ussd_no_pin_limit
