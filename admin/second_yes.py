"""Every act that two people do: what it is called, who may say yes, and the verb that does it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from flask import abort
from sqlalchemy.orm import Session

from admin import looks
from admin.queries import Waiting
from core import (
    adjustments,
    audit,
    days,
    decisions,
    levies,
    mpesa_settings,
    payout_ends,
    payout_incidents,
    promotion,
    proposals,
    refund_ends,
    rights,
    runtime,
    staff_changes,
    statement_items,
    suspense,
    tariffs,
    treasury,
    withdrawn_outcomes,
)
from core.config import Config
from core.errors import Refusal
from core.markets import Market
from core.payments import PayoutState
from core.proposals import Proposal, ProposalState
from core.rights import Right
from core.staff import Staff


@dataclass(frozen=True)
class Yes:
    """Who says yes, to what they have seen, and when."""

    seen_hash: str
    by: Staff
    now: datetime
    config: Config


@dataclass(frozen=True)
class Came:
    """What came of a yes, in a sentence."""

    sentence: str


@dataclass(frozen=True)
class Act:
    """One kind of act. Its `family` is in the addresses of its yes and no, which want one right."""

    title: str
    family: str
    approve: Callable[[Session, Proposal, Yes], Came]
    refuse: Callable[[Session, Proposal, Yes, str], None]


def find(proposal: Proposal) -> Act:
    """What kind of act this is."""
    return ACTS[proposal.act]


def title(waiting: Waiting) -> str:
    """What is proposed, and about what, phones masked."""
    act, market = find(waiting.proposal), waiting.market
    if market is not None:
        return f"{act.title}: {market.code} {market.question}"
    return audit.masked(f"{act.title}{_about(waiting.proposal)}")


def right(proposal: Proposal) -> Right:
    """What it takes to say yes to it."""
    return rights.second(FAMILIES[find(proposal).family])


def approve(tx: Session, number: int, family: str, *, seen_hash: str, by: Staff) -> Came:
    """Do what was proposed under this number. 404 where there is none of this family."""
    found = _undecided(tx, number, family)
    came = find(found).approve(tx, found, _yes(by, seen_hash))
    _was_this_one(tx, found, ProposalState.APPROVED, by)
    return came


def refuse(tx: Session, number: int, family: str, *, reason: str, by: Staff) -> None:
    """Say no to it, or take it back. 404 where there is none of this family."""
    found = _undecided(tx, number, family)
    find(found).refuse(tx, found, _yes(by, ""), reason)
    _was_this_one(tx, found, ProposalState.REFUSED, by)


def may_approve(waiting: Waiting, member: Staff) -> bool:
    """Whether this person could be the second one."""
    proposal = waiting.proposal
    own, allowed = proposal.proposed_by == member.id, rights.may(member.role, right(proposal))
    return allowed and not own and not waiting.lapsed


def _undecided(tx: Session, number: int, family: str) -> Proposal:
    """What can still be decided, where the right that was asked is the right one."""
    found = tx.get(Proposal, number)
    if found is None or find(found).family != family:
        abort(404)
    if found.state != ProposalState.PENDING:
        raise Refusal("staff.proposal_over")
    return found


def _was_this_one(tx: Session, found: Proposal, state: ProposalState, by: Staff) -> None:
    """Verbs decide what waits about a thing, and that may be another by now than this number."""
    tx.flush()
    tx.refresh(found)
    if (found.state, found.decided_by) != (state, by.id):
        raise Refusal("staff.proposal_over")


def _yes(by: Staff, seen_hash: str) -> Yes:
    rt = runtime.current()
    return Yes(seen_hash=seen_hash, by=by, now=rt.now(), config=rt.config)


def _about(proposal: Proposal) -> str:
    content = proposal.content
    for name, write in NAMED.items():
        if name in content:
            return f": {write(content[name])}"
    return ""


NAMED: Mapping[str, Callable[[object], str]] = {
    "payouts": lambda ids: looks.fact("payouts", ids),
    "payout": lambda number: f"P{number}",
    "name": str,
    "receipt": str,
    "reference": str,
    "day": str,
    "adjustment": str,
}


def _market(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    code, about = _code(tx, proposal), proposal.content["market"]
    run = decisions.approve(
        tx, code, seen_hash=yes.seen_hash, by=yes.by, now=yes.now, config=yes.config, about=about
    )
    if proposal.act == withdrawn_outcomes.ACT:
        return Came(f"Bets on that outcome of market {code} go back, and nobody can bet on it.")
    return Came(f"Market {code} will be settled from {looks.when(run.due_at)} on.")


def _no_market(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    code, about = _code(tx, proposal), proposal.content["market"]
    decisions.refuse(tx, code, by=yes.by, now=yes.now, reason=reason, about=about)


def _code(tx: Session, proposal: Proposal) -> int:
    return tx.get_one(Market, proposal.content["market"]).code


def _end(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    number = proposal.content["payout"]
    ended = payout_ends.approve_end(tx, number, seen_hash=yes.seen_hash, by=yes.by, now=yes.now)
    return Came(f"P{number} is {looks.words(PayoutState(ended.state).name)}.")


def _no_end(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    payout_ends.refuse_end(tx, proposal.content["payout"], by=yes.by, now=yes.now)


def _release(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    first = proposal.content["payouts"][0]
    parts = payout_ends.approve_release(tx, first, seen_hash=yes.seen_hash, by=yes.by, now=yes.now)
    return Came(f"{', '.join(f'P{part.id}' for part in parts)} will be sent.")


def _no_release(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    payout_ends.refuse_release(tx, proposal.content["payouts"][0], by=yes.by, now=yes.now)


def _incident(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    ended = payout_incidents.approve(
        tx, proposal.content["incident"], seen_hash=yes.seen_hash, by=yes.by, now=yes.now
    )
    return Came(f"The incident of {ended.about} has ended.")


def _no_incident(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    payout_incidents.refuse(tx, proposal.content["incident"], by=yes.by, now=yes.now)


def _refund(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    number = proposal.content["refund"]
    verdict = refund_ends.approve(tx, number, seen_hash=yes.seen_hash, by=yes.by, now=yes.now)
    return Came(f"Refund {number}: {looks.words(verdict)}.")


def _no_refund(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    refund_ends.refuse(tx, proposal.content["refund"], by=yes.by, now=yes.now)


def _receipt(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    receipt = proposal.content["receipt"]
    verdict = suspense.approve(
        tx, receipt, seen_hash=yes.seen_hash, by=yes.by, now=yes.now, config=yes.config
    )
    return Came(f"Receipt {receipt}: {looks.words(verdict)}.")


def _no_receipt(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    suspense.refuse(tx, proposal.content["receipt"], by=yes.by, now=yes.now)


def _move(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    reference = proposal.content["reference"]
    treasury.approve(
        tx, reference, seen_hash=yes.seen_hash, by=yes.by, now=yes.now, config=yes.config
    )
    return Came(f"{reference} is posted.")


def _no_move(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    treasury.refuse(tx, proposal.content["reference"], by=yes.by, now=yes.now)


def _adjust(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    number = proposal.content["phone"]
    adjustments.approve(
        tx, number, seen_hash=yes.seen_hash, by=yes.by, now=yes.now, config=yes.config
    )
    return Came(f"The adjustment of {looks.masked(number)} is posted.")


def _no_adjust(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    adjustments.refuse(tx, proposal.content["phone"], by=yes.by, now=yes.now)


def _day(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    closed = days.approve(
        tx, date.fromisoformat(proposal.content["day"]), seen_hash=yes.seen_hash, by=yes.by,
        now=yes.now,
    )  # fmt: skip
    return Came(f"The day {closed.day} is closed.")


def _rates(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    levies.approve(tx, seen_hash=yes.seen_hash, by=yes.by, now=yes.now)
    return Came("The new rates will begin when they were proposed to.")


def _bands(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    tariffs.approve(tx, seen_hash=yes.seen_hash, by=yes.by, now=yes.now)
    return Came("The new tariff will begin when it was proposed to.")


def _line(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    number = proposal.content["line"]
    statement_items.approve(tx, number, seen_hash=yes.seen_hash, by=yes.by, now=yes.now)
    return Came(f"Line {number} of the statement is closed.")


def _no_line(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    statement_items.refuse(tx, proposal.content["line"], by=yes.by, now=yes.now)


def _settings(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    changed = mpesa_settings.approve(
        tx, seen_hash=yes.seen_hash, by=yes.by, now=yes.now, config=yes.config
    )
    return Came(f"In force within seconds: {', '.join(name.upper() for name in changed)}.")


def _no_settings(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    mpesa_settings.refuse(tx, by=yes.by, now=yes.now, config=runtime.current().config)


def _promotion(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    """The stamp is the database owner's, whom no page may know."""
    raise Refusal("staff.promote_by_command")


