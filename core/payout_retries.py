"""Trying a payout again: what failed is paid anew, what may have arrived is only asked about."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from core import payout_acts, payout_states, rights, status_queries
from core.config import Config
from core.effects import Effect
from core.errors import Refusal
from core.payments import Payout, PayoutState
from core.rights import Right
from core.staff import Staff
from core.status_queries import QueryState, StatusQuery

log = structlog.get_logger(__name__)

ASKABLE = payout_states.SENT | {payout_states.FOR_FLOAT}
LATELY = timedelta(days=7)  # failures older than this are not tried again in one go
MOST = 500  # of them at once
JUST_NOW = timedelta(minutes=2)  # M-PESA answers a question in seconds; another would learn no more
OPEN = (QueryState.WAITING, QueryState.ASKED)


@dataclass(frozen=True)
class Tried:
    """What came of it: the payouts that were made anew, or a question to M-PESA and no payout."""

    payouts: tuple[int, ...]

    @property
    def asked(self) -> bool:
        """Whether M-PESA is asked what became of it. Then nothing is paid."""
        return not self.payouts


def again(tx: Session, payout_id: int, *, by: Staff, now: datetime, config: Config) -> Tried:
    """Try a payout again, as far as that is safe.

    One that failed and went back to the wallet is withdrawn once more. One that M-PESA may have
    paid is never sent again: M-PESA is asked what became of it. Raises Refusal for all others.
    """
    rights.require(by, Right.PAYOUT_RETRY)
    payout = tx.get(Payout, payout_id, with_for_update=True, populate_existing=True)
    if payout is not None and payout_states.place(payout) in ASKABLE:
        _ask(tx, payout, by=by, now=now)
        return Tried(())
    reserved = payout_acts.retry(tx, payout_id, by=by, now=now, config=config)
    return Tried(reserved.payout_ids)


def untried(tx: Session, *, now: datetime) -> Sequence[int]:
    """Payouts that failed lately and were not paid anew since, the oldest first."""
    failed = select(Payout.id, Payout.key).where(
        Payout.state == PayoutState.FAILED, Payout.ended_at >= now - LATELY
    )
    keys = {row.id: row.key for row in tx.execute(failed.order_by(Payout.id))}
    done = _done(tx, keys)
    return [payout_id for payout_id in keys if payout_id not in done][:MOST]


def anew(tx: Session, payout: Payout) -> tuple[int, ...]:
    """The payouts by which one that failed was paid anew; none if it was not."""
    number = 0
    while kept := tx.get(Effect, payout_acts.retry_key(payout.key, number)):
        if kept.verdict == "done":
            return tuple(kept.facts["payouts"])
        number += 1
    return ()


def paid_anew(tx: Session, payouts: Sequence[Payout]) -> Collection[int]:
    """Those of a list that failed and were paid anew."""
    return _done(tx, {one.id: one.key for one in payouts if one.state == PayoutState.FAILED})


def _ask(tx: Session, payout: Payout, *, by: Staff, now: datetime) -> None:
    """One question beside those of the sweep, whose schedule goes on as it was."""
    lately = select(StatusQuery.id).where(
        StatusQuery.payout_id == payout.id,
        StatusQuery.ocid == payout.ocid,
        StatusQuery.state.in_(OPEN),
        StatusQuery.created_at > now - JUST_NOW,
    )
    if tx.scalar(lately.limit(1)) is not None:
        raise Refusal("staff.payout_just_asked", payout=payout.id)
    status_queries.ask_about_payout(tx, payout, now=now)
    log.warning("payout asked about", payout_id=payout.id, staff_id=by.id)


def _done(tx: Session, keys: Mapping[int, uuid.UUID]) -> Collection[int]:
    """Those that were paid anew. A try that was refused is followed by one under the next key."""
    done: set[int] = set()
    left, number = dict(keys), 0
    while left:
        tries = {payout_acts.retry_key(key, number): payout for payout, key in left.items()}
        found = select(Effect.key, Effect.verdict).where(Effect.key.in_(tries))
        verdicts = {tries[row.key]: row.verdict for row in tx.execute(found)}
        done |= {payout for payout, verdict in verdicts.items() if verdict == "done"}
        left = {payout: left[payout] for payout, said in verdicts.items() if said != "done"}
        number += 1
    return done
