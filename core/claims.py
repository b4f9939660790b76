"""Claims by code: "I paid, and it is not in my wallet", decided by what M-PESA says of the code.

A code is a word anybody can write. Nothing is credited on it: M-PESA is asked, and must say that
the payment was completed, to us, from the phone of whoever claims it, and of how much.
"""

import contextlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import customers, deposits, landings, messages, receipts, restored, status_queries
from core.code_claims import CodeClaim, CodeState, read_code
from core.config import Config
from core.customers import Customer
from core.effects import Channel, Refused
from core.landings import COMPLETED, ENDED
from core.notices import OK, StatusNotice, same_phone
from core.payments import Deposit, DepositState
from core.receipts import MpesaReceipt, Source

log = structlog.get_logger(__name__)

A_DAY = timedelta(hours=24)
BATCH = 100  # claims looked at in one sweep
BEFORE_NOW = (DepositState.CREATED, DepositState.CREDITED)  # of no use to a payment not booked yet


@dataclass(frozen=True)
class Claimed:
    """What a claim came to at once: a sentence and what fills it."""

    sentence: str
    facts: dict[str, Any]


def claim(
    tx: Session,
    *,
    key: uuid.UUID,
    customer: Customer,
    code: str,
    channel: Channel,
    session: str,
    now: datetime,
    config: Config,
) -> Claimed | Refused:
    """Look for the payment of that code, and ask M-PESA if nobody knows it, once per `key`.

    A few a day, so that nobody can go through the codes of others.
    """
    customers.hold(tx, customer)
    receipt = read_code(code)
    mine = select(CodeClaim).where(CodeClaim.customer_id == customer.id)
    if tx.scalar(mine.where(CodeClaim.key == key)) is not None or _asking(tx, customer, receipt):
        return Claimed("money.claim_asking", {"receipt": receipt})
    lately = select(func.count()).select_from(
        mine.where(CodeClaim.created_at > now - A_DAY).subquery()
    )
    if (tx.scalar(lately) or 0) >= config.claims_per_day:
        return Refused("money.claim_too_many", {"most": config.claims_per_day})
    row = CodeClaim(
        key=key, customer_id=customer.id, receipt=receipt, shortcode=config.mpesa_shortcode,
        channel=channel, session=session, state=CodeState.ASKING, created_at=now,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    if (known := receipts.find(tx, receipt)) and not known.is_unmade:
        return _known(row, known, now=now)
    _ask(tx, row, now=now, config=config)
    return Claimed("money.claim_asking", {"receipt": receipt})


def take_status(
    tx: Session, row: CodeClaim, notice: StatusNotice, *, now: datetime, config: Config
) -> str:
    """What M-PESA answers about a claimed code."""
    tx.refresh(row, with_for_update=True)
    if row.state != CodeState.ASKING:
        return "again"
    status = notice.status.lower()
    if notice.code != OK or status not in (COMPLETED, *ENDED):
        return "open"  # it may have been asked too early: the schedule asks again
    if status in ENDED:
        return _told(tx, row, CodeState.NOT_PAID, "money.claim_not_paid", now=now)
    customer = tx.get_one(Customer, row.customer_id)
    if not _theirs(row, customer, notice, config):
        log.warning("claimed code is not the claimant's", code_claim_id=row.id)
        return _told(tx, row, CodeState.NOT_THEIRS, "money.claim_not_theirs", now=now)
    if known := receipts.find(tx, row.receipt):  # it has come in another way meanwhile
        if known.is_unmade and not _restored(tx, known, notice, now=now):
            return _told(tx, row, CodeState.NEEDS_HUMAN, "money.claim_with_us", now=now)
        told = _known(row, known, now=now)
        return _text(tx, row, told.sentence, told.facts, now=now)
    if not notice.amount or notice.amount % 100:
        return _told(tx, row, CodeState.NEEDS_HUMAN, "money.claim_with_us", now=now)
    return _credit(tx, row, customer, notice, now=now, config=config)


def _restored(tx: Session, known: MpesaReceipt, notice: StatusNotice, *, now: datetime) -> bool:
    """Whether the answer proves a payment that two people had taken back as never made."""
    verdict = restored.book(tx, known, notice.amount or 0, source=Source.STATUS, now=now)
    if verdict == "mismatch":
        return False
    for one in receipts.claims(tx, known.receipt):
        receipts.close(one, receipts.ClaimState.CONFIRMED, now=now)
    return True


def sweep(tx: Session, now: datetime, config: Config) -> None:
    """Ask again about every code whose time has come; after the last time, say that it is none."""
    due = (
        select(CodeClaim)
        .where(CodeClaim.ask_at <= now)
        .order_by(CodeClaim.ask_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    for row in tx.scalars(due):
        if row.asked >= len(config.claim_retry):
            _told(tx, row, CodeState.NOT_FOUND, "money.claim_not_found", now=now)
        else:
            _ask(tx, row, now=now, config=config)


def _asking(tx: Session, customer: Customer, receipt: str) -> bool:
    """Whether M-PESA is being asked about this code for this customer."""
    same = select(CodeClaim.id).where(
        CodeClaim.customer_id == customer.id,
        CodeClaim.receipt == receipt,
        CodeClaim.state == CodeState.ASKING,
    )
    return tx.scalar(same.limit(1)) is not None


def _known(row: CodeClaim, known: MpesaReceipt, *, now: datetime) -> Claimed:
    """The code is in the registry: whoever paid it has it, or somebody of ours looks for them."""
    facts: dict[str, Any] = {"receipt": row.receipt}
    if known.customer_id == row.customer_id:
        _end(row, CodeState.KNOWN, now=now)
        return Claimed(
            "money.claim_booked", {**facts, "amount": known.amount, "at": known.event_at}
        )
    if known.customer_id is None:
        log.error("money in suspense is claimed", code_claim_id=row.id)
        _end(row, CodeState.NEEDS_HUMAN, now=now)
        return Claimed("money.claim_with_us", facts)
    log.warning("another's payment is claimed", code_claim_id=row.id)
    _end(row, CodeState.KNOWN, now=now)
    return Claimed("money.claim_not_theirs", facts)


def _theirs(row: CodeClaim, customer: Customer, notice: StatusNotice, config: Config) -> bool:
    """Whether the completed payment went to us, from the claimant's own phone."""
    return (
        notice.receipt in (None, row.receipt)
        and notice.payee in {row.shortcode, config.mpesa_till_number} - {""}
        and same_phone(notice.payer, customer.phone)
    )


def _credit(
    tx: Session,
    row: CodeClaim,
    customer: Customer,
    notice: StatusNotice,
    *,
    now: datetime,
    config: Config,
) -> str:
    """Book it, of the amount that M-PESA names, for the push that it answers if there is one."""
    assert notice.amount is not None
    paid_at = notice.at or now
    with contextlib.suppress(_NotBooked), tx.begin_nested():
        deposit = _deposit(tx, customer.id, notice.amount, paid_at) or deposits.unasked(
            tx, key=row.key, customer=customer, amount=notice.amount,
            channel=Channel(row.channel), session=row.session, now=now, config=config,
        )  # fmt: skip
        verdict = landings.credit(
            tx, deposit, row.receipt, notice.amount, source=Source.STATUS, confirmed=True,
            at=paid_at, now=now,
        )  # fmt: skip
        if verdict not in ("credited", "refund_due"):
            raise _NotBooked(verdict)  # nor is the deposit that was made for it
        row.deposit_id = deposit.id
        _end(row, CodeState.CREDITED, now=now)
        return verdict
    if known := receipts.find(tx, row.receipt):  # it came in another way at this very instant
        told = _known(row, known, now=now)
        return _text(tx, row, told.sentence, told.facts, now=now)
    log.error("claimed code could not be booked", code_claim_id=row.id)
    return _told(tx, row, CodeState.NEEDS_HUMAN, "money.claim_with_us", now=now)


class _NotBooked(Exception):
    """The receipt is booked otherwise by now, or cannot be."""


def _deposit(tx: Session, customer_id: int, amount: int, paid_at: datetime) -> Deposit | None:
    """The customer's newest push of that amount which the payment may have answered."""
    fitting = select(Deposit).where(
        Deposit.customer_id == customer_id,
        Deposit.amount == amount,
        Deposit.state.not_in(BEFORE_NOW),
        Deposit.sending_at.between(paid_at - A_DAY, paid_at + timedelta(minutes=5)),
    )
    return tx.scalar(fitting.order_by(Deposit.id.desc()).limit(1).with_for_update())


def _ask(tx: Session, row: CodeClaim, *, now: datetime, config: Config) -> None:
    status_queries.ask_about_code(tx, row, now=now)
    row.ask_at = now + config.claim_retry[row.asked]
    row.asked += 1


def _told(tx: Session, row: CodeClaim, state: CodeState, sentence: str, *, now: datetime) -> str:
    _end(row, state, now=now)
    return _text(tx, row, sentence, {"receipt": row.receipt}, now=now)


def _text(
    tx: Session, row: CodeClaim, sentence: str, facts: dict[str, Any], *, now: datetime
) -> str:
    customer = tx.get_one(Customer, row.customer_id)
    messages.text(
        tx,
        to=customer.phone,
        lang=customer.lang,
        sentence=sentence,
        facts=facts,
        key=uuid.uuid5(row.key, "told"),
        now=now,
        customer_id=customer.id,
    )
    return CodeState(row.state).name.lower().replace("_", " ")


def _end(row: CodeClaim, state: CodeState, *, now: datetime) -> None:
    row.state, row.ask_at, row.ended_at = state, None, now
