"""Correcting a wrong result: what it gave is taken back, and the pool shared out again."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import decisions, rights, settlement
from core.config import Config
from core.errors import Refusal
from core.markets import Market, Status
from core.previews import Preview
from core.proposals import Proposal
from core.rights import Right
from core.settlement import Settlement
from core.staff import Staff

ENDED = (Status.SETTLED, Status.VOID)


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
    drop_cut_off: bool = False,
) -> tuple[Proposal, Preview]:
    """Put another end of a settled market before a second person; without winners it is void.

    The newest market that had the code is meant. As long as a correction has taken nothing back,
    another may stand in for it. Bets that were too late for the wrong result are
    too late for the right one, unless another moment is given or the old one is dropped. From the
    second yes on no more of what the wrong result gave is sent, and what customers no longer have
    they owe.
    """
    rights.require(by, Right.RESULT_PROPOSE)
    market = settlement.hold(tx, _newest(tx, code))
    seen = look(
        tx,
        market,
        winners=winners,
        source=source,
        effective_close=effective_close,
        drop_cut_off=drop_cut_off,
        now=now,
    )
    put = decisions.put(tx, market, seen, act=decisions.CORRECTION, by=by, now=now, config=config)
    return put, seen


def look(
    tx: Session,
    market: Market,
    *,
    winners: Sequence[int],
    source: str,
    now: datetime,
    effective_close: datetime | None = None,
    drop_cut_off: bool = False,
) -> Preview:
    """What a correction that could be proposed now would do; nothing is locked or written."""
    wrong = _wrong(tx, market)
    if winners and effective_close is None and not drop_cut_off:
        effective_close = _cut_off(tx, wrong)
    if (sorted(set(winners)), effective_close) == (wrong.winners, wrong.effective_close):
        raise Refusal("staff.nothing_changed", code=market.code)
    return decisions.preview_of(
        tx,
        market,
        winners=winners,
        source=source,
        effective_close=effective_close,
        corrects=wrong.id,
        now=now,
    )


def _cut_off(tx: Session, wrong: Settlement) -> datetime | None:
    """The effective close in force: a void has none of its own, and changes nothing about it.

    It came after the result that it corrects, or after one that it overtook.
    """
    before: Settlement | None = wrong
    while before is not None and before.void:
        before = _before(tx, before)
    return None if before is None else before.effective_close


def _before(tx: Session, void: Settlement) -> Settlement | None:
    if void.corrects is not None:
        return tx.get_one(Settlement, void.corrects)
    return tx.scalar(
        select(Settlement)
        .where(
            Settlement.market_id == void.market_id,
            Settlement.withdraws.is_(None),
            Settlement.corrects.is_(None),
            Settlement.id < void.id,
        )
        .order_by(Settlement.id.desc())
        .limit(1)
    )


def _newest(tx: Session, code: int) -> int:
    """The newest market that had the code and has ended, or whose correction is under way."""
    market_id = tx.scalar(
        select(Market.id)
        .where(Market.code == code, Market.status.in_((*ENDED, Status.CORRECTING)))
        .order_by(Market.id.desc())
        .limit(1)
    )
    if market_id is None:
        raise Refusal("staff.market_not_settled", code=code)
    return market_id


def _wrong(tx: Session, market: Market) -> Settlement:
    """The result that a correction would take back."""
    newest = settlement.newest(tx, market.id)
    if newest is None:
        raise Refusal("staff.market_not_settled", code=market.code)
    if market.status in ENDED:
        return newest
    if market.status != Status.CORRECTING or not settlement.untouched(newest):
        raise Refusal("staff.settling_begun", code=market.code)
    return tx.get_one(Settlement, newest.corrects)
