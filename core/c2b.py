"""Money that customers bring by hand: confirmations of the paybill, and rows of the pull.

A prompt's payment is confirmed here too, under the same receipt: then it is the second word on what
is booked, and moves nothing. What names nobody waits in suspense until two people know better.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import cast, func, or_, select
from sqlalchemy.orm import Session

from core import landings, notices, paybills, receipts, restored
from core.base import Small
from core.config import Config
from core.customers import Customer
from core.notices import OK, Paid, StatusNotice, same_party
from core.payments import Deposit
from core.receipts import ClaimState, Direction, MpesaReceipt, ReceiptClaim, Source
from core.refund_rows import Refund, RefundState
from core.runtime import current

log = structlog.get_logger(__name__)

ACCEPTED = "0"
NO_ACCOUNT, NO_AMOUNT, NO_SHORTCODE = "C2B00012", "C2B00013", "C2B00015"
TAKEN_BACK = "revers"  # in a pull row's type
UNDONE_WITHIN = timedelta(days=30)  # of a payment that a reversal may be of
ALIKE = 5  # of them are asked about


def validate(payload: Mapping[str, Any], config: Config) -> str:
    """Whether M-PESA shall take a payment, asked before it does: "0", or a code of its own.

    Any account number will do unless the settings say otherwise: the money can be sent back.
    """
    paid = notices.paybill(payload)
    if paid is None or paid.amount > config.deposit_max:
        return NO_AMOUNT
    if paid.shortcode not in landings.our_shortcodes(config.mpesa_shortcode, config):
        return NO_SHORTCODE
    if config.c2b_accounts == "known" and paybills.form_of(paid.bill_ref) is None:
        return NO_ACCOUNT
    return ACCEPTED


def take(tx: Session, payload: dict[str, Any], now: datetime) -> str:
    """The confirmation of a payment: any number of times, beside whatever else tells of it."""
    paid, config = notices.paybill(payload), current().config
    if paid is None:
        return "unreadable"
    if paid.shortcode not in landings.our_shortcodes(config.mpesa_shortcode, config):
        log.error("payment to another shortcode")
        return "mismatch"
    return _take(tx, paid, Source.C2B, now=now, config=config)


def take_pull_row(
    tx: Session, row: Mapping[str, Any], now: datetime, *, shortcode: str | None = None
) -> str:
    """A row of the pull: we asked, so what it tells is credited however much it is."""
    config = current().config
    paid = notices.pulled(row, shortcode or config.mpesa_shortcode)
    if paid is None:
        return "unreadable"
    if TAKEN_BACK in str(row.get("type") or "").lower():
        return _taken_back(tx, paid, now=now)
    return _take(tx, paid, Source.PULL, now=now, config=config)


def _taken_back(tx: Session, paid: Paid, *, now: datetime) -> str:
    """A payment was undone, says the pull, under its name or that of the reversal.

    Which one it does not say for sure: M-PESA is asked about each that it could be, and its answer
    books it. Where there is none a person looks.
    """
    if _is_undone(tx, paid.receipt):
        return "again"
    known = receipts.find(tx, paid.receipt)
    found = _undone_by(tx, paid, now=now) if known is None else [known]
    for one in found:
        receipts.ask_again(tx, one, now=now)
    if not found:
        log.error("pull tells of a reversal", receipt=paid.receipt)
    return "asked" if found else "reversal"


def _is_undone(tx: Session, name: str) -> bool:
    """Whether our books have that reversal, by the payment's name or its own."""
    told = select(MpesaReceipt.receipt).where(
        or_(MpesaReceipt.receipt == name, MpesaReceipt.reversal == name),
        or_(MpesaReceipt.reversed_at.is_not(None), MpesaReceipt.direction == Direction.OUT),
        # What only two people took back, M-PESA is asked about: it may have been made, and undone.
        or_(MpesaReceipt.unmade_at.is_(None), MpesaReceipt.restored_id.is_not(None)),
    )
    back = select(Refund.id).where(Refund.receipt == name, Refund.state == RefundState.PAID)
    return bool(tx.scalar(select(or_(told.exists(), back.exists()))))


def _undone_by(tx: Session, paid: Paid, *, now: datetime) -> list[MpesaReceipt]:
    """What a reversal under a name of its own may have undone, the newest first."""
    alike = select(MpesaReceipt).where(
        MpesaReceipt.direction == Direction.IN,
        MpesaReceipt.shortcode == paid.shortcode,
        MpesaReceipt.amount == paid.amount,
        MpesaReceipt.reversed_at.is_(None),
        MpesaReceipt.created_at >= now - UNDONE_WITHIN,
    )
    found = tx.scalars(alike.order_by(MpesaReceipt.created_at.desc()))
    return [one for one in found if same_party(one.payer, paid.payer)][:ALIKE]


