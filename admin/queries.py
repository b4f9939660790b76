"""Read-only lists of the staff's pages: what waits, what goes on, and whom a search finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from core import days, ledger
from core.customers import Customer
from core.ledger import AccountKind, Wallet
from core.markets import Market, Status
from core.payments import HeldFor, Payout, PayoutAttempt, PayoutState
from core.payout_incidents import IncidentState, PayoutIncident
from core.proposals import Proposal, ProposalState
from core.say import NAIROBI
from core.settlement import Settlement, SettlementState
from core.staff import Staff
from core.status_queries import StatusQuery

SHOWN = 50  # lines of a list on one page
MOST_WAITING = 200  # proposals of one look
FOUND = 10  # of each kind by a search
FIRST = 3  # characters from which a search looks into questions


@dataclass(frozen=True)
class Waiting:
    """A proposal that waits for its second yes, who made it, and the market it is about."""

    proposal: Proposal
    by: str
    lapsed: bool
    market: Market | None


def waiting(tx: Session, *, now: datetime) -> list[Waiting]:
    """What waits for a second person, what lapses first before the rest: one more than is shown."""
    found = _proposals().where(Proposal.state == ProposalState.PENDING)
    rows = tx.execute(found.order_by(Proposal.expires_at, Proposal.id).limit(MOST_WAITING + 1))
    return [_waiting(row, now) for row in rows]


def proposal(tx: Session, proposal_id: int, *, now: datetime) -> Waiting | None:
    """One proposal, decided or not."""
    row = tx.execute(_proposals().where(Proposal.id == proposal_id)).one_or_none()
    return _waiting(row, now) if row else None


def about(tx: Session, subject: str, *, now: datetime) -> Waiting | None:
    """What waits about one thing; nobody is kept from deciding it."""
    found = _proposals().where(Proposal.subject == subject, Proposal.state == ProposalState.PENDING)
    row = tx.execute(found).one_or_none()
    return _waiting(row, now) if row else None


def name_of(tx: Session, staff_id: int | None) -> str:
    """Somebody's name; nobody is the house itself."""
    return "the house" if staff_id is None else tx.get_one(Staff, staff_id).name


@dataclass(frozen=True)
class Today:
    """The house since midnight in Nairobi, and what it holds and owes now, in cents."""

    moved: Mapping[str, int]
    float: int
    owed_to_customers: int


def today(tx: Session, *, now: datetime) -> Today:
    """The few figures of Home."""
    day = now.astimezone(NAIROBI).date()
    found = days.report(tx, since=day, until=day)
    wallets = tx.scalar(select(func.coalesce(func.sum(Wallet.balance), 0)))
    return Today(
        moved=found[0][1] if found else dict.fromkeys(days.COLUMNS, 0),
        float=ledger.total(tx, AccountKind.MPESA_UTILITY),
        owed_to_customers=int(wallets or 0),
    )


def to_settle(tx: Session) -> Sequence[Market]:
    """Markets that have closed and of whose end nothing is decided or proposed."""
    found = select(Market).where(Market.status == Status.CLOSED)
    return tx.scalars(found.order_by(Market.closes_at).limit(FOUND)).all()


