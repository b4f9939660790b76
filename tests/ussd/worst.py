"""The worst a screen can be asked to show: longest names, largest amounts, eight outcomes."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import create_engine, text

from core import customers, gsm7, market_words
from core.customers import Customer
from core.markets import Market
from core.payments import Deposit, DepositState, Payout, PayoutState
from core.runtime import Runtime
from core.staff import Staff
from tests import games, people

NAME = "Wanjikuwairimu Nyawiramuthonikamauwambui"
QUESTION = "Will Kakamega Homeboyz beat the Nairobi City Stars by 2 or 3"
OUTCOMES = [f"Kariobangi Sharks {n}X" for n in range(1, 9)]
SEQUENCES = ("bet_id_seq", "deposit_id_seq", "payout_id_seq")


@dataclass(frozen=True)
class Size:
    """How bad it is. Amounts are cents."""

    rich: int  # a balance, a win, a pool
    stake: int
    bet: int  # the number of the first bet
    code: int  # games are numbered on from here


BAD = Size(rich=9_999_999_99, stake=100_000_00, bet=99_999_990, code=9_000)
WORST = Size(rich=999_999_999_99, stake=99_999_999_00, bet=9_999_999_990, code=999_000)


@dataclass
class World:
    """One customer, with a bet of every kind and a game that can still be bet on."""

    rt: Runtime
    size: Size
    customer: Customer
    game: Market
    bets: Mapping[str, int]
    code: int


def world(rt: Runtime, wanjiku: Staff, kamau: Staff, size: Size) -> World:
    """Make it: by the front door as far as that goes, and beyond by the owner's key."""
    assert len(NAME) == customers.NAME_LONGEST
    assert gsm7.septets(QUESTION) == market_words.QUESTION_LONGEST
    assert all(gsm7.septets(name) == market_words.NAME_LONGEST for name in OUTCOMES)
    _as_owner(rt, "".join(f"ALTER SEQUENCE {name} RESTART {size.bet};" for name in SEQUENCES))
    customer = people.customer(rt, people.AMINA, NAME, money=10_000_000_00)
    other = people.customer(rt, people.BRIAN, "Brian Otieno", money=10_000_000_00)
    bets = {}
    for state, winner in (("won", 1), ("lost", 2), ("refunded", 3)):
        over = games.derby(rt, wanjiku, *OUTCOMES, question=QUESTION)
        bets[state] = games.placed(rt, customer, over, 1, 100_000).bet_id
        games.placed(rt, other, over, 2, 100_000)
        games.settle(rt, over, winner, proposer=wanjiku, approver=kamau)
    live = games.derby(rt, wanjiku, *OUTCOMES, question=QUESTION)
    bets["open"] = games.placed(rt, customer, live, 1, 100_000).bet_id
    payment(rt, customer, DepositState.NOT_PAID, "money.why_expired")
    doubted(rt, customer)
    # What no front door lets in is written by the owner of the tables, past their guards.
    swell = {
        "wallet": f"balance = {size.rich}",
        "market": f"code = {size.code} + id, max_stake = {size.stake}",
        "outcome": f"staked = {size.rich} / (number * 50)",
        "dividend": f"amount = {size.rich}",
        "transfer": f"amount = {size.rich}, credit_balance_after = credit_seq * 0 + {size.rich},"
        f" debit_balance_after = debit_seq * 0 + {size.rich}",
    }
    for table, change in swell.items():
        _as_owner(rt, f"ALTER TABLE {table} DISABLE TRIGGER USER; UPDATE {table} SET {change}")
    return World(rt, size, customer, live, bets, code=size.code + live.id)


def payment(rt: Runtime, customer: Customer, state: DepositState, reason: str | None) -> None:
    """Make the largest deposit the last one, and have it stand like that."""
    with rt.transaction() as tx:
        tx.add(
            Deposit(
                key=uuid.uuid4(),
                ref=f"D{uuid.uuid4().hex[:6].upper()}",
                customer_id=customer.id,
                phone=customer.phone,
                amount=rt.config.deposit_max,
                shortcode=rt.config.mpesa_shortcode,
                channel=1,
                session="worst",
                state=state,
                reason=reason,
                created_at=rt.now(),
            )
        )


def doubted(rt: Runtime, customer: Customer) -> None:
    """Have the largest payout be on its way, and in doubt."""
    with rt.transaction() as tx:
        tx.add(
            Payout(
                key=uuid.uuid4(),
                request=uuid.uuid4(),
                customer_id=customer.id,
                phone=customer.phone,
                amount=rt.config.payout_max_amount,
                reason=1,
                state=PayoutState.IN_DOUBT,
                ocid=uuid.uuid4(),
                created_at=rt.now(),
            )
        )


def _as_owner(rt: Runtime, statements: str) -> None:
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as tx:
        tx.execute(text(statements))
    owner.dispose()
