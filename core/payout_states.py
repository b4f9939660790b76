"""The steps a payout may take: each is a compare-and-set, and there are no others.

PAID, FAILED and CANCELLED are not among them: only the functions that move the money lead there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import func, tuple_, update
from sqlalchemy.orm import Session

from core.payments import HeldFor, Payout, PayoutState

log = structlog.get_logger(__name__)

Place = tuple[PayoutState, HeldFor | None]
"""Where a payout stands: its state and, where it is HELD, for what."""

QUEUED: Place = (PayoutState.QUEUED, None)
SENDING: Place = (PayoutState.SENDING, None)
ACCEPTED: Place = (PayoutState.ACCEPTED, None)
IN_DOUBT: Place = (PayoutState.IN_DOUBT, None)
NEEDS_HUMAN: Place = (PayoutState.NEEDS_HUMAN, None)
FOR_SETTLEMENT: Place = (PayoutState.HELD, HeldFor.SETTLEMENT)
FOR_PAUSE: Place = (PayoutState.HELD, HeldFor.PAUSE)
FOR_FLOAT: Place = (PayoutState.HELD, HeldFor.FLOAT)
FOR_APPROVAL: Place = (PayoutState.HELD, HeldFor.APPROVAL)
FOR_STAFF: Place = (PayoutState.HELD, HeldFor.STAFF)

BEFORE = frozenset({QUEUED, FOR_SETTLEMENT})  # what a worker may take
STOPPED = frozenset({FOR_PAUSE, FOR_APPROVAL, FOR_STAFF})  # ready to go, and kept from going
SENT = frozenset({SENDING, ACCEPTED, IN_DOUBT, NEEDS_HUMAN})
"""M-PESA may have it: its word moves the payout on."""


@dataclass(frozen=True)
class Step:
    """From any of `of` to `to`."""

    of: frozenset[Place]
    to: Place


STEPS: Mapping[str, Step] = {
    "send": Step(BEFORE, SENDING),
    "pause": Step(BEFORE, FOR_PAUSE),
    "ask approval": Step(BEFORE, FOR_APPROVAL),
    "hold": Step(frozenset({QUEUED, FOR_PAUSE, FOR_APPROVAL}), FOR_STAFF),
    "queue": Step(STOPPED, QUEUED),
    "never left": Step(frozenset({SENDING}), QUEUED),
    "accept": Step(frozenset({SENDING}), ACCEPTED),
    "doubt": Step(SENT - {NEEDS_HUMAN}, IN_DOUBT),
    "no float": Step(SENT, FOR_FLOAT),
    "call a person": Step(frozenset({IN_DOUBT, FOR_FLOAT}), NEEDS_HUMAN),
    "anew": Step(frozenset({FOR_FLOAT, NEEDS_HUMAN}), QUEUED),
}


def place(payout: Payout) -> Place:
    """Where the payout stands."""
    held = None if payout.held_for is None else HeldFor(payout.held_for)
    return PayoutState(payout.state), held


def step(tx: Session, payout: Payout, name: str, **changes: Any) -> bool:
    """Take the step `name` and write `changes`, if the payout is still where that step begins.

    Compared and set in one statement, the attempt with it: whoever was frozen while the payout went
    on finds nothing to move. The row is read afresh either way; False says that nothing changed.
    """
    wanted = STEPS[name]
    here = tuple_(Payout.state, func.coalesce(Payout.held_for, 0))
    moved = tx.scalars(
        update(Payout)
        .where(
            Payout.id == payout.id,
            Payout.attempt == payout.attempt,
            here.in_([(int(state), int(held or 0)) for state, held in wanted.of]),
        )
        .values(state=int(wanted.to[0]), held_for=wanted.to[1], **changes)
        .returning(Payout)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).one_or_none()
    if moved is None:
        tx.refresh(payout)
        log.warning("payout has moved on", payout_id=payout.id, reason=name)
    return moved is not None


def doubt(tx: Session, payout: Payout, code: str | None, *, ask_at: datetime) -> bool:
    """It may have been paid: only M-PESA's word, or two people with proof, end it now."""
    return step(tx, payout, "doubt", code=code, ask_at=ask_at)