def closing_next(tx: Session) -> Sequence[Market]:
    """Markets that are bet on, those that close soonest."""
    found = select(Market).where(Market.status.in_((Status.OPEN, Status.SUSPENDED)))
    return tx.scalars(found.order_by(Market.closes_at, Market.id).limit(FOUND // 2)).all()


def stopped(tx: Session) -> Sequence[Market]:
    """Markets whose settlement was paused, by the house or by somebody."""
    paused = Settlement.paused_at.is_not(None), Settlement.state < SettlementState.SETTLED
    found = select(Market).where(Market.id.in_(select(Settlement.market_id).where(*paused)))
    return tx.scalars(found.order_by(Market.code).limit(FOUND)).all()


# The lists of the payout queue, by the name in their address.
STAFFS = (HeldFor.FLOAT, HeldFor.APPROVAL, HeldFor.STAFF)
QUEUES: Mapping[str, ColumnElement[bool]] = {
    "person": (Payout.state == PayoutState.NEEDS_HUMAN) | (Payout.held_for == HeldFor.APPROVAL),
    "doubt": Payout.state == PayoutState.IN_DOUBT,
    "held": Payout.held_for.in_((HeldFor.PAUSE, *STAFFS)),
    "failed": Payout.state == PayoutState.FAILED,
    "under way": Payout.state.in_(
        (PayoutState.REQUESTED, PayoutState.QUEUED, PayoutState.SENDING, PayoutState.ACCEPTED)
    ),
    "paid": Payout.state == PayoutState.PAID,
}
OPEN = ("person", "doubt", "held", "under way")  # what is counted; the rest grows for ever


def payouts(
    tx: Session, queue: str, *, customer: int | None = None, before: int | None = None
) -> Sequence[Payout]:
    """One list of payouts, the newest first, perhaps of one customer."""
    found = select(Payout).order_by(Payout.id.desc()).limit(SHOWN)
    if queue:
        found = found.where(QUEUES[queue])
    if customer is not None:
        found = found.where(Payout.customer_id == customer)
    if before is not None:
        found = found.where(Payout.id < before)
    return tx.scalars(found).all()


def payout_counts(tx: Session) -> Mapping[str, int]:
    """How many payouts are in each of the lists that end."""
    counts = (func.count().filter(QUEUES[name]).label(name) for name in OPEN)
    row = tx.execute(select(*counts).where(Payout.state < PayoutState.PAID)).one()
    return row._asdict()


def parts(tx: Session, payout: Payout) -> Sequence[Payout]:
    """All payouts of the same decision, which was over the limit of one."""
    found = select(Payout).where(Payout.request == payout.request)
    return tx.scalars(found.order_by(Payout.id).limit(SHOWN)).all()


def open_incidents(tx: Session) -> int:
    """How many payments too many nobody has ended."""
    found = select(func.count()).where(PayoutIncident.state == IncidentState.OPEN)
    return tx.scalar(found) or 0


@dataclass(frozen=True)
class Step:
    """One thing that happened to a payout."""

    at: datetime
    what: str
    detail: str


def steps(tx: Session, payout: Payout) -> list[Step]:
    """How a payout came to where it is, as far as its rows tell, the oldest first."""
    told: list[tuple[datetime | None, str, str]] = [
        (payout.created_at, "asked for", ""),
        (payout.approved_at, "let go by two people", ""),
        (payout.sending_at, f"sent (attempt {payout.attempt})", str(payout.ocid)),
        (payout.ended_at, PayoutState(payout.state).name.lower(), _end_of(payout)),
    ]
    dead = select(PayoutAttempt).where(PayoutAttempt.payout_id == payout.id)
    told += [
        (one.closed_at, f"attempt {one.attempt} proved dead", f"{one.ocid} {one.code}".strip())
        for one in tx.scalars(dead)
    ]
    asked = select(StatusQuery).where(StatusQuery.payout_id == payout.id)
    for one in tx.scalars(asked.order_by(StatusQuery.id.desc()).limit(SHOWN)):
        answer = " ".join(filter(None, (one.code, one.status, one.verdict))) or "no answer yet"
        told.append((one.asked_at or one.created_at, "M-PESA asked", answer))
    return sorted(
        (Step(at, what, detail) for at, what, detail in told if at is not None),
        key=lambda step: step.at,
    )


def _end_of(payout: Payout) -> str:
    """By what it is known how it ended."""
    return payout.receipt or (f"code {payout.code}" if payout.code else "")


def found_markets(tx: Session, sought: str) -> Sequence[Market]:
    """Markets of a code, or with these words in their question; the newest first."""
    by: list[ColumnElement[bool]] = []
    if sought.isascii() and sought.isdigit() and len(sought) < FOUND:
        by.append(Market.code == int(sought))
    if len(sought) >= FIRST:
        by.append(Market.question.icontains(sought, autoescape=True))
    if not by:
        return ()
    found = select(Market).where(or_(*by)).order_by(Market.id.desc()).limit(FOUND)
    return tx.scalars(found).all()


def wallet(tx: Session, customer: Customer) -> Mapping[str, Any]:
    """What a customer has and owes, in cents."""
    return {
        "balance": ledger.balance(tx, customer.id),
        "owed": ledger.owed(tx, customer.id),
    }


def everybody(tx: Session) -> Sequence[Staff]:
    """Who works here, and below them who has left."""
    return tx.scalars(select(Staff).order_by(Staff.active.desc(), Staff.name)).all()


def _proposals() -> Any:
    about = Proposal.subject == func.concat("market:", Market.id)
    return (
        select(Proposal, Staff.name, Market)
        .join(Staff, Staff.id == Proposal.proposed_by)
        .outerjoin(Market, about)
    )


def _waiting(row: Any, now: datetime) -> Waiting:
    return Waiting(row.Proposal, row.name, row.Proposal.expires_at <= now, row.Market)
