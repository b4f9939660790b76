"""What two people decide about a payment: whose it is, that it goes back, whether it ever was.

Money in suspense is attached to a customer or sent back; a claim that M-PESA did not settle is
ruled real or never made, so that nothing waits for it for ever; a payment that M-PESA reversed is
taken out of our books. One proposal may wait for each receipt.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import (
    c2b,
    customers,
    landings,
    paybills,
    phone,
    proposals,
    receipts,
    refund_results,
    refunds,
    restored,
    reversals,
    rights,
)
from core.config import Config
from core.errors import Refusal
from core.ledger import Account, AccountKind
from core.notices import same_phone
from core.payments import Deposit, DepositState
from core.proposals import Proposal
from core.reasons import PUSH
from core.receipts import ClaimState, MpesaReceipt, ReceiptClaim, Source
from core.refund_rows import Method, Refund, RefundState
from core.rights import Right
from core.staff import Staff

ACTS = ("attach", "refund", "keep", "reversed", "real", "never")
BOOKED = ACTS[:4]  # acts on what is in the registry; the others are on what is only claimed, too
ACT, SUBJECT = "receipt", "receipt:"  # of proposals
METHODS = {"reversal": Method.REVERSAL, "b2c": Method.B2C}
HELD = {
    AccountKind.WALLET: "wallet",
    AccountKind.SUSPENSE: "suspense",
    AccountKind.REFUND_DUE: "refund_due",
    AccountKind.ADJUSTMENTS: "kept",
}


def propose(
    tx: Session,
    receipt: str,
    act: str,
    *,
    to: str | None = None,
    method: str | None = None,
    claim: int | None = None,
    amount: int | None = None,
    reversal: str | None = None,
    note: str,
    by: Staff,
    now: datetime,
    config: Config,
) -> Proposal:
    """Put an act of `ACTS` before a second person. Raises Refusal for one that could not be done.

    `to` is the phone of the customer it is attached to, or that B2C (`method`) pays; `claim` and
    `amount` (cents) choose what is ruled real; `reversal` is the receipt of M-PESA's reversal.
    """
    rights.require(by, Right.SUSPENSE_PROPOSE)
    wishes = {
        "to": None if to is None else phone.read(to),
        "method": method,
        "claim": claim,
        "amount": amount,
        "reversal": reversal and reversal.strip().upper(),
    }
    content = _content(tx, receipt.strip().upper(), act, wishes)
    _check(tx, content, config=config)
    return proposals.propose(
        tx,
        act=ACT,
        subject=SUBJECT + content["receipt"],
        content=content,
        note=note,
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def approve(
    tx: Session, receipt: str, *, seen_hash: str, by: Staff, now: datetime, config: Config
) -> str:
    """The second yes: checked once more as it is now, and done; what it came to."""
    rights.require(by, Right.SUSPENSE_APPROVE)
    waiting = _waiting(tx, receipt)
    seen = waiting.content
    fresh = _content(tx, seen["receipt"], seen["act"], seen["wishes"])
    proposals.approve(tx, waiting, seen_hash=seen_hash, content=fresh, by=by.id, now=now)
    _check(tx, fresh, config=config)
    if seen["act"] == "attach":
        return _attach(tx, fresh, now=now)
    if seen["act"] == "refund":
        return _refund(tx, fresh, waiting, now=now, config=config)
    if seen["act"] == "keep":
        return _keep(tx, fresh, waiting)
    if seen["act"] == "reversed":
        return refund_results.take_reversal(
            tx, fresh["receipt"], source=Source.STAFF, reversal=fresh["wishes"]["reversal"],
            at=now, now=now,
        )  # fmt: skip
    rule = _real if seen["act"] == "real" else _never
    return rule(tx, fresh, now=now, config=config)


def refuse(tx: Session, receipt: str, *, by: Staff, now: datetime) -> None:
    """A no to what is proposed for a receipt, or the proposer taking it back."""
    rights.require(by, Right.SUSPENSE_APPROVE)
    proposals.refuse(_waiting(tx, receipt), by=by.id, now=now)


def lying(
    tx: Session, kind: AccountKind = AccountKind.SUSPENSE, *, limit: int = 100
) -> Sequence[MpesaReceipt]:
    """Money for which nobody was found, or that is due back, and is still here; oldest first."""
    paid = select(Refund.id).where(
        Refund.receipt == MpesaReceipt.receipt, Refund.state == RefundState.PAID
    )
    kept = (
        select(MpesaReceipt)
        .join(Account, Account.id == MpesaReceipt.account_id)
        .where(
            Account.kind == kind,
            MpesaReceipt.direction == 1,
            MpesaReceipt.reversed_at.is_(None),
            ~paid.exists(),
        )
    )
    return tx.scalars(kept.order_by(MpesaReceipt.created_at).limit(limit)).all()


def doubtful(tx: Session, *, limit: int = 100) -> Sequence[ReceiptClaim]:
    """Claims that M-PESA denied, contradicted, or never answered, and nobody has ruled on."""
    unsettled = (
        select(ReceiptClaim)
        .outerjoin(MpesaReceipt, MpesaReceipt.receipt == ReceiptClaim.receipt)
        .where(
            ReceiptClaim.state.in_(
                (ClaimState.DENIED, ClaimState.MISMATCH, ClaimState.NEEDS_HUMAN)
            ),
            MpesaReceipt.confirmed_at.is_(None),
            MpesaReceipt.reversed_at.is_(None),
        )
        .where((ReceiptClaim.state != ClaimState.DENIED) | MpesaReceipt.receipt.is_not(None))
    )
    return tx.scalars(unsettled.order_by(ReceiptClaim.id).limit(limit)).all()


def waiting(tx: Session) -> Sequence[Proposal]:
    """What waits for a second person."""
    found = select(Proposal).where(
        Proposal.act == ACT, Proposal.state == proposals.ProposalState.PENDING
    )
    return tx.scalars(found.order_by(Proposal.id)).all()


def _waiting(tx: Session, receipt: str) -> Proposal:
    found = proposals.pending(tx, SUBJECT + receipt.strip().upper())
    if found is None:
        raise Refusal("staff.receipt_none_proposed", receipt=receipt)
    return found


def _content(tx: Session, receipt: str, act: str, wishes: Mapping[str, Any]) -> dict[str, Any]:
    """What both people see: the payment as it stands, and what is wished for it."""
    known = receipts.find(tx, receipt)
    claims = [
        {"claim": one.id, "deposit": one.deposit_id, "amount": one.amount, "state": one.state}
        for one in receipts.claims(tx, receipt)
    ]
    kept: dict[str, Any] = {}
    if known is not None:
        kind = tx.scalar(select(Account.kind).where(Account.id == known.account_id))
        kept = {
            "amount": known.amount,
            "held": HELD.get(AccountKind(kind or 0), "sent"),
            "payer": known.payer,
            "bill_ref": known.bill_ref,
            "customer": known.customer_id,
            "confirmed": known.confirmed_at is not None,
            "reversed": known.reversed_at is not None,
            "unmade": known.is_unmade,
        }
    return {
        "receipt": receipt, "act": act, "wishes": dict(wishes), "kept": kept, "claims": claims
    }  # fmt: skip


def _check(tx: Session, content: Mapping[str, Any], *, config: Config) -> None:
    """Whether it could be done now."""
    act, kept, wishes = content["act"], content["kept"], content["wishes"]
    if act not in ACTS or (not kept and (act in BOOKED or not content["claims"])):
        raise Refusal("staff.receipt_unknown", receipt=content["receipt"])
    over = kept.get("reversed") and not (act == "real" and kept["unmade"])
    if over or kept.get("held") == "sent":
        raise Refusal("staff.receipt_elsewhere", receipt=content["receipt"])
    if act in ("attach", "refund", "keep"):
        _check_move(tx, content)
        check = {"attach": _check_attach, "refund": _check_refund, "keep": _check_keep}[act]
        check(tx, content, config=config)
    elif act in ("real", "never") and kept.get("confirmed"):
        raise Refusal("staff.receipt_certain", receipt=content["receipt"])
    elif act == "real" and not kept:
        _claim_of(tx, content)
    elif act == "reversed" and wishes["reversal"] and receipts.find(tx, wishes["reversal"]):
        raise Refusal("staff.receipt_elsewhere", receipt=wishes["reversal"])


def _check_move(tx: Session, content: Mapping[str, Any]) -> None:
    """Whether the money surely came, is here, and nobody sends it back already."""
    kept, receipt = content["kept"], content["receipt"]
    if kept["held"] not in ("suspense", "refund_due"):
        raise Refusal("staff.receipt_elsewhere", receipt=receipt)
    if not kept["confirmed"]:
        raise Refusal("staff.receipt_unconfirmed", receipt=receipt)
    live = select(Refund.id).where(Refund.receipt == receipt, Refund.state != RefundState.FAILED)
    if tx.scalar(live) is not None or tx.scalar(select(func.receipt_in_incident(receipt))):
        raise Refusal("staff.receipt_refunding", receipt=receipt)


def _check_attach(tx: Session, content: Mapping[str, Any], *, config: Config) -> None:
    if content["kept"]["held"] != "suspense":
        raise Refusal("staff.receipt_elsewhere", receipt=content["receipt"])
    if customers.find(tx, content["wishes"]["to"] or "") is None:
        raise Refusal("staff.receipt_no_customer")


def _check_refund(tx: Session, content: Mapping[str, Any], *, config: Config) -> None:
    kept, wishes = content["kept"], content["wishes"]
    if wishes["method"] not in METHODS or kept["amount"] % 100:
        raise Refusal("staff.refund_method")
    if wishes["method"] == "reversal":
        return
    if not wishes["to"] or not same_phone(kept["payer"], wishes["to"]):
        raise Refusal("staff.refund_payee")
    if not config.payout_min_amount <= kept["amount"] <= config.payout_max_amount:
        raise Refusal("staff.refund_amount")


def _check_keep(tx: Session, content: Mapping[str, Any], *, config: Config) -> None:
    """Only what M-PESA cannot send: it moves whole shillings."""
    if content["kept"]["amount"] % 100 == 0:
        raise Refusal("staff.keep_whole")


def _claim_of(tx: Session, content: Mapping[str, Any]) -> ReceiptClaim:
    """The claim that is ruled on: the one that was named, or the only one."""
    named = content["wishes"]["claim"]
    found = [one for one in content["claims"] if named in (None, one["claim"])]
    if len(found) != 1:
        raise Refusal("staff.claim_which", receipt=content["receipt"])
    return tx.get_one(ReceiptClaim, found[0]["claim"])


def _attach(tx: Session, content: Mapping[str, Any], *, now: datetime) -> str:
    known = receipts.find(tx, content["receipt"])
    customer = customers.find(tx, content["wishes"]["to"])
    assert known is not None, "it was looked at a moment ago"
    assert customer is not None, "so was who it is for"
    deposit = paybills.deposit_of(
        tx, customer, receipt=known.receipt, amount=known.amount, shortcode=known.shortcode,
        now=now,
    )  # fmt: skip
    verdict = landings.credit(
        tx, deposit, known.receipt, known.amount, source=Source.STAFF, confirmed=True,
        at=known.event_at, now=now, attach=True,
    )  # fmt: skip
    if verdict == "conflict":  # it was begun to be sent back a moment ago
        raise Refusal("staff.receipt_refunding", receipt=known.receipt)
    return verdict


def _refund(
    tx: Session, content: Mapping[str, Any], proposal: Proposal, *, now: datetime, config: Config
) -> str:
    method = METHODS[content["wishes"]["method"]]
    to = content["wishes"]["to"] if method is Method.B2C else None
    begun = refunds.start(
        tx, content["receipt"], method=method, phone=to, proposal_id=proposal.id, now=now,
        config=config,
    )  # fmt: skip
    if begun is None:
        raise Refusal("staff.receipt_refunding", receipt=content["receipt"])
    return "refunding"


def _keep(tx: Session, content: Mapping[str, Any], proposal: Proposal) -> str:
    verdict = str(tx.scalar(select(func.receipt_adjust(content["receipt"], proposal.id))))
    if verdict != "kept":  # something was begun with it a moment ago
        raise Refusal("staff.receipt_elsewhere", receipt=content["receipt"])
    return verdict


def _real(tx: Session, content: Mapping[str, Any], *, now: datetime, config: Config) -> str:
    """It was found in M-PESA's own books: confirmed, or booked now."""
    receipt, amount = content["receipt"], content["wishes"]["amount"]
    if content["kept"]:
        known = receipts.find(tx, receipt)
        assert known is not None, "it was looked at a moment ago"
        if known.is_unmade:
            verdict = restored.book(tx, known, known.amount, source=Source.STAFF, now=now)
        else:
            verdict = receipts.confirm(
                tx, receipt=receipt, shortcode=known.shortcode, amount=known.amount,
                source=Source.STAFF,
            )  # fmt: skip
        for one in receipts.claims(tx, receipt):
            receipts.close(one, ClaimState.CONFIRMED, now=now)
        return verdict
    claim = _claim_of(tx, content)
    if claim.deposit_id is None:
        return c2b.settle(
            tx, claim, amount or claim.amount, source=Source.STAFF, payer=None, now=now,
            config=config,
        )  # fmt: skip
    deposit = tx.get_one(Deposit, claim.deposit_id, with_for_update=True)
    verdict = landings.credit(
        tx, deposit, receipt, amount or claim.amount, source=Source.STAFF, confirmed=True,
        at=claim.event_at, now=now,
    )  # fmt: skip
    receipts.close(claim, ClaimState.CONFIRMED, now=now)
    return verdict


def _never(tx: Session, content: Mapping[str, Any], *, now: datetime, config: Config) -> str:
    """There is no such payment: what was booked on it is taken back, and nothing waits for it."""
    if content["kept"]:
        return reversals.book(
            tx, content["receipt"], source=Source.STAFF, reversal=None, at=now, now=now, never=True
        )
    for claim in receipts.claims(tx, content["receipt"]):
        receipts.close(claim, ClaimState.DENIED, now=now)
        if claim.deposit_id is None:
            continue
        deposit = tx.get_one(Deposit, claim.deposit_id, with_for_update=True)
        if deposit.state == DepositState.CONFIRMING:
            landings.fail(tx, deposit, "denied", PUSH["denied"], now=now)
    return "denied"
