"""Debts: what customers owe the house after a correction."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.customers import Customer
from core.ledger import Wallet
from core.money import Cents


@dataclass(frozen=True)
class DebtLine:
    """A customer who owes, and what the wallet holds meanwhile, in cents."""

    customer: int
    name: str | None
    phone: str
    owed: Cents
    balance: Cents


def largest(tx: Session, *, limit: int = 50) -> Sequence[DebtLine]:
    """Who owes the house, the most first."""
    rows = tx.execute(
        select(Customer, Wallet)
        .join(Wallet, Wallet.customer_id == Customer.id)
        .where(Wallet.owed > 0)
        .order_by(Wallet.owed.desc(), Customer.id)
        .limit(limit)
    )
    return [
        DebtLine(who.id, who.name, who.phone, Cents(wallet.owed), Cents(wallet.balance))
        for who, wallet in rows
    ]
