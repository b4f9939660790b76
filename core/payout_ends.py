"""What two people decide of payouts: to end one that nobody explains, to let a large one go.

An end needs proof. That it was paid is proved by its receipt; that it was not, by an imported
statement that covers the day after its sending and does not have it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import cast, func, select
from sqlalchemy.orm import Session

from core import notices, payouts, proposals, receipts, reconciliation, rights
from core.base import Small
from core.config import Config
from core.errors import Refusal
from core.payments import HeldFor, Payout, PayoutState
from core.proposals import Proposal, ProposalState
from core.reasons import PAYOUT
from core.receipts import Source
from core.rights import Right
from core.staff import Staff

log = structlog.get_logger(__name__)

PAID, DEAD, RESEND = "paid", "dead", "resend"
ENDS = (PAID, DEAD, RESEND)
END, LARGE = "payout end", "payout release"  # acts
COVERED = timedelta(hours=24)  # after the sending: M-PESA pays nothing later than that
SKEW = timedelta(minutes=5)  # by which M-PESA's clock may be behind ours


@dataclass(frozen=True)
class Request:
    """All payouts of one decision that wait for a second person."""

    parts: Sequence[Payout]

    @property
    def subject(self) -> str:
        """What the proposal is about."""
        return f"payout-request:{self.parts[0].request}"


def propose_end(
    tx: Session,
    payout_id: int,
    end: str,
    *,
    receipt: str = "",
    note: str,
    by: Staff,
    now: datetime,
    config: Config,
) -> Proposal:
    """Put the end of a payout that NEEDS_HUMAN before a second person.

    `paid` wants M-PESA's receipt; `dead` gives the money back and `resend` pays it under a new id,
    and both want a statement that covers it. Raises Refusal where the proof is not there.
    """
    rights.require(by, Right.PAYOUT_PROPOSE)
    _explained(note)
    content = _end(tx, _payout(tx, payout_id), end, receipt.strip().upper())
    return _put(tx, END, _subject(payout_id), content, note, by=by, now=now, config=config)


def approve_end(tx: Session, payout_id: int, *, seen_hash: str, by: Staff, now: datetime) -> Payout:
    """The second yes: the proof is looked at once more, and the payout is ended by it."""
    rights.require(by, Right.PAYOUT_APPROVE)
    payout = _payout(tx, payout_id)
    proposal = _proposed(tx, _subject(payout_id))
    end, receipt = str(proposal.content["end"]), str(proposal.content["receipt"])
    fresh = _end(tx, payout, end, receipt)
    proposals.approve(tx, proposal, seen_hash=seen_hash, content=fresh, by=by.id, now=now)
    log.warning("payout ended by two people", payout_id=payout.id, reason=end)
    if end == PAID:
        _book(tx, payout, receipt, now=now)
    elif end == DEAD:
        payouts.release(tx, payout, "proved_dead", PAYOUT["proved_dead"], now=now)
    else:
        payouts.new_attempt(tx, payout, now=now)
    return payout


def refuse_end(tx: Session, payout_id: int, *, by: Staff, now: datetime) -> None:
    """A no to a proposed end."""
    rights.require(by, Right.PAYOUT_APPROVE)
    proposals.refuse(_proposed(tx, _subject(payout_id)), by=by.id, now=now)


def propose_release(
    tx: Session, payout_id: int, *, note: str, by: Staff, now: datetime, config: Config
) -> Proposal:
    """Put the release of a large payout, with all its parts, before a second person."""
    rights.require(by, Right.PAYOUT_PROPOSE)
    _explained(note)
    asked = _request(tx, payout_id)
    content = _large(asked)
    return _put(tx, LARGE, asked.subject, content, note, by=by, now=now, config=config)


def approve_release(
    tx: Session, payout_id: int, *, seen_hash: str, by: Staff, now: datetime
) -> Sequence[Payout]:
    """The second yes: every part goes, now or when payouts go again."""
    rights.require(by, Right.PAYOUT_APPROVE)
    asked = _request(tx, payout_id)
    proposal = _proposed(tx, asked.subject)
    proposals.approve(tx, proposal, seen_hash=seen_hash, content=_large(asked), by=by.id, now=now)
    for part in asked.parts:
        part.approved_at = now
        payouts.queue(tx, part, now=now)
    return asked.parts


def refuse_release(tx: Session, payout_id: int, *, by: Staff, now: datetime) -> None:
    """A no: it stays held, and may be proposed again, held by staff or cancelled."""
    rights.require(by, Right.PAYOUT_APPROVE)
    proposals.refuse(_proposed(tx, _request(tx, payout_id).subject), by=by.id, now=now)


def proposed(tx: Session) -> Sequence[Proposal]:
    """What waits for a second person, the oldest first."""
    found = select(Proposal).where(
        Proposal.act.in_((END, LARGE, "payout incident")),
        Proposal.state == ProposalState.PENDING,
    )
    return tx.scalars(found.order_by(Proposal.id)).all()


def _put(
    tx: Session,
    act: str,
    subject: str,
    content: Mapping[str, Any],
    note: str,
    *,
    by: Staff,
    now: datetime,
    config: Config,
) -> Proposal:
    return proposals.propose(
        tx,
        act=act,
        subject=subject,
        content=content,
        note=note.strip(),
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )


def _book(tx: Session, payout: Payout, receipt: str, *, now: datetime) -> None:
    source = cast(int(Source.STATEMENT), Small)
    booked = func.payout_paid(
        payout.id, receipt, payout.shortcode, payout.amount, source, payout.sending_at or now
    )
    verdict = tx.scalar(select(booked))
    if verdict != "paid":  # the receipt has become another payment's since it was checked
        raise Refusal("staff.receipt_taken", receipt=receipt)
    tx.refresh(payout)
    facts = {"receipt": receipt, "tax": payout.tax}
    sentence = "money.payout_sent_levy" if payout.tax else "money.payout_sent"
    payouts.tell(tx, payout, sentence, facts, now=now)


def _end(tx: Session, payout: Payout, end: str, receipt: str) -> dict[str, Any]:
    """The content of an end, for which the proof is there; raises Refusal where it is not."""
    if payout.state != PayoutState.NEEDS_HUMAN:
        raise Refusal("staff.payout_no_human", payout=payout.id)
    if end == PAID:
        _prove_paid(tx, payout, receipt)
    elif end in (DEAD, RESEND):
        _prove_dead(tx, payout)
    else:
        raise Refusal("staff.payout_end")
    return {
        "payout": payout.id,
        "attempt": payout.attempt,
        "ocid": str(payout.ocid),
        "phone": payout.phone,
        "amount": payout.amount,
        "tax": payout.tax,
        "sent_at": payout.sending_at and payout.sending_at.isoformat(),
        "end": end,
        "receipt": receipt if end == PAID else "",
    }


def _prove_paid(tx: Session, payout: Payout, receipt: str) -> None:
    """A receipt that nothing else was booked by, and that no statement contradicts."""
    if not notices.RECEIPT.fullmatch(receipt):
        raise Refusal("staff.receipt_form")
    if receipts.find(tx, receipt) is not None:
        raise Refusal("staff.receipt_taken", receipt=receipt)
    paid = reconciliation.paid_out(tx, str(payout.shortcode), receipt)
    if paid is not None and paid != payout.amount:
        raise Refusal("staff.receipt_amount", receipt=receipt, paid=paid)
    if paid is None and _covered(tx, payout):
        raise Refusal("staff.receipt_not_in_statement", receipt=receipt)


def _prove_dead(tx: Session, payout: Payout) -> None:
    """A statement covers it, and shows no payment that could be it and is nobody else's."""
    if not _covered(tx, payout):
        raise Refusal("staff.statement_missing", until=_until(payout))
    since = _sent(payout) - SKEW
    seen = reconciliation.outgoing(
        tx, str(payout.shortcode), payout.phone, payout.amount, since, _until(payout)
    )
    if seen:
        raise Refusal("staff.payout_in_statement", receipt=seen[0])


