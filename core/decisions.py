"""Decisions about a market's end: a result or a void proposed by one, approved by another."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import (
    market_history,
    markets,
    previews,
    proposals,
    rights,
    settlement,
    withdrawn_outcomes,
)
from core.config import Config
from core.errors import Refusal
from core.markets import Market, Status
from core.previews import Preview
from core.proposals import Proposal, ProposalState
from core.rights import Right
from core.settlement import Settlement, SettlementState
from core.staff import Staff
from core.withdrawn_outcomes import WithdrawalPreview

RESULT, VOID, CORRECTION = "market.result", "market.void", "market.correction"
BEHIND = {SettlementState.APPROVED: Status.APPROVED, SettlementState.RUNNING: Status.SETTLING}


def propose(
    tx: Session,
    code: int,
    *,
    winners: Sequence[int],
    source: str,
    by: Staff,
    now: datetime,
    config: Config,
    effective_close: datetime | None = None,
) -> tuple[Proposal, Preview]:
    """Put a result of a closed market before a second person; without winners, its voiding.

    Bets placed after `effective_close` go back in full. A void may be proposed until the first bet
    is paid, and stands in for a result that waits for its second yes.
    """
    rights.require(by, Right.RESULT_PROPOSE)
    market = settlement.hold(tx, markets.live(tx, code, lock=False).id)
    seen = look(
        tx, market, winners=winners, source=source, effective_close=effective_close, now=now
    )
    if not winners:
        _give_way(tx, market, by=by, now=now)
    act = RESULT if winners else VOID
    proposal = put(tx, market, seen, act=act, by=by, now=now, config=config)
    market.status = Status.PROPOSED
    return proposal, seen


def approve(
    tx: Session, code: int, *, seen_hash: str, by: Staff, now: datetime, config: Config,
    about: int | None = None,
) -> Settlement:  # fmt: skip
    """The second yes, to whatever is proposed about the market; `about` is its id, where known.

    A result is settled once the dispute window has passed, a correction and a withdrawal at once.
    Raises Refusal for the proposer, and when the book is not what the approver saw.
    """
    rights.require(by, Right.RESULT_APPROVE)
    market_id, act = proposed(tx, code, about)
    if act == withdrawn_outcomes.ACT:  # the bets' lock comes before the market's row
        markets.hold_bets(tx, market_id)
    market = settlement.hold(tx, market_id)
    proposal = _waiting(tx, market)
    if proposal.act == VOID:
        _check(tx, market, void=True)
    if proposal.act == CORRECTION:
        _check_correctable(tx, market, proposal.content["corrects"])
    content = _afresh(tx, market, proposal)
    proposals.approve(tx, proposal, seen_hash=seen_hash, content=content, by=by.id, now=now)
    tx.flush()
    waits = config.dispute_window if proposal.act in (RESULT, VOID) else timedelta()
    opened = tx.scalar(select(func.settlement_open(proposal.id, now + waits)))
    tx.expire(market)
    _write_down(tx, market_id, proposal, by=by)
    return tx.get_one(Settlement, opened)


def refuse(
    tx: Session, code: int, *, by: Staff, now: datetime, reason: str = "", about: int | None = None
) -> None:
    """A no to what is proposed: the market is again what it was before. The reason is kept."""
    rights.require(by, Right.RESULT_APPROVE)
    market_id, _ = proposed(tx, code, about)
    market = settlement.hold(tx, market_id)
    proposal = _waiting(tx, market)
    proposals.refuse(proposal, by=by.id, now=now)
    _write_down(tx, market_id, proposal, by=by, verb="refuse", reason=reason.strip())
    _step_back(tx, market)


def lapse(tx: Session, market_id: int, *, now: datetime) -> None:
    """What nobody decided in time is over: the market is again what it was before."""
    market = settlement.hold(tx, market_id)
    proposal = proposals.pending(tx, settlement.subject(market_id))
    if proposal is None or proposal.expires_at > now:
        return
    proposals.expire(tx, proposal.subject, now=now)
    _write_down(tx, market_id, proposal, by=None, verb="expire", reason="")
    _step_back(tx, market)


def look(
    tx: Session,
    market: Market,
    *,
    winners: Sequence[int],
    source: str,
    now: datetime,
    effective_close: datetime | None = None,
) -> Preview:
    """What a result that could be proposed now would do; without winners, a void.

    Nothing is locked or written. Raises Refusal for what could not be proposed.
    """
    _check(tx, market, void=not winners)
    return preview_of(
        tx, market, winners=winners, source=source, effective_close=effective_close, now=now
    )


def preview_of(
    tx: Session,
    market: Market,
    *,
    winners: Sequence[int],
    source: str,
    now: datetime,
    effective_close: datetime | None = None,
    corrects: int | None = None,
) -> Preview:
    """The preview of a result as it was asked for. Raises Refusal for what makes no result."""
    if not source.strip():
        raise Refusal("staff.source_missing")
    if effective_close and not (winners and market.opens_at <= effective_close <= now):
        raise Refusal("staff.effective_close")
    return previews.preview(
        tx,
        market,
        winners=winners,
        source=source.strip(),
        effective_close=effective_close,
        corrects=corrects,
    )


def put(
    tx: Session,
    market: Market,
    seen: Preview,
    *,
    act: str,
    by: Staff,
    now: datetime,
    config: Config,
) -> Proposal:
    """Put what was previewed before a second person, and keep that it was."""
    _check_free(tx, market, now)
    proposal = proposals.propose(
        tx,
        act=act,
        subject=settlement.subject(market.id),
        content=seen.content,
        note=seen.content["source"],
        by=by.id,
        now=now,
        lasts=timedelta(hours=config.proposal_hours),
    )
    _write_down(tx, market.id, proposal, by=by, verb="propose")
    return proposal


def withdraw(
    tx: Session, code: int, *, outcome: int, source: str, by: Staff, now: datetime, config: Config
) -> tuple[Proposal, WithdrawalPreview]:
    """Put the withdrawal of an outcome before a second person, and keep that it was."""
    market = settlement.hold(tx, markets.live(tx, code, lock=False).id)
    _check_free(tx, market, now)
    proposal, seen = withdrawn_outcomes.propose(
        tx, code, outcome=outcome, source=source, by=by, now=now, config=config
    )
    _write_down(tx, market.id, proposal, by=by, verb="propose")
    return proposal, seen


def proposed(tx: Session, code: int, about: int | None = None) -> tuple[int, str]:
    """The market of this code about which something is proposed, and what; nothing is locked.

    Of several that had the code it is the one that lives, unless `about` names one of them.
    """
    meant = Market.code == code if about is None else Market.id == about
    row = tx.execute(
        select(Market.id, Proposal.act)
        .join(Proposal, Proposal.subject == func.concat("market:", Market.id))
        .where(meant, Proposal.state == ProposalState.PENDING)
        .order_by((Market.status < Status.SETTLED).desc(), Market.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        raise Refusal("staff.nothing_proposed", code=code)
    return row.id, row.act


def _check_free(tx: Session, market: Market, now: datetime) -> None:
    subject = settlement.subject(market.id)
    proposals.expire(tx, subject, now=now)
    if proposals.pending(tx, subject) is not None:
        raise Refusal("staff.market_proposed", code=market.code)


def _check(tx: Session, market: Market, *, void: bool) -> None:
    late = {Status.APPROVED, Status.SETTLING} if void else set()
    if market.status not in {Status.CLOSED, Status.PROPOSED} | late:
        raise Refusal("staff.market_not_closed", code=market.code)
    if settlement.begun(tx, market.id):
        raise Refusal("staff.settling_begun", code=market.code)
    if not void and settlement.newest(tx, market.id) is not None:
        raise Refusal("staff.result_decided", code=market.code)


def _check_correctable(tx: Session, market: Market, wrong: int) -> None:
    """What was proposed corrects the result that stands, or stands in for what would correct it."""
    run = settlement.newest(tx, market.id)
    assert run is not None, f"market {market.id} has no result to correct"
    standing = run.corrects if settlement.untouched(run) else run.id
    if standing != wrong or run.state == SettlementState.RUNNING:
        raise Refusal("staff.settling_begun", code=market.code)


def _give_way(tx: Session, market: Market, *, by: Staff, now: datetime) -> None:
    """A result that waits is not wanted any more once somebody proposes a void."""
    waiting = proposals.pending(tx, settlement.subject(market.id))
    if waiting is not None and waiting.act == RESULT:
        proposals.refuse(waiting, by=by.id, now=now)
        tx.flush()
        _write_down(tx, market.id, waiting, by=by, verb="refuse", reason="a void is proposed")


def _waiting(tx: Session, market: Market) -> Proposal:
    proposal = proposals.pending(tx, settlement.subject(market.id))
    if proposal is None:
        raise Refusal("staff.nothing_proposed", code=market.code)
    return proposal


def _afresh(tx: Session, market: Market, proposal: Proposal) -> dict[str, object]:
    """The content of what is proposed, made anew from how things are now."""
    if proposal.act == withdrawn_outcomes.ACT:
        return withdrawn_outcomes.afresh(tx, market, proposal.content)
    return dict(previews.again(tx, market, proposal.content).content)


def _step_back(tx: Session, market: Market) -> None:
    if market.status == Status.PROPOSED:
        run = settlement.newest(tx, market.id)
        market.status = Status.CLOSED if run is None else BEHIND[SettlementState(run.state)]


def _write_down(
    tx: Session,
    market_id: int,
    proposal: Proposal,
    *,
    by: Staff | None,
    verb: str = "",
    reason: str | None = None,
) -> None:
    """Keep in the market's history what was decided, or what became of a proposal (`verb`)."""
    names = ("winners", "effective_close", "corrects", "outcome")
    facts = {name: proposal.content[name] for name in names if proposal.content.get(name)}
    what = f"{verb} {proposal.act.removeprefix('market.')}".strip()
    why = proposal.note if reason is None else reason
    market_history.keep(
        tx, market_id, what, by=by.id if by else None, reason=why, before={}, after=facts
    )
