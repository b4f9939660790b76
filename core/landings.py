"""Money that lands, or does not: what M-PESA says of a deposit, and the state that follows.

Every way to hear of a deposit ends here (callback, query, status answer, a match made later), with
the deposit's row locked. A failure ends nothing for good; a success is booked from any state.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from core import messages, receipts
from core.config import Config
from core.customers import Customer
from core.notices import OK, PushNotice, StatusNotice, same_phone
from core.payments import WAITING, Deposit, DepositState
from core.reasons import PUSH, QUERY_ENDS, PushReason
from core.receipts import ClaimState, ReceiptClaim, Source
from core.say import say

log = structlog.get_logger(__name__)

COMPLETED = "completed"
ENDED = frozenset({"cancelled", "declined", "expired"})
RECEIPT_WITHIN = timedelta(minutes=15)  # or a person has to look for it
UNSETTLED = (*WAITING, DepositState.REFUSED, DepositState.NOT_PAID)
"""States that the word "paid" still changes."""


def take_push(
    tx: Session, deposit: Deposit, notice: PushNotice, *, now: datetime, config: Config
) -> str:
    """The callback of the push: credit, claim, or tell why not."""
    if notice.code != OK:
        return _failed(tx, deposit, notice.code, now=now)
    if notice.receipt is None:
        return _await_receipt(tx, deposit, now=now)
    if known := receipts.find(tx, notice.receipt):
        return _known(known, deposit)
    # Two notices of one customer at once could each stay under the limit, and pass it together.
    tx.get_one(Customer, deposit.customer_id, with_for_update={"key_share": True})
    fits = notice.amount == deposit.amount and (
        notice.phone is None or same_phone(notice.phone, deposit.phone)
    )
    if not fits or _is_much(tx, deposit, now=now, config=config):
        return hold(tx, deposit, notice, "confirming" if fits else "mismatch", now=now)
    verdict = credit(
        tx,
        deposit,
        notice.receipt,
        deposit.amount,
        source=Source.STK,
        confirmed=False,
        at=notice.at or now,
        now=now,
    )
    _claim(tx, deposit, notice, now=now)
    return verdict


def take_query(
    tx: Session, deposit: Deposit, code: str | None, *, now: datetime, config: Config
) -> None:
    """The answer to an STK query, None if the customer has still to answer. It never credits."""
    if code == OK and deposit.state in UNSETTLED:
        _await_receipt(tx, deposit, now=now)
    elif code in QUERY_ENDS and deposit.state in WAITING:
        _failed(tx, deposit, str(code), now=now)
    elif deposit.state in WAITING and _age(deposit, now) >= config.stk_expiry:
        fail(tx, deposit, "expired", PUSH["expired"], now=now)


def take_status(
    tx: Session, claim: ReceiptClaim, notice: StatusNotice, *, now: datetime, config: Config
) -> str:
    """What M-PESA answers about a claimed receipt: the second word that confirms, or ends it."""
    deposit = tx.get_one(Deposit, claim.deposit_id, with_for_update=True)
    tx.refresh(claim, with_for_update=True)
    if claim.state == ClaimState.CONFIRMED:
        return "again"
    status = notice.status.lower()
    if notice.code != OK or status not in (COMPLETED, *ENDED):
        return "open"
    if status in ENDED:
        return _denied(tx, deposit, claim, now=now)
    if not _agrees(deposit, claim, notice, config):
        return _mismatched(claim, now=now)
    return _confirm(tx, deposit, claim, notice, now=now)


def credit(
    tx: Session,
    deposit: Deposit,
    receipt: str,
    amount: int,
    *,
    source: Source,
    confirmed: bool,
    at: datetime,
    now: datetime,
) -> str:
    """Book the receipt, and tell the customer if it was not booked before."""
    was = DepositState(deposit.state)
    booked = receipts.credit(
        tx, deposit, receipt=receipt, amount=amount, source=source, at=at, confirmed=confirmed
    )
    if booked.verdict == "conflict":
        log.error("receipt is another payment's", deposit_id=deposit.id)
    if booked.verdict not in ("credited", "refund_due"):
        return booked.verdict
    if was == DepositState.CREDITED:
        log.warning("deposit paid twice", deposit_id=deposit.id)
    facts = {"amount": amount, "receipt": receipt, "balance": booked.balance}
    late = was in (DepositState.NOT_PAID, DepositState.REFUSED)
    sentence = "money.deposit_late" if late else "money.deposit_received"
    if booked.tax:
        sentence, facts["tax"] = "money.deposit_received_levy", booked.tax
    if booked.verdict == "refund_due":
        sentence = "money.deposit_refund_due"
    tell(tx, deposit, sentence, facts, part=f"credited:{receipt}", now=now)
    return booked.verdict


def fail(
    tx: Session,
    deposit: Deposit,
    code: str,
    reason: PushReason,
    *,
    now: datetime,
    state: DepositState = DepositState.NOT_PAID,
) -> None:
    """The push brought nothing so far; the customer learns why."""
    deposit.state, deposit.code, deposit.reason = state, code, reason.sentence
    deposit.ended_at = now
    if code != "expired":  # then nobody has said that it failed, and the queries go on
        deposit.ask_at = None
    if reason.alert:
        log.error("deposits may be failing", deposit_id=deposit.id, result_code=code)
    customer = tx.get_one(Customer, deposit.customer_id)
    facts = {"amount": deposit.amount, "why": say(reason.sentence, customer.lang)}
    tell(tx, deposit, "money.deposit_failed", facts, part="failed", now=now)


def tell(
    tx: Session, deposit: Deposit, sentence: str, facts: dict[str, Any], *, part: str, now: datetime
) -> None:
    """One text about the deposit, once for each `part` of its story."""
    customer = tx.get_one(Customer, deposit.customer_id)
    messages.text(
        tx,
        to=customer.phone,
        lang=customer.lang,
        sentence=sentence,
        facts=facts,
        key=uuid.uuid5(deposit.key, part),
        now=now,
        customer_id=customer.id,
    )


def hold(tx: Session, deposit: Deposit, notice: PushNotice, verdict: str, *, now: datetime) -> str:
    """Book nothing on this notice: M-PESA is asked about its receipt first."""
    if verdict == "mismatch":
        log.error("callback does not fit its deposit", deposit_id=deposit.id)
    if _claim(tx, deposit, notice, now=now) is None:
        return "duplicate"
    if deposit.state != DepositState.CREDITED:
        deposit.state, deposit.ask_at = DepositState.CONFIRMING, None
        facts = {"amount": deposit.amount, "receipt": notice.receipt}
        tell(tx, deposit, "money.deposit_confirming", facts, part="confirming", now=now)
    return verdict


def _age(deposit: Deposit, now: datetime) -> timedelta:
    assert deposit.sending_at is not None, "a push that waits for its end has been sent"
    return now - deposit.sending_at


def _claim(
    tx: Session, deposit: Deposit, notice: PushNotice, *, now: datetime
) -> ReceiptClaim | None:
    assert notice.receipt is not None
    return receipts.claim(
        tx,
        deposit,
        receipt=notice.receipt,
        amount=notice.amount or deposit.amount,
        phone=notice.phone,
        source=Source.STK,
        at=notice.at or now,
        now=now,
    )


def _is_much(tx: Session, deposit: Deposit, *, now: datetime, config: Config) -> bool:
    """Whether this money, with what else M-PESA has said only once today, waits to be confirmed."""
    believed = receipts.unconfirmed_today(tx, deposit.customer_id, now=now)
    return believed + deposit.amount > config.daraja_confirm_over


def _known(known: receipts.MpesaReceipt, deposit: Deposit) -> str:
    if known.deposit_id == deposit.id:
        return "duplicate"
    log.error("receipt is another payment's", deposit_id=deposit.id)
    return "conflict"


def _await_receipt(tx: Session, deposit: Deposit, *, now: datetime) -> str:
    """Paid, says M-PESA, but without a receipt nothing is credited."""
    if deposit.state not in UNSETTLED:
        return "duplicate"
    deposit.state, deposit.reason = DepositState.AWAITING_RECEIPT, None
    deposit.ask_at = now + RECEIPT_WITHIN
    facts = {"amount": deposit.amount}
    tell(tx, deposit, "money.deposit_awaiting_receipt", facts, part="awaiting", now=now)
    return "no receipt"


def _failed(tx: Session, deposit: Deposit, code: str, *, now: datetime) -> str:
    if deposit.state not in WAITING:
        return "late"
    if reason := PUSH.get(code):
        fail(tx, deposit, code, reason, now=now)
        return "failed"
    log.error("result code unknown", deposit_id=deposit.id, result_code=code)
    deposit.code, deposit.ask_at = code, now
    facts = {"amount": deposit.amount}
    tell(tx, deposit, "money.deposit_checking", facts, part="checking", now=now)
    return "unknown code"


def _agrees(deposit: Deposit, claim: ReceiptClaim, notice: StatusNotice, config: Config) -> bool:
    """Whether the completed payment is this customer's, to us. The amount is M-PESA's to say."""
    ours = {deposit.shortcode, config.mpesa_till_number}
    return (
        notice.receipt in (None, claim.receipt)
        and notice.amount is not None
        and notice.payee in ours
        and same_phone(notice.payer, deposit.phone)
    )


def _confirm(
    tx: Session, deposit: Deposit, claim: ReceiptClaim, notice: StatusNotice, *, now: datetime
) -> str:
    assert notice.amount is not None
    known = receipts.find(tx, claim.receipt)
    if known is None:
        verdict = credit(
            tx, deposit, claim.receipt, notice.amount, source=Source.STATUS, confirmed=True,
            at=claim.event_at, now=now,
        )  # fmt: skip
    elif known.deposit_id != deposit.id:
        verdict = "conflict"
    else:
        verdict = receipts.confirm(
            tx, receipt=claim.receipt, shortcode=deposit.shortcode, amount=notice.amount,
            source=Source.STATUS,
        )  # fmt: skip
    if verdict in ("conflict", "mismatch", "unknown"):
        return _mismatched(claim, now=now)
    _end(claim, ClaimState.CONFIRMED, now=now)
    return verdict


def _denied(tx: Session, deposit: Deposit, claim: ReceiptClaim, *, now: datetime) -> str:
    _end(claim, ClaimState.DENIED, now=now)
    if receipts.find(tx, claim.receipt) is not None:
        log.error("credited receipt denied", deposit_id=deposit.id, claim_id=claim.id)
    elif deposit.state == DepositState.CONFIRMING:
        fail(tx, deposit, "denied", PUSH["denied"], now=now)
    return "denied"


def _mismatched(claim: ReceiptClaim, *, now: datetime) -> str:
    log.error("status answer does not fit its claim", claim_id=claim.id)
    _end(claim, ClaimState.MISMATCH, now=now)
    return "mismatch"


def _end(claim: ReceiptClaim, state: ClaimState, *, now: datetime) -> None:
    claim.state, claim.ask_at, claim.ended_at = state, None, now