def take_line(
    tx: Session,
    *,
    receipt: str,
    amount: int,
    account: str,
    payer: str | None,
    at: datetime,
    shortcode: str,
    now: datetime,
) -> str:
    """A line of the organisation statement that we know nothing of: it credits nothing by itself.

    M-PESA is asked about it, and its answer, or two people, book it: `claimed`, `again` where it
    was before, `duplicate` where the receipt is registered.
    """
    if (known := receipts.find(tx, receipt)) is not None:
        if not known.is_unmade:
            return "duplicate"
        receipts.ask_again(tx, known, now=now)
        return "claimed"
    claim = receipts.claim(
        tx, None, receipt=receipt, amount=amount, phone=payer, source=Source.STATEMENT,
        at=min(at, now), now=now, shortcode=shortcode, bill_ref=account,
    )  # fmt: skip
    return "again" if claim is None else "claimed"


def take_status(
    tx: Session, claim: ReceiptClaim, notice: StatusNotice, *, now: datetime, config: Config
) -> str:
    """What M-PESA answers about a payment for which nobody has been found."""
    tx.refresh(claim, with_for_update=True)
    status = notice.status.lower()
    if claim.state == ClaimState.CONFIRMED:
        return "again"
    if notice.code != OK or status not in (landings.COMPLETED, *landings.ENDED):
        return "open"
    if status in landings.ENDED:
        log.error("payment denied", claim_id=claim.id)
        receipts.close(claim, ClaimState.DENIED, now=now)
        return "denied"
    verdict = "mismatch"
    if _agrees(claim, notice, config):
        verdict = settle(
            tx, claim, notice.amount or 0, source=Source.STATUS, payer=notice.payer, now=now,
            config=config,
        )  # fmt: skip
    if verdict in ("mismatch", "conflict"):
        log.error("status answer does not fit its claim", claim_id=claim.id)
        receipts.close(claim, ClaimState.MISMATCH, now=now)
    return verdict


def settle(
    tx: Session,
    claim: ReceiptClaim,
    amount: int,
    *,
    source: Source,
    payer: str | None,
    now: datetime,
    config: Config,
) -> str:
    """A claimed payment is real, of so many cents: confirm it, or book it now."""
    paid = Paid(
        receipt=claim.receipt,
        amount=amount,
        shortcode=claim.shortcode,
        bill_ref=claim.bill_ref or "",
        payer=payer or claim.phone,
        at=claim.event_at,
    )
    verdict = _take(tx, paid, source, now=now, config=config)
    if verdict not in ("mismatch", "conflict"):
        receipts.close(claim, ClaimState.CONFIRMED, now=now)
    return verdict


def _take(tx: Session, paid: Paid, source: Source, *, now: datetime, config: Config) -> str:
    # However it came in, a till's money lies in the account of the shortcode that it belongs to.
    told = config.mpesa_shortcode if paid.shortcode == config.mpesa_till_number else paid.shortcode
    if known := receipts.find(tx, paid.receipt):
        return _known(tx, known, paid, told, source, now=now)
    owner = paybills.owner(tx, paid.bill_ref)
    sure = source is not Source.C2B
    if owner is None:
        verdict = _keep(tx, paid, told, source, sure=sure, now=now, config=config)
    else:
        verdict = _credit(tx, owner, paid, told, source, sure=sure, now=now, config=config)
    receipts.enrich(tx, paid.receipt, payer=paid.payer, bill_ref=paid.bill_ref)
    if sure:
        _settle_claims(tx, paid.receipt, now=now)
    return verdict


