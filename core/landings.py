"""Money that lands, or does not: what M-PESA says of a deposit, and the state that follows.

Every way to hear of a deposit ends here (callback, query, status answer, a match made later), with
the deposit's row locked. A failure ends nothing for good; a success is booked from any state.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from core import by_hand, ledger, messages, orders, receipts, restored
from core.config import Config
from core.customers import Customer
from core.notices import OK, PushNotice, StatusNotice, same_party, same_phone
from core.payments import WAITING, Deposit, DepositState
from core.reasons import PUSH, QUERY_ENDS, PushReason
from core.receipts import ClaimState, Credit, ReceiptClaim, Source
from core.runtime import current
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
        return _known(tx, known, deposit, notice, now=now)
    fits = _fits(deposit, notice)
    if not fits or is_much(tx, deposit.customer_id, deposit.amount, now=now, config=config):
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
    assert claim.deposit_id is not None, "what is nobody's is not looked for here"
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
    attach: bool = False,
) -> str:
    """Book the receipt, and tell the customer if it was not booked before.

    With `attach` also one that waits in suspense.
    """
    was = DepositState(deposit.state)
    # As whoever asks for a deposit does: the two together must not pass the customer's limit.
    tx.get_one(Customer, deposit.customer_id, with_for_update={"key_share": True})
    orders.ahead(tx, deposit)
    booked = receipts.credit(
        tx, deposit, receipt=receipt, amount=amount, source=source, at=at, confirmed=confirmed,
        attach=attach,
    )  # fmt: skip
    if booked.verdict == "conflict":
        log.error("receipt is another payment's", deposit_id=deposit.id)
    if booked.verdict not in ("credited", "refund_due"):
        return booked.verdict
    if was == DepositState.CREDITED:
        log.warning("deposit paid twice", deposit_id=deposit.id)
    tell_of_bet = orders.fulfil(tx, deposit, now=now) if booked.verdict == "credited" else None
    # Two texts may arrive in either order: both tell the balance after the bet.
    balance = ledger.balance(tx, deposit.customer_id)
    facts = {"amount": amount, "receipt": receipt, "balance": balance}
    facts |= {"tax": booked.tax} if booked.tax else {}
    sentence = _received(was, booked)
    tell(tx, deposit, sentence, facts, part=f"credited:{receipt}", now=now)
    if tell_of_bet:
        tell_of_bet()
    return booked.verdict


def _received(was: DepositState, booked: Credit) -> str:
    """The sentence for money that has come."""
    if booked.verdict == "refund_due":
        return "money.deposit_refund_due"
    if booked.tax:
        return "money.deposit_received_levy"
    late = was in (DepositState.NOT_PAID, DepositState.REFUSED)
    return "money.deposit_late" if late else "money.deposit_received"


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
    if orders.lost(tx, deposit):  # with how to pay by hand it would be two texts
        sentence, why = "money.deposit_failed_order", say(reason.sentence, customer.lang)
    else:
        sentence = "money.deposit_failed"
        why = by_hand.why_not(deposit, reason, current().config, customer.lang)
    facts = {"amount": deposit.amount, "why": why}
    tell(tx, deposit, sentence, facts, part="failed", now=now)


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
    assert notice.receipt is not None
    await_word(tx, deposit, notice.receipt, now=now)
    return verdict


def await_word(tx: Session, deposit: Deposit, receipt: str, *, now: datetime) -> None:
    """The customer learns that M-PESA is asked about the receipt before it is booked."""
    if deposit.state != DepositState.CREDITED:
        deposit.state, deposit.ask_at = DepositState.CONFIRMING, None
        facts = {"amount": deposit.amount, "receipt": receipt}
        tell(tx, deposit, "money.deposit_confirming", facts, part="confirming", now=now)


def is_much(
    tx: Session, customer_id: int | None, amount: int, *, now: datetime, config: Config
) -> bool:
    """Whether `amount` more, with what M-PESA has said only once today, waits to be confirmed.

    Held against what one customer may bring so, and against what the whole house believes: nobody's
    money counts there only. The house's sum is read without a lock; notices that cross may pass it
    by what they bring, none of them more than one customer's measure.
    """
    believed = 0
    if customer_id is not None:
        # Two notices of one customer at once could each stay under the limit, and pass it together.
        tx.get_one(Customer, customer_id, with_for_update={"key_share": True})
        believed = receipts.unconfirmed_today(tx, customer_id, now=now)
    if believed + amount > config.daraja_confirm_over:
        return True
    return receipts.unconfirmed_today(tx, None, now=now) + amount > config.daraja_confirm_cap


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


def _fits(deposit: Deposit, notice: PushNotice) -> bool:
    """Whether the notice is of the payment that was asked for."""
    return notice.amount == deposit.amount and (
        notice.phone is None or same_phone(notice.phone, deposit.phone)
    )


def _known(
    tx: Session,
    known: receipts.MpesaReceipt,
    deposit: Deposit,
    notice: PushNotice,
    *,
    now: datetime,
) -> str:
    """The receipt came on another channel before: the push's word is the second."""
    if known.deposit_id == deposit.id:
        if known.is_unmade and known.source != Source.STK:
            receipts.ask_again(tx, known, now=now)
        _agree(tx, known, deposit, notice)
        return "duplicate"
    if _is_its_own(tx, known, deposit, notice):
        # A till's customers type no account, so the confirmation could not say whose it was.
        verdict = credit(
            tx, deposit, known.receipt, known.amount, source=Source.STK, confirmed=False,
            at=known.event_at, now=now, attach=True,
        )  # fmt: skip
        _claim(tx, deposit, notice, now=now)
        _agree(tx, known, deposit, notice)
        return verdict
    log.error("receipt is another payment's", deposit_id=deposit.id)
    return "conflict"