def _covered(tx: Session, payout: Payout) -> bool:
    sent = _sent(payout)
    return reconciliation.covers(tx, str(payout.shortcode), sent, _until(payout))


def _sent(payout: Payout) -> datetime:
    assert payout.sending_at is not None, "whoever needs a person has been sent"
    return payout.sending_at


def _until(payout: Payout) -> datetime:
    return _sent(payout) + COVERED


def _request(tx: Session, payout_id: int) -> Request:
    """Every part of the same decision that waits for two people, locked."""
    named = tx.get(Payout, payout_id)
    held = select(Payout).where(
        Payout.request == (named and named.request), Payout.held_for == HeldFor.APPROVAL
    )
    parts = tx.scalars(held.order_by(Payout.id).with_for_update()).all()
    if not parts:
        raise Refusal("staff.payout_not_held", payout=payout_id)
    return Request(parts)


def _large(asked: Request) -> dict[str, Any]:
    return {
        "payouts": [part.id for part in asked.parts],
        "phone": asked.parts[0].phone,
        "amount": sum(part.amount for part in asked.parts),
        "tax": sum(part.tax for part in asked.parts),
    }


def _payout(tx: Session, payout_id: int) -> Payout:
    found = tx.get(Payout, payout_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise Refusal("staff.no_such_payout", payout=payout_id)
    return found


def _subject(payout_id: int) -> str:
    return f"payout:{payout_id}"


def _proposed(tx: Session, subject: str) -> Proposal:
    found = proposals.pending(tx, subject)
    if found is None:
        raise Refusal("staff.payout_none_proposed")
    return found


def _explained(note: str) -> None:
    if not note.strip():
        raise Refusal("staff.reason_missing")