def _known(
    tx: Session, known: MpesaReceipt, paid: Paid, shortcode: str, source: Source, *, now: datetime
) -> str:
    """It is booked: this is one more word about it, or about something else under its name."""
    if (known.direction, known.shortcode, known.amount) != (1, shortcode, paid.amount):
        log.error("receipt told otherwise", receipt=paid.receipt, channel=source.name)
        return "mismatch"
    if not _same_owner(tx, known, paid):
        log.error("receipt told for somebody else", receipt=paid.receipt, channel=source.name)
        return "conflict"
    if known.is_unmade and source is Source.STATUS:
        verdict = restored.book(tx, known, paid.amount, source=source, now=now)
        receipts.enrich(tx, paid.receipt, payer=paid.payer, bill_ref=paid.bill_ref)
        _settle_claims(tx, paid.receipt, now=now)
        return verdict
    if known.is_unmade and (source is Source.PULL or source != known.source):
        # An unasked word may be forged as the first was; a list says what came, not what stands.
        receipts.ask_again(tx, known, now=now)
        return "asked"
    if source == known.source:
        return "again"
    word = receipts.agree if source is Source.C2B else receipts.confirm
    verdict = word(tx, receipt=paid.receipt, shortcode=shortcode, amount=paid.amount, source=source)
    receipts.enrich(tx, paid.receipt, payer=paid.payer, bill_ref=paid.bill_ref)
    if source is not Source.C2B:
        _settle_claims(tx, paid.receipt, now=now)
    return verdict


def _settle_claims(tx: Session, receipt: str, *, now: datetime) -> None:
    """M-PESA has told it asked: what was claimed of it for the same deposit is asked no more."""
    known = receipts.find(tx, receipt)
    for claim in receipts.claims(tx, receipt):
        if known is not None and claim.deposit_id == known.deposit_id:
            receipts.close(claim, ClaimState.CONFIRMED, now=now)


def _same_owner(tx: Session, known: MpesaReceipt, paid: Paid) -> bool:
    """Whether the account number leads to who has the money, or says nothing against it.

    Staff may have found an owner for a number that names nobody.
    """
    if not paid.bill_ref or known.bill_ref == paid.bill_ref:
        return True
    if known.customer_id is None:
        return known.bill_ref is None
    owner = paybills.owner(tx, paid.bill_ref)
    if owner is None:
        return True
    return known.customer_id == (owner.id if isinstance(owner, Customer) else owner.customer_id)


def _credit(
    tx: Session,
    owner: Deposit | Customer,
    paid: Paid,
    shortcode: str,
    source: Source,
    *,
    sure: bool,
    now: datetime,
    config: Config,
) -> str:
    if isinstance(owner, Customer):
        owner = paybills.deposit_of(
            tx, owner, receipt=paid.receipt, amount=paid.amount, shortcode=shortcode, now=now
        )
    deposit = tx.get_one(Deposit, owner.id, with_for_update=True, populate_existing=True)
    if not sure and landings.is_much(tx, deposit.customer_id, paid.amount, now=now, config=config):
        _claim(tx, deposit, paid, shortcode, source, now=now)
        landings.await_word(tx, deposit, paid.receipt, now=now)
        return "confirming"
    verdict = landings.credit(
        tx, deposit, paid.receipt, paid.amount, source=source, confirmed=sure,
        at=min(paid.at or now, now), now=now,
    )  # fmt: skip
    if not sure:
        _claim(tx, deposit, paid, shortcode, source, now=now)
    return verdict


def _keep(
    tx: Session,
    paid: Paid,
    shortcode: str,
    source: Source,
    *,
    sure: bool,
    now: datetime,
    config: Config,
) -> str:
    """Money for nobody we know. One that is forged can be in suspense, and never leaves it."""
    if not sure:
        _claim(tx, None, paid, shortcode, source, now=now)
        if landings.is_much(tx, None, paid.amount, now=now, config=config):
            return "confirming"
    kept = func.suspense_keep(
        paid.receipt, shortcode, paid.amount, cast(int(source), Small), min(paid.at or now, now),
        sure,
    )  # fmt: skip
    verdict = str(tx.scalar(select(kept)))
    if verdict == "suspense":
        log.warning("money in suspense", receipt=paid.receipt)
    return verdict


def _claim(
    tx: Session,
    deposit: Deposit | None,
    paid: Paid,
    shortcode: str,
    source: Source,
    *,
    now: datetime,
) -> None:
    receipts.claim(
        tx, deposit, receipt=paid.receipt, amount=paid.amount, phone=paid.payer, source=source,
        at=min(paid.at or now, now), now=now, shortcode=shortcode, bill_ref=paid.bill_ref,
    )  # fmt: skip


def _agrees(claim: ReceiptClaim, notice: StatusNotice, config: Config) -> bool:
    return (
        notice.receipt in (None, claim.receipt)
        and notice.amount is not None
        and notice.payee in landings.our_shortcodes(claim.shortcode, config)
        and (claim.phone is None or same_party(notice.payer, claim.phone))
    )
