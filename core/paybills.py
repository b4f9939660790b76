"""Payments by hand: the customer that an account number names, and the deposit row of one."""

import re
import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core import customers, gsm7, phone
from core.customers import Customer
from core.effects import Channel
from core.errors import Refusal
from core.payments import Deposit, DepositState

REF = re.compile(r"D[0-9A-Z]{6}")  # what a prompt shows, and paybill instructions name
BY_HAND = uuid.UUID("5bd5a6a1-1a52-4b3a-9a3e-2f8f0a6b6f10")  # names the keys of these deposits


def form_of(bill_ref: str) -> str | None:
    """What an account number as somebody typed it can be: "ref", "phone", or None."""
    if REF.fullmatch(_ref(bill_ref)):
        return "ref"
    return None if _phone(bill_ref) is None else "phone"


def owner(tx: Session, bill_ref: str) -> Deposit | Customer | None:
    """Whose money it is, by the account number alone: a deposit asked for, or a known phone."""
    if REF.fullmatch(_ref(bill_ref)):
        named = select(Deposit).where(Deposit.ref == _ref(bill_ref))
        if (found := tx.scalar(named)) is not None:
            return found
    number = _phone(bill_ref)
    return None if number is None else customers.find(tx, number)


def deposit_of(
    tx: Session, customer: Customer, *, receipt: str, amount: int, shortcode: str, now: datetime
) -> Deposit:
    """The deposit row of a payment that was not asked for, made once per receipt and customer.

    Nobody asked for an amount, so it is M-PESA's, in whole shillings.
    """
    key = uuid.uuid5(BY_HAND, f"{customer.id}:{receipt}")
    row = insert(Deposit).values(
        key=key,
        ref=f"C2B{receipt}-{customer.id}",
        customer_id=customer.id,
        phone=customer.phone,
        amount=max(amount // 100, 1) * 100,
        shortcode=shortcode,
        channel=Channel.PAYBILL,
        session=receipt,
        state=DepositState.CONFIRMING,
        created_at=now,
    )
    tx.execute(row.on_conflict_do_nothing(index_elements=[Deposit.key]))
    return tx.scalars(select(Deposit).where(Deposit.key == key)).one()


def _ref(bill_ref: str) -> str:
    return gsm7.western(bill_ref).strip().upper()


def _phone(bill_ref: str) -> str | None:
    try:
        return phone.read(bill_ref)
    except Refusal:
        return None