def _no_promotion(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    promotion.refuse(tx, by=yes.by, now=yes.now)


def _staff(tx: Session, proposal: Proposal, yes: Yes) -> Came:
    name = proposal.content["name"]
    came = staff_changes.approve(
        tx, name, seen_hash=yes.seen_hash, by=yes.by, now=yes.now, config=yes.config
    )
    sent = f" {looks.sent(came.invitation)}" if came.invitation else ""
    return Came(f"The change of {name} is done.{sent}")


def _no_staff(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    staff_changes.refuse(tx, proposal.content["name"], by=yes.by, now=yes.now)


def _no(tx: Session, proposal: Proposal, yes: Yes, reason: str) -> None:
    """For acts whose refusal undoes nothing else."""
    rights.require(yes.by, right(proposal))
    waiting = proposals.pending(tx, proposal.subject)
    if waiting is None:
        raise Refusal("staff.proposal_over")
    proposals.refuse(waiting, by=yes.by.id, now=yes.now)


# What it takes to propose acts of each, and to take one's own back.
FAMILIES: Mapping[str, Right] = {
    "results": Right.RESULT_PROPOSE,
    "payouts": Right.PAYOUT_PROPOSE,
    "suspense": Right.SUSPENSE_PROPOSE,
    "treasury": Right.TREASURY_PROPOSE,
    "adjustments": Right.ADJUST_PROPOSE,
    "levies": Right.LEVY_PROPOSE,
    "days": Right.DAY_PROPOSE,
    "statements": Right.STATEMENT_PROPOSE,
    "staff": Right.STAFF_PROPOSE,
    "credentials": Right.CREDENTIALS_PROPOSE,
    "environment": Right.ENVIRONMENT_PROPOSE,
}
ACTS: Mapping[str, Act] = {
    decisions.RESULT: Act("Result", "results", _market, _no_market),
    decisions.VOID: Act("Void", "results", _market, _no_market),
    decisions.CORRECTION: Act("Correction", "results", _market, _no_market),
    withdrawn_outcomes.ACT: Act("Withdrawal of an outcome", "results", _market, _no_market),
    payout_ends.END: Act("End of a payout", "payouts", _end, _no_end),
    payout_ends.LARGE: Act("Release of a large payout", "payouts", _release, _no_release),
    "payout incident": Act("End of an incident", "payouts", _incident, _no_incident),
    refund_ends.ACT: Act("End of a refund", "payouts", _refund, _no_refund),
    suspense.ACT: Act("Money in suspense", "suspense", _receipt, _no_receipt),
    "treasury": Act("Move of the house's money", "treasury", _move, _no_move),
    adjustments.ACT: Act("Adjustment of a customer", "adjustments", _adjust, _no_adjust),
    "day.close": Act("Close of a day", "days", _day, _no),
    "levy.rates": Act("Levies", "levies", _rates, _no),
    "tariff": Act("Tariff", "levies", _bands, _no),
    statement_items.ACT: Act("Line of a statement", "statements", _line, _no_line),
    mpesa_settings.ACT: Act("M-PESA settings", "credentials", _settings, _no_settings),
    promotion.ACT: Act("Sandbox to production", "environment", _promotion, _no_promotion),
    staff_changes.NEW: Act("New member of staff", "staff", _staff, _no_staff),
    staff_changes.ROLE: Act("Another role", "staff", _staff, _no_staff),
    staff_changes.RESET: Act("New password and factor", "staff", _staff, _no_staff),
    staff_changes.PHONE: Act("Another staff phone", "staff", _staff, _no_staff),
    staff_changes.LEAVE: Act("Somebody leaves", "staff", _staff, _no_staff),
}