def _is_its_own(
    tx: Session, known: receipts.MpesaReceipt, deposit: Deposit, notice: PushNotice
) -> bool:
    """Whether what waits in suspense is this push's payment, by amount and payer."""
    return (
        known.amount == deposit.amount
        and _fits(deposit, notice)
        and same_phone(known.payer, deposit.phone)
        and receipts.waits_in_suspense(tx, known.receipt)
    )


def _agree(tx: Session, known: receipts.MpesaReceipt, deposit: Deposit, notice: PushNotice) -> None:
    """Confirmation and callback come by doors of their own: together they are two words."""
    if known.source == Source.C2B and notice.amount == known.amount:
        receipts.agree(
            tx, receipt=known.receipt, shortcode=deposit.shortcode, amount=known.amount,
            source=Source.STK,
        )  # fmt: skip


def _await_receipt(tx: Session, deposit: Deposit, *, now: datetime) -> str:
    """Paid, says M-PESA, but without a receipt nothing is credited."""
    if deposit.state not in UNSETTLED:
        return "duplicate"
    deposit.state, deposit.reason = DepositState.AWAITING_RECEIPT, None
    deposit.ask_at = now + RECEIPT_WITHIN
    facts = {"amount": deposit.amount, "short": current().config.at_short_code}
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
    """Whether the completed payment is this one, to us. The amount is M-PESA's to say.

    A prompt is paid by the phone it was sent to; by hand anybody may pay for anybody.
    """
    prompted = claim.source != Source.C2B
    payer = deposit.phone.removeprefix("+") if prompted else claim.phone
    return (
        notice.receipt in (None, claim.receipt)
        and notice.amount is not None
        and notice.payee in our_shortcodes(deposit.shortcode, config)
        and (same_party(notice.payer, payer) or (payer is None and not prompted))
    )


def our_shortcodes(shortcode: str, config: Config) -> frozenset[str]:
    """What M-PESA may call the account that the payment came to."""
    return frozenset({shortcode, config.mpesa_till_number} - {""})


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
    elif known.is_unmade:
        verdict = restored.book(tx, known, notice.amount, source=Source.STATUS, now=now)
    else:
        verdict = receipts.confirm(
            tx, receipt=claim.receipt, shortcode=deposit.shortcode, amount=notice.amount,
            source=Source.STATUS,
        )  # fmt: skip
    if verdict in ("conflict", "mismatch", "unknown"):
        return _mismatched(claim, now=now)
    receipts.enrich(tx, claim.receipt, payer=notice.payer, bill_ref=claim.bill_ref)
    receipts.close(claim, ClaimState.CONFIRMED, now=now)
    return verdict


def _denied(tx: Session, deposit: Deposit, claim: ReceiptClaim, *, now: datetime) -> str:
    receipts.close(claim, ClaimState.DENIED, now=now)
    if receipts.find(tx, claim.receipt) is not None:
        log.error("credited receipt denied", deposit_id=deposit.id, claim_id=claim.id)
    elif deposit.state == DepositState.CONFIRMING:
        fail(tx, deposit, "denied", PUSH["denied"], now=now)
    return "denied"


def _mismatched(claim: ReceiptClaim, *, now: datetime) -> str:
    log.error("status answer does not fit its claim", claim_id=claim.id)
    receipts.close(claim, ClaimState.MISMATCH, now=now)
    return "mismatch"
