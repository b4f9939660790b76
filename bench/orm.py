"""The yardstick of a bet: the same rules as one writes them with an ORM, in several statements."""

import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from bench.clients import STAKE
from core.betting import NAIROBI, Bet
from core.customers import Customer
from core.effects import Channel, Effect
from core.ledger import Transfer, TransferKind, Wallet
from core.markets import Market, Outcome, Status


def with_orm(url: str, customers: int, first: int, last: int) -> Callable[[], None]:
    """A bettor whose house is written that way; as the owner, since the house's role may not."""
    engine = create_engine(url, pool_size=1)

    def bet() -> None:
        with Session(engine) as tx, tx.begin():
            _place(
                tx,
                key=uuid.uuid4(),
                customer_id=random.randint(1, customers),
                market_id=random.randint(first, last),
                outcome=random.randint(1, 2),
            )

    return bet


def _place(tx: Session, *, key: uuid.UUID, customer_id: int, market_id: int, outcome: int) -> None:
    now = datetime.now(UTC)
    assert tx.scalar(select(Bet).where(Bet.key == key)) is None
    assert tx.get(Effect, key) is None
    tx.execute(select(func.pg_advisory_xact_lock_shared(1, market_id)))
    market = tx.get_one(Market, market_id)
    assert market.status == Status.OPEN
    assert market.opens_at <= now < market.closes_at
    assert tx.get(Outcome, (market_id, outcome)) is not None
    assert market.min_stake <= STAKE <= market.max_stake
    own = select(Wallet).where(Wallet.customer_id == customer_id).with_for_update()
    wallet = tx.scalars(own).one()
    customer = tx.get_one(Customer, customer_id)
    assert customer.standing == 2
    assert customer.kyc_verified_at
    assert not customer.excluded_until
    assert wallet.balance >= STAKE
    today = now.astimezone(NAIROBI).date()
    wallet.day_stake = STAKE + (wallet.day_stake if wallet.day == today else 0)
    wallet.day = today
    wallet.balance -= STAKE
    wallet.seq += 1
    _write(tx, wallet, market, key=key, outcome=outcome, now=now)


def _write(
    tx: Session, wallet: Wallet, market: Market, *, key: uuid.UUID, outcome: int, now: datetime
) -> None:
    placed = Bet(
        key=key,
        customer_id=wallet.customer_id,
        market_id=market.id,
        outcome=outcome,
        stake=STAKE,
        channel=int(Channel.USSD),
        with_pin=True,
        session="bench",
        placed_at=now,
    )
    tx.add(placed)
    tx.flush()
    tx.add(
        Transfer(
            key=tx.scalars(select(func.ledger_row_key(2, placed.id, 0))).one(),
            kind=int(TransferKind.STAKE),
            debit_account=wallet.account_id,
            credit_account=market.pool_account,
            amount=STAKE,
            debit_balance_after=wallet.balance,
            debit_seq=wallet.seq,
            event_id=key,
            ref=placed.id,
            event_at=now,
        )
    )
