"""Settlements under way: how far each is, and having it stopped or let go on between two chunks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session

from core import market_history, rights
from core.errors import Refusal
from core.markets import Market, Status
from core.money import Cents
from core.previews import PATIENCE
from core.rights import Right
from core.settlement import Settlement, SettlementState
from core.staff import Staff


@dataclass(frozen=True)
class Progress:
    """How far the newest settlement of a market is. Money in cents, counts in bets and customers.

    `stage` says what it does: waiting, undoing (what it corrects), paying, telling, settled or
    cancelled; with `paused_at` it does not go on until somebody has it resumed.
    """

    id: int
    market_id: int
    state: SettlementState
    stage: str
    void: bool
    winners: Sequence[int]
    due_at: datetime
    pool: Cents
    fee: Cents
    paid: Cents
    refunded: Cents
    collected: Cents
    bets: int
    bets_done: int
    people: int
    people_done: int
    reversed: Cents  # of what the corrected settlement gave, so far
    to_reverse: Cents
    corrects: int | None
    withdraws: int | None
    effective_close: datetime | None  # bets placed after it came too late, and go back
    late: Cents  # of them, once it has begun
    paused_at: datetime | None
    paused_by: str | None


def progress(tx: Session, code: int) -> Progress | None:
    """How far the settlement is that goes on in a market of this code, or else the last one.

    A stopped or running settlement comes before an ended one, whoever has the code by now.
    """
    run = tx.scalar(_of_code(code).limit(1))
    if run is None:
        return None
    tx.execute(text(PATIENCE))
    counts = tx.execute(COUNTS, {"run": run.id, "people_from": _told_upto(run)}).one()
    return Progress(
        id=run.id,
        market_id=run.market_id,
        state=SettlementState(run.state),
        stage=_stage(run),
        void=run.void,
        winners=run.winners,
        due_at=run.due_at,
        pool=Cents(run.pool),
        fee=Cents(run.fee),
        paid=Cents(run.paid),
        refunded=Cents(run.refunded),
        collected=Cents(run.collected),
        corrects=run.corrects,
        withdraws=run.withdraws,
        effective_close=run.effective_close,
        paused_at=run.paused_at,
        **counts._asdict(),
    )


def pause(tx: Session, code: int, *, reason: str, by: Staff) -> None:
    """Stop what is being settled in the market before its next chunk. Raises Refusal if nothing is.

    A withdrawal of an outcome is stopped as well as a result.
    """
    _turn(tx, code, reason, by, on=False)


def resume(tx: Session, code: int, *, reason: str, by: Staff) -> None:
    """Let what was stopped go on, whoever or whatever stopped it."""
    _turn(tx, code, reason, by, on=True)


def _turn(tx: Session, code: int, reason: str, by: Staff, *, on: bool) -> None:
    rights.require(by, Right.SETTLEMENT_PAUSE)
    if not reason.strip():
        raise Refusal("staff.reason_missing")
    turned = [
        run
        for run in tx.scalars(_of_code(code).where(Settlement.state < SettlementState.SETTLED))
        if tx.scalar(select(func.settlement_pause(run.id, on, by.id)))
    ]
    if not turned:
        raise Refusal("staff.not_paused" if on else "staff.no_settlement", code=code)
    what = "resume settlement" if on else "pause settlement"
    for run in turned:
        market_history.keep(
            tx,
            run.market_id,
            what,
            by=by.id,
            reason=reason.strip(),
            before={},
            after={"settlement": run.id},
        )


def _of_code(code: int) -> Select[Settlement]:
    """Settlements of the markets that have, or had, this code: first what goes on, newest first."""
    return (
        select(Settlement)
        .join(Market, Market.id == Settlement.market_id)
        .where(
            Market.code == code,
            Market.status > Status.DRAFT,
            Settlement.state < SettlementState.CANCELLED,
        )
        .order_by(
            (Settlement.state < SettlementState.SETTLED).desc(),
            Settlement.market_id.desc(),
            Settlement.withdraws.is_(None).desc(),
            Settlement.id.desc(),
        )
        .execution_options(populate_existing=True)
    )


def _stage(run: Settlement) -> str:
    if run.state != SettlementState.RUNNING:
        undoing = run.corrects is not None and run.undone_at is None
        waiting = "undoing" if undoing else "waiting"
        return "settled" if run.state == SettlementState.SETTLED else waiting
    return "telling" if run.paid + run.refunded + run.fee == run.pool else "paying"


def _told_upto(run: Settlement) -> int:
    """The last customer that was seen to."""
    if run.state == SettlementState.SETTLED:
        return 2**62
    return run.cursor_bet if run.cursor_place == BEHIND else 0


BEHIND = 100  # all places: where the cursor is while customers are seen to

COUNTS = text("""
    SELECT (SELECT count(*) FROM bet b
              JOIN settlement_share p ON p.settlement_id = s.id AND p.outcome = b.outcome
                   AND p.late = coalesce(b.placed_at > s.effective_close, false)
             WHERE b.market_id = s.market_id) AS bets,
           given.bets_done, given.people, given.people_done, coalesce(w.reversed, 0) AS reversed,
           coalesce(w.pool, 0) AS to_reverse, p.name AS paused_by,
           (SELECT coalesce(sum(staked), 0)::bigint FROM settlement_share
             WHERE settlement_id = s.id AND late) AS late
      FROM settlement s
      LEFT JOIN settlement w ON w.id = s.corrects
      LEFT JOIN staff p ON p.id = s.paused_by
     CROSS JOIN LATERAL
           (SELECT count(*) AS bets_done, count(DISTINCT customer_id) AS people,
                   count(DISTINCT customer_id) FILTER (WHERE customer_id <= :people_from)
                   AS people_done
              FROM dividend WHERE settlement_id = s.id) given
     WHERE s.id = :run
""")
