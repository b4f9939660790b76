"""Adjustments: money the house gives a customer, or what a customer owes and need not pay.

Two people for each. Nothing is ever taken out of a wallet here, but for what its owner owes.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import customers, ledger, messages, proposals, rights, staff
from core.config import Config
from core.customers import Customer, Step
from core.errors import Refusal
from core.money import LARGEST, Cents
from core.phone import read
from core.proposals import Proposal, ProposalState
from core.rights import Right
from core.staff import Staff

CREDIT, WRITE_OFF = "credit", "write off"
WAYS = (CREDIT, WRITE_OFF)
ACT, SUBJECT = "adjustment", "adjustment:"  # of proposals; one waits for each customer

log = structlog.get_logger(__name__)


def propose(
    tx: Session,
    phone: str,
    way: str,
    *,
    amount: Cents,
    note: str,
    by: Staff,
    now: datetime,
    config: Config,
) -> Proposal:
    """Put a credit or a write-off before a second person; `note` is why.

    Raises Refusal for nobody's phone or one of the staff, without a reason, for more than is owed,
    and for more than `ADJUST_MOST`.
    """
    rights.require(by, Right.ADJUST_PROPOSE)
    if not note.strip():
        raise Refusal("staff.reason_missing")
    customer = _customer(tx, phone)
    content = {
        "adjustment": way,
        "customer": customer.id,
        "phone": customer.phone,
        "amount": amount,
        "reason": note.strip(),
    }
    _check(tx, customer, content, config)
    return proposals.propose(
        tx,
        act=ACT,
        subject=f"{SUBJECT}{customer.id}",
        content=content,
        note=note.strip(),
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def approve(
    tx: Session, phone: str, *, seen_hash: str, by: Staff, now: datetime, config: Config
) -> Cents:
    """The second yes: posted, and the customer told. What of a credit repaid a debt."""
    rights.require(by, Right.ADJUST_APPROVE)
    customer = _customer(tx, phone)
    proposal = _proposed(tx, customer)
    content = proposal.content
    proposals.approve(tx, proposal, seen_hash=seen_hash, content=content, by=by.id, now=now)
    _check(tx, customer, content, config)
    write_off = content["adjustment"] == WRITE_OFF
    posted = func.adjust_customer(proposal.id, customer.id, content["amount"], write_off)
    row = tx.execute(select(posted.table_valued("verdict", "repaid"))).one()
    if row.verdict == "open":
        raise Refusal("staff.adjust_open")
    if row.verdict != "done":  # it was repaid a moment ago
        raise Refusal("staff.adjust_owed", owed=ledger.owed(tx, customer.id))
    log.warning("customer adjusted", customer_id=customer.id, reason=content["adjustment"])
    _tell(tx, customer, proposal, int(row.repaid), now=now)
    return Cents(int(row.repaid))


def refuse(tx: Session, phone: str, *, by: Staff, now: datetime) -> None:
    """A no to what is proposed for the customer."""
    rights.require(by, Right.ADJUST_APPROVE)
    proposals.refuse(_proposed(tx, _customer(tx, phone)), by=by.id, now=now)


def waiting(tx: Session) -> Sequence[Proposal]:
    """What waits for a second person, the oldest first."""
    found = select(Proposal).where(Proposal.act == ACT, Proposal.state == ProposalState.PENDING)
    return tx.scalars(found.order_by(Proposal.id)).all()


def _check(tx: Session, customer: Customer, content: Mapping[str, Any], config: Config) -> None:
    """Whether it could be posted now, and to somebody known who does not work here.

    Two of the staff who agree could otherwise pay each other out of what is the house's.
    """
    if content["adjustment"] not in WAYS:
        raise Refusal("staff.adjust_way")
    if not 0 < content["amount"] <= LARGEST:
        raise Refusal("staff.treasury_amount")
    if content["amount"] > config.adjust_most:
        raise Refusal("staff.adjust_most", most=config.adjust_most)
    if staff.works_here(tx, customer.phone):
        raise Refusal("staff.adjust_staff")
    if customers.next_step(customer) != Step.DONE:
        raise Refusal("staff.adjust_joining")
    owed = ledger.owed(tx, customer.id)
    if content["adjustment"] == WRITE_OFF and content["amount"] > owed:
        raise Refusal("staff.adjust_owed", owed=owed)
    if content["adjustment"] == WRITE_OFF and tx.scalar(func.debt_is_open(content["customer"])):
        raise Refusal("staff.adjust_open")


def _customer(tx: Session, phone: str) -> Customer:
    found = customers.find(tx, read(phone))
    if found is None:
        raise Refusal("staff.receipt_no_customer")
    return found


def _proposed(tx: Session, customer: Customer) -> Proposal:
    found = proposals.pending(tx, f"{SUBJECT}{customer.id}")
    if found is None:
        raise Refusal("staff.adjust_none")
    return found


def _tell(
    tx: Session, customer: Customer, proposal: Proposal, repaid: int, *, now: datetime
) -> None:
    if proposal.content["adjustment"] == WRITE_OFF:
        sentence = "money.written_off"
    else:
        sentence = "money.credited_owed" if repaid else "money.credited"
    facts = {
        "amount": proposal.content["amount"],
        "repaid": repaid,
        "owed": ledger.owed(tx, customer.id),
        "balance": ledger.balance(tx, customer.id),
    }
    messages.text(
        tx, to=customer.phone, lang=customer.lang, sentence=sentence, facts=facts,
        key=uuid.uuid5(uuid.NAMESPACE_OID, f"adjustment:{proposal.id}"), now=now,
        customer_id=customer.id,
    )  # fmt: skip
